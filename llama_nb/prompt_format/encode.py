"""The rendered dialog → token ids, through llama-models' tokenizer.

What a person or a tool wrote can never become a control token: text is encoded with none allowed. The token ids of
answers are kept as they were generated, since encoding their text anew can give others, and the prefix cache with
it would be lost. Knows one tokenizer; knows nothing of the model.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from llama_nb.prompt_format.calls import read_calls
from llama_nb.prompt_format.text import well_formed

if TYPE_CHECKING:
    from llama_models.llama3.tokenizer import Tokenizer

KEPT_ANSWERS = 1024
KEPT_ANSWERS_OF_A_PROMPT = 16


class Turn(msgspec.Struct, frozen=True):
    """One message of a rendered dialog.

    `call` is what stands for tool calls, after the text and behind `<|python_tag|>`; `tagged` is false where the
    model writes its calls without one. `end_of_message` closes with `<|eom_id|>` instead of `<|eot_id|>`.
    """

    role: str
    text: str
    call: str | None = None
    end_of_message: bool = False
    tagged: bool = True


class Answer:
    """An answer as it was generated: its pieces, each the ids of some tokens and their text."""

    def __init__(self) -> None:
        self._pieces: list[tuple[list[int], str]] = []

    def append(self, ids: list[int], text: str) -> None:
        self._pieces.append((ids, text))

    def ids_of(self, turn: Turn) -> list[int] | None:
        """The ids behind `turn` if it is this answer, or the beginning of it up to the end of a piece."""
        if turn.call is not None:
            whole = "".join(text for _, text in self._pieces)
            same = whole.startswith(turn.text) and _same_call(whole[len(turn.text) :], turn.call)
            return [token for ids, _ in self._pieces for token in ids] if same else None
        kept: list[int] = []
        silent: list[int] = []  # control tokens: they belong to the text that follows, or to the very end
        rest = turn.text
        for ids, text in self._pieces:
            if not rest.startswith(text):
                break
            silent += ids
            if text:
                kept, silent, rest = kept + silent, [], rest[len(text) :]
        else:
            kept += silent
        return None if rest else kept


def _same_call(written: str, call: str) -> bool:
    calls = read_calls(call)
    # By their spelling, since 1, 1.0 and True are equal.
    return written == call or (calls is not None and repr(read_calls(written)) == repr(calls))


class DialogEncoder:
    """Encodes dialogs, and remembers the answers it is told of."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        # Several chats can ask the same: none may lose its answer to another's.
        self._answers: OrderedDict[tuple[int, ...], list[Answer]] = OrderedDict()

    def encode(self, dialog: Sequence[Turn]) -> list[int]:
        """The token ids of the whole dialog, up to the header of the answer that is asked for."""
        ids = [self.tokenizer.bos_id]
        for turn in dialog:
            ids += self._header(turn.role)
            ids += self._kept(ids, turn) or self._body(turn)
        return ids + self._header("assistant")

    def encode_text(self, text: str) -> list[int]:
        """The token ids of plain text that is to be continued, for a completion: no header, no end."""
        return [self.tokenizer.bos_id, *self._text(text)]

    def keep(self, prompt_ids: Sequence[int], answer: Answer) -> None:
        """Remembers what was generated after `prompt_ids`."""
        key = tuple(prompt_ids)
        answers = self._answers.setdefault(key, [])
        answers.append(answer)
        del answers[:-KEPT_ANSWERS_OF_A_PROMPT]
        self._answers.move_to_end(key)
        while len(self._answers) > KEPT_ANSWERS:
            self._answers.popitem(last=False)

    def _kept(self, ids: list[int], turn: Turn) -> list[int] | None:
        answers = self._answers.get(tuple(ids), []) if turn.role == "assistant" else []
        kept = next((found for answer in reversed(answers) if (found := answer.ids_of(turn))), None)
        if kept is None:
            return None
        closed = kept[-1] in self.tokenizer.stop_tokens
        return kept if closed else [*kept, self.tokenizer.eot_id]

    def _header(self, role: str) -> list[int]:
        special = self.tokenizer.special_tokens
        return [
            special["<|start_header_id|>"],
            *self._text(role),
            special["<|end_header_id|>"],
            *self._text("\n\n"),
        ]

    def _body(self, turn: Turn) -> list[int]:
        end = self.tokenizer.eom_id if turn.end_of_message else self.tokenizer.eot_id
        if turn.call is None or not turn.tagged:
            return [*self._text(turn.text + (turn.call or "")), end]
        return [*self._text(turn.text), self.tokenizer.python_tag_id, *self._text(turn.call), end]

    def _text(self, text: str) -> list[int]:
        """Plain text, whatever it looks like."""
        ids: list[int] = self.tokenizer.encode(well_formed(text), bos=False, eos=False)
        return ids
