"""Vocabularies: Llama 3's `tokenizer.model` (tiktoken's format), or a Hugging Face `tokenizer.json` of the same kind.

Both end as llama-models' `Tokenizer`, which knows Llama 3's control tokens. A vocabulary that would cut text
otherwise than Llama 3 does is refused, never approximated. Nothing here needs torch.
"""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_nb.errors import CheckpointError

if TYPE_CHECKING:
    from llama_models.llama3.tokenizer import Tokenizer

# Without these no dialog can be written. Llama 3.0 has reserved tokens where 3.1 has the second row.
DIALOG_TOKENS = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
LATER_TOKENS = ("<|eom_id|>", "<|python_tag|>", "<|finetune_right_pad_id|>")


def load_tokenizer(folder: Path) -> Tokenizer:
    """The vocabulary of the checkpoint in `folder`.

    Raises:
        CheckpointError: no vocabulary is there, or it is not one of Llama 3.
    """
    for name in ("tokenizer.model", "original/tokenizer.model"):
        if (folder / name).is_file():
            return _from_tiktoken(folder / name)
    if (folder / "tokenizer.json").is_file():
        return _from_hugging_face(folder / "tokenizer.json")
    raise CheckpointError(f"{folder} has no `tokenizer.model` and no `tokenizer.json`: copy one beside the weights.")


def _foreign(path: Path, why: str) -> CheckpointError:
    return CheckpointError(f"{path}: {why}. Only vocabularies of Llama 3 and its descendants can be used.")


def _from_tiktoken(path: Path) -> Tokenizer:
    from llama_models.llama3.tokenizer import Tokenizer

    _check_ranks(path, _tiktoken_lines(path))
    return Tokenizer(path)


def _tiktoken_lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """Each token and its rank. llama-models' reader passes over lines that it does not understand; this one raises."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            token, rank = line.split()
            yield binascii.a2b_base64(token, strict_mode=True), int(rank)
        except ValueError as error:
            got = f"line {number} should be a token in base64 and its rank, got {line[:40]!r}"
            raise _foreign(path, f"{got} (SentencePiece, as in Llama 2, is another format)") from error


def _check_ranks(path: Path, items: Iterable[tuple[bytes, int]]) -> None:
    """Ranks must be 0, 1, 2 …, once each: the control tokens are counted on from them, and tiktoken panics on twins."""
    tokens, ranks = zip(*items, strict=True) if (items := list(items)) else ((), ())
    if len(set(tokens)) != len(tokens) or sorted(ranks) != list(range(len(ranks))):
        raise _foreign(path, f"its {len(tokens)} tokens do not have the ranks 0 to {len(tokens) - 1}, once each")
    if missing := 256 - sum(len(token) == 1 for token in tokens):
        raise _foreign(path, f"{missing} of the 256 single bytes are missing from its {len(tokens)} tokens")


def _from_hugging_face(path: Path) -> Tokenizer:
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path}, line {error.lineno}: not JSON ({error.msg}).") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    try:
        added: dict[str, int] = {token["content"]: token["id"] for token in content["added_tokens"]}
        _check_cutting(path, content)
        ranks = _byte_ranks(path, content["model"], added)
        _check_ranks(path, ranks.items())
        tokenizer = _through_tiktoken(ranks)
        _check_control_tokens(path, added, tokenizer)
    except (KeyError, TypeError, AttributeError) as error:
        raise _foreign(path, f"it is not a byte-level BPE vocabulary ({error!r})") from error
    return tokenizer


def _through_tiktoken(ranks: dict[bytes, int]) -> Tokenizer:
    """llama-models' tokenizer is only to be had from a file."""
    from llama_models.llama3.tokenizer import Tokenizer

    with tempfile.TemporaryDirectory(prefix="llama_nb-") as scratch:
        path = Path(scratch) / "tokenizer.model"
        path.write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items()))
        return Tokenizer(path)


def _check_cutting(path: Path, content: dict[str, Any]) -> None:
    """Text must be cut into words as llama-models' tokenizer does, before any merge."""
    from llama_models.llama3.tokenizer import Tokenizer

    if content.get("normalizer") is not None:
        raise _foreign(path, f"its normalizer {content['normalizer']['type']} changes the text, Llama 3 has none")
    if "pre_tokenizer" not in content:
        return
    steps = content["pre_tokenizer"] or {"type": "none"}
    steps = steps["pretokenizers"] if steps["type"] == "Sequence" else [steps]
    cuts = [step["pattern"].get("Regex", step["pattern"]) for step in steps if step["type"] == "Split"]
    bytewise = [step for step in steps if step["type"] == "ByteLevel"]
    if cuts != [Tokenizer.pat_str] or len(steps) != 2 or len(bytewise) != 1:
        found = ", ".join(map(repr, cuts)) or ", ".join(step["type"] for step in steps)
        raise _foreign(path, f"its pre_tokenizer cuts text by {found}, Llama 3 by {Tokenizer.pat_str!r}")
    # Both default to true in the `tokenizers` library.
    if bytewise[0].get("add_prefix_space", True) or bytewise[0].get("use_regex", True):
        raise _foreign(path, "its ByteLevel pre_tokenizer adds a space or cuts text once more, Llama 3's does neither")


def _byte_ranks(path: Path, model: dict[str, Any], added: dict[str, int]) -> dict[bytes, int]:
    """The bytes of each token, with its id. tiktoken merges by id; so must the list of merges."""
    if model.get("type", "BPE") != "BPE":
        raise _foreign(path, f"it is of the type {model['type']}, not BPE")
    if model.get("byte_fallback"):
        raise _foreign(path, "it falls back to bytes (SentencePiece's way, as in Llama 2), Llama 3 is byte-level")
    vocabulary = {token: rank for token, rank in model["vocab"].items() if token not in added}
    _check_merges(path, vocabulary, model["merges"])
    byte_of = {letter: byte for byte, letter in _byte_letters().items()}
    return {bytes(byte_of[letter] for letter in token): rank for token, rank in vocabulary.items()}


def _check_merges(path: Path, vocabulary: dict[str, int], merges: list[str | list[str]]) -> None:
    """The merges must make the tokens in the order of their ids, and every token longer than a byte.

    Llama 3's files list every pair that makes a token; trained ones list the first. tiktoken takes any pair.
    """
    made, highest = set(), -1
    for number, merge in enumerate(merges, 1):
        pair = merge.split(" ") if isinstance(merge, str) else merge
        token_id = vocabulary.get("".join(pair))
        if token_id is None or len(pair) != 2:
            raise _foreign(path, f"merge {number} is {merge!r}, which does not make a token of two others")
        if token_id < highest:
            raise _foreign(path, f"merge {number} makes token {token_id} after {highest}, not in the order of the ids")
        made.add(token_id)
        highest = token_id
    orphan = next((token for token, rank in vocabulary.items() if len(token) > 1 and rank not in made), None)
    if orphan is not None:
        raise _foreign(path, f"no merge makes token {vocabulary[orphan]} ({orphan!r})")


def _check_control_tokens(path: Path, added: dict[str, int], tokenizer: Tokenizer) -> None:
    names = {token_id: name for name, token_id in added.items()}
    for token in DIALOG_TOKENS + LATER_TOKENS:
        place = tokenizer.special_tokens[token]
        free = token in LATER_TOKENS and names.get(place, "<|reserved").startswith("<|reserved")
        if token not in added and free:
            continue
        if added.get(token) != place:
            got = f"at {added[token]}" if token in added else f"missing ({place} is {names.get(place, 'nothing')})"
            raise _foreign(path, f"control token {token} is {got}, Llama 3 has it at {place}")


def _byte_letters() -> dict[int, str]:
    """GPT-2's printable letter for each byte, which `tokenizer.json` writes instead of the byte."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in letters]
    return letters | {byte: chr(256 + index) for index, byte in enumerate(others)}
