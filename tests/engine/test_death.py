"""Whoever dies, and whenever: nothing of ours is left behind, nobody waits without an end, the next question works."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from llama_nb import loop
from llama_nb.chat import Chat
from llama_nb.engine import client
from llama_nb.engine.client import Engine
from llama_nb.errors import EngineError
from llama_nb.stack import Stack
from tests.counts import full
from tests.engine import live

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

KERNEL = Path(__file__).with_name("kernel.py")
ROOT = KERNEL.parents[2]
QUESTION = "What do you see?"


class Kernel:
    """A kernel process of our own, in its own session, and all that descends from it."""

    def __init__(self, checkpoint: Path, mode: str, *arguments: str, temporary: Path) -> None:
        self.marker = f"LLAMA_NB_TEST={uuid.uuid4()}"
        name, _, value = self.marker.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, str(KERNEL), str(checkpoint), mode, *arguments],
            env=os.environ | {name: value, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def hears(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def descendants(self) -> list[int]:
        return [pid for pid in live.marked(self.marker) if pid != self.process.pid]

    def generator(self) -> list[int]:
        """The supervisor and its rank."""
        return [pid for pid in live.marked(self.marker) if "llama_nb.engine." in live.command_line(pid)]

    def die(self) -> None:
        self.process.kill()
        self.process.wait()

    def clean_up(self) -> None:
        self.die()
        for pid in live.marked(self.marker):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def kernel_of(tmp_path: Path) -> Iterator[Callable[..., Kernel]]:
    kernels: list[Kernel] = []

    def make(*arguments: object) -> Kernel:
        kernels.append(Kernel(*arguments, temporary=tmp_path))  # type: ignore[arg-type]
        return kernels[-1]

    yield make
    for kernel in kernels:
        kernel.clean_up()


def reach(kernel: Kernel, phase: str, chance: random.Random) -> None:
    """Waits until the kernel is in that phase of its life."""
    assert kernel.hears() == "asked"
    if phase == "starting":
        live.wait_for(kernel.descendants, "a supervisor")
    elif phase == "loading":
        live.wait_for(lambda: len(kernel.descendants()) >= 2, "a rank")
        time.sleep(chance.random())  # anywhere in its loading
    else:
        assert kernel.hears() == "answering"


PHASES = ("starting", "loading", "answering")


@pytest.mark.parametrize("attempt", range(full(3, 48)))
def test_a_second_after_the_kernel_was_killed_none_of_its_processes_is_left(
    attempt: int, kernel_of: Callable[..., Kernel], endless: Path, tmp_path: Path
) -> None:
    kernel = kernel_of(endless, "answering")
    reach(kernel, PHASES[attempt % len(PHASES)], random.Random(attempt))
    kernel.die()
    assert live.gone_within(kernel.marker, 1.0), [live.command_line(pid) for pid in live.marked(kernel.marker)]
    assert not list(tmp_path.glob("llama_nb-*")), "its temporary folder is left"


def test_a_child_that_the_kernel_forked_keeps_no_process_of_ours_alive(
    kernel_of: Callable[..., Kernel], endless: Path
) -> None:
    for _ in range(full(1, 5)):
        kernel = kernel_of(endless, "forked")
        assert kernel.hears() == "answering"
        kernel.die()
        live.wait_for(lambda: not kernel.generator(), "the end of the generator", 1.0)  # noqa: B023
        (forked,) = live.marked(kernel.marker)
        os.kill(forked, signal.SIGKILL)


def test_a_forked_child_does_not_make_the_kernel_spin_after_the_generator_is_unloaded(
    kernel_of: Callable[..., Kernel], endless: Path
) -> None:
    assert kernel_of(endless, "unloads").hears() == "busy=False answers=True"


def test_a_forked_child_has_a_generator_of_its_own_and_leaves_its_parents_alone(
    kernel_of: Callable[..., Kernel], endless: Path
) -> None:
    kernel = kernel_of(endless, "child asks")
    assert kernel.hears() == "child=0 same=True cached=True"


WITHOUT_PIDFD = "import os; del os.pidfd_open; from llama_nb.engine.supervisor import main; main()"


@pytest.mark.parametrize("dies", ["kernel", "rank"])
def test_where_there_are_no_pidfds_the_supervisor_looks_for_itself(dies: str, tmp_path: Path) -> None:
    pipe, rank_end = socket.socketpair()
    life, supervisor_end = socket.socketpair()
    arguments = [str(supervisor_end.fileno()), str(rank_end.fileno()), str(os.getpid()), str(tmp_path / "log")]
    supervisor = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_PIDFD, *arguments],
        pass_fds=[supervisor_end.fileno(), rank_end.fileno()],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    with pipe, life:
        supervisor_end.close()
        rank_end.close()
        (rank,) = live.wait_for(lambda: live.children(supervisor.pid), "a rank")
        if dies == "rank":
            os.kill(rank, signal.SIGKILL)
            life.settimeout(live.WAIT_S)
            assert life.recv(4096).decode().startswith(f"rank 0 (pid {rank}) was killed by SIGKILL")
        else:
            life.shutdown(socket.SHUT_RDWR)
        assert supervisor.wait(live.WAIT_S) == 0
        live.wait_for(lambda: not live.alive(rank), "the end of the rank", 1.0)


def test_the_check_sees_a_child_that_nothing_ties_to_the_kernel(kernel_of: Callable[..., Kernel], talker: Path) -> None:
    kernel = kernel_of(talker, "plain child")
    assert kernel.hears() == "answering"
    kernel.die()
    assert not live.gone_within(kernel.marker, 1.0)


def test_interrupts_of_the_kernel_leave_the_generator_alive_and_right(
    kernel_of: Callable[..., Kernel], endless: Path
) -> None:
    wanted = full(10, 100)
    kernel = kernel_of(endless, "interrupted", str(wanted))
    generator: list[int] = []
    while (line := kernel.hears()) == "answering":
        generator = generator or kernel.generator()
        os.killpg(kernel.process.pid, signal.SIGINT)
        assert all(live.alive(pid) for pid in generator)
    assert len(generator) == 2
    # The plain child of the same group is the negative control: the first interrupt was its end.
    assert line == f"counted={wanted} partial=5 same=True plain_child={-signal.SIGINT}"


@pytest.fixture
def chat(endless: Path) -> Iterator[Chat]:
    entry = {"provider_id": "tiny", "provider_type": "meta-reference", "config": {"checkpoint": str(endless)}}
    stack = Stack.from_config({"providers": {"inference": [entry]}})
    yield Chat(stack=stack)
    stack.close()


def engine_of(chat: Chat) -> Engine:
    engine: Engine = chat.stack.models.provider_of(chat.model)._engine  # type: ignore[attr-defined]
    return engine


def error_after(chat: Chat, harm: Callable[[Engine], None]) -> tuple[EngineError, float]:
    """What a reply in mid-answer says when the generator is harmed, and after how many seconds; then asks again."""
    before = len(chat.messages)
    reply = chat.start(QUESTION)
    live.wait_for(lambda: reply.text, "the first words")
    harm(engine_of(chat))
    harmed = time.monotonic()
    with pytest.raises(EngineError) as caught:
        reply.wait()
    waited = time.monotonic() - harmed
    assert len(chat.messages) == before + 2
    assert chat.messages[-1].content == reply.text != "", "the partial answer is kept"
    assert chat.status.phase == "failed"
    again = chat.ask(QUESTION, max_tokens=5)
    assert again.text
    assert chat.messages[-1] is again.message
    return caught.value, waited


def test_a_rank_killed_in_mid_answer_is_an_error_within_a_second_that_names_it(chat: Chat) -> None:
    for _ in range(full(2, 20)):
        ranks: list[int] = []

        def kill(engine: Engine) -> None:
            ranks.append(live.rank_of(engine))  # noqa: B023
            with Path(f"/proc/{ranks[0]}/fd/2").open("ab") as log:  # noqa: B023
                log.write("its last words: ümlaut\n".encode())
            os.kill(ranks[0], signal.SIGKILL)  # noqa: B023

        error, waited = error_after(chat, kill)
        assert f"rank 0 (pid {ranks[0]}) was killed by SIGKILL" in str(error)
        assert "its last words: ümlaut" in str(error)
        assert waited < 1.0


def test_a_rank_that_hangs_is_found_by_its_silence(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WATCH_EVERY_S", 0.1)
    reply = chat.start(QUESTION)
    live.wait_for(lambda: reply.text, "the first words")
    rank = live.rank_of(engine_of(chat))
    os.kill(rank, signal.SIGSTOP)
    monkeypatch.setattr(client, "SILENCE_S", 1.0)
    with pytest.raises(EngineError, match="has said nothing for 1 s"):
        reply.wait()
    monkeypatch.undo()
    live.wait_for(lambda: not live.alive(rank), "the end of the rank", 5.0)
    assert chat.messages[-1].content == reply.text != ""
    assert chat.ask(QUESTION, max_tokens=3).text


def test_a_rank_that_is_only_idle_is_left_in_peace(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the silence watch: it acts only while an answer is owed."""
    looked = threading.Event()
    monkeypatch.setattr(client, "WATCH_EVERY_S", 0.1)
    chat.ask(QUESTION, max_tokens=3)
    monkeypatch.setattr(client, "SILENCE_S", 0.0)
    monkeypatch.setattr(client.asyncio, "sleep", sleep_that_tells(looked))
    assert looked.wait(live.WAIT_S)
    assert live.alive(live.rank_of(engine_of(chat)))
    assert chat.status.phase == "ready"


def sleep_that_tells(looked: threading.Event) -> Callable[[float], Awaitable[None]]:
    """The watch sleeps, looks, and sleeps again: the second sleep tells."""
    sleep = asyncio.sleep

    async def telling(delay: float) -> None:
        looked.set()
        await sleep(delay)

    return telling


def test_when_the_supervisor_is_killed_the_rank_dies_and_the_chat_goes_on(chat: Chat) -> None:
    for _ in range(full(1, 20)):
        ranks: list[int] = []

        def kill(engine: Engine) -> None:
            ranks.append(live.rank_of(engine))  # noqa: B023
            assert engine.pid is not None
            os.kill(engine.pid, signal.SIGKILL)

        error, waited = error_after(chat, kill)
        assert "supervisor is gone" in str(error)
        assert waited < 1.0
        live.wait_for(lambda: not live.alive(ranks[0]), "the end of the rank", 1.0)  # noqa: B023


def test_loading_and_unloading_leaves_nothing_behind(
    talker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    engine = live.engine_of(talker)

    def held() -> tuple[int, list[int], list[str]]:
        return len(os.listdir("/proc/self/fd")), live.children(os.getpid()), os.listdir(tmp_path)

    def once(end: Callable[[], None]) -> None:
        assert live.ask(engine, QUESTION, max_tokens=2).tokens
        assert len(live.children(os.getpid())) == len(before[1]) + 1
        end()
        live.wait_for(lambda: held() == before and not our_tasks(), f"what it held before: {before}", 10.0)

    def kill_rank() -> None:
        os.kill(live.rank_of(engine), signal.SIGKILL)

    others = live.children(os.getpid())  # as multiprocessing's tracker, which stays
    live.ask(engine, QUESTION, max_tokens=2)
    engine.close()
    live.wait_for(lambda: set(live.children(os.getpid())) <= set(others), "the end of the first supervisor")
    gc.collect()
    before = held()
    for number in range(full(2, 100)):
        once(kill_rank if number % 2 else engine.close)


def our_tasks() -> list[str]:
    async def names() -> list[str]:
        tasks = [str(task.get_coro()) for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        return [name for name in tasks if "_Process" in name]

    return loop.run(names())
