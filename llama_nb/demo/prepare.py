"""The corpus as token files, so that training needs torch alone.

A folder of tokens holds `tokenizer.model`, `train.bin`, `validation.bin` and `metadata.json`. A `.bin` is a row of
16-bit little-endian numbers: token ids, with the highest bit set where the model is to learn the token. Each dialog
starts with `<|begin_of_text|>`, which stands nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from array import array
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from llama_nb.demo import corpus, vocabulary
from llama_nb.prompt_format.encode import DialogEncoder, Turn
from llama_nb.prompt_format.render import render
from llama_nb.prompt_format.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from llama_models.llama3.tokenizer import Tokenizer

LEARN = 0x8000
DIALOGS_AT_ONCE = 4000  # for one of the processes that share the work
VALIDATION_SEED_STEP = 1_000_003  # far from the seeds that people choose


def prepare(
    folder: Path,
    *,
    seed: int,
    dialogs: int,
    validation: int,
    vocabulary_dialogs: int,
    base_tokens: int,
    longest: int,
    start: Path | None = None,
) -> dict[str, object]:
    """Writes a folder of tokens; dialogs longer than `longest` tokens are left out.

    The vocabulary is made from the first dialogs, or is that of the checkpoint `start`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if start is None:
        texts = (turn.text for turns in rendered(seed, vocabulary_dialogs) for turn in turns)
        tokens = vocabulary.train(texts, base_tokens, with_space=base_tokens // 3)
        vocabulary.write(tokens, folder / "tokenizer.model")
    else:
        shutil.copyfile(start / "tokenizer.model", folder / "tokenizer.model")
    tokenizer = load_tokenizer(folder)
    counts = {
        "train": _write(folder, "train", seed, dialogs, longest),
        "validation": _write(folder, "validation", seed + VALIDATION_SEED_STEP, validation, longest),
    }
    metadata: dict[str, object] = {
        "seed": seed,
        "dialogs": dialogs,
        "vocab_size": tokenizer.n_words,
        "bos_id": tokenizer.bos_id,
        "tokens": counts,
        "sha256": {name: _sha256(folder / name) for name in ("tokenizer.model", "train.bin", "validation.bin")},
    }
    (folder / "metadata.json").write_text(json.dumps(metadata, indent=2) + "\n", "utf-8")
    return metadata


def rendered(seed: int, count: int, start: int = 0) -> Iterator[list[Turn]]:
    for dialog in corpus.dialogs(seed, count, start):
        yield render(dialog.messages, dialog.tools, today=dialog.today, tool_prompt_format=dialog.tool_prompt_format)


class TargetEncoder:
    """Encodes a rendered dialog exactly as it is encoded for an answer, and marks what assistants wrote."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._encoder = DialogEncoder(tokenizer)
        self._bos = tokenizer.bos_id
        self._answer_header = self._encoder.encode([])[1:]
        self._encoded = lru_cache(maxsize=50_000)(self._encode)  # fixed answers come again and again

    def __call__(self, dialog: Iterable[Turn]) -> list[int]:
        return [self._bos, *(token for turn in dialog for token in self._encoded(turn))]

    def _encode(self, turn: Turn) -> tuple[int, ...]:
        header = self._answer_header
        ids = self._encoder.encode([turn])[1 : -len(header)]
        if turn.role != "assistant":
            return tuple(ids)
        return (*header, *(token | LEARN for token in ids[len(header) :]))


def _write(folder: Path, name: str, seed: int, count: int, longest: int) -> int:
    """Writes the tokens of dialogs number 0 to `count`, and gives how many tokens there are."""
    parts = [
        (folder, seed, start, min(DIALOGS_AT_ONCE, count - start), longest)
        for start in range(0, count, DIALOGS_AT_ONCE)
    ]
    with (folder / f"{name}.bin").open("wb") as file:
        if len(parts) == 1:
            return file.write(_encoded(*parts[0])) // 2
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            return sum(file.write(part) for part in pool.map(_encoded, *zip(*parts, strict=True))) // 2


def _encoded(folder: Path, seed: int, start: int, count: int, longest: int) -> bytes:
    encode = _encoder(folder)
    tokens = array("H")
    for turns in rendered(seed, count, start):
        ids = encode(turns)
        if len(ids) <= longest:
            tokens.extend(ids)
    if sys.byteorder == "big":
        tokens.byteswap()
    return tokens.tobytes()


@lru_cache(maxsize=1)
def _encoder(folder: Path) -> TargetEncoder:
    return TargetEncoder(load_tokenizer(folder))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
