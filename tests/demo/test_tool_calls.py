"""The checkpoint in the package calls tools that it has never seen, and none when none is due."""

from __future__ import annotations

from collections import Counter
from types import ModuleType

import pytest

from llama_nb.apis.messages import (
    CompletionMessage,
    StopReason,
    SystemMessage,
    ToolCall,
    ToolResponseMessage,
    UserMessage,
    tool_name_str,
)
from llama_nb.demo import CHECKPOINT
from tests.counts import full
from tests.demo import tool_cases, tool_cases_fresh, tool_cases_unseen
from tests.demo.tool_calls import SETS, Outcome, ask_all, failures, is_the_call, messages_of, score, table
from tests.demo.tool_cases import DUE, FORMATS, NOT_DUE, RESULTS, Call, ToolCase

# Floors under what this checkpoint does: calls right, called for nothing. What is wished for is 0.95 and 0.03 of the
# unseen: raise them when a better one is trained.
FLOORS = {"known": (0.96, 0.02), "unseen": (0.92, 0.06), "fresh": (0.87, 0.10)}
TOLD = 0.95

MODULES = (tool_cases, tool_cases_unseen, tool_cases_fresh)
ALL_DUE = [case for module in MODULES for case in module.DUE]
ALL_CASES = [case for module in MODULES for case in module.CASES]


@pytest.mark.parametrize("cases", SETS)
@pytest.mark.parametrize("tool_format", FORMATS)
def test_the_guide_calls_what_it_should_and_nothing_else(tool_format: str, cases: str) -> None:
    outcomes = ask_all(CHECKPOINT, SETS[cases][:: full(3, 1)], [tool_format])
    got = score(outcomes)
    shown = f"\n{table(outcomes)}\n{failures(outcomes)}"
    right, for_nothing = FLOORS[cases]
    assert got.due[0] >= right * got.due[1], shown
    assert got.called_though_none_was_due[0] <= for_nothing * got.called_though_none_was_due[1], shown
    assert got.told[0] >= TOLD * got.told[1], shown


# --- The cases themselves -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cases", MODULES)
def test_there_are_enough_of_each_kind(cases: ModuleType) -> None:
    assert len(cases.DUE) >= 120 and len(cases.NOT_DUE) >= 70 and len(cases.RESULTS) >= 10
    assert len({tool_name_str(tool.tool_name) for case in cases.CASES for tool in case.tools}) >= 40
    counts = Counter(len(case.call.arguments) for case in cases.DUE if case.call)
    assert counts[1] > counts[2] > counts[0] + counts[3] > 10
    positions = Counter([tool_name_str(tool.tool_name) for tool in case.tools].index(_name(case)) for case in cases.DUE)
    assert positions[0] > 40 and positions[1] > 40 and positions[2] and positions[3]


def _name(case: ToolCase) -> str:
    assert case.call is not None
    return case.call.name


@pytest.mark.parametrize("case", ALL_DUE, ids=lambda case: str(case.said[-1]))
def test_each_due_call_can_be_read_off_the_question(case: ToolCase) -> None:
    assert case.call is not None
    [tool] = [tool for tool in case.tools if tool_name_str(tool.tool_name) == case.call.name]
    question = str(case.said[-1]).lower()
    for name, value in case.call.arguments.items():
        values = value if isinstance(value, tuple) else (value,)
        assert any(str(each).lower() in question for each in values)
        assert tool.parameters is None or name in tool.parameters
    if tool.parameters is not None:
        required = {name for name, parameter in tool.parameters.items() if parameter.required}
        assert required <= case.call.arguments.keys()


def test_no_case_stands_twice() -> None:
    assert [
        said for said, times in Counter(repr((case.said, case.tools)) for case in ALL_CASES).items() if times > 1
    ] == []


def test_the_conversations_are_what_they_look_like() -> None:
    for case in ALL_CASES:
        messages = messages_of(case)
        assert isinstance(messages[0], UserMessage) and not any(isinstance(m, SystemMessage) for m in messages)
        assert isinstance(messages[-1], ToolResponseMessage if case.answer else UserMessage), case.said
        assert [type(one) for one in messages[1:]] != [type(one) for one in messages[:-1]] or len(messages) == 1


# --- The score --------------------------------------------------------------------------------------------------------------


def call_of(name: str, **arguments: object) -> ToolCall:
    return ToolCall(call_id="1", tool_name=name, arguments=arguments)


@pytest.mark.parametrize(
    ("made", "right"),
    [
        (call_of("f", city="Oslo", n=5), True),
        (call_of("f", city="oslo ", n="5"), True),
        (call_of("f", city="Oslo", n=5.0), True),
        (call_of("f", city="Oslo, Norway", n=5), True),
        (call_of("f", city="Oslo", n=6), False),
        (call_of("f", city="Oslo", n="five"), False),
        (call_of("f", city="Oslo", n=None), False),
        (call_of("f", city=["Oslo"], n=5), False),
        (call_of("f", city="Oslo"), False),
        (call_of("f", city="Oslo", n=5, unit="C"), False),
        (call_of("g", city="Oslo", n=5), False),
    ],
)
def test_a_call_is_right_in_name_and_arguments(made: ToolCall, right: bool) -> None:
    assert is_the_call(made, Call("f", {"city": ("Oslo", "Oslo, Norway"), "n": 5})) is right


def test_what_counts_as_right() -> None:
    case, quiet, result = DUE[0], NOT_DUE[0], RESULTS[0]
    assert case.call is not None
    made = call_of(case.call.name, **case.call.arguments)
    assert _outcome(case, calls=[made]).right
    assert not _outcome(case, calls=[made, made]).right
    assert not _outcome(case, text="It is sunny.").right
    assert _outcome(quiet, text="Hello!").right
    assert not _outcome(quiet, calls=[made]).right
    assert not _outcome(quiet, text="<function=x>", malformed="no such tool").right, "meant as a call"
    assert _outcome(result, text=f"It is {result.answer[0]} degrees.").right
    assert not _outcome(result, text="It is warm.").right
    assert not _outcome(result, text=result.answer[0], calls=[made]).right
    got = score([_outcome(case, calls=[made]), _outcome(quiet, calls=[made]), _outcome(result, text="no")])
    assert (got.due, got.called_though_none_was_due, got.told) == ((1, 1), (1, 1), (0, 1))


def _outcome(
    case: ToolCase, text: str = "", calls: list[ToolCall] | None = None, malformed: str | None = None
) -> Outcome:
    message = CompletionMessage(
        content=text, stop_reason=StopReason.end_of_turn, tool_calls=calls or [], malformed_call=malformed
    )
    return Outcome(case, "json", message)
