"""What was said: the messages of one conversation, its turns, and what of them fits into the model's context.

Knows messages; knows nothing of who answers.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from llama_nb.apis.messages import CompletionMessage, Message, SystemMessage, ToolResponseMessage, UserMessage
from llama_nb.errors import BadRequest

Turn = list[Message]
KINDS = (SystemMessage, UserMessage, CompletionMessage, ToolResponseMessage)


class History:
    """The messages, in order. A turn adds to them only as long as its question stands among them."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.lock = threading.RLock()  # between the turn that adds and the user who clears or sets

    @property
    def system(self) -> str | None:
        first = self.messages[0] if self.messages else None
        return str(first.content) if isinstance(first, SystemMessage) else None

    @system.setter
    def system(self, text: str | None) -> None:
        with self.lock:
            rest = self.messages[1:] if self.system is not None else self.messages
            self.messages[:] = rest if text is None else [SystemMessage(content=text), *rest]

    def clear(self) -> None:
        """Forgets all but the system message."""
        with self.lock:
            system = self.system
            self.messages.clear()
            self.system = system

    def ask(self, question: UserMessage, instead_of: UserMessage | None) -> list[Message]:
        """Adds a question; in the place of another one, all that came after it goes. Gives what went."""
        with self.lock:
            at = self._index(instead_of)
            gone = self.messages[at:]
            self.messages[at:] = [question]
            return gone

    def take_back(self, question: UserMessage, gone: list[Message]) -> None:
        """Makes a question that nothing followed unasked."""
        with self.lock:
            if self.messages and self.messages[-1] is question:
                self.messages[-1:] = gone

    def add(self, question: UserMessage, message: Message) -> None:
        """Adds a message of that question's turn; of one that was cleared away meanwhile, nothing."""
        with self.lock:
            if any(known is question for known in self.messages):
                self.messages.append(message)

    def _index(self, question: UserMessage | None) -> int:
        """Where the question stands; the end, when it no longer does."""
        places = (index for index, message in enumerate(self.messages) if message is question)
        return next(places, len(self.messages))


def all_messages(given: Iterable[Any]) -> list[Message]:
    """`given` as a list, when each of it is a message.

    Raises:
        BadRequest: one of them is none.
    """
    messages = list(given)
    for index, message in enumerate(messages):
        if not isinstance(message, KINDS):
            raise BadRequest(
                f"messages[{index}] is {message!r:.80}; give a UserMessage, CompletionMessage, ToolResponseMessage or "
                "SystemMessage of llama_nb.apis.messages."
            )
    return messages


def turns_of(messages: Sequence[Message]) -> list[Turn]:
    """The turns: each begins with a question. What stands before the first question belongs to none.

    >>> from llama_nb.apis.messages import ToolResponseMessage
    >>> said = [SystemMessage(content="s"), UserMessage(content="a"), UserMessage(content="b")]
    >>> [len(turn) for turn in turns_of(said)]
    [1, 1]
    """
    turns: list[Turn] = []
    for message in messages:
        if isinstance(message, UserMessage):
            turns.append([])
        if turns:
            turns[-1].append(message)
    return turns


async def newest_that_fit(
    messages: Sequence[Message], fits: Callable[[list[Message]], Awaitable[bool]]
) -> tuple[list[Message], int, int]:
    """As many whole turns as fit, the newest; and how many turns and messages were left out.

    The system message and the last turn always stay; what stands before the first question goes with the first turn.
    """
    turns = turns_of(messages)
    system = [message for message in messages[:1] if isinstance(message, SystemMessage)]

    def without(oldest: int) -> list[Message]:
        return [*system, *(message for turn in turns[oldest:] for message in turn)] if oldest else list(messages)

    fewest, most = 0, max(len(turns) - 1, 0)
    if not most or await fits(without(0)):
        most = 0
    while fewest < most:  # `most` is always enough, or all there is
        middle = (fewest + most) // 2
        if await fits(without(middle)):
            most = middle
        else:
            fewest = middle + 1
    kept = without(most)
    return kept, most, len(messages) - len(kept)
