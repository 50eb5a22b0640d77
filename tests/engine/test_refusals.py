"""What cannot be done is refused with the reason, at once, and the chat goes on."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from llama_nb import loop
from llama_nb.chat import Chat
from llama_nb.engine import client, protocol
from llama_nb.engine.client import Engine
from llama_nb.errors import BadRequest, CheckpointError, ContextOverflow, EngineError
from llama_nb.stack import Stack
from tests.engine import live

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

QUESTION = "What do you see?"


@pytest.fixture(scope="module")
def chat(talker: Path) -> Iterator[Chat]:
    entry = {"provider_id": "tiny", "provider_type": "meta-reference", "config": {"checkpoint": str(talker)}}
    stack = Stack.from_config({"providers": {"inference": [entry]}})
    yield Chat(stack=stack)
    stack.close()


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers_and_the_chat_goes_on(chat: Chat) -> None:
    first = chat.ask(QUESTION, max_tokens=5)
    before = list(chat.messages)
    with pytest.raises(
        ContextOverflow, match=r"prompt has \d{1,3},\d{3} tokens, the context of this model holds 4,096"
    ):
        chat.ask("x " * 3000)
    assert chat.messages == before, "the question is taken back"
    second = chat.ask("and now?", max_tokens=5)
    assert second.usage is not None
    assert first.usage is not None
    # Had anything of the refused prompt run, the cache would have forgotten the first answer.
    assert second.usage.cached_tokens >= first.usage.prompt_tokens


def test_a_prompt_of_five_megabytes_is_refused_and_the_chat_goes_on(chat: Chat) -> None:
    with pytest.raises(ContextOverflow):
        chat.ask("words and words " * 320_000)
    assert chat.ask(QUESTION, max_tokens=3).ended


def test_a_frame_beyond_the_bound_is_a_bad_request_and_the_generator_lives(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.ask(QUESTION, max_tokens=3)
    engine: Engine = chat.stack.models.provider_of(chat.model)._engine  # type: ignore[attr-defined]
    rank = live.rank_of(engine)
    monkeypatch.setattr(protocol, "MAX_FRAME_BYTES", 100_000)
    with pytest.raises(BadRequest, match="larger than the 100,000 that are allowed"):
        chat.ask("x" * 200_000)
    assert chat.ask(QUESTION, max_tokens=3).ended
    assert live.rank_of(engine) == rank


def test_half_a_character_in_a_question_is_answered(chat: Chat) -> None:
    assert chat.ask("broken \ud83d half", max_tokens=3).usage is not None


@pytest.mark.parametrize(
    "option", [{"stop": ["\ud83d"]}, {"max_tokens": 2**70}, {"top_k": 2**70, "temperature": 1}, {"logprobs": 2**70}]
)
def test_what_no_frame_can_hold_is_a_bad_request_and_no_wait_without_an_end(
    option: dict[str, object], chat: Chat
) -> None:
    with pytest.raises(BadRequest):
        chat.ask(QUESTION, **option)
    assert chat.ask(QUESTION, max_tokens=3).ended


def test_a_start_that_fails_says_why_with_its_class_and_the_next_question_tries_again(
    talker: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoint"
    engine = live.engine_of(folder)
    with pytest.raises(CheckpointError, match="checkpoint"):
        live.ask(engine, QUESTION)
    assert engine.status.phase == "failed"
    assert str(folder) in engine.status.detail
    shutil.copytree(talker, folder)
    weights = folder / "consolidated.00.pth"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"consolidated\.00\.pth"):
        live.ask(engine, QUESTION)
    weights.write_bytes(whole)
    assert live.ask(engine, QUESTION, max_tokens=3).tokens
    engine.close()


def test_questions_that_wait_for_a_start_that_fails_all_hear_why_from_the_one_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[Path] = []
    spawn = client._spawn
    monkeypatch.setattr(client, "_spawn", lambda log, ranks: starts.append(log) or spawn(log, ranks))
    engine = live.engine_of(tmp_path / "missing")

    async def ask_thrice() -> list[object]:
        questions = (live.answer(engine, live.request(QUESTION)) for _ in range(3))
        return list(await asyncio.gather(*questions, return_exceptions=True))

    assert [type(error) for error in loop.run(ask_thrice())] == [CheckpointError] * 3
    assert len(starts) == 1


def test_a_path_that_is_no_text_is_refused_and_does_not_hang() -> None:
    with pytest.raises(BadRequest, match="cannot be sent"):
        live.ask(live.engine_of(Path("/tmp/\udcff")), QUESTION)


def test_a_generator_that_cannot_be_started_is_an_error_and_leaves_nothing(
    talker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    engine = live.engine_of(talker)
    with pytest.raises(EngineError, match="could not be started"):
        live.ask(engine, QUESTION)
    assert engine.status.phase == "failed"
    assert os.listdir(tmp_path) == []


def test_a_kernel_with_thousands_of_open_files_starts_and_keeps_a_generator(talker: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1200  # select() ends at 1024
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 100), hard))
    files = [os.open("/dev/null", os.O_RDONLY) for _ in range(wanted)]
    engine = live.engine_of(talker)
    try:
        assert live.ask(engine, QUESTION, max_tokens=3).tokens
        engine.close()
    finally:
        for file in files:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_port_is_opened_and_no_prompt_stands_in_an_argument_or_in_the_environment(engine: Engine) -> None:
    canary = "canary-4711"
    live.ask(engine, f"my secret is {canary}", max_tokens=3)
    assert engine.pid is not None
    for pid in (os.getpid(), engine.pid, live.rank_of(engine)):
        assert live.ports_of(pid) == []
    for pid in (engine.pid, live.rank_of(engine)):
        assert "llama_nb.engine" in live.command_line(pid)
        assert canary not in live.command_line(pid)
        assert canary not in live.environment(pid)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_the_check_sees_a_port(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as port:
        port.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            port.listen()
        assert len(live.ports_of(os.getpid())) == 1
