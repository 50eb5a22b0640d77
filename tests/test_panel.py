"""The panel's Python side: what goes over the wire, what may come, and the mirror. The clock is turned by hand."""

from __future__ import annotations

import heapq
import itertools
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_nb import loop, pages, panel
from llama_nb.apis.inference import (
    ChatCompletionResponseEvent,
    ChatCompletionResponseEventType,
    Metrics,
    TokenCount,
    ToolCallDelta,
    ToolCallParseStatus,
    Usage,
)
from llama_nb.apis.messages import (
    CompletionMessage,
    StopReason,
    SystemMessage,
    ToolCall,
    ToolResponseMessage,
    UserMessage,
)
from llama_nb.engine.client import Status
from llama_nb.errors import BadRequest, EngineError, ModelNotFound
from llama_nb.mirror import mirror_markdown
from llama_nb.panel import Panel
from llama_nb.prompt_format.text import well_formed
from llama_nb.reply import ChatEvent
from llama_nb.reply import Part as Said
from llama_nb.tools.events import Result, ToolEvent, digest_of
from llama_nb.transcript import Transcript, turns_of
from tests.operations import applied
from tests.stacks import WAIT_S, heard, scripted_chat

STARTED, IN_PROGRESS, SUCCESS, FAILURE = (
    ToolCallParseStatus[name] for name in ("started", "in_progress", "success", "failure")
)


class HandLoop:
    """An event loop whose time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[..., None], *args: Any) -> SimpleNamespace:
        handle = SimpleNamespace(cancelled=False)
        handle.cancel = lambda: setattr(handle, "cancelled", True)
        run = lambda: None if handle.cancelled else call(*args)  # noqa: E731
        heapq.heappush(self._due, (self.now + delay, next(self._count), run))
        return handle

    def call_soon_threadsafe(self, call: Callable[..., None], *args: Any) -> None:
        self.call_later(0, call, *args)

    def advance(self, seconds: float = 0.0) -> None:
        end = self.now + seconds
        while self._due and self._due[0][0] <= end + 1e-9:
            self.now, _, run = heapq.heappop(self._due)
            run()
        self.now = max(self.now, end)


class FakeChat:
    """What a panel sees of a chat; the test says what happens in it."""

    def __init__(self, messages: list[Any] | None = None) -> None:
        self.messages = messages or []
        self.model = "fake"
        self.status = Status("ready")
        self.listeners: list[Callable[[ChatEvent], None]] = []
        self.asked: list[str] = []
        self.stops = 0
        self.under_way: list[Any] = []
        self.context_use: TokenCount | None = None
        self.watchers = 0
        self.waiting: tuple[str, str] | None = None  # id and digest of the call that can be decided
        self.decisions: list[tuple[str, str, str, str]] = []
        self.again: list[tuple[int, str | None]] = []
        self._ids = itertools.count(1)

    def listen(self, listener: Callable[[ChatEvent], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def start(self, prompt: str) -> Any:
        self.asked.append(prompt)
        if prompt == "refuse":
            raise BadRequest("not this one")
        return self.begin(prompt)

    def start_edit(self, index: int, prompt: str) -> Any:
        if prompt == "refuse":
            raise BadRequest("not this one")
        self.again.append((index, prompt))
        return self.begin(prompt)

    def start_regenerate(self, index: int) -> Any:
        self.again.append((index, None))
        return self.begin("again")

    def watch(self) -> Callable[[], None]:
        self.watchers += 1

        def end() -> None:
            self.watchers -= 1

        return end

    def decide(self, call: str, digest: str, decision: str, reason: str) -> bool:
        if (call, digest) != self.waiting:
            return False
        self.waiting = None
        self.decisions.append((call, digest, decision, reason))
        return True

    def stop(self) -> None:
        self.stops += 1

    def tell(self, event: ChatEvent) -> None:
        for listener in list(self.listeners):
            listener(event)

    def begin(self, question: str) -> Any:
        reply = SimpleNamespace(
            id=next(self._ids),
            question=question,
            message=None,
            stopped=False,
            error=None,
            stop_reason=None,
            usage=None,
            metrics=None,
            queued=False,
            messages=[],
            parts=[],
            notices=[],
        )
        self.tell(ChatEvent("asked", reply))
        return reply

    def say(self, reply: Any, delta: str | ToolCallDelta) -> None:
        if isinstance(delta, str):
            reply.parts.append(Said(text=delta))
        elif isinstance(delta.content, ToolCall):
            reply.parts.append(Said(call=delta.content))
        event = ChatCompletionResponseEvent(event_type=ChatCompletionResponseEventType.progress, delta=delta)
        self.tell(ChatEvent("progress", reply, event))

    def step(self, reply: Any, call: ToolCall, state: Any, **fields: Any) -> ToolEvent:
        event = ToolEvent(call, state, digest_of(call), **fields)
        if state == "waiting":
            self.waiting = call.call_id, event.digest
        reply.parts = [Said(call=call, event=event) if part.call is call else part for part in reply.parts]
        self.tell(ChatEvent("tool", reply, tool=event))
        return event

    def close_round(self, reply: Any, reason: StopReason = StopReason.end_of_turn) -> None:
        """What the model has said so far is one message; the results that have come follow it."""
        told = [call.call_id for message in reply.messages for call in getattr(message, "tool_calls", [])]
        said = sum(len(message.content) for message in reply.messages if message.role == "assistant")
        calls = [part for part in reply.parts if part.call and part.call.call_id not in told]
        text = "".join(part.text for part in reply.parts)[said:]
        reply.messages.append(
            CompletionMessage(content=text, stop_reason=reason, tool_calls=[part.call for part in calls])
        )
        for part in calls:
            if part.event and part.event.result:
                content = part.event.result.text
                reply.messages.append(
                    ToolResponseMessage(call_id=part.call.call_id, tool_name=part.call.tool_name, content=content)
                )

    def end(self, reply: Any, **fields: Any) -> None:
        reason = StopReason.out_of_tokens if fields.get("stopped") else StopReason.end_of_turn
        vars(reply).update({"stop_reason": reason, **fields})
        if reply.error is None:
            self.close_round(reply, reply.stop_reason)
        if reply.messages:
            self.messages += [UserMessage(content=reply.question), *reply.messages]
        self.tell(ChatEvent("ended", reply))


class Page:
    """A page that hears everything: what js/src/widget.ts and state.ts do, in short."""

    def __init__(self, widget: Panel, hand: HandLoop) -> None:
        self.widget, self.hand = widget, hand
        self.messages: list[tuple[float, dict[str, Any]]] = []
        self.traits: list[tuple[float, dict[str, Any]]] = []
        self.acks: list[dict[str, Any]] = []
        self._count = itertools.count()
        widget.comm = SimpleNamespace(send=self.hear, on_msg=lambda call: None, close=lambda: None, comm_id="c")

    def hear(self, data: dict[str, Any], buffers: Any = None, **_: Any) -> None:
        data = json.loads(json.dumps(data))  # as the wire makes it; raises for what cannot be sent
        if data["method"] == "custom":
            self.messages.append((self.hand.now, data["content"]))
            self.acks += data["content"].get("acks", [])
        elif "state" in data["state"]:
            self.traits.append((self.hand.now, data["state"]["state"]))

    def command(self, command: str, nonce: str | None = None, **fields: Any) -> str:
        nonce = nonce or f"n{next(self._count)}"
        self.deliver({"method": "custom", "content": {"command": command, "nonce": nonce, "page": "p", **fields}})
        return nonce

    def deliver(self, data: Any) -> None:
        self.widget._handle_msg({"content": {"data": data}, "buffers": []})
        self.hand.advance(panel.TICK_S)

    @property
    def ops(self) -> list[dict[str, Any]]:
        return [op for _, message in self.messages for op in message.get("ops", [])]

    def conversation(self) -> list[dict[str, Any]]:
        """The turns, from the messages alone."""
        return applied([], json.loads(json.dumps(self.ops)))


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandLoop:
    hand = HandLoop()
    monkeypatch.setattr(loop, "get", lambda: hand)
    return hand


@pytest.fixture
def chat() -> FakeChat:
    return FakeChat()


def open_page(chat: FakeChat, hand: HandLoop, watching: bool = True) -> Page:
    widget = Panel(chat)  # type: ignore[arg-type]
    page = Page(widget, hand)
    hand.advance(1)
    if watching:
        page.command("snapshot")
        hand.advance(1)
    return page


@pytest.fixture
def page(chat: FakeChat, hand: HandLoop) -> Iterator[Page]:
    page = open_page(chat, hand)
    yield page
    page.widget.close()


# --- What goes to the page --------------------------------------------------------------------------------------------


def test_pieces_of_a_tick_are_one_message_and_one_piece(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    reply = chat.begin("q")
    hand.advance(1)
    chat.say(reply, "a")
    hand.advance(panel.TICK_S)
    before = len(page.messages)
    for piece in "bcdefgh":
        chat.say(reply, piece)
    hand.advance(panel.TICK_S)
    assert len(page.messages) == before + 1
    assert [op["text"] for op in page.messages[-1][1]["ops"]] == ["bcdefgh"]


def test_nothing_is_sent_when_nothing_is_new(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    reply = chat.begin("q")
    chat.say(reply, "a")
    hand.advance(1)
    before = len(page.messages), len(page.traits)
    hand.advance(100)
    assert (len(page.messages), len(page.traits)) == before


def test_the_first_piece_after_a_pause_waits_for_no_tick(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    reply = chat.begin("q")
    hand.advance(5)
    chat.say(reply, "a")
    hand.advance(0)
    assert page.ops[-1]["text"] == "a"


def test_messages_are_numbered_and_tell_the_whole_story(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    dice = random.Random(1)
    for question in range(5):
        reply = chat.begin(f"question {question}")
        for number in range(40):
            chat.say(reply, f"{number} ")
            hand.advance(dice.choice([0, 0, 0.01, 0.3]))
        chat.end(reply, stopped=question == 3)
    hand.advance(1)
    numbers = [message["seq"] for _, message in page.messages if "seq" in message]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert page.conversation() == page.widget.state["turns"] == page.traits[-1][1]["turns"]
    assert page.widget.state["seq"] == numbers[-1]
    assert [turn["phase"] for turn in page.conversation()] == ["done", "done", "done", "stopped", "done"]


def test_at_most_25_messages_a_second_and_a_state_a_second(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    reply = chat.begin("q")
    hand.advance(1)
    begin, states = hand.now, len(page.traits)
    for _ in range(10_000):  # a thousand pieces a second
        chat.say(reply, "piece ")
        hand.advance(0.001)
    times = [time for time, _ in page.messages if time > begin]
    for at in times:
        assert sum(at <= time < at + 0.9999 for time in times) <= 25
    assert len(times) >= 200, "and not much less often, either"
    assert 5 <= len(page.traits) - states <= 11
    chat.end(reply)
    hand.advance(panel.TICK_S)
    assert page.traits[-1][1]["turns"][-1]["phase"] == "done", "a turn's end is written at once"


def test_a_long_conversation_is_written_less_often(chat: FakeChat, hand: HandLoop) -> None:
    chat.messages = [UserMessage(content="x" * 640_000)]
    page = open_page(chat, hand)
    reply = chat.begin("q")
    hand.advance(1)
    states = len(page.traits)
    for _ in range(200):
        chat.say(reply, "piece ")
        hand.advance(0.1)
    assert 1 <= len(page.traits) - states <= 3
    page.widget.close()


def test_without_a_page_only_the_turns_ends_are_written(chat: FakeChat, hand: HandLoop) -> None:
    page = open_page(chat, hand, watching=False)
    reply = chat.begin("q")
    hand.advance(1)
    states = len(page.traits)
    for _ in range(100):
        chat.say(reply, "piece ")
        hand.advance(0.1)
    assert len(page.traits) == states
    chat.end(reply)
    hand.advance(1)
    assert page.messages == []
    assert page.traits[-1][1]["turns"][-1]["parts"][0]["text"] == "piece " * 100
    # And when somebody looks again, the snapshot fits to the messages that follow.
    page.command("snapshot")
    assert page.messages[-1][1]["snapshot"]["seq"] == page.widget.state["seq"]
    page.widget.close()


def test_a_page_that_leaves_is_told_no_more(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    page.command("leave")
    reply = chat.begin("q")
    hand.advance(1)
    before = len(page.messages)
    chat.say(reply, "a")
    hand.advance(1)
    assert len(page.messages) == before


def test_a_snapshot_holds_everything_up_to_its_number(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    reply = chat.begin("q")
    for piece in "abc":
        chat.say(reply, piece)
        hand.advance(panel.TICK_S)
    chat.say(reply, "d")
    page.command("snapshot")
    snapshot = page.messages[-1][1]["snapshot"]
    assert snapshot["turns"][0]["parts"] == [{"kind": "text", "text": "abcd"}]
    assert snapshot["seq"] == max(message.get("seq", 0) for _, message in page.messages)


def test_loading_is_told_as_it_goes_on(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    chat.status = Status("loading", "weights", 0.0)
    chat.begin("q")
    for tenth in range(1, 10):
        chat.status = Status("loading", "weights", tenth / 10)
        hand.advance(1)
    fractions = [op["status"]["fraction"] for op in page.ops if op["op"] == "status"]
    assert fractions[-9:] == [tenth / 10 for tenth in range(1, 10)]


def test_a_model_that_is_served_no_more_is_a_status(chat: FakeChat, hand: HandLoop) -> None:
    class Gone(FakeChat):
        @property
        def status(self) -> Status:
            raise ModelNotFound("nobody serves it")

        @status.setter
        def status(self, status: Status) -> None: ...

    page = open_page(Gone(), hand)
    assert page.messages[-1][1]["snapshot"]["status"]["phase"] == "failed"
    assert "nobody serves it" in page.messages[-1][1]["snapshot"]["status"]["detail"]
    page.widget.close()


# --- What happens in a chat -------------------------------------------------------------------------------------------


def test_a_tool_call_grows_and_is_not_run(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    reply = chat.begin("q")
    chat.say(reply, "Let me look. ")
    chat.say(reply, ToolCallDelta(content="", parse_status=STARTED))
    seen = []
    for piece in ('{"name": "get_', 'weather", "param', 'eters": {"city": "Zü'):
        chat.say(reply, ToolCallDelta(content=piece, parse_status=IN_PROGRESS))
        hand.advance(panel.TICK_S)
        seen.append(page.conversation()[0]["parts"][1])
    assert [part["name"] for part in seen] == ["", "get_weather", "get_weather"]
    assert {part["state"] for part in seen} == {"calling"}
    call = ToolCall(call_id="1", tool_name="get_weather", arguments={"city": "Zürich"})
    chat.say(reply, ToolCallDelta(content=call, parse_status=SUCCESS))
    chat.end(reply)
    hand.advance(1)
    text, part = page.conversation()[0]["parts"]
    assert text == {"kind": "text", "text": "Let me look. "}
    arguments = {"language": "json", "text": '{\n  "city": "Zürich"\n}'}
    assert part == {"kind": "call", "id": "1", "name": "get_weather", "state": "not run", **arguments}


@pytest.mark.parametrize(("stopped", "state"), [(True, "stopped"), (False, "failed")])
def test_a_call_that_was_never_completed_says_so(
    page: Page, chat: FakeChat, hand: HandLoop, stopped: bool, state: str
) -> None:
    reply = chat.begin("q")
    chat.say(reply, ToolCallDelta(content="", parse_status=STARTED))
    chat.say(reply, ToolCallDelta(content='{"na', parse_status=IN_PROGRESS))
    if stopped:
        reply.parts.append(Said(text='{"na'))  # the chat keeps a half-written call as text
    else:
        chat.say(reply, ToolCallDelta(content="", parse_status=FAILURE))
    chat.end(reply, stopped=stopped)
    hand.advance(1)
    turn = page.conversation()[0]
    assert turn["phase"] == ("stopped" if stopped else "done")
    assert turn["parts"] == [{"kind": "call", "name": "", "text": '{"na', "state": state}]


def test_an_error_ends_the_turn_and_the_next_question_works(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    chat.end(chat.begin("q"), error=EngineError("the generator died"))
    page.command("ask", text="again")
    hand.advance(1)
    first, second = page.conversation()
    assert (first["phase"], first["error"]) == ("failed", "the generator died")
    assert second["question"] == "again"


def test_the_figures_come_with_the_end(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    usage = Usage(prompt_tokens=3, cached_tokens=1, completion_tokens=7)
    metrics = Metrics(time_to_first_token_s=0.1, tokens_per_s=12.5, queue_s=0)
    chat.end(chat.begin("q"), usage=usage, metrics=metrics)
    hand.advance(1)
    figures = page.conversation()[0]["figures"]
    assert (figures["completion_tokens"], figures["tokens_per_s"]) == (7, 12.5)


def test_a_panel_shows_what_was_said_before(chat: FakeChat, hand: HandLoop) -> None:
    call = ToolCall(call_id="1", tool_name="f", arguments={})
    chat.messages = [
        SystemMessage(content="be kind"),
        UserMessage(content="hello"),
        CompletionMessage(content="hi", stop_reason=StopReason.end_of_turn, tool_calls=[call]),
        ToolResponseMessage(call_id="1", tool_name="f", content="42"),
        CompletionMessage(content="It is 42", stop_reason=StopReason.out_of_tokens),
        UserMessage(content="and?"),
    ]
    page = open_page(chat, hand)
    first, second = page.widget.state["turns"]
    assert (first["question"], first["phase"], second["question"]) == ("hello", "cut", "and?")
    assert [part.get("text") for part in first["parts"]] == ["hi", "{}", "It is 42"]
    assert (first["parts"][1]["state"], first["parts"][1]["result"]) == ("done", "42")
    page.widget.close()


def test_a_panel_made_in_mid_answer_shows_all_of_it(chat: FakeChat, hand: HandLoop) -> None:
    reply = chat.begin("q")
    chat.say(reply, "what came before, ")
    chat.messages = [UserMessage(content="q")]
    chat.under_way = [reply]
    page = open_page(chat, hand)
    chat.say(reply, "and after")
    hand.advance(1)
    turns = page.widget._transcript.turns
    assert [(turn["question"], turn["parts"]) for turn in turns] == [
        ("q", [{"kind": "text", "text": "what came before, and after"}])
    ]
    page.widget.close()


def test_a_reset_empties_the_panel(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    chat.end(chat.begin("q"))
    chat.messages.clear()
    chat.tell(ChatEvent("reset"))
    hand.advance(1)
    assert page.conversation() == page.widget.state["turns"] == []


def test_two_panels_of_a_chat_say_the_same(chat: FakeChat, hand: HandLoop) -> None:
    pages = [open_page(chat, hand) for _ in range(2)]
    reply = chat.begin("q")
    chat.say(reply, "a")
    chat.end(reply)
    hand.advance(1)
    assert pages[0].conversation() == pages[1].conversation() != []
    for page in pages:
        page.widget.close()
        hand.advance(0)
    assert chat.listeners == []


def test_a_closed_panel_listens_no_more_and_the_chat_goes_on(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    reply = chat.begin("q")
    chat.say(reply, "a")
    page.widget.close()
    hand.advance(1)
    assert chat.listeners == []
    said = len(page.messages)
    chat.say(reply, "b")
    chat.end(reply)
    page.widget.close()  # a second time
    hand.advance(1)
    assert len(page.messages) == said


def test_a_comm_that_is_gone_hurts_nobody(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    def gone(*args: Any, **kwargs: Any) -> None:
        raise OSError("the comm is closed")

    page.widget.comm.send = gone
    reply = chat.begin("q")
    for piece in "abc":
        chat.say(reply, piece)
        hand.advance(1)
    chat.end(reply)
    hand.advance(1)
    assert page.widget._transcript.turns[0]["parts"] == [{"kind": "text", "text": "abc"}]


# --- Tool calls -------------------------------------------------------------------------------------------------------

WEATHER = ToolCall(call_id="c1", tool_name="get_weather", arguments={"city": "Zürich"})


def _called(chat: FakeChat, call: ToolCall = WEATHER) -> Any:
    reply = chat.begin("The weather?")
    chat.say(reply, ToolCallDelta(content=call, parse_status=SUCCESS))
    return reply


def test_a_call_waits_runs_and_ends(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    reply = _called(chat)
    seen = []
    result = Result("12 °C", {"text/html": "<b>12 °C</b>", "text/plain": "12 °C"})
    for state, fields in (
        ("waiting", {}),
        ("running", {}),
        ("running", {"progress": "one of two"}),
        ("done", {"result": result, "seconds": 0.25}),
    ):
        chat.step(reply, WEATHER, state, **fields)
        hand.advance(1)
        (part,) = page.conversation()[0]["parts"]
        seen.append((part["state"], part.get("digest", ""), part.get("progress", "")))
    assert seen == [
        ("waiting", digest_of(WEATHER), ""),
        ("running", "", ""),
        ("running", "", "one of two"),
        ("done", "", ""),
    ]
    assert (part["result"], part["bundle"], part["seconds"]) == ("12 °C", result.bundle, 0.25)
    chat.close_round(reply)
    chat.say(reply, "It is 12 °C.")
    chat.end(reply)
    hand.advance(1)
    turn = page.conversation()[0]
    assert turn["phase"] == "done"
    assert [(part["kind"], part.get("state")) for part in turn["parts"]] == [("call", "done"), ("text", None)]
    assert page.conversation() == page.widget.state["turns"]


def test_a_step_sends_what_is_new_of_a_call_and_not_its_arguments(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    call = ToolCall(call_id="c1", tool_name="f", arguments={"text": "x" * 10_000})
    reply = _called(chat, call)
    chat.step(reply, call, "running")
    hand.advance(1)
    before = len(page.messages)
    for number in range(1000):
        chat.step(reply, call, "running", progress=f"{number} of 1000")
        hand.advance(0.001)
    sent = page.messages[before:]
    assert len(sent) <= 26
    assert max(len(json.dumps(message)) for _, message in sent) < 500


def test_a_decision_reaches_the_chat_and_is_acknowledged(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    event = chat.step(_called(chat), WEATHER, "waiting")
    hand.advance(1)
    decided = {"call": "c1", "digest": event.digest, "decision": "deny", "reason": "not \ud800 now"}
    for _ in range(2):  # a command may come twice
        page.command("decide", nonce="d", **decided)
    assert chat.decisions == [("c1", event.digest, "deny", "not \ufffd now")]
    assert [ack for ack in page.acks if ack["nonce"] == "d"] == [{"nonce": "d"}] * 2


@pytest.mark.parametrize("wrong", [{"digest": "0" * 64}, {"call": "c2"}, {"digest": ""}])
def test_a_decision_about_another_call_decides_nothing_and_says_so(
    page: Page, chat: FakeChat, hand: HandLoop, wrong: dict[str, str]
) -> None:
    event = chat.step(_called(chat), WEATHER, "waiting")
    hand.advance(1)
    nonce = page.command("decide", **{"call": "c1", "digest": event.digest, "decision": "once"} | wrong)
    assert "nothing was decided" in next(ack["error"] for ack in page.acks if ack["nonce"] == nonce)
    assert "snapshot" in page.messages[-1][1], "and the page sees how it is"
    assert (chat.decisions, chat.waiting) == ([], ("c1", event.digest))


@pytest.mark.parametrize("fields", [{"decision": "yes"}, {"decision": "once", "reason": 1}, {"decision": None}, {}])
def test_a_decision_that_is_none_is_counted(page: Page, chat: FakeChat, fields: dict[str, Any]) -> None:
    event = chat.step(_called(chat), WEATHER, "waiting")
    page.command("decide", call="c1", digest=event.digest, **fields)
    assert page.widget.refused == 1
    assert chat.decisions == []


def test_the_chat_counts_the_panel_among_those_who_decide_while_a_page_shows_it(chat: FakeChat, hand: HandLoop) -> None:
    page = open_page(chat, hand, watching=False)
    assert chat.watchers == 0
    page.command("snapshot")
    page.deliver({"method": "custom", "content": {"command": "snapshot", "nonce": "x", "page": "another"}})
    assert chat.watchers == 1
    page.command("leave")
    assert chat.watchers == 1
    page.deliver({"method": "custom", "content": {"command": "leave", "nonce": "y", "page": "another"}})
    assert chat.watchers == 0
    page.command("snapshot")
    page.widget.close()
    hand.advance(1)
    assert chat.watchers == 0


def test_a_page_that_was_closed_without_a_word_counts_no_more(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    page.deliver({"method": "custom", "content": {"command": "snapshot", "nonce": "x", "page": "closed"}})
    reply = _called(chat)
    hand.advance(1000)
    assert len(page.widget._pages) == 2, "nobody is asked while nothing waits"
    event = chat.step(reply, WEATHER, "waiting")
    hand.advance(1)
    assert page.messages[-1][1]["roll"] is True
    page.command("here")
    hand.advance(panel.ROLL_S)
    assert len(page.widget._pages) == 1
    assert chat.watchers == 1
    hand.advance(2 * panel.ROLL_S)  # now nobody answers
    assert chat.watchers == 0
    page.command("here")
    assert chat.watchers == 1
    page.command("decide", call="c1", digest=event.digest, decision="once")
    assert len(chat.decisions) == 1
    chat.step(reply, WEATHER, "running")
    hand.advance(panel.ROLL_S)
    rolls = sum("roll" in message for _, message in page.messages)
    hand.advance(10 * panel.ROLL_S)
    assert sum("roll" in message for _, message in page.messages) == rolls
    assert chat.watchers == 1


def test_a_page_that_was_counted_out_catches_up_with_its_next_command(
    page: Page, chat: FakeChat, hand: HandLoop
) -> None:
    """A machine that slept, or a connection that was away, while a call waited."""
    reply = _called(chat)
    chat.step(reply, WEATHER, "waiting")
    hand.advance(3 * panel.ROLL_S)
    chat.step(reply, WEATHER, "denied", result=Result("nobody decided"))
    chat.end(reply)
    hand.advance(1)
    assert len(page.widget._pages) == 0
    page.command("ask", text="hello")
    assert page.messages[-1][1]["snapshot"]["turns"][0]["parts"][0]["state"] == "denied"
    assert len(page.widget._pages) == 1
    assert chat.watchers == 1


def test_a_notice_stands_in_its_turn(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    reply = chat.begin("q")
    chat.tell(ChatEvent("notice", reply, text="Two turns were left out."))
    chat.say(reply, "a")
    chat.end(reply)
    hand.advance(1)
    assert page.conversation()[0]["parts"] == [
        {"kind": "notice", "text": "Two turns were left out."},
        {"kind": "text", "text": "a"},
    ]


def test_the_meter_follows_the_context(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    assert page.messages[-1][1]["snapshot"]["status"]["context"] is None
    reply = chat.begin("q")
    chat.context_use = TokenCount(prompt_tokens=1234, max_seq_len=2048)
    chat.end(reply)
    hand.advance(1)
    status = [op["status"] for op in page.ops if op["op"] == "status"][-1]
    assert status["context"] == {"prompt_tokens": 1234, "max_seq_len": 2048}


# --- Asking again -----------------------------------------------------------------------------------------------------


def _three_turns(page: Page, chat: FakeChat, hand: HandLoop) -> list[int]:
    """Two that the chat remembers, and between them one that it does not."""
    for question, error in (("one", None), ("lost", EngineError("no")), ("three", None)):
        reply = chat.begin(question)
        if error is None:
            chat.say(reply, "a")
        chat.end(reply, error=error)
    hand.advance(1)
    return [turn["id"] for turn in page.conversation()]


def test_edit_and_regenerate_find_the_turn_of_the_chat(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    one, lost, three = _three_turns(page, chat, hand)
    for command, turn, wanted in (
        ("regenerate", one, (0, None)),
        ("regenerate", three, (1, None)),
        ("regenerate", lost, (1, "lost")),  # what came after it is forgotten, as for any other
    ):
        nonce = page.command(command, turn=turn)
        assert chat.again[-1] == wanted
        assert next(ack["turn"] for ack in page.acks if ack["nonce"] == nonce) > 0
        page.widget._transcript.turns.pop()
    page.command("edit", turn=three, text="\ud800 new words")
    assert chat.again[-1] == (1, "\ufffd new words")


def test_a_failed_last_question_is_simply_asked_again(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    chat.end(chat.begin("will it?"), error=EngineError("no"))
    hand.advance(1)
    (turn,) = page.conversation()
    page.command("regenerate", turn=turn["id"])
    assert (chat.asked, chat.again) == (["will it?"], [])


def test_a_turn_that_cannot_be_asked_again_says_why(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    one, _, three = _three_turns(page, chat, hand)
    for fields, why in (
        ({"turn": 99}, "has changed"),
        ({"turn": three, "text": "refuse"}, "not this one"),
        ({"turn": three, "text": " "}, "empty"),
    ):
        nonce = page.command("edit" if "text" in fields else "regenerate", **fields)
        assert why in next(ack["error"] for ack in page.acks if ack["nonce"] == nonce)
    chat.begin("under way")
    nonce = page.command("regenerate", turn=one)
    assert "under way" in next(ack["error"] for ack in page.acks if ack["nonce"] == nonce)
    assert chat.again == []


def test_a_conversation_that_code_has_changed_is_shown_anew_and_not_guessed_at(
    page: Page, chat: FakeChat, hand: HandLoop
) -> None:
    one, _, _ = _three_turns(page, chat, hand)
    del chat.messages[:2]
    nonce = page.command("regenerate", turn=one)
    assert "has changed" in next(ack["error"] for ack in page.acks if ack["nonce"] == nonce)
    assert [turn["question"] for turn in page.conversation()] == ["three"]
    assert chat.again == []


# --- What comes from the page -----------------------------------------------------------------------------------------


def test_a_command_that_comes_twice_is_obeyed_once_and_acknowledged_twice(
    page: Page, chat: FakeChat, hand: HandLoop
) -> None:
    for _ in range(3):
        page.command("ask", nonce="once", text="hello")
    assert chat.asked == ["hello"]
    assert [ack for ack in page.acks if ack["nonce"] == "once"] == [{"nonce": "once", "turn": 1}] * 3
    for _ in range(3):
        page.command("stop", nonce="stop")
    assert chat.stops == 1
    assert sum(ack["nonce"] == "stop" for ack in page.acks) == 3


def test_a_refused_question_says_why(page: Page, chat: FakeChat) -> None:
    for text, why in (("refuse", "not this one"), ("  ", "empty"), ("x" * 1_000_001, "1,000,001")):
        nonce = page.command("ask", text=text)
        assert why in next(ack["error"] for ack in page.acks if ack["nonce"] == nonce)
    assert chat.asked == ["refuse"]


def test_lone_surrogates_become_replacement_characters(page: Page, chat: FakeChat) -> None:
    page.command("ask", text="a\ud800b \U0001f999 \udc00")
    assert chat.asked == ["a\ufffdb \U0001f999 \ufffd"]


@given(st.text(alphabet=st.characters(), max_size=20))
def test_well_formed_changes_nothing_else(text: str) -> None:
    assert well_formed(text) == text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") or any(
        "\ud800" <= character <= "\udfff" for character in text
    )
    well_formed(text).encode()


def test_the_page_writes_no_trait(page: Page) -> None:
    before = page.widget.get_state()
    writes = [{"_esm": "evil()"}, {"state": {}}, {"mirror": "x"}, {"layout": None}, {"_view_count": 1}, {"nope": 1}]
    for refused, state in enumerate(writes, 1):
        page.deliver({"method": "update", "state": state, "buffer_paths": []})
        assert page.widget.refused == refused
    page.widget.set_state({"_esm": "evil()"})
    assert page.widget.get_state() == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["command", "nonce", "page", "text", "method", "content"]), inner)
    ),
    max_leaves=8,
)


@given(messages=st.lists(JSON | st.fixed_dictionaries({"method": st.just("custom"), "content": JSON}), max_size=5))
def test_no_message_raises_or_changes_anything(messages: list[Any]) -> None:
    hand, chat = HandLoop(), FakeChat()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "get", lambda: hand)
        page = open_page(chat, hand)
        before = page.widget.get_state()
        for message in messages:
            page.deliver(message)
        page.widget._handle_msg(messages)
        hand.advance(1)
        assert page.widget.get_state() == before
        assert page.widget.refused == len(messages) + 1
        page.widget.close()


@pytest.mark.parametrize(
    "content",
    [
        {"command": "ask", "nonce": "n", "page": "p"},
        {"command": "ask", "nonce": "n", "page": "p", "text": ["x"]},
        {"command": "run", "nonce": "n", "page": "p", "text": "x"},
        {"command": "stop", "nonce": "n" * 1000, "page": "p"},
        {"command": "stop", "nonce": 1, "page": "p"},
    ],
)
def test_a_command_that_means_nothing_is_counted(page: Page, chat: FakeChat, content: dict[str, Any]) -> None:
    page.deliver({"method": "custom", "content": content})
    assert page.widget.refused == 1
    assert (chat.asked, chat.stops) == ([], 0)


def test_what_is_remembered_of_commands_and_pages_is_bounded(page: Page) -> None:
    for number in range(1000):
        page.deliver(
            {"method": "custom", "content": {"command": "snapshot", "nonce": f"x{number}", "page": f"q{number}"}}
        )
    assert len(page.widget._answered) <= panel.REMEMBERED
    assert len(page.widget._pages) <= pages.REMEMBERED


def test_commands_do_not_go_to_the_shell_that_published_last(chat: FakeChat, hand: HandLoop) -> None:
    widget = Panel(chat)  # type: ignore[arg-type]
    comm = SimpleNamespace(on_msg=lambda call: None, close=lambda: None, comm_id="c", _reply_subshell_for=None)
    widget.comm = comm
    assert comm._reply_subshell_for({}, "the page's own choice") == "the page's own choice"
    widget.close()


def test_ipykernel_still_routes_as_our_guard_expects() -> None:
    from ipykernel.comm.comm import BaseComm

    assert hasattr(BaseComm, "_reply_subshell_for"), "look at Panel's guard again"


# --- The mirror -------------------------------------------------------------------------------------------------------


def _transcript() -> Transcript:
    chat, transcript = FakeChat(), Transcript()

    def follow(event: ChatEvent) -> None:
        if event.kind == "asked":
            transcript.ask(event.reply)  # type: ignore[arg-type]
        elif event.kind == "ended":
            transcript.end(event.reply)  # type: ignore[arg-type]
        else:
            transcript.progress(event.reply, event.event.delta)  # type: ignore[arg-type, union-attr]

    chat.listen(follow)
    reply = chat.begin("What is <b>this</b>?")
    chat.say(reply, "It is **bold** and <script>alert(1)</script> ![x](http://evil.example/a.png)")
    chat.end(reply)
    reply = chat.begin("The weather?")
    call = ToolCall(call_id="1", tool_name="get`<i>`weather", arguments={"city": "``` <b>"})
    chat.say(reply, ToolCallDelta(content=call, parse_status=SUCCESS))
    chat.end(reply)
    reply = chat.begin("Long?")
    chat.say(reply, "Well\n\n```python\nopen")
    chat.end(reply, stopped=True)
    chat.end(chat.begin("Fail?"), error=EngineError("it <i>died</i>\nbadly"))
    return transcript


def test_the_mirror_says_it_all_and_safely() -> None:
    text = mirror_markdown("ab12", _transcript().turns, "fake")
    assert text.startswith("*Llama conversation ab12* · `fake`")
    assert text.count("**You**") == text.count("**Llama**") == 4
    for said in ("It is **bold**", "The weather?", "(not run)", "*Stopped.*", "**Failed:** it &lt;i>died&lt;/i> badly"):
        assert said in text
    outside = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in outside
    assert "<b>" not in outside
    assert "![" not in outside
    assert text.index("open\n```") < text.index("*Stopped.*"), "an open fence is closed before what follows"


def test_the_mirror_needs_no_kernel_to_be_read() -> None:
    import nbformat
    from nbconvert import HTMLExporter

    text = mirror_markdown("ab12", _transcript().turns, "fake")
    output = nbformat.v4.new_output("display_data", data={"text/markdown": text})
    cell = nbformat.v4.new_code_cell("panel", outputs=[output])
    html, _ = HTMLExporter(template_name="basic").from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    for said in ("<strong>You</strong>", "<strong>bold</strong>", "The weather?", "Stopped."):
        assert said in html
    assert "<script>alert" not in html
    assert "<img" not in html


def test_the_mirror_is_shown_with_the_panel_and_refreshed_at_a_turns_end(
    page: Page, chat: FakeChat, hand: HandLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[str, bool]] = []

    def display(data: dict[str, Any], **options: Any) -> None:
        if "text/markdown" in data:
            assert options["display_id"] == f"llama_nb-{page.widget.mirror}"
            shown.append((data["text/markdown"], options["update"]))

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: object())
    reply = chat.begin("before it is shown")
    chat.end(reply)
    hand.advance(1)
    assert shown == []
    page.widget._ipython_display_()
    hand.advance(1)
    assert [update for _, update in shown] == [False, True]
    reply = chat.begin("and then")
    chat.say(reply, "an answer")
    hand.advance(5)
    assert len(shown) == 2, "not within a turn"
    chat.end(reply)
    hand.advance(1)
    assert len(shown) == 3
    assert "an answer" in shown[-1][0]


def test_a_headless_run_keeps_the_transcript(tmp_path: Path) -> None:
    import nbclient
    import nbformat

    provider = {"provider_id": "s", "provider_type": "scripted", "config": {"answers": ["I am here."]}}
    setup = f"import llama_nb as nb\nnb.configure({{'providers': {{'inference': [{provider}]}}}})\nchat = nb.Chat()"
    cells = [setup, "nb.Panel(chat)", "reply = chat.ask('Where are you?')"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = [output["data"].get("text/markdown", "") for output in notebook.cells[1].outputs]
    assert "Where are you?" in said[-1]
    assert "I am here." in said[-1]


def test_an_answer_that_outlives_its_cell_is_kept_while_another_runs(tmp_path: Path) -> None:
    import nbclient
    import nbformat

    config = {"answers": ["I came late."], "delay_s": 0.3}
    provider = {"provider_id": "s", "provider_type": "scripted", "config": config}
    setup = f"import llama_nb as nb\nnb.configure({{'providers': {{'inference': [{provider}]}}}})\nchat = nb.Chat()"
    cells = [setup, "nb.Panel(chat)", "reply = chat.start('Later?')\nassert not reply.ended", "_ = reply.wait()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = [output["data"].get("text/markdown", "") for output in notebook.cells[1].outputs]
    assert "I came late." in said[-1]
    assert not [output for cell in notebook.cells[2:] for output in cell.outputs]


def test_the_page_may_ask_for_the_mirror(page: Page, chat: FakeChat, hand: HandLoop) -> None:
    chat.end(chat.begin("what was asked"))
    page.command("mirror")
    assert "what was asked" in page.messages[-1][1]["mirror"]


def test_messages_without_a_question_make_a_turn_without_one() -> None:
    (turn,) = turns_of([CompletionMessage(content="hello", stop_reason=StopReason.end_of_turn)])
    assert (turn["question"], turn["parts"]) == ("", [{"kind": "text", "text": "hello"}])


# --- With a real chat -------------------------------------------------------------------------------------------------


def _command(widget: Panel, command: str, **fields: Any) -> None:
    content = {"command": command, "nonce": f"{command}-{fields}", "page": "p", **fields}
    widget._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})


def test_a_real_chat_is_decided_edited_and_regenerated_from_its_panel() -> None:
    ran: list[str] = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        ran.append(city)
        return f"sunny in {city}"

    call = '<|python_tag|>{"type": "function", "name": "get_weather", "parameters": {"city": "Bern"}}'
    chat = scripted_chat(call, "It is sunny.", "Once more.", "Otherwise.", tools=[get_weather])
    widget = Panel(chat)
    try:
        with heard(chat, "tool", lambda event: event.tool is not None and event.tool.state == "waiting") as waits:
            _command(widget, "snapshot")
            _command(widget, "ask", text="The weather?")
            assert waits.wait(WAIT_S)
        assert chat.watchers == 1
        (event,) = chat.pending
        with heard(chat, "ended") as ends:
            _command(widget, "decide", call=event.call.call_id, digest="0" * 64, decision="once")
            _command(widget, "decide", call=event.call.call_id, digest=event.digest, decision="once", reason="")
            assert ends.wait(WAIT_S)
        assert ran == ["Bern"]
        (turn,) = widget._transcript.turns
        assert [part.get("result", part["text"]) for part in turn["parts"]] == ["sunny in Bern", "It is sunny."]
        for command, fields, question, answer in (
            ("regenerate", {}, "The weather?", "Once more."),
            ("edit", {"text": "Something else?"}, "Something else?", "Otherwise."),
        ):
            with heard(chat, "ended") as ends:
                _command(widget, command, turn=widget._transcript.turns[0]["id"], **fields)
                assert ends.wait(WAIT_S)
            (turn,) = widget._transcript.turns
            assert (turn["question"], turn["parts"]) == (question, [{"kind": "text", "text": answer}])
            assert [str(message.content) for message in chat.messages] == [question, answer]
    finally:
        widget.close()
