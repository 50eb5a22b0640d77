"""Tools in a conversation: called, asked about, run and answered; and stopped, denied or failed, without a trace left open.

Written answers stand in for a model: tests/written.py.
"""

from __future__ import annotations

import asyncio
import builtins
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from llama_nb import approval, errors
from llama_nb.apis.inference import ChatCompletionResponseEventType
from llama_nb.apis.messages import CompletionMessage, StopReason, ToolDefinition, ToolResponseMessage
from llama_nb.chat import Chat, ChatEvent, Reply, reply_markdown
from llama_nb.tools import Result, ToolEvent, tool
from tests.stacks import LONG, WAIT_S, calling, ended, heard, provider_of, scripted_chat, written_chat

SUNNY = "It is sunny."


def weather_tool(**options: Any) -> tuple[Any, list[str]]:
    """A tool that keeps which cities it was called with."""
    called: list[str] = []

    @tool(**{"approval": "allow", **options})
    def get_weather(city: str) -> str:
        """The weather of a city."""
        called.append(city)
        return f"sunny in {city}"

    return get_weather, called


def ghent() -> dict[str, Any]:
    return calling("get_weather", city="Ghent")


def said(chat: Chat) -> list[tuple[str, str]]:
    return [(message.role, str(message.content)) for message in chat.messages]


def events_of(chat: Chat) -> list[ChatEvent]:
    told: list[ChatEvent] = []
    chat.listen(told.append)
    return told


def states(told: list[ChatEvent]) -> list[str]:
    return [event.tool.state for event in told if event.tool]


def require_no_open_call(chat: Chat) -> None:
    """Each call has its result, right behind the message that called."""
    open_calls: list[str] = []
    for message in chat.messages:
        if isinstance(message, ToolResponseMessage):
            assert message.call_id == open_calls.pop(0)
        else:
            assert open_calls == []
        if isinstance(message, CompletionMessage):
            open_calls = [call.call_id for call in message.tool_calls]
    assert open_calls == []


@contextmanager
def deciding(chat: Chat, decision: Any, reason: str = "") -> Iterator[list[ToolEvent]]:
    """Decides about each call from a thread of its own, as a page would."""
    asked: list[ToolEvent] = []

    def listen(event: ChatEvent) -> None:
        if event.tool and event.tool.state == "waiting":
            asked.append(event.tool)
            about = event.tool
            threading.Thread(target=lambda: chat.decide(about.call.call_id, about.digest, decision, reason)).start()

    unlisten, leave = chat.listen(listen), chat.watch()
    try:
        yield asked
    finally:
        unlisten()
        leave()


# --- Round after round ------------------------------------------------------------------------------------------------


def test_a_call_is_run_and_its_result_answered() -> None:
    get_weather, called = weather_tool()
    chat = written_chat(["Let me see. ", ghent()], SUNNY, tools=[get_weather])
    told = events_of(chat)
    reply = chat.ask("How is it in Ghent?")
    assert called == ["Ghent"]
    assert str(reply) == SUNNY
    assert said(chat) == [
        ("user", "How is it in Ghent?"),
        ("assistant", "Let me see. "),
        ("ipython", "sunny in Ghent"),
        ("assistant", SUNNY),
    ]
    assert chat.messages[1:] == reply.messages
    assert reply.message is chat.messages[-1]
    [call] = reply.tool_calls
    assert (chat.messages[2].call_id, chat.messages[2].tool_name) == (call.call_id, "get_weather")  # type: ignore[union-attr]
    require_no_open_call(chat)
    assert states(told) == ["running", "done"]
    [event] = reply.tool_events
    assert event.call is call
    assert event.result == Result("sunny in Ghent")
    assert event.seconds is not None
    assert event.seconds >= 0
    asked = provider_of(chat).asked
    assert [len(request["messages"]) for request in asked] == [1, 3]
    assert [definition.tool_name for definition in asked[1]["tools"]] == ["get_weather"]


def test_the_same_through_a_reader_of_llamas_own_words() -> None:
    get_weather, called = weather_tool()
    words = '<|python_tag|>{"type": "function", "name": "get_weather", "parameters": {"city": "Ghent"}}'
    chat = scripted_chat(words, SUNNY, tools=[get_weather])
    assert str(chat.ask("?")) == SUNNY
    assert called == ["Ghent"]
    require_no_open_call(chat)


def test_the_parts_of_a_reply_stand_in_their_order() -> None:
    get_weather, _ = weather_tool()
    reply = written_chat(["Let me see. ", ghent(), "Done."], SUNNY, tools=[get_weather]).ask("?")
    kinds = [part.text or part.event.state for part in reply.parts if part.text or part.event]
    assert kinds == ["Let me see. ", "done", "Done.", SUNNY]
    shown = reply_markdown(reply)
    places = [shown.index(words) for words in ("Let me see", "get_weather — done", '"city"', "sunny in Ghent", SUNNY)]
    assert places == sorted(places)


def test_a_result_is_not_live_in_markdown() -> None:
    @tool(approval="allow")
    def bad() -> str:
        """Bad."""
        return "```\n<script>alert(1)</script> ![x](http://e.org/?q=1)"

    shown = reply_markdown(written_chat([calling("bad")], "ok", tools=[bad]).ask("?"))
    assert "````text\n```\n<script>" in shown, "in a fence that it cannot end"


def test_a_stream_gives_the_events_of_all_rounds() -> None:
    get_weather, _ = weather_tool()
    kinds = [event.event_type for event in written_chat([ghent()], SUNNY, tools=[get_weather]).stream("?")]
    start, complete = ChatCompletionResponseEventType.start, ChatCompletionResponseEventType.complete
    assert [kind for kind in kinds if kind in (start, complete)] == [start, complete, start, complete]
    assert kinds[-1] is complete


@pytest.mark.parametrize("way", ["ask_async", "stream_async"])
def test_the_asynchronous_ways_run_tools_as_well(way: str) -> None:
    get_weather, called = weather_tool()
    chat = written_chat([ghent()], SUNNY, tools=[get_weather])

    async def ask() -> None:
        if way == "ask_async":
            await chat.ask_async("?")
        else:
            async for _ in chat.stream_async("?"):
                pass

    asyncio.run(ask())
    assert called == ["Ghent"]
    assert said(chat)[-1] == ("assistant", SUNNY)


def test_several_calls_run_one_after_the_other() -> None:
    running: list[str] = []
    order: list[str] = []

    @tool(approval="allow")
    async def step(name: str) -> str:
        """One step."""
        running.append(name)
        assert len(running) == 1
        await asyncio.sleep(0.01)
        running.remove(name)
        order.append(name)
        return name

    chat = written_chat(
        [calling("step", name="a"), calling("step", name="b"), calling("step", name="c")], "x", tools=[step]
    )
    chat.ask("?")
    assert order == ["a", "b", "c"]
    assert [text for role, text in said(chat) if role == "ipython"] == ["a", "b", "c"]
    require_no_open_call(chat)


def test_usage_is_summed_and_the_first_token_is_the_first() -> None:
    get_weather, _ = weather_tool()
    reply = written_chat([ghent()], SUNNY, tools=[get_weather]).ask("one two")
    assert reply.usage is not None
    assert reply.metrics is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (2 + 5, 2)
    assert reply.metrics.time_to_first_token_s == 1
    assert reply.metrics.tokens_per_s == pytest.approx(2 / (1 / 10 + 1 / 20))


def test_progress_is_told_while_it_runs() -> None:
    @tool(approval="allow")
    def count() -> Iterator[str]:
        """Counts."""
        yield from ("one", "two", "three")

    chat = written_chat([calling("count")], "x", tools=[count])
    told = events_of(chat)
    chat.ask("?")
    said_meanwhile = [event.tool.progress for event in told if event.tool and event.tool.progress]
    assert said_meanwhile[-1] == "three"
    assert states(told)[-1] == "done"
    assert chat.messages[2].content == "three"


def test_rounds_have_a_limit() -> None:
    get_weather, called = weather_tool()
    chat = written_chat([ghent()], tools=[get_weather], max_rounds=3)
    told = events_of(chat)
    reply = chat.ask("?")
    assert called == ["Ghent"] * 3
    require_no_open_call(chat)
    assert "3 rounds" in said(chat)[-1][1]
    [notice] = reply.notices
    assert "3 rounds of tool calls (max_rounds)" in notice
    assert [event.text for event in told if event.kind == "notice"] == [notice]
    assert notice in reply_markdown(reply)
    assert (reply.stopped, reply.error) == (False, None)


def test_without_rounds_nothing_is_run() -> None:
    get_weather, called = weather_tool()
    chat = written_chat([ghent()], tools=[get_weather], max_rounds=0)
    assert chat.ask("?").notices
    assert called == []
    require_no_open_call(chat)


# --- What cannot be run, and what fails --------------------------------------------------------------------------------


def test_a_bare_definition_ends_the_turn_with_the_call() -> None:
    get_weather, called = weather_tool()
    bare = ToolDefinition(tool_name="elsewhere")
    chat = written_chat([ghent(), calling("elsewhere")], SUNNY, tools=[get_weather, bare])
    reply = chat.ask("?")
    assert [call.tool_name for call in reply.tool_calls] == ["get_weather", "elsewhere"]
    assert called == [], "who answers one of them, answers all"
    assert [message.role for message in chat.messages] == ["user", "assistant"]
    assert reply.tool_events == []
    assert "elsewhere — not run" in reply_markdown(reply)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (calling("get_weather"), "needs `city`"),
        (calling("get_weather", city="Ghent", when="now"), "no argument `when`"),
        (calling("get_weather", city=["Ghent"]), "must be str"),
        (calling("get_wether", city="Ghent"), "Did you mean `get_weather`"),
    ],
)
def test_a_call_that_does_not_fit_goes_back_to_the_model(call: dict[str, Any], words: str) -> None:
    get_weather, called = weather_tool(approval="ask")
    chat = written_chat([call], SUNNY, tools=[get_weather])
    told = events_of(chat)
    assert str(chat.ask("?")) == SUNNY
    assert called == []
    assert states(told) == ["failed"], "nobody is asked about what cannot run"
    assert words in said(chat)[2][1]
    require_no_open_call(chat)


def test_an_error_of_a_tool_goes_back_to_the_model() -> None:
    @tool(approval="allow")
    def fail() -> str:
        """Fails."""
        raise ZeroDivisionError("by nothing")

    chat = written_chat([calling("fail")], "Sorry.", tools=[fail])
    reply = chat.ask("?")
    assert str(reply) == "Sorry."
    assert "ZeroDivisionError: by nothing" in said(chat)[2][1]
    assert [event.state for event in reply.tool_events] == ["failed"]
    assert reply.error is None


def test_a_tool_past_its_time_is_left() -> None:
    @tool(approval="allow", timeout_s=0.05)
    async def endless() -> None:
        """Never ends."""
        await asyncio.Event().wait()

    chat = written_chat([calling("endless")], "Too slow.", tools=[endless])
    assert str(chat.ask("?")) == "Too slow."
    assert "0.05 s" in said(chat)[2][1]


def test_an_answer_that_breaks_off_after_its_call_leaves_no_call_open() -> None:
    get_weather, called = weather_tool()
    chat = written_chat([ghent()], SUNNY, tools=[get_weather])
    grow = provider_of(chat)._chunks

    async def broken(*given: Any) -> Any:
        async for chunk in grow(*given):
            if chunk.event.event_type is ChatCompletionResponseEventType.complete:
                raise ZeroDivisionError
            yield chunk

    provider_of(chat)._chunks = broken
    with pytest.raises(errors.EngineError):
        chat.ask("?")
    assert called == []
    assert "broke off" in said(chat)[2][1]
    require_no_open_call(chat)


def test_a_failure_in_a_later_round_keeps_what_was_done() -> None:
    get_weather, _ = weather_tool()
    chat = written_chat([ghent()], SUNNY, tools=[get_weather], provider={"max_seq_len": 3})
    with pytest.raises(errors.ContextOverflow):
        chat.ask("?")
    assert [message.role for message in chat.messages] == ["user", "assistant", "ipython"]


# --- Asked ----------------------------------------------------------------------------------------------------------------


def test_a_call_waits_until_it_is_decided() -> None:
    get_weather, called = weather_tool(approval="ask")
    chat = written_chat([ghent()], SUNNY, tools=[get_weather])
    told = events_of(chat)
    leave = chat.watch()
    with heard(chat, "tool") as waiting:
        reply = chat.start("?")
        assert waiting.wait(WAIT_S)
    [event] = chat.pending
    assert (event.state, event.call.arguments, called) == ("waiting", {"city": "Ghent"}, [])
    assert [known.state for known in reply.tool_events] == ["waiting"]
    assert "waits for your decision" in reply_markdown(reply)
    assert not chat.decide(event.call.call_id, "another digest", "once")
    assert not chat.decide("another id", event.digest, "once")
    assert chat.decide(event.call.call_id, event.digest, "once")
    assert not chat.decide(event.call.call_id, event.digest, "once"), "it is decided once"
    assert str(ended(reply)) == SUNNY
    assert called == ["Ghent"]
    assert states(told) == ["waiting", "running", "done"]
    assert chat.pending == []
    leave()
    leave()
    assert chat.watchers == 0


def test_once_is_once_and_for_this_chat_is_for_this_chat() -> None:
    get_weather, called = weather_tool(approval="ask")
    chat = written_chat([ghent()], SUNNY, tools=[get_weather])
    with deciding(chat, "once") as asked:
        chat.ask("?")
        chat.ask("?")
    assert len(asked) == 2
    with deciding(chat, "chat") as asked:
        chat.ask("?")
        chat.ask("?")
    assert len(asked) == 1
    fork = chat.fork()
    with deciding(fork, "deny") as asked:
        fork.ask("?")
    assert len(asked) == 1, "a copy is another chat"
    other, _ = weather_tool(approval="ask")
    chat.register_tool(other)
    with deciding(chat, "deny") as asked:
        chat.ask("?")
    assert len(asked) == 1, "another tool that took the name"
    chat.register_tool(get_weather)
    chat.reset()
    with deciding(chat, "deny") as asked:
        chat.ask("?")
    assert len(asked) == 1, "it was forgotten with the conversation"
    assert len(called) == 4


def test_a_denied_call_is_not_run_and_the_model_is_told_why() -> None:
    get_weather, called = weather_tool(approval="ask")
    chat = written_chat([ghent()], "I see.", tools=[get_weather])
    told = events_of(chat)
    with deciding(chat, "deny", "it rains anyway"):
        assert str(chat.ask("?")) == "I see."
    assert called == []
    assert said(chat)[2] == ("ipython", "denied: it rains anyway")
    assert states(told) == ["waiting", "denied"]
    require_no_open_call(chat)


@pytest.mark.parametrize(
    ("own", "chats", "runs"),
    [
        ("ask", "allow", True),
        ("ask", "deny", False),
        ("allow", "deny", False),
        ("deny", None, False),
        ("deny", "allow", True),
        ("allow", None, True),
    ],
)
def test_the_conversation_stands_above_the_tool(own: str, chats: Any, runs: bool) -> None:
    get_weather, called = weather_tool(approval=own)
    chat = written_chat([ghent()], SUNNY, tools=[get_weather], approval=chats)
    chat.ask("?")
    assert bool(called) == runs
    assert said(chat)[2][1].startswith("sunny" if runs else "denied: ")


def test_what_can_do_anything_is_always_asked_about() -> None:
    get_weather, called = weather_tool(approval="ask")
    get_weather.always_asks, get_weather.notice = True, "Reads the sky."
    chat = written_chat([ghent()], SUNNY, tools=[get_weather], approval="allow")
    for _ in range(2):
        with deciding(chat, "chat") as asked:
            chat.ask("?")
        assert [(event.notice, event.lasting) for event in asked] == [("Reads the sky.", False)]
    assert len(called) == 2


def test_arguments_that_change_after_approval_are_not_run() -> None:
    get_weather, called = weather_tool(approval="ask")
    chat = written_chat([ghent()], SUNNY, tools=[get_weather])

    def change(event: ChatEvent) -> None:
        if event.tool and event.tool.state == "waiting":
            assert chat.decide(event.tool.call.call_id, event.tool.digest, "once")
            event.tool.call.arguments["city"] = "elsewhere"

    chat.listen(change)
    told = events_of(chat)
    reply = chat.ask("?")
    assert called == []
    assert states(told) == ["waiting", "failed"]
    assert "changed after it was approved" in said(chat)[2][1]
    assert str(reply) == SUNNY


def test_arguments_that_change_while_it_runs_do_not_reach_it() -> None:
    seen: list[str] = []

    @tool(approval="allow")
    def look(where: dict[str, Any]) -> str:
        """Looks."""
        seen.append(where["at"])
        return "x"

    chat = written_chat([calling("look", where={"at": "here"})], "x", tools=[look])

    def change(event: ChatEvent) -> None:
        if event.tool and event.tool.state == "running":
            event.tool.call.arguments["where"]["at"] = "elsewhere"

    chat.listen(change)
    chat.ask("?")
    assert seen == ["here"]


def test_a_decision_that_is_none_is_told() -> None:
    chat = written_chat("x")
    with pytest.raises(errors.BadRequest, match="`once`"):
        chat.decide("1", "2", "yes")  # type: ignore[arg-type]
    with pytest.raises(errors.BadRequest, match="`allow`"):
        written_chat("x", approval="alow")
    with pytest.raises(errors.BadRequest, match="`deny`"):
        chat.approval = "never"  # type: ignore[assignment]


# --- At the prompt ------------------------------------------------------------------------------------------------------


@pytest.fixture
def at_prompt(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Somebody at the prompt who gives these answers; what was asked is kept."""

    def answers(*given: Any) -> list[str]:
        left, asked = list(given), []

        def answer(question: str = "") -> str:
            asked.append(question)
            said = left.pop(0)
            if isinstance(said, BaseException) or (isinstance(said, type) and issubclass(said, BaseException)):
                raise said
            return str(said)

        monkeypatch.setattr(builtins, "input", answer)
        return asked

    return answers


def asked_chat() -> tuple[Chat, list[str]]:
    get_weather, called = weather_tool(approval="ask")
    return written_chat([ghent()], SUNNY, tools=[get_weather]), called


@pytest.mark.parametrize("way", ["ask", "stream"])
@pytest.mark.parametrize("answer", ["o", "once", "C", "chat", " o "])
def test_the_prompt_asks_where_no_page_does(at_prompt: Any, way: str, answer: str) -> None:
    chat, called = asked_chat()
    asked = at_prompt("what?", answer)
    if way == "ask":
        chat.ask("?")
    else:
        list(chat.stream("?"))
    assert called == ["Ghent"]
    assert 'get_weather\n  city: "Ghent"' in asked[0]
    assert len(asked) == 2


def test_the_prompt_waits_for_whoever_thinks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approval, "UNATTENDED_S", 0.05)
    chat, called = asked_chat()

    def think(question: str) -> str:
        threading.Event().wait(0.4)
        return "o"

    monkeypatch.setattr(builtins, "input", think)
    chat.ask("?")
    assert called == ["Ghent"]


def test_the_prompt_says_what_should_be_known_of_a_tool(at_prompt: Any) -> None:
    get_weather, called = weather_tool(approval="ask")
    get_weather.notice, get_weather.always_asks = "Sends the city to example.org.", True
    chat = written_chat([ghent()], SUNNY, tools=[get_weather])
    asked = at_prompt("c", "o")
    chat.ask("?")
    assert "Sends the city to example.org." in asked[0]
    assert "[c]hat" not in asked[0]
    assert (len(asked), called) == (2, ["Ghent"])


def test_the_prompt_takes_a_reason(at_prompt: Any) -> None:
    chat, called = asked_chat()
    at_prompt("no, it rains anyway")
    chat.ask("?")
    assert called == []
    assert said(chat)[2][1] == "denied: it rains anyway"


def test_the_prompt_shows_what_cannot_be_seen(at_prompt: Any) -> None:
    get_weather, _ = weather_tool(approval="ask")
    chat = written_chat([calling("get_weather", city="a\u202eb\nrm -rf\x1b[2K")], SUNNY, tools=[get_weather])
    asked = at_prompt("n")
    chat.ask("?")
    assert "    a⟨U+202E⟩b\n    rm -rf⟨U+001B⟩[2K" in asked[0]
    assert "\x1b" not in asked[0]


@pytest.mark.parametrize("missing", [EOFError, NotImplementedError, OSError("captured"), ValueError("closed file")])
def test_without_a_prompt_it_is_denied_with_a_reason(at_prompt: Any, missing: Any) -> None:
    chat, called = asked_chat()
    at_prompt(missing)
    assert str(chat.ask("?")) == SUNNY
    assert called == []
    assert said(chat)[2][1].startswith("denied: nobody could be asked")
    assert 'approval="allow"' in said(chat)[2][1]


@pytest.mark.parametrize("way", ["ask", "stream"])
def test_an_interrupt_at_the_prompt_stops_the_answer(at_prompt: Any, way: str) -> None:
    chat, called = asked_chat()
    at_prompt(KeyboardInterrupt)
    with heard(chat, "ended") as over:
        with pytest.raises(KeyboardInterrupt):
            chat.ask("?") if way == "ask" else list(chat.stream("?"))
        assert over.wait(WAIT_S)
    assert called == []
    assert said(chat)[-1] == ("ipython", "stopped: not run")
    require_no_open_call(chat)
    assert str(chat.ask("and now?")) == SUNNY


def test_a_page_that_watches_is_asked_instead(at_prompt: Any) -> None:
    chat, called = asked_chat()
    asked = at_prompt()
    with deciding(chat, "once"):
        chat.ask("?")
    assert (asked, called) == ([], ["Ghent"])


@pytest.mark.parametrize("way", ["start", "ask_async", "another thread"])
def test_where_nobody_can_be_asked_it_is_denied(monkeypatch: pytest.MonkeyPatch, at_prompt: Any, way: str) -> None:
    monkeypatch.setattr(approval, "UNATTENDED_S", 0.05)
    chat, called = asked_chat()
    asked = at_prompt()
    if way == "start":
        ended(chat.start("?"))
    elif way == "ask_async":
        asyncio.run(chat.ask_async("?"))
    else:
        asking = threading.Thread(target=chat.ask, args=["?"])
        asking.start()
        asking.join(WAIT_S)
    assert (asked, called) == ([], [])
    assert said(chat)[2][1].startswith("denied: nobody could be asked")


def test_a_stream_is_attended_while_its_caller_is_busy(monkeypatch: pytest.MonkeyPatch, at_prompt: Any) -> None:
    monkeypatch.setattr(approval, "UNATTENDED_S", 0.05)
    chat, called = asked_chat()
    at_prompt("o")
    with heard(chat, "tool") as waiting:
        for number, _ in enumerate(chat.stream("?")):
            if number == 0:
                assert waiting.wait(WAIT_S)
                threading.Event().wait(0.4)  # an absence has to last, to be one
    assert called == ["Ghent"]
    assert chat._approvals._staying == 0


def test_a_decision_is_waited_for_a_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approval, "APPROVAL_S", 0.05)
    chat, called = asked_chat()
    leave = chat.watch()
    ended(chat.start("?"))
    leave()
    assert called == []
    assert said(chat)[2][1].startswith("denied: nobody decided within")


# --- Stopped ------------------------------------------------------------------------------------------------------------


def goes_on(chat: Chat) -> None:
    require_no_open_call(chat)
    assert chat.pending == []
    provider_of(chat).asked.clear()
    chat.approval = "deny"
    assert str(chat.ask("and now?")) == SUNNY
    require_no_open_call(chat)


def test_stopped_while_a_call_waits() -> None:
    chat, called = asked_chat()
    leave = chat.watch()
    with heard(chat, "tool") as waiting:
        reply = chat.start("?")
        assert waiting.wait(WAIT_S)
    [event] = chat.pending
    reply.stop()
    ended(reply)
    leave()
    assert (reply.stopped, reply.stop_reason, called) == (True, StopReason.out_of_tokens, [])
    assert not chat.decide(event.call.call_id, event.digest, "once"), "too late"
    assert said(chat)[2] == ("ipython", "stopped: not run")
    assert [known.state for known in reply.tool_events] == ["stopped"]
    assert reply_markdown(reply).endswith("*(stopped)*")
    goes_on(chat)


@pytest.mark.parametrize("kind", ["async", "thread", "deaf"])
def test_stopped_while_a_tool_runs(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    if kind == "thread":

        @tool(approval="allow")
        def work() -> str:
            """Works."""
            over.wait(WAIT_S)
            return "x"

    else:

        @tool(approval="allow")
        async def work() -> str:
            """Works."""
            while not over.is_set():
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    if kind == "async":
                        raise
            return "x"

    chat = written_chat([calling("work"), calling("work")], SUNNY, tools=[work])
    with heard(chat, "tool", lambda event: event.tool is not None and event.tool.state == "running") as running:
        reply = chat.start("?")
        assert running.wait(WAIT_S)
    chat.stop()
    ended(reply)
    over.set()
    assert reply.stopped
    assert [text for role, text in said(chat) if role == "ipython"] == [
        "stopped: the user stopped it while it ran",
        "stopped: not run",
    ]
    assert [known.state for known in reply.tool_events] == ["stopped", "stopped"]
    goes_on(chat)


def test_stopped_while_it_writes_about_a_result() -> None:
    get_weather, called = weather_tool()
    chat = written_chat([ghent()], LONG, tools=[get_weather], provider={"delay_s": 0.002})
    with heard(chat, "progress", lambda event: bool(event.reply and event.reply.text)) as speaking:
        reply = chat.start("?")
        assert speaking.wait(WAIT_S)
    reply.stop()
    ended(reply)
    assert called == ["Ghent"]
    assert [message.role for message in chat.messages] == ["user", "assistant", "ipython", "assistant"]
    assert reply.message is chat.messages[-1]
    assert reply.message.stop_reason is StopReason.out_of_tokens
    assert chat.messages[1].stop_reason is StopReason.end_of_turn  # type: ignore[union-attr]
    require_no_open_call(chat)


def test_a_provider_that_swallows_the_stop_is_stopped_all_the_same() -> None:
    get_weather, called = weather_tool()
    chat = written_chat([ghent()], SUNNY, tools=[get_weather])
    grow, begun = provider_of(chat)._chunks, threading.Event()

    async def deaf(*given: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            async for chunk in grow(*given):
                yield chunk

    provider_of(chat)._chunks = deaf
    reply = chat.start("?")
    assert begun.wait(WAIT_S)
    reply.stop()
    assert ended(reply).stopped
    assert called == []
    require_no_open_call(chat)


def test_stopped_at_any_moment_no_call_is_left_open() -> None:
    get_weather, _ = weather_tool()
    chat = written_chat([ghent(), ghent()], SUNNY, tools=[get_weather])
    for number in range(60):
        reply = chat.start(str(number))
        for _ in range(number * 20):
            _ = reply.ended
        reply.stop()
        ended(reply)
        require_no_open_call(chat)
        provider_of(chat).asked.clear()


def test_reset_while_a_tool_runs_leaves_nothing() -> None:
    over = threading.Event()

    @tool(approval="allow")
    def work() -> str:
        """Works."""
        over.wait(WAIT_S)
        return "x"

    chat = written_chat([calling("work")], SUNNY, tools=[work], system="Be brief.")
    with heard(chat, "tool", lambda event: event.tool is not None and event.tool.state == "running") as running:
        reply = chat.start("?")
        assert running.wait(WAIT_S)
    chat.reset()
    ended(reply)
    over.set()
    assert said(chat) == [("system", "Be brief.")]


# --- What is offered ------------------------------------------------------------------------------------------------------


def test_anything_that_is_a_tool_can_be_offered() -> None:
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    chat = written_chat([calling("add", a=1, b=2)], "3", tools=[add, "brave_search"], approval="allow")
    assert [offered.name for offered in chat.tools] == ["add", "brave_search"]
    chat.ask("?")
    assert said(chat)[2][1] == "3"
    chat.tools = []
    assert chat.tools == []
    made = chat.register_tool(add)
    assert [made] == chat.tools
    chat.register_tool(lambda_named_add())
    assert len(chat.tools) == 1


def lambda_named_add() -> Any:
    def add(a: int) -> int:
        """Adds less."""
        return a

    return add


def test_two_tools_of_one_name_are_told() -> None:
    one, _ = weather_tool()
    other, _ = weather_tool()
    with pytest.raises(errors.BadRequest, match="Two tools are called `get_weather`"):
        written_chat("x", tools=[one, other])
    assert len(written_chat("x", tools=[one, one]).tools) == 1
    assert len(written_chat("x", tools=[[one], "brave_search"]).tools) == 2, "a list, as of an MCP server"


@pytest.mark.parametrize("given", ["brave_search", {"add": print}, print, None])
def test_what_is_no_list_of_tools_is_told(given: Any) -> None:
    with pytest.raises(errors.BadRequest, match="give a list of tools"):
        written_chat("x", tools=given)
    chat = written_chat("x")
    with pytest.raises(errors.BadRequest, match="give a list of tools"):
        chat.tools = given


@pytest.mark.parametrize("given", [-1, None, "3", 1.5, True])
def test_a_number_of_rounds_that_is_none_is_told(given: Any) -> None:
    with pytest.raises(errors.BadRequest, match="max_rounds"):
        written_chat("x", max_rounds=given)


def test_a_forced_call_is_forced_once() -> None:
    get_weather, _ = weather_tool()
    chat = written_chat([ghent()], SUNNY, tools=[get_weather])
    for given, first in (("required", "required"), ("get_weather", "get_weather"), ("none", "none")):
        provider_of(chat).asked.clear()
        chat.ask("?", tool_choice=given)
        choices = [
            getattr(request["tool_choice"], "value", request["tool_choice"]) for request in provider_of(chat).asked
        ]
        assert choices == ([first, None] if first != "none" else ["none", "none"])


@pytest.mark.parametrize("given", ["get_wether", 3, "requird", ["get_weather"]])
def test_a_tool_choice_that_cannot_be_meant_is_told(given: Any) -> None:
    get_weather, _ = weather_tool()
    with pytest.raises(errors.BadRequest, match="tool_choice"):
        written_chat("x", tools=[get_weather]).ask("?", tool_choice=given)
    with pytest.raises(errors.BadRequest, match="no tool is offered"):
        written_chat("x").ask("?", tool_choice="required")


def test_a_call_among_text_that_looks_like_one_is_flagged() -> None:
    get_weather, called = weather_tool()
    chat = scripted_chat('{"type": "function", "name": "get_weather", "parameters": {}}', tools=[get_weather])
    reply = chat.ask("?")
    assert reply.message is not None
    assert reply.message.malformed_call
    assert "get_weather" in reply.text
    assert (called, reply.tool_calls) == ([], [])


def test_a_reply_can_be_polled() -> None:
    reply: Reply = written_chat(SUNNY).start("?")
    while not reply.poll(0.05):
        pass
    assert reply.ended
