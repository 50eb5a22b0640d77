"""The transcript: turns with tool calls of several rounds, from the stream, from messages, and from both in any order."""

from __future__ import annotations

import json
import random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_nb import transcript
from llama_nb.apis.inference import ToolCallDelta, ToolCallParseStatus
from llama_nb.apis.messages import CompletionMessage, StopReason, ToolCall, ToolResponseMessage, UserMessage
from llama_nb.errors import EngineError
from llama_nb.mirror import mirror_markdown
from llama_nb.reply import Part as Said
from llama_nb.tools.events import Result, ToolEvent, digest_of
from llama_nb.transcript import Transcript, part_of, shown, turns_of
from tests.operations import applied

SUCCESS = ToolCallParseStatus.success
END = StopReason.end_of_turn


def call_of(call_id: str, name: str = "f", **arguments: Any) -> ToolCall:
    return ToolCall(call_id=call_id, tool_name=name, arguments=arguments)


def reply_of(question: str = "q", reply_id: int = 1, **fields: Any) -> Any:
    known = {"messages": [], "parts": [], "notices": [], "queued": False, "stopped": False, "error": None}
    return SimpleNamespace(
        id=reply_id, question=question, stop_reason=END, usage=None, metrics=None, **{**known, **fields}
    )


def said(text: str, *calls: ToolCall, reason: StopReason = END) -> CompletionMessage:
    return CompletionMessage(content=text, stop_reason=reason, tool_calls=list(calls))


def answered(call: ToolCall, text: str) -> ToolResponseMessage:
    return ToolResponseMessage(call_id=call.call_id, tool_name=call.tool_name, content=text)


def succeeded(call: ToolCall) -> ToolCallDelta:
    return ToolCallDelta(content=call, parse_status=SUCCESS)


def shape(parts: list[transcript.Part]) -> list[str]:
    """Each part in a word: its text, or its name, state and result."""
    return [
        f"{part['name']} {part['state']} {part.get('result', '')}".strip() if part["kind"] == "call" else part["text"]
        for part in parts
    ]


ONE, TWO, THREE = (call_of(str(number), f"f{number}", n=number) for number in (1, 2, 3))
ROUNDS = [
    said("Let me see. ", ONE, TWO),
    answered(TWO, "second"),
    answered(ONE, "first"),
    said("And now ", THREE),
    answered(THREE, "third"),
    said("Done."),
]
SHAPE = ["Let me see. ", "f1 done first", "f2 done second", "And now ", "f3 done third", "Done."]


def test_saved_messages_give_the_rounds_in_their_order_and_results_to_the_call_they_name() -> None:
    (turn,) = turns_of([UserMessage(content="q"), *ROUNDS])
    assert shape(turn["parts"]) == SHAPE


def test_a_result_of_no_call_in_its_turn_belongs_to_none() -> None:
    first, second = turns_of([UserMessage(content="a"), said("", ONE), UserMessage(content="b"), answered(ONE, "late")])
    assert shape(first["parts"]) == ["f1 not run"]
    assert second["parts"] == []


def _stream(transcript: Transcript, reply: Any) -> None:
    """The events of ROUNDS as a chat tells them."""
    transcript.ask(reply)
    for message in ROUNDS:
        if isinstance(message, CompletionMessage):
            for word in message.content.split(" "):  # type: ignore[union-attr]
                transcript.progress(reply, word + " " * (word != "Done."))
            for call in message.tool_calls:
                transcript.progress(reply, succeeded(call))
        else:
            call = next(call for call in (ONE, TWO, THREE) if call.call_id == message.call_id)
            for state, result in (("waiting", None), ("running", None), ("done", Result(str(message.content)))):
                transcript.step(reply, ToolEvent(call, state, digest_of(call), result=result))  # type: ignore[arg-type]
        reply.messages.append(message)


def test_the_stream_of_several_rounds_says_the_same_as_its_messages() -> None:
    reply, growing = reply_of(), Transcript()
    reply.messages = []
    message = ROUNDS[0]
    assert isinstance(message, CompletionMessage)
    _stream(growing, reply)
    # What is streamed here has other spaces than the messages: so these win, and what became of the calls is kept.
    growing.end(reply)
    assert shape(growing.turns[0]["parts"]) == SHAPE
    assert growing.turns[0]["phase"] == "done"


def test_where_the_stream_and_the_messages_agree_nothing_is_sent_anew() -> None:
    reply, growing = reply_of(), Transcript()
    growing.ask(reply)
    growing.progress(reply, "Let me see. ")
    growing.progress(reply, succeeded(ONE))
    growing.progress(reply, "Done.")
    reply.messages = [said("Let me see. ", ONE), answered(ONE, "1"), said("Done.")]
    growing.take()
    growing.end(reply)
    assert [op["op"] for op in growing.take()] == ["mark"]


def test_what_began_like_a_call_and_is_text_is_shown_once_and_says_why() -> None:
    reply, growing = reply_of(), Transcript()
    written = '{"name": "unknown", "parameters": {}}'
    growing.ask(reply)
    growing.progress(reply, "Well: ")
    for text, status in (("", "started"), (written[:9], "in_progress"), (written[9:], "in_progress"), ("", "failure")):
        growing.progress(reply, ToolCallDelta(content=text, parse_status=ToolCallParseStatus[status]))
    growing.progress(reply, written)
    message = CompletionMessage(content=f"Well: {written}", stop_reason=END, malformed_call="There is no `unknown`.")
    reply.messages = [message]
    growing.end(reply)
    notice = "This is text, and was not run as a tool call. There is no `unknown`."
    assert shape(growing.turns[0]["parts"]) == ["Well: ", written, notice]
    (saved,) = turns_of([UserMessage(content="q"), message])
    assert shape(saved["parts"]) == [f"Well: {written}", notice]


def test_the_end_closes_what_was_left_open() -> None:
    for stopped, state in ((True, "stopped"), (False, "failed")):
        reply, growing = reply_of(stopped=stopped, error=None if stopped else EngineError("x")), Transcript()
        growing.ask(reply)
        for call, last in ((ONE, "waiting"), (TWO, "running")):
            growing.progress(reply, succeeded(call))
            growing.step(reply, ToolEvent(call, last, "d"))  # type: ignore[arg-type]
        growing.end(reply)
        assert shape(growing.turns[0]["parts"]) == [f"f1 {state}", f"f2 {state}"]
        assert not any(part.get("digest") for part in growing.turns[0]["parts"])
        assert not growing.is_waiting()


def test_calls_with_one_id_take_their_steps_in_turn() -> None:
    reply, growing = reply_of(), Transcript()
    same = [call_of("1", "f", n=1), call_of("1", "f", n=2)]
    for call in same:
        growing.progress(reply, succeeded(call))
    for call in same:
        growing.step(reply, ToolEvent(call, "running"))
        growing.step(reply, ToolEvent(call, "done", result=Result(f"r{call.arguments['n']}")))
    parts = growing.turns[0]["parts"]
    assert [(json.loads(part["text"])["n"], part["result"]) for part in parts] == [(1, "r1"), (2, "r2")]


def test_a_step_shows_the_arguments_that_its_digest_is_of() -> None:
    reply, growing = reply_of(), Transcript()
    growing.progress(reply, succeeded(call_of("1", "f", n="1")))
    coerced = call_of("1", "f", n=1)
    growing.step(reply, ToolEvent(coerced, "waiting", digest_of(coerced)))
    (part,) = growing.turns[0]["parts"]
    assert (json.loads(part["text"]), part["digest"]) == ({"n": 1}, digest_of(coerced))


def test_a_step_says_what_who_decides_should_know_and_says_it_once() -> None:
    reply, growing = reply_of(), Transcript()
    growing.ask(reply)
    for state in ("waiting", "running"):
        growing.step(reply, ToolEvent(ONE, state, "d", notice="Reads \ud800 files.", lasting=False))  # type: ignore[arg-type]
        growing.step(reply, ToolEvent(TWO, state, "d"))  # type: ignore[arg-type]
    first, second = growing.turns[0]["parts"]
    assert (first["notice"], first["lasting"]) == ("Reads \ufffd files.", False)
    assert {"notice", "lasting"}.isdisjoint(second)
    steps = [op["fields"] for op in growing.take() if op["op"] == "step"]
    assert [step["lasting"] for step in steps if "lasting" in step] == [False]


# --- Rebuilding -------------------------------------------------------------------------------------------------------


def _remembered_turn(growing: Transcript, reply: Any) -> list[Any]:
    growing.ask(reply)
    growing.progress(reply, succeeded(ONE))
    growing.step(reply, ToolEvent(ONE, "failed", result=Result("broke", {"text/html": "<b>broke</b>"}), seconds=2.0))
    growing.progress(reply, "Sorry.")
    reply.messages = [said("", ONE), answered(ONE, "broke"), said("Sorry.")]
    growing.end(reply)
    return [UserMessage(content=reply.question), *reply.messages]


def test_rebuilding_keeps_what_only_the_page_knew() -> None:
    growing = Transcript()
    messages = _remembered_turn(growing, reply_of("a", 1))
    growing.ask(reply_of("lost", 2))
    growing.end(reply_of("lost", 2, error=EngineError("no")), remembered=False)
    messages += _remembered_turn(growing, reply_of("b", 3))
    before = list(growing.turns)
    growing.rebuild([*messages, UserMessage(content="c"), said("new")])
    assert [turn["question"] for turn in growing.turns] == ["a", "b", "c"]
    assert growing.turns[:2] == [before[0], before[2]]
    assert growing.turns[1]["parts"][0]["bundle"] == {"text/html": "<b>broke</b>"}
    growing.rebuild([UserMessage(content="other"), *messages[1:]])
    assert "bundle" not in growing.turns[0]["parts"][0]


def test_an_edited_question_takes_the_place_of_the_old_turn_and_its_followers() -> None:
    growing = Transcript()
    messages = [message for name in "abc" for message in _remembered_turn(growing, reply_of(name, ord(name)))]
    reply = reply_of("B", 7, queued=True)
    growing.ask(reply)
    reply.queued = False
    growing.rebuild([*messages[:4], UserMessage(content="B")], [reply])
    assert [turn["question"] for turn in growing.turns] == ["a", "B"]
    assert growing.turns[1]["id"] == 7
    growing.progress(reply, "An answer.")
    assert growing.turns[1]["parts"] == [{"kind": "text", "text": "An answer."}]
    assert growing.find(7)[1] == 1


def test_a_regenerated_question_is_not_taken_for_the_old_turn() -> None:
    growing = Transcript()
    messages = _remembered_turn(growing, reply_of("a", 1))
    reply = reply_of("a", 2)
    growing.ask(reply)
    growing.rebuild(messages[:1], [reply])
    assert [(turn["id"], turn["parts"]) for turn in growing.turns] == [(2, [])]
    # It fails before its first word: the chat takes the old turn back.
    growing.rebuild(messages, [reply])
    reply.error = EngineError("no")
    growing.end(reply, remembered=False)
    assert [turn["phase"] for turn in growing.turns] == ["done", "failed"]
    assert shape(growing.turns[0]["parts"]) == ["f1 done broke", "Sorry."]


def test_a_panel_made_while_a_call_waits_shows_it_waiting() -> None:
    """As after a restart of the page's widget, or in a second panel."""
    digest = digest_of(THREE)
    reply = reply_of(
        parts=[
            Said(text="Let me see. "),
            Said(call=ONE, event=ToolEvent(ONE, "done", result=Result("first", {"image/png": "iVBO"}), seconds=1.0)),
            Said(text="And now "),
            Said(call=THREE, event=ToolEvent(THREE, "waiting", digest)),
        ],
        notices=["Something."],
        messages=ROUNDS[:1] + ROUNDS[2:4],
    )
    messages = [UserMessage(content="q"), *reply.messages]
    late = Transcript()
    late.rebuild(messages, [reply])
    (turn,) = late.turns
    assert shape(turn["parts"]) == ["Let me see. ", "f1 done first", "And now ", "f3 waiting", "Something."]
    assert turn["parts"][1]["bundle"] == {"image/png": "iVBO"}
    assert turn["parts"][3]["digest"] == digest
    assert late.is_waiting()
    assert [op["op"] for op in late.take()] == ["turns"]


def test_the_place_of_a_turn_counts_what_the_chat_remembers() -> None:
    growing = Transcript()
    for number, remembered in enumerate([False, True, False, False, True], 10):
        growing.ask(reply_of(str(number), number))
        growing.end(reply_of(str(number), number), remembered)
    places = [growing.find(number)[1] for number in range(10, 15)]
    assert places == [0, 0, 1, 1, 1]
    assert growing.find(99)[0] is None


# --- What goes over the wire ------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(arguments=st.dictionaries(st.text(max_size=6), JSON, max_size=4))
def test_what_is_shown_of_the_arguments_is_all_of_them(arguments: dict[str, Any]) -> None:
    part = part_of(ToolCall(call_id="1", tool_name="f", arguments=arguments))
    assert json.loads(part["text"]) == arguments
    part["text"].encode()


def test_lone_halves_of_characters_in_arguments_are_spelled_out() -> None:
    part = part_of(call_of("1", text="a\ud800b"))
    assert "\\ud800" in part["text"]
    assert json.loads(part["text"]) == {"text": "a\ud800b"}


def test_code_is_shown_as_code_and_with_anything_beside_it_as_arguments() -> None:
    code = part_of(call_of("1", "code_interpreter", code="for x in y:\n    print(x)\n"))
    assert (code["language"], code["text"]) == ("python", "for x in y:\n    print(x)\n")
    more = part_of(call_of("1", "code_interpreter", code="1", sudo=True))
    assert (more["language"], json.loads(more["text"])) == ("json", {"code": "1", "sudo": True})
    assert part_of(call_of("1", "other", code="1"))["language"] == "json"


def test_the_best_representation_that_fits_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "LARGEST_BUNDLE", 10)
    assert shown({"image/png": "iVBO", "text/html": "<b>x</b>", "text/plain": "x"}) == {
        "text/html": "<b>x</b>",
        "text/plain": "x",
    }
    assert shown({"image/png": "iVBO", "text/html": "<b>xxxxxxxx</b>"}) == {"image/png": "iVBO"}
    assert shown({"text/html": "<b>xxxxxxxx</b>", "text/plain": "x" * 11}) == {}
    assert shown({"application/javascript": "x", "text/markdown": ""}) == {}
    assert shown({"text/html": "\ud800"}) == {"text/html": "\ufffd"}


def test_old_bundles_make_room_for_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "LARGEST_BUNDLES", 25)
    reply, growing = reply_of(), Transcript()
    calls = [call_of(str(number)) for number in range(4)]
    for call in calls:
        growing.progress(reply, succeeded(call))
        growing.step(reply, ToolEvent(call, "done", result=Result("as text", {"text/html": "x" * 10})))
    parts = growing.turns[0]["parts"]
    assert [bool(part["bundle"]) for part in parts] == [False, False, True, True]
    assert {part["result"] for part in parts} == {"as text"}
    assert growing.take()[-1]["fields"] == {"bundle": {}}


def test_a_long_result_says_how_much_of_it_is_not_shown() -> None:
    reply, growing = reply_of(), Transcript()
    text = "x" * (transcript.LONGEST_RESULT + 1234)
    growing.step(reply, ToolEvent(ONE, "done", result=Result(text)))
    assert growing.turns[0]["parts"][0]["result"].endswith("\n… (1,234 more characters are not shown)")


def test_whatever_happens_the_operations_tell_the_whole_story() -> None:
    """Random events; a page that applies the operations has the transcript, and it can be sent."""
    for seed in range(200):
        dice = random.Random(seed)
        growing, replies, page = Transcript(), [], []  # type: ignore[var-annotated]
        for step in range(40):
            if not replies or dice.random() < 0.1:
                replies.append(reply_of(f"q{step}", step))
                growing.ask(replies[-1])
            reply, call = dice.choice(replies), dice.choice([ONE, TWO, THREE])
            match dice.randrange(7):
                case 0 | 1:
                    growing.progress(reply, f"{step} ")
                case 2:
                    growing.progress(reply, succeeded(call))
                case 3:
                    growing.notice(reply, "notice")
                case 4 | 5:
                    state = dice.choice(["waiting", "running", "done", "failed", "denied", "stopped"])
                    result = Result("r", {"text/html": "h"}) if dice.random() < 0.5 else None
                    growing.step(reply, ToolEvent(call, state, "d", progress=str(step), result=result))  # type: ignore[arg-type]
                case 6:
                    reply.messages = dice.choice([[], [said("other", call)], ROUNDS])
                    growing.end(reply, dice.random() < 0.5)
            if dice.random() < 0.5:
                page = applied(page, json.loads(json.dumps(growing.take())))
        page = applied(page, json.loads(json.dumps(growing.take())))
        assert page == growing.turns, f"seed {seed}"


# --- The mirror -------------------------------------------------------------------------------------------------------


def test_the_mirror_shows_results_as_text_and_never_as_html() -> None:
    reply, growing = reply_of(), Transcript()
    evil = "<img src=x onerror=alert(1)>"
    bundles = {
        "frame": {"text/html": f"<table>{evil}</table>", "text/plain": f"plain {evil} ```"},
        "notes": {"text/markdown": f"*noted* {evil} ![x](http://evil.example/a.png)"},
        "none": {},
    }
    for name, bundle in bundles.items():
        call = call_of(name, name)
        growing.progress(reply, succeeded(call))
        growing.step(reply, ToolEvent(call, "done", result=Result(f"the model's {evil}", bundle)))
    growing.notice(reply, f"A {evil} notice\nof two lines")
    text = mirror_markdown("ab12", growing.turns, "m")
    for piece in ("plain ", "*noted*", "the model's", "**Note:** A", "notice of two lines", "(done)"):
        assert piece in text
    assert "<table>" not in text
    outside = _outside_of_code(text)
    assert "<img" not in outside
    assert "![" not in outside


def _outside_of_code(text: str) -> str:
    lines, fence = [], ""
    for line in text.split("\n"):
        mark = line[: len(line) - len(line.lstrip("`"))]
        if not fence and len(mark) >= 3:
            fence = mark
        elif fence and line == fence:
            fence = ""
        elif not fence:
            lines.append(line)
    return "\n".join(lines)
