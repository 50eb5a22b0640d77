"""An answer as Markdown: in every state of its calls, harmless, and with nothing hidden."""

from __future__ import annotations

from typing import Any

import pytest

from llama_nb.apis.inference import (
    ChatCompletionResponseEvent,
    ChatCompletionResponseEventType,
    ChatCompletionResponseStreamChunk,
    Metrics,
    ToolCallDelta,
    ToolCallParseStatus,
    Usage,
)
from llama_nb.apis.messages import StopReason, ToolCall
from llama_nb.approval import call_as_text, visible
from llama_nb.errors import BadRequest
from llama_nb.reply import Reply, reply_markdown
from llama_nb.round import Round
from llama_nb.tools.events import Result, ToolEvent
from tests.test_safe_markdown import complaints, complaints_of_jupyterlab
from tests.xss_corpus import HOSTILE

CALL = ToolCall(call_id="1", tool_name="look", arguments={"at": "Ghent"})


def chunk(delta: str | ToolCall, **more: Any) -> ChatCompletionResponseStreamChunk:
    kind = ChatCompletionResponseEventType.progress
    told = delta if isinstance(delta, str) else ToolCallDelta(content=delta, parse_status=ToolCallParseStatus.success)
    return ChatCompletionResponseStreamChunk(event=ChatCompletionResponseEvent(event_type=kind, delta=told), **more)


def replied(*deltas: str | ToolCall, events: tuple[ToolEvent, ...] = ()) -> Reply:
    reply = Reply("?")
    for delta in deltas:
        reply._round.take(chunk(delta))
    reply._round.stop_reason = StopReason.end_of_turn
    reply._close_round()
    for event in events:
        reply._take_tool(event)
    return reply


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (None, "**Tool call** look — not run"),
        (ToolEvent(CALL, "waiting"), "— waits for your decision"),
        (ToolEvent(CALL, "running"), "— running"),
        (ToolEvent(CALL, "running", progress="half way"), "```text\nhalf way\n```"),
        (ToolEvent(CALL, "done", result=Result("seen"), seconds=1.26), "— done after 1.3 s"),
        (ToolEvent(CALL, "done", result=Result("seen")), "```text\nseen\n```"),
        (ToolEvent(CALL, "failed", result=Result("it broke", failed=True)), "— failed"),
        (ToolEvent(CALL, "denied", result=Result("denied: no", failed=True)), "— denied"),
        (ToolEvent(CALL, "stopped", result=Result("stopped: not run", failed=True)), "— stopped"),
    ],
)
def test_a_call_is_shown_in_each_state(event: ToolEvent | None, words: str) -> None:
    shown = reply_markdown(replied("Let me see.", CALL, events=(event,) if event else ()))
    assert words in shown
    assert shown.index("Let me see.") < shown.index("**Tool call** look") < shown.index('"at": "Ghent"')


def test_the_latest_state_of_each_call_counts() -> None:
    other = CALL.model_copy()
    reply = replied(
        CALL, other, events=(ToolEvent(CALL, "running"), ToolEvent(CALL, "done"), ToolEvent(other, "waiting"))
    )
    assert [event.state for event in reply.tool_events] == ["done", "waiting"], "two calls, also with the same id"
    assert [part.event and part.event.state for part in reply.parts] == ["done", "waiting"]


def test_a_lone_piece_of_code_keeps_its_lines() -> None:
    code = ToolCall(call_id="1", tool_name="code_interpreter", arguments={"code": "a = 1\nprint(a)"})
    assert "```python\na = 1\nprint(a)\n```" in reply_markdown(replied(code))


def test_notices_and_ends_are_shown() -> None:
    reply = replied("x")
    reply.notices.append("the <b>oldest</b> turn was left out")
    assert reply_markdown(reply) == "x\n\n*(the &lt;b>oldest&lt;/b> turn was left out)*"
    reply.error = BadRequest("no")
    assert reply_markdown(reply).endswith("*(failed)*")
    reply._stopped()
    assert reply_markdown(reply).endswith("*(stopped)*")


def test_nothing_of_a_call_is_live() -> None:
    def written(attack: str) -> str:
        call = ToolCall(call_id="1", tool_name=attack, arguments={attack: attack})
        code = ToolCall(call_id="2", tool_name="code_interpreter", arguments={"code": f"{attack}\n"})
        done = [ToolEvent(each, "done", result=Result(attack)) for each in (call, code)]
        reply = replied(attack, call, code, events=tuple(done))
        reply.notices.append(attack)
        return reply_markdown(reply)

    assert complaints(HOSTILE, written) == []
    assert complaints_of_jupyterlab(HOSTILE, written) == []


def test_what_would_run_hides_nothing() -> None:
    call = ToolCall(
        call_id="1",
        tool_name="run\u202e",
        arguments={"x\u200b\ny": "a\u2066b\r\n\x1b[1A", "n": {"k": "\u202e\u3000ü🦙"}},
    )
    assert call_as_text(call).split("\n") == [
        "run⟨U+202E⟩",
        "  x⟨U+200B⟩⟨U+000A⟩y:",
        "    a⟨U+2066⟩b⟨U+000D⟩",
        "    ⟨U+001B⟩[1A",
        '  n: {"k": "⟨U+202E⟩\u3000ü🦙"}',
    ]
    hidden = [*range(0x09), *range(0x7F, 0xA1), *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0xFEFF, 0xE0041, 0xD800]
    for number in hidden:
        assert visible(chr(number)) == f"⟨U+{number:04X}⟩"
    assert visible("plain text,\n\twith 日本語") == "plain text,\n\twith 日本語"


def test_a_call_that_breaks_off_becomes_text_where_it_stood() -> None:
    growing = Round()
    growing.take(chunk("First "))
    growing.take(chunk(CALL))
    started = ToolCallDelta(content='{"na', parse_status=ToolCallParseStatus.in_progress)
    growing.take(
        ChatCompletionResponseStreamChunk(
            event=ChatCompletionResponseEvent(event_type=ChatCompletionResponseEventType.progress, delta=started)
        )
    )
    message = growing.message()
    assert (message.content, message.tool_calls) == ('First {"na', [CALL])
    assert growing.message() == message


def test_figures_of_several_rounds() -> None:
    reply = Reply("?")
    assert (reply.usage, reply.metrics) == (None, None)
    for number in (1, 2):
        reply._next_round().take(
            chunk(
                "x",
                usage=Usage(prompt_tokens=10, cached_tokens=5, completion_tokens=10 * number),
                metrics=Metrics(time_to_first_token_s=number, tokens_per_s=10.0 * number, queue_s=number),
            )
        )
        reply._close_round()
    assert reply.usage == Usage(prompt_tokens=20, cached_tokens=10, completion_tokens=30)
    assert reply.metrics == Metrics(time_to_first_token_s=1, tokens_per_s=15, queue_s=1)
    first = Reply("?")
    first._round.take(chunk("x", metrics=Metrics(time_to_first_token_s=1, tokens_per_s=0, queue_s=0)))
    assert first.metrics is not None
    assert first.metrics.tokens_per_s == 0
