"""Small stacks for tests: written answers, faults, tiny checkpoints; and waiting for what is sure to come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llama_nb import stack as stacks
from llama_nb.chat import Chat, ChatEvent, Reply

WAIT_S = 120.0  # for what is sure to come: the machine may be busy
LONG = " ".join(f"word{number}" for number in range(2_000))

stacks.PROVIDER_TYPES["inference"].setdefault("faulty", "tests.faulty")
stacks.PROVIDER_TYPES["inference"].setdefault("written", "tests.written")


def entry(provider_type: str, provider_id: str | None = None, **config: Any) -> dict[str, Any]:
    return {"provider_id": provider_id or provider_type, "provider_type": provider_type, "config": config}


def config_of(*entries: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"providers": {"inference": list(entries)}, **keys}


def scripted_config(*answers: str, delay_s: float = 0.0) -> dict[str, Any]:
    return config_of(entry("scripted", answers=list(answers), delay_s=delay_s))


def stack_of(*entries: dict[str, Any], **keys: Any) -> stacks.Stack:
    return stacks.Stack.from_config(config_of(*entries, **keys))


def scripted_chat(*answers: str, delay_s: float = 0.0, **chat: Any) -> Chat:
    return Chat(stack=stacks.Stack.from_config(scripted_config(*answers, delay_s=delay_s)), **chat)


def written_chat(*answers: Any, provider: dict[str, Any] | None = None, **chat: Any) -> Chat:
    """A chat with `tests.written`: each answer a text, or a list of texts and calls."""
    return Chat(stack=stack_of(entry("written", answers=list(answers), **(provider or {}))), **chat)


def calling(tool_name: str, **arguments: Any) -> dict[str, Any]:
    """A call in a written answer."""
    return {"tool_name": tool_name, "arguments": arguments}


def provider_of(chat: Chat) -> Any:
    """The live provider behind a chat, to look into."""
    return chat.stack.models.provider_of(chat.model)


def checkpoint_config(folder: Path, **config: Any) -> dict[str, Any]:
    return config_of(entry("meta-reference", checkpoint=str(folder), device="cpu", **config))


@contextmanager
def heard(chat: Chat, kind: str, wanted: Callable[[ChatEvent], bool] = lambda event: True) -> Iterator[threading.Event]:
    """An event that is set once `chat` tells of such an event."""
    happened = threading.Event()

    def listen(event: ChatEvent) -> None:
        if event.kind == kind and wanted(event):
            happened.set()

    unlisten = chat.listen(listen)
    try:
        yield happened
    finally:
        unlisten()


def begun(chat: Chat, question: str, **options: Any) -> Reply:
    """An answer of which some text has come."""
    with heard(chat, "progress", lambda event: bool(event.reply and event.reply.text)) as spoke:
        reply = chat.start(question, **options)
        assert spoke.wait(WAIT_S), "no text came"
    return reply


def ended(reply: Reply) -> Reply:
    assert reply._ended.wait(WAIT_S), "the answer did not end"
    return reply
