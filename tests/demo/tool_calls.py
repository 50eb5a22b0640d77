"""How well a checkpoint calls tools: each case of a set, in each format, answered greedily.

    python -m tests.demo.tool_calls FOLDER [json|function_tag …] [--cases known|unseen|fresh] [--free]

Asked through the stack, as everybody asks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from llama_nb import loop
from llama_nb.apis.messages import (
    CompletionMessage,
    Message,
    SamplingParams,
    StopReason,
    ToolCall,
    ToolPromptFormat,
    ToolResponseMessage,
    UserMessage,
    tool_name_str,
)
from llama_nb.stack import Stack
from tests.demo import tool_cases, tool_cases_fresh, tool_cases_unseen
from tests.demo.tool_cases import FORMATS, Call, Result, ToolCase
from tests.stacks import entry, stack_of

SETS = {"known": tool_cases.CASES, "unseen": tool_cases_unseen.CASES, "fresh": tool_cases_fresh.CASES}
TODAY = date(2026, 5, 20)
LONGEST_ANSWER = 120  # tokens


@dataclass(frozen=True)
class Outcome:
    case: ToolCase
    format: str
    message: CompletionMessage

    @property
    def called(self) -> bool:
        """Also by a text that was meant as a call, and is none."""
        return bool(self.message.tool_calls) or self.message.malformed_call is not None

    @property
    def right(self) -> bool:
        if self.case.call is not None:
            calls = self.message.tool_calls
            return len(calls) == 1 and is_the_call(calls[0], self.case.call)
        told = not self.case.answer or any(word in str(self.message.content) for word in self.case.answer)
        return told and not self.called

    def __str__(self) -> str:
        calls = [f"{tool_name_str(call.tool_name)}({json.dumps(call.arguments)})" for call in self.message.tool_calls]
        malformed = f" [no call: {self.message.malformed_call}]" if self.message.malformed_call else ""
        said = next(said for said in reversed(self.case.said) if isinstance(said, str))
        got = " ".join([*calls, *([repr(str(self.message.content))] if self.message.content else [])])
        return f"{self.format:12} {said!r} → {got}{malformed}"


def is_the_call(made: ToolCall, expected: Call) -> bool:
    """Whether name and arguments are right; letters count whatever their case, numbers also as text.

    >>> made = ToolCall(call_id="", tool_name="roll", arguments={"sides": "20"})
    >>> is_the_call(made, Call("roll", {"sides": 20})), is_the_call(made, Call("roll", {"sides": (6, 12)}))
    (True, False)
    """
    same_names = tool_name_str(made.tool_name) == expected.name and made.arguments.keys() == expected.arguments.keys()
    return same_names and all(_is_value(made.arguments[name], value) for name, value in expected.arguments.items())


def _is_value(made: Any, expected: Any) -> bool:
    if isinstance(expected, tuple):
        return any(_is_value(made, value) for value in expected)
    if isinstance(made, bool) or made is None or isinstance(made, list | dict):
        return False
    if isinstance(expected, int | float):
        try:
            return float(made) == expected
        except ValueError:
            return False
    return str(made).strip().casefold() == str(expected).casefold()


def messages_of(case: ToolCase, tool_format: str = "json") -> list[Message]:
    """The conversation; its calls are closed as in the published example of that format."""
    closed = StopReason.end_of_turn if tool_format == "function_tag" else StopReason.end_of_message
    messages: list[Message] = []
    for said in case.said:
        if isinstance(said, Call):
            call = ToolCall(call_id="call", tool_name=said.name, arguments=dict(said.arguments))
            messages.append(CompletionMessage(content="", stop_reason=closed, tool_calls=[call]))
        elif isinstance(said, Result):
            messages.append(ToolResponseMessage(call_id="call", tool_name=said.name, content=said.content))
        elif messages and isinstance(messages[-1], UserMessage | ToolResponseMessage):
            messages.append(CompletionMessage(content=said, stop_reason=StopReason.end_of_turn))
        else:
            messages.append(UserMessage(content=said))
    return messages


def ask(stack: Stack, case: ToolCase, tool_format: str) -> Outcome:
    response = loop.run(
        stack.inference.chat_completion(
            model=stack.default_model,
            messages=messages_of(case, tool_format),
            sampling_params=SamplingParams(max_tokens=LONGEST_ANSWER),
            tools=list(case.tools),
            tool_prompt_format=ToolPromptFormat(tool_format),
        )
    )
    return Outcome(case, tool_format, response.completion_message)


def ask_all(folder: Path, cases: Sequence[ToolCase], formats: Sequence[str] = FORMATS, **config: Any) -> list[Outcome]:
    """All `cases` of a checkpoint's provider; `config` adds to the provider's config."""
    stack = stack_of(entry("meta-reference", checkpoint=str(folder), device="cpu", today=TODAY.isoformat(), **config))
    try:
        return [ask(stack, case, name) for name in formats for case in cases if name in case.formats]
    finally:
        stack.close()


@dataclass(frozen=True)
class Score:
    """How many of the cases were right; of those without a call, how many called all the same."""

    due: tuple[int, int]
    called_though_none_was_due: tuple[int, int]
    told: tuple[int, int]


def score(outcomes: Sequence[Outcome]) -> Score:
    due = [outcome.right for outcome in outcomes if outcome.case.call is not None]
    none = [outcome.called for outcome in outcomes if outcome.case.call is None and not outcome.case.answer]
    told = [outcome.right for outcome in outcomes if outcome.case.answer]
    return Score(*((sum(which), len(which)) for which in (due, none, told)))  # type: ignore[arg-type]


def table(outcomes: Sequence[Outcome]) -> str:
    """A row for each format: calls right in name and arguments, calls where none was due, results that were told."""
    lines = [f"{'format':14}{'calls right':>20}{'called for nothing':>22}{'result told':>18}"]
    for name in dict.fromkeys(outcome.format for outcome in outcomes):
        got = score([outcome for outcome in outcomes if outcome.format == name])
        cells = [_share(got.due), _share(got.called_though_none_was_due), _share(got.told)]
        lines.append(f"{name:14}{cells[0]:>20}{cells[1]:>22}{cells[2]:>18}")
    return "\n".join(lines)


def _share(counted: tuple[int, int]) -> str:
    number, of = counted
    return f"{number}/{of} ({number / of:.1%})" if of else "–"


def failures(outcomes: Sequence[Outcome]) -> str:
    return "\n".join(str(outcome) for outcome in outcomes if not outcome.right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("formats", nargs="*", default=FORMATS)
    parser.add_argument("--cases", choices=SETS, default="fresh")
    parser.add_argument("--free", action="store_true", help="without `guided_calls`")
    asked = parser.parse_args()
    outcomes = ask_all(asked.folder, SETS[asked.cases], asked.formats, guided_calls=not asked.free)
    print(failures(outcomes), end="\n\n")
    print(table(outcomes))


if __name__ == "__main__":
    main()
