"""A conversation: asked in every way, stopped in every phase, and never in disorder.

Written answers with a delay stand in for a model wherever time matters; test_meta_reference.py asks real ones.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from llama_nb import errors, loop
from llama_nb.apis.inference import ChatCompletionResponseEvent, ToolCallDelta
from llama_nb.apis.messages import (
    CompletionMessage,
    StopReason,
    SystemMessage,
    ToolCall,
    ToolDefinition,
    ToolParamDefinition,
    UserMessage,
)
from llama_nb.chat import Chat, ChatEvent, Reply, reply_markdown, stop_all
from tests.counts import full
from tests.stacks import LONG, WAIT_S, begun, ended, entry, heard, provider_of, scripted_chat, stack_of

HELLO = "Hello there, my friend."
NEVER_S = 3600.0  # a first word that does not come
SLOWLY_S = 0.002


def said(chat: Chat) -> list[tuple[str, str]]:
    return [(message.role, str(message.content)) for message in chat.messages]


def faulty_chat(fails: str, **config: Any) -> Chat:
    return Chat(stack=stack_of(entry("faulty", fails=fails, **config)))


# --- Four ways to ask -------------------------------------------------------------------------------------------------


def ask(chat: Chat) -> str:
    return str(chat.ask("hi"))


def stream(chat: Chat) -> str:
    return "".join(str(event.delta) for event in chat.stream("hi"))


async def ask_async(chat: Chat) -> str:
    return str(await chat.ask_async("hi"))


async def stream_async(chat: Chat) -> str:
    return "".join([str(event.delta) async for event in chat.stream_async("hi")])


@pytest.mark.parametrize("way", [ask, stream])
@pytest.mark.parametrize("where", ["plain", "in a running loop", "in another thread"])
def test_a_blocking_way_works_everywhere(way: Any, where: str) -> None:
    chat = scripted_chat(HELLO)

    async def in_a_loop() -> str:
        return str(way(chat))

    if where == "plain":
        text = way(chat)
    elif where == "in a running loop":
        text = asyncio.run(in_a_loop())
    else:
        with ThreadPoolExecutor(1) as threads:
            text = threads.submit(way, chat).result(WAIT_S)
    assert text == HELLO
    assert said(chat) == [("user", "hi"), ("assistant", HELLO)]


@pytest.mark.parametrize("way", [ask_async, stream_async])
@pytest.mark.parametrize("where", ["another loop", "our loop"])
def test_an_asynchronous_way_works_everywhere(way: Any, where: str) -> None:
    chat = scripted_chat(HELLO)
    assert (asyncio.run(way(chat)) if where == "another loop" else loop.run(way(chat))) == HELLO
    assert said(chat) == [("user", "hi"), ("assistant", HELLO)]


def test_another_loop_goes_on_while_it_waits() -> None:
    chat = scripted_chat(LONG, delay_s=NEVER_S)

    async def work() -> int:
        asking = asyncio.create_task(chat.ask_async("hi"))
        ticks = 0
        for _ in range(20):
            await asyncio.sleep(0.001)
            ticks += 1
        chat.stop()
        assert (await asking).stopped
        return ticks

    assert asyncio.run(work()) == 20


def test_a_stream_gives_start_progress_and_complete() -> None:
    events = list(scripted_chat(HELLO).stream("hi"))
    assert all(isinstance(event, ChatCompletionResponseEvent) for event in events)
    kinds = [event.event_type.value for event in events]
    assert kinds == ["start", *["progress"] * (len(kinds) - 2), "complete"]
    assert len(kinds) > 4
    assert events[-1].stop_reason is StopReason.end_of_turn


def test_a_reply_tells_all_that_is_known() -> None:
    reply = scripted_chat(HELLO).ask("hi")
    assert str(reply) == reply.text == HELLO
    assert reply.message == CompletionMessage(content=HELLO, stop_reason=StopReason.end_of_turn)
    assert reply.stop_reason is StopReason.end_of_turn
    assert (reply.stopped, reply.error, reply.ended, reply.tool_calls) == (False, None, True, [])
    assert (reply.logprobs, reply.usage, reply.metrics) == (None, None, None), "a written answer has none"
    assert repr(reply) == f"Reply({HELLO!r})"


def test_start_returns_at_once_and_the_answer_grows() -> None:
    chat = scripted_chat(LONG, delay_s=SLOWLY_S)
    reply = begun(chat, "hi")
    assert not reply.ended
    assert 0 < len(reply.text) < len(LONG)
    assert LONG.startswith(reply.text)
    assert repr(reply).endswith(" …)")
    chat.stop()
    ended(reply)


def test_a_chat_can_be_held_by_its_reply_alone() -> None:
    reply = scripted_chat(HELLO, delay_s=SLOWLY_S).start("hi")
    gc.collect()
    assert str(ended(reply)) == HELLO


# --- Stop ---------------------------------------------------------------------------------------------------------------


def goes_on(chat: Chat, answer: str) -> None:
    """The next question is answered as if nothing had been."""
    before = len(chat.messages)
    assert str(chat.ask("and now?")) == answer
    assert said(chat)[before:] == [("user", "and now?"), ("assistant", answer)]


def test_stopped_before_its_first_word() -> None:
    chat = Chat(stack=stack_of(entry("scripted", "slow", answers=["x"], delay_s=NEVER_S, model="slow"), quick()))
    with heard(chat, "progress") as started:
        reply = chat.start("hi")
        assert started.wait(WAIT_S)
    reply.stop()
    ended(reply)
    assert (reply.stopped, reply.text, reply.stop_reason) == (True, "", StopReason.out_of_tokens)
    assert said(chat) == [("user", "hi"), ("assistant", "")]
    chat.model = "quick"
    goes_on(chat, HELLO)


def quick() -> dict[str, Any]:
    return entry("scripted", "quick", answers=[HELLO], model="quick")


def test_stopped_half_way_the_partial_answer_stays_and_is_marked() -> None:
    chat = Chat(stack=stack_of(entry("scripted", "slow", answers=[LONG], delay_s=SLOWLY_S, model="slow"), quick()))
    reply = begun(chat, "hi")
    chat.stop()
    ended(reply)
    assert reply.stopped
    assert reply.stop_reason is StopReason.out_of_tokens
    assert 0 < len(reply.text) < len(LONG)
    assert LONG.startswith(reply.text)
    assert chat.messages[-1] == reply.message
    assert reply.message == CompletionMessage(content=reply.text, stop_reason=StopReason.out_of_tokens)
    assert "(stopped)" in repr(reply)
    assert reply_markdown(reply).endswith("*(stopped)*")
    assert reply.wait() is reply, "to be stopped is no error"
    chat.model = "quick"
    goes_on(chat, HELLO)


def test_stopped_while_it_waits_for_its_turn() -> None:
    chat = scripted_chat(LONG, delay_s=SLOWLY_S)
    first = begun(chat, "first")
    second, third = chat.start("second"), chat.start("third")
    assert second.queued
    second.stop()
    ended(second)
    assert (second.stopped, second.text) == (True, "")
    assert not first.ended
    first.stop()
    with heard(chat, "ended", lambda event: event.reply is third):
        begun_text = threading.Event()
        unlisten = chat.listen(lambda event: begun_text.set() if event.reply is third and third.text else None)
        assert begun_text.wait(WAIT_S), "the third has its turn"
        unlisten()
    chat.stop()
    ended(third)
    assert [text for role, text in said(chat) if role == "user"] == ["first", "third"]


def test_stopped_after_its_end_nothing_happens() -> None:
    chat = scripted_chat(HELLO)
    reply = chat.ask("hi")
    for _ in range(3):
        reply.stop()
        chat.stop()
    goes_on(chat, HELLO)
    assert (reply.stopped, reply.stop_reason) == (False, StopReason.end_of_turn)
    assert said(chat)[1] == ("assistant", HELLO)


def test_stopped_from_many_threads_at_once_it_ends_once() -> None:
    chat = scripted_chat(LONG, HELLO, delay_s=SLOWLY_S)
    endings: list[Reply | None] = []
    chat.listen(lambda event: endings.append(event.reply) if event.kind == "ended" else None)
    reply = begun(chat, "hi")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: reply.stop(), range(64)))
    ended(reply)
    goes_on(chat, HELLO)
    assert endings.count(reply) == 1
    assert said(chat)[:2] == [("user", "hi"), ("assistant", reply.text)]


def test_stopped_at_any_moment_the_chat_stays_in_order() -> None:
    """Stops that race with the beginning and the end: each answer is whole, or marked as stopped."""
    chat = scripted_chat("a b c")
    for number in range(full(150, 5_000)):
        reply = chat.start(str(number))
        for _ in range(number % 40):
            _ = reply.ended
        reply.stop()
        ended(reply)
        assert reply.stopped or reply.text == "a b c"
    roles = [role for role, _ in said(chat)]
    assert roles == ["user", "assistant"] * (len(roles) // 2)
    assert str(chat.ask("last")) == "a b c"


def test_everything_is_stopped_at_once() -> None:
    chats = [scripted_chat(LONG, delay_s=SLOWLY_S) for _ in range(3)]
    replies = [begun(chat, "hi") for chat in chats]
    stop_all()
    assert all(ended(reply).stopped for reply in replies)


def test_leaving_a_stream_stops_the_answer() -> None:
    chat = scripted_chat(LONG, HELLO, delay_s=SLOWLY_S)
    with heard(chat, "ended") as over:
        for event in chat.stream("hi"):
            if event.delta:
                break
        gc.collect()
        assert over.wait(WAIT_S)
    assert chat.messages[-1].stop_reason is StopReason.out_of_tokens  # type: ignore[union-attr]
    assert 0 < len(said(chat)[-1][1]) < len(LONG)
    goes_on(chat, HELLO)


def test_leaving_an_asynchronous_stream_stops_the_answer() -> None:
    chat = scripted_chat(LONG, HELLO, delay_s=SLOWLY_S)

    async def leave() -> None:
        events: Any = chat.stream_async("hi")
        async for event in events:
            if event.delta:
                break
        await events.aclose()

    with heard(chat, "ended") as over:
        asyncio.run(leave())
        assert over.wait(WAIT_S)
    goes_on(chat, HELLO)


def test_cancelling_an_asynchronous_question_stops_the_answer() -> None:
    chat = scripted_chat(LONG, HELLO, delay_s=SLOWLY_S)

    async def give_up() -> None:
        with heard(chat, "progress", lambda event: bool(event.reply and event.reply.text)) as spoke:
            asking = asyncio.create_task(chat.ask_async("hi"))
            await asyncio.to_thread(spoke.wait, WAIT_S)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    with heard(chat, "ended") as over:
        asyncio.run(give_up())
        assert over.wait(WAIT_S)
    goes_on(chat, HELLO)


INTERRUPTED = """
import os, signal, sys
from tests.stacks import LONG, scripted_chat
chat = scripted_chat(LONG, "It goes on.", delay_s=0.002)
def interrupt(event):
    if event.kind == "progress" and event.reply.text and event.reply.question == "hi" and not sent:
        sent.append(1)
        os.kill(os.getpid(), signal.SIGINT)
sent = []
chat.listen(interrupt)
try:
    {ask}
except KeyboardInterrupt:
    print("interrupted")
next = chat.ask("and now?")
partial = chat.messages[1]
print(partial.stop_reason.value, 0 < len(partial.content) < len(LONG), LONG.startswith(partial.content))
print(str(next), len(chat.messages))
"""


@pytest.mark.parametrize("ask", ["chat.ask('hi')", "[event for event in chat.stream('hi')]"])
def test_an_interrupt_stops_the_answer_keeps_what_came_and_is_raised(ask: str) -> None:
    """■ is a SIGINT to the main thread: in a process of its own."""
    code = INTERRUPTED.format(ask=ask)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.stdout.splitlines() == ["interrupted", "out_of_tokens True True", "It goes on. 4"], done.stderr


def test_a_process_may_end_while_it_is_answered() -> None:
    code = "from tests.stacks import *; begun(scripted_chat(LONG, delay_s=0.002), 'hi'); print('bye')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "bye\n", "")


# --- What fails leaves no trace -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", ["when asked", "before the first word"])
def test_a_question_that_fails_leaves_no_trace(fails: str) -> None:
    chat = faulty_chat(fails)
    with pytest.raises(errors.BadRequest):
        chat.ask("hi")
    assert chat.messages == []
    goes_on(chat, "It works.")
    assert [message.content for message in provider_of(chat).asked[-1]["messages"]] == ["and now?"]


@pytest.mark.parametrize("way", [stream, ask_async, stream_async])
def test_an_error_reaches_every_way_of_asking(way: Any) -> None:
    chat = faulty_chat("before the first word")
    with pytest.raises(errors.BadRequest, match="no word came"):
        asyncio.run(way(chat)) if way is not stream else way(chat)
    assert chat.messages == []


def test_an_answer_that_breaks_off_stays_and_the_error_is_ours() -> None:
    chat = faulty_chat("half way")
    reply = ended(chat.start("hi"))
    assert isinstance(reply.error, errors.EngineError)
    assert "ZeroDivisionError: something broke" in str(reply.error)
    assert said(chat) == [("user", "hi"), ("assistant", "It ")]
    assert (reply.stopped, reply.stop_reason) == (False, StopReason.out_of_tokens)
    assert reply_markdown(reply).endswith("*(failed)*")
    with pytest.raises(errors.EngineError):
        reply.wait()
    goes_on(chat, "It works.")


def test_a_stream_without_an_end_is_taken_as_cut_off() -> None:
    reply = faulty_chat("silently").ask("hi")
    assert (reply.text, reply.stop_reason) == ("It ", StopReason.out_of_tokens)
    assert reply_markdown(reply).endswith("*(cut off: out of tokens)*")


def test_a_model_that_is_gone_is_told_when_asked() -> None:
    chat = scripted_chat(HELLO)
    chat.model = "nobody"
    with pytest.raises(errors.ModelNotFound):
        chat.ask("hi")
    chat.model = "scripted"
    goes_on(chat, HELLO)


# --- Order --------------------------------------------------------------------------------------------------------------


def test_turns_of_one_chat_run_one_after_the_other() -> None:
    chat = scripted_chat("a b c d e")
    wanted = full(60, 1_000)  # more do not fit into the window
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda number: chat.ask(f"question {number}"), range(wanted)))
    assert all(reply.text == "a b c d e" for reply in replies)
    roles = [role for role, _ in said(chat)]
    assert roles == ["user", "assistant"] * wanted
    assert {text for role, text in said(chat) if role == "user"} == {f"question {number}" for number in range(wanted)}


def test_questions_of_one_thread_are_answered_in_its_order() -> None:
    chat = Chat(stack=stack_of(entry("faulty")))
    replies = [chat.start(str(number)) for number in range(50)]
    for reply in replies:
        ended(reply)
    assert [text for role, text in said(chat) if role == "user"] == [str(number) for number in range(50)]
    histories = [len(call["messages"]) for call in provider_of(chat).asked]
    assert histories == list(range(1, 101, 2)), "each saw all that was before it"


def test_two_chats_do_not_mix() -> None:
    stack = stack_of(entry("faulty"))
    one, other = Chat(stack=stack, system="one"), Chat(stack=stack)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: (one if number % 2 else other).ask(f"{number}"), range(40)))
    for chat, odd in ((one, 1), (other, 0)):
        questions = [int(text) for role, text in said(chat) if role == "user"]
        assert sorted(questions) == list(range(odd, 40, 2))
    for call in provider_of(one).asked:
        contents = [message.content for message in call["messages"]]
        parity = {int(content) % 2 for content in contents if content.isdigit()}
        assert parity == {1 if contents[0] == "one" else 0}


def test_listeners_hear_all_in_order() -> None:
    chat = scripted_chat(HELLO)
    heard_events: list[ChatEvent] = []
    unlisten = chat.listen(heard_events.append)
    reply = chat.ask("hi")
    goes_on(chat, HELLO)
    unlisten()
    unlisten()
    chat.ask("unheard")
    of_first = [event for event in heard_events if event.reply is reply]
    kinds = [event.kind for event in of_first]
    assert kinds == ["asked", *["progress"] * (len(kinds) - 2), "ended"]
    text = "".join(str(event.event.delta) for event in of_first if event.event is not None)
    assert text == HELLO
    assert {event.reply.question for event in heard_events if event.reply} == {"hi", "and now?"}


@pytest.mark.parametrize("kind", ["asked", "progress", "ended"])
def test_a_listener_that_fails_harms_nobody(kind: str) -> None:
    chat = scripted_chat(HELLO)

    def fail(event: ChatEvent) -> None:
        if event.kind == kind:
            raise LookupError("the listener's own fault")

    chat.listen(fail)
    assert str(ended(chat.start("hi")).wait()) == HELLO
    assert asyncio.run(ask_async(chat)) == HELLO
    assert len(chat.messages) == 4


# --- System, reset ------------------------------------------------------------------------------------------------------


def test_the_system_message_is_first_and_can_be_changed() -> None:
    chat = Chat(stack=stack_of(entry("faulty")), system="Be brief.")
    assert chat.system == "Be brief."
    chat.ask("hi")
    chat.system = "Be long."
    chat.ask("hi again")
    sent = [[message.content for message in call["messages"]] for call in provider_of(chat).asked]
    assert sent == [["Be brief.", "hi"], ["Be long.", "hi", "It works.", "hi again"]]
    chat.system = None
    assert chat.system is None
    assert not any(isinstance(message, SystemMessage) for message in chat.messages)
    assert len(chat.messages) == 4


def test_reset_forgets_all_but_the_system_message() -> None:
    chat = scripted_chat(HELLO, system="Be brief.")
    chat.ask("hi")
    with heard(chat, "reset") as told:
        chat.reset()
        assert told.wait(WAIT_S)
    assert said(chat) == [("system", "Be brief.")]
    goes_on(chat, HELLO)


def test_reset_while_it_is_answered_stops_and_forgets() -> None:
    chat = scripted_chat(LONG, HELLO, delay_s=SLOWLY_S)
    reply = begun(chat, "hi")
    queued = chat.start("queued")
    chat.reset()
    assert ended(reply).stopped
    assert ended(queued).stopped
    assert chat.messages == []
    goes_on(chat, HELLO)
    assert len(chat.messages) == 2


def test_messages_may_be_set_by_hand() -> None:
    chat = Chat(stack=stack_of(entry("faulty")))
    chat.messages[:] = [
        UserMessage(content="My name is Ada."),
        CompletionMessage(content="Hello Ada.", stop_reason=StopReason.end_of_turn),
    ]
    chat.ask("Who am I?")
    assert [message.content for message in provider_of(chat).asked[0]["messages"]] == [
        "My name is Ada.",
        "Hello Ada.",
        "Who am I?",
    ]


# --- Tools ----------------------------------------------------------------------------------------------------------------

WEATHER = ToolDefinition(
    tool_name="get_weather",
    description="The weather of a city",
    parameters={"city": ToolParamDefinition(param_type="string")},
)
CALL = '<|python_tag|>{"type": "function", "name": "get_weather", "parameters": {"city": "Ghent"}}'


def test_a_tool_call_ends_the_turn_and_the_next_question_works() -> None:
    chat = scripted_chat(CALL, HELLO, tools=[WEATHER])
    reply = chat.ask("How is the weather in Ghent?")
    [call] = reply.tool_calls
    assert (call.tool_name, call.arguments) == ("get_weather", {"city": "Ghent"})
    assert reply.message is not None
    assert reply.message.tool_calls == [call]
    assert reply.text == ""
    assert "**Tool call** get_weather" in reply_markdown(reply)
    goes_on(chat, HELLO)


def test_a_tool_call_streams_as_deltas() -> None:
    chat = scripted_chat(CALL, tools=[WEATHER])
    deltas = [event.delta for event in chat.stream("?") if isinstance(event.delta, ToolCallDelta)]
    statuses = [delta.parse_status.value for delta in deltas]
    assert statuses == ["started", *["in_progress"] * (len(statuses) - 2), "success"]
    assert isinstance(deltas[-1].content, ToolCall)


def test_without_an_offer_the_same_words_are_text() -> None:
    reply = scripted_chat(CALL).ask("?")
    assert reply.tool_calls == []
    assert "get_weather" in reply.text


def test_a_tool_call_that_was_stopped_is_kept_as_text() -> None:
    argument = " ".join(f"w{number}" for number in range(2_000))
    chat = scripted_chat(CALL.replace("Ghent", argument), HELLO, delay_s=SLOWLY_S, tools=[WEATHER])
    with heard(chat, "progress", lambda event: bool(event.reply and event.reply._open_call)) as growing:
        reply = chat.start("?")
        assert growing.wait(WAIT_S)
    reply.stop()
    ended(reply)
    assert (reply.stopped, reply.tool_calls) == (True, [])
    assert reply.text.startswith('{"type": "function"'[: len(reply.text)])
    assert reply.text != ""
    goes_on(chat, HELLO)


# --- Options --------------------------------------------------------------------------------------------------------------


def sent(**options: Any) -> dict[str, Any]:
    chat = Chat(stack=stack_of(entry("faulty")))
    chat.ask("hi", **options)
    call: dict[str, Any] = provider_of(chat).asked[0]
    return call


def test_options_reach_the_provider() -> None:
    given = {"temperature": 0.5, "top_p": 0.9, "top_k": 4, "max_tokens": 7, "seed": 3}
    params = sent(**given)["params"].model_dump()
    assert {name: params[name] for name in given} == given
    assert sent(stop="x")["params"].stop == ["x"]
    assert sent(stop=["x", "y"])["params"].stop == ["x", "y"]
    assert sent(stop=("x",))["params"].stop == ["x"]
    assert sent(temperature=None)["params"].temperature == 0.0, "None is as if it were not given"


def test_logprobs_are_true_or_how_many() -> None:
    assert sent()["logprobs"] is None
    assert sent(logprobs=False)["logprobs"] is None
    assert sent(logprobs=True)["logprobs"].top_k == 0
    assert sent(logprobs=3)["logprobs"].top_k == 3
    assert sent(logprobs=0)["logprobs"].top_k == 0


def test_the_chats_own_sampling_is_the_default() -> None:
    from llama_nb.apis.messages import SamplingParams

    chat = Chat(stack=stack_of(entry("faulty")), sampling_params=SamplingParams(temperature=0.3, max_tokens=9))
    chat.ask("hi", max_tokens=5)
    chat.ask("hi")
    first, second = (call["params"] for call in provider_of(chat).asked)
    assert (first.temperature, first.max_tokens) == (0.3, 5)
    assert (second.temperature, second.max_tokens) == (0.3, 9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temprature": 1}, "Did you mean `temperature`"),
        ({"model": "x"}, "no option `model`"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"stop": 3}, "stop"),
        ({"stop": [3]}, "stop"),
        ({"logprobs": "many"}, "top_k"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_an_option_that_cannot_be_meant_is_told_at_once(options: dict[str, Any], words: str) -> None:
    chat = scripted_chat(HELLO)
    with pytest.raises(errors.BadRequest, match=words):
        chat.ask("hi", **options)
    with pytest.raises(errors.BadRequest, match=words):
        list(chat.stream("hi", **options))
    with pytest.raises(errors.BadRequest, match=words):
        chat.start("hi", **options)
    assert chat.messages == []
    goes_on(chat, HELLO)


@pytest.mark.parametrize("prompt", [None, 5, ["a"]])
def test_a_question_that_is_no_text_is_told(prompt: Any) -> None:
    chat = scripted_chat(HELLO)
    with pytest.raises(errors.BadRequest, match="give a text"):
        chat.ask(prompt)
    assert chat.messages == []
