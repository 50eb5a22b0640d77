"""Turns that are edited, asked again and copied; and what of them fits into a model's context."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from llama_nb import errors
from llama_nb.apis.messages import CompletionMessage, StopReason, SystemMessage, UserMessage
from llama_nb.chat import Chat, ChatEvent
from tests.stacks import LONG, WAIT_S, begun, calling, ended, heard, provider_of, written_chat

ANSWERS = ("one", "two", "three", "four")


def said(chat: Chat) -> list[str]:
    return [str(message.content) for message in chat.messages]


def talked(**options: Any) -> Chat:
    chat = written_chat(*ANSWERS, **options)
    for question in "abc":
        chat.ask(question)
    return chat


# --- Edited, asked again ------------------------------------------------------------------------------------------------


def test_turns_begin_with_their_questions() -> None:
    def look() -> str:
        """Looks."""
        return "seen"

    chat = written_chat([calling("look")], "x", "y", tools=[look], approval="allow", system="Be brief.")
    chat.ask("a")
    chat.ask("b")
    assert [[message.role for message in turn] for turn in chat.turns] == [
        ["user", "assistant", "ipython", "assistant"],
        ["user", "assistant"],
    ]


@pytest.mark.parametrize(("index", "kept"), [(0, []), (1, ["a", "one"]), (-1, ["a", "one", "b", "two"]), (-3, [])])
def test_an_edited_question_takes_the_place_of_all_that_came_after(index: int, kept: list[str]) -> None:
    chat = talked()
    told: list[ChatEvent] = []
    chat.listen(told.append)
    reply = chat.edit(index, "other", temperature=0.5)
    assert said(chat) == [*kept, "other", "four"]
    assert str(reply) == "four"
    assert [event.kind for event in told if event.kind != "progress"] == ["asked", "reset", "ended"]
    assert [message.content for message in provider_of(chat).asked[-1]["messages"]] == [*kept, "other"]
    assert provider_of(chat).asked[-1]["params"].temperature == 0.5


def test_a_turn_is_asked_again() -> None:
    chat = talked(system="Be brief.")
    chat.messages[3] = UserMessage(content="b", context="what was found")
    assert str(chat.regenerate(1, seed=2)) == "four"
    assert said(chat) == ["Be brief.", "a", "one", "b", "four"]
    assert chat.messages[3] == UserMessage(content="b", context="what was found")
    chat.regenerate()
    assert said(chat)[-2:] == ["b", "one"]


def test_an_edit_can_be_begun_and_waited_for_later() -> None:
    chat = talked()
    assert str(chat.start_edit(1, "other").wait()) == "four"
    assert str(chat.start_regenerate(0).wait()) == "one"
    assert said(chat) == ["a", "one"]


@pytest.mark.parametrize("index", [3, -4])
def test_a_turn_that_is_not_there_is_told(index: int) -> None:
    chat = talked()
    with pytest.raises(errors.BadRequest, match="has 3"):
        chat.edit(index, "x")
    with pytest.raises(errors.BadRequest, match="has 3"):
        chat.regenerate(index)
    assert len(chat.messages) == 6
    with pytest.raises(errors.BadRequest, match="There is no turn -1"):
        written_chat("x").regenerate()


def test_an_edit_that_fails_brings_back_what_it_replaced() -> None:
    chat = talked(provider={"max_seq_len": 8})
    before = list(chat.messages)
    with pytest.raises(errors.ContextOverflow):
        chat.edit(1, " ".join("x" * 9))
    assert chat.messages == before
    with pytest.raises(errors.BadRequest, match="temprature"):
        chat.edit(1, "x", temprature=1)
    assert chat.messages == before


def test_an_edit_stops_what_is_being_answered() -> None:
    chat = written_chat("one", LONG, "three", provider={"delay_s": 0.002})
    chat.ask("a")
    running = begun(chat, "b")
    queued = chat.start("c")
    reply = chat.edit(0, "other")
    assert (running.stopped, queued.stopped, reply.stopped) == (True, True, False)
    assert said(chat) == ["other", "three"]


# --- Copied -------------------------------------------------------------------------------------------------------------


def test_a_fork_goes_its_own_way() -> None:
    def add(a: int) -> int:
        """Adds."""
        return a

    chat = talked(system="Be brief.", tools=[add], approval="deny", max_rounds=3, context="drop_oldest")
    fork = chat.fork()
    assert fork.messages == chat.messages
    assert fork.messages is not chat.messages
    assert all(mine is not other for mine, other in zip(chat.messages, fork.messages, strict=True))
    settings = ("model", "stack", "tools", "approval", "max_rounds", "context", "sampling_params", "tool_choice")
    assert [getattr(fork, name) for name in settings] == [getattr(chat, name) for name in settings]
    fork.ask("d")
    fork.tools = []
    fork.sampling_params.temperature = 1.0
    assert (len(chat.messages), len(fork.messages)) == (7, 9)
    assert len(chat.tools) == 1
    assert chat.sampling_params.temperature == 0.0
    chat.reset()
    assert len(fork.messages) == 9


def test_a_fork_leaves_out_the_turn_that_is_being_answered() -> None:
    chat = written_chat("one", LONG, provider={"delay_s": 0.002})
    chat.ask("a")
    reply = begun(chat, "b")
    assert said(chat.fork()) == ["a", "one"]
    reply.stop()
    ended(reply)


# --- The context --------------------------------------------------------------------------------------------------------


def test_tokens_are_counted_before_they_are_sent() -> None:
    chat = talked()
    assert chat.count_tokens().prompt_tokens == 6
    assert chat.count_tokens("one more question").prompt_tokens == 9
    assert chat.count_tokens().max_seq_len == 1_000
    assert len(chat.messages) == 6
    assert len(provider_of(chat).asked) == 3
    assert written_chat("x", system="Be brief.").count_tokens().prompt_tokens == 2
    assert written_chat("x").count_tokens().prompt_tokens == 0


def test_the_context_in_use_is_known_without_counting_again() -> None:
    chat = written_chat("one")
    assert chat.context_use is None
    chat.ask("a b c")
    assert chat.context_use is not None
    assert (chat.context_use.prompt_tokens, chat.context_use.max_seq_len) == (4, 1_000)
    chat.ask("d")
    assert chat.context_use.prompt_tokens == 6
    assert provider_of(chat).counted == 1, "for the model's limit, and once"
    chat.reset()
    assert chat.context_use is None


def test_without_figures_the_context_is_counted() -> None:
    chat = written_chat("one", provider={"usage": False})
    chat.ask("a b c")
    assert chat.context_use is not None
    assert chat.context_use.prompt_tokens == 4


def test_a_provider_that_cannot_count_answers_all_the_same() -> None:
    chat = written_chat("one", provider={"counts": False}, context="drop_oldest")
    assert str(chat.ask("a")) == "one"
    assert chat.context_use is None
    with pytest.raises(errors.NotSupported):
        chat.count_tokens()


def test_a_conversation_that_no_longer_fits_is_an_error() -> None:
    chat = written_chat("one", provider={"max_seq_len": 6})
    chat.ask("a b c")
    with pytest.raises(errors.ContextOverflow):
        chat.ask("d e f")
    assert said(chat) == ["a b c", "one"]


def test_drop_oldest_sends_the_newest_turns_and_says_so() -> None:
    chat = written_chat("one", provider={"max_seq_len": 13}, context="drop_oldest", system="Be brief.")
    told: list[ChatEvent] = []
    chat.listen(told.append)
    for question in ("a b c", "d e f"):
        assert chat.ask(question).notices == []
    reply = chat.ask("g h i")
    sent = [str(message.content) for message in provider_of(chat).asked[-1]["messages"]]
    assert sent == ["Be brief.", "d e f", "one", "g h i"]
    [notice] = reply.notices
    assert "oldest 1 turn was left out (2 messages)" in notice
    assert [event.text for event in told if event.kind == "notice"] == [notice]
    assert len(chat.messages) == 7, "the conversation keeps all"


def test_what_is_left_out_is_told_once_in_a_turn() -> None:
    def look() -> str:
        """Looks."""
        return "seen"

    chat = written_chat(
        "one two three",
        [calling("look")],
        "done",
        tools=[look],
        approval="allow",
        context="drop_oldest",
        provider={"max_seq_len": 10},
    )
    chat.ask("a b c d")
    reply = chat.ask("e f g")
    assert [len(request["messages"]) for request in provider_of(chat).asked] == [1, 1, 3]
    assert len(reply.notices) == 1


def test_drop_oldest_leaves_out_as_little_as_it_must() -> None:
    chat = written_chat("one", provider={"max_seq_len": 64}, context="drop_oldest")
    for number in range(40):
        chat.ask(f"question {number}")
        sent = provider_of(chat).asked[-1]["messages"]
        length = sum(len(str(message.content).split()) for message in sent)
        assert length <= 64 - 8
        assert length > 64 - 8 - 3 or len(sent) == len(chat.messages) - 1
        assert sent == chat.messages[-1 - len(sent) : -1]
        assert isinstance(sent[0], UserMessage)


def test_drop_oldest_leaves_room_for_what_was_asked_for() -> None:
    chat = written_chat("one", provider={"max_seq_len": 64}, context="drop_oldest")
    for number in range(40):
        chat.ask(f"question {number}", max_tokens=20)
    sent = provider_of(chat).asked[-1]["messages"]
    assert sum(len(str(message.content).split()) for message in sent) in range(42, 45)


def test_drop_oldest_never_parts_a_call_from_its_result() -> None:
    def look() -> str:
        """Looks."""
        return "seen and noted"

    chat = written_chat(
        [calling("look")],
        [calling("look")],
        "done",
        provider={"max_seq_len": 24},
        tools=[look],
        approval="allow",
        context="drop_oldest",
    )
    for number in range(12):
        chat.ask(f"question {number}")
        for request in provider_of(chat).asked[-3:]:
            roles = [message.role for message in request["messages"]]
            assert roles[0] == "user"
            assert str(request["messages"][-1 if roles[-1] == "user" else roles.index("user")].content).startswith(
                "question"
            )
            for place, role in enumerate(roles):
                assert role != "ipython" or roles[place - 1] == "assistant"
    questions = [m.content for m in provider_of(chat).asked[-1]["messages"] if isinstance(m, UserMessage)]
    assert questions[-1] == "question 11", "the current question is always there"


def test_a_question_too_long_by_itself_is_an_error_also_then() -> None:
    chat = written_chat("one", provider={"max_seq_len": 8}, context="drop_oldest")
    chat.ask("a")
    with pytest.raises(errors.ContextOverflow):
        chat.ask(" ".join("x" * 20))
    assert said(chat) == ["a", "one"]


def test_what_stands_before_the_first_question_goes_with_the_first_turn() -> None:
    chat = written_chat("one", provider={"max_seq_len": 16}, context="drop_oldest")
    chat.messages = [
        SystemMessage(content="s"),
        CompletionMessage(content="a b c d e f g h i j k l m n", stop_reason=StopReason.end_of_turn),
    ]
    with pytest.raises(errors.ContextOverflow):
        chat.ask("x y")
    chat.messages = [*chat.messages, UserMessage(content="a"), *chat.messages[1:1]]
    chat.ask("x y")
    assert [str(message.content) for message in provider_of(chat).asked[-1]["messages"]] == ["s", "x y"]


def test_a_policy_that_is_none_is_told() -> None:
    with pytest.raises(errors.BadRequest, match="Did you mean `drop_oldest`"):
        written_chat("x", context="drop_old")


def test_messages_can_be_replaced_as_a_whole() -> None:
    chat = talked()
    chat.messages = chat.messages[:2]
    assert said(chat) == ["a", "one"]
    assert str(chat.ask("b")) == "four"


def test_what_is_no_message_is_told_and_changes_nothing() -> None:
    chat = talked()
    before = list(chat.messages)
    with pytest.raises(errors.BadRequest, match=r"messages\[1\] is \{'role'.*UserMessage"):
        chat.messages = [before[0], {"role": "user", "content": "b"}]  # type: ignore[list-item]
    assert chat.messages == before


def test_a_stream_may_not_wait_for_itself() -> None:
    chat = written_chat("one")
    errors_seen: list[BaseException] = []

    def listen(event: ChatEvent) -> None:
        if event.kind == "ended":
            for way in (lambda: next(iter(chat.stream("x"))), lambda: event.reply and event.reply.wait()):
                try:
                    way()
                except RuntimeError as error:
                    errors_seen.append(error)
            seen.set()

    seen = threading.Event()
    chat.listen(listen)
    with heard(chat, "ended"):
        chat.start("a")
        assert seen.wait(WAIT_S)
    assert len(errors_seen) == 2
