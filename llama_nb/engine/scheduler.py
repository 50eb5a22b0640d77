"""Who runs in the next step. Knows the requests and their phases; knows nothing of tensors.

One request runs at a time, the others wait in the order in which they came.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llama_nb.engine.protocol import Done, Embed, Event, Piece, Submit
from llama_nb.prompt_format.detokenize import Detokenizer, Text
from llama_nb.prompt_format.encode import Answer

if TYPE_CHECKING:
    from llama_nb.engine.embeddings import Batch
    from llama_nb.engine.grammar import Constraint, Opening


@dataclass(eq=False)
class Sequence:
    """One request on its way: its prompt, how much of it is read, and what was generated.

    Times are seconds of the monotonic clock.
    """

    request: Submit
    prompt: list[int]
    room: int  # the most tokens that may be generated
    detokenizer: Detokenizer
    constraint: Constraint | None = None  # what holds the answer to its grammar
    opening: Opening | None = None  # what sees whether the answer begins a call
    answer: Answer = field(default_factory=Answer)
    logprobs: deque[dict[str, float]] = field(default_factory=deque)  # of tokens that are not in a piece yet
    cached: int = 0
    read: int = 0
    generated: list[int] = field(default_factory=list)
    submitted: float = field(default_factory=time.monotonic)
    begun: float | None = None
    first_token: float | None = None

    @property
    def in_prefill(self) -> bool:
        return self.read < len(self.prompt)

    def note_logprobs(self, logprobs: dict[str, float] | None) -> None:
        if logprobs is not None:
            self.logprobs.append(logprobs)

    def pieces(self, texts: list[Text]) -> list[Event]:
        """The events for texts that became certain; they join the answer."""
        events: list[Event] = []
        for tokens, text in texts:
            self.answer.append(tokens, text)
            logprobs = [self.logprobs.popleft() for _ in tokens] if self.logprobs else None
            events.append(Piece(self.request.id, tokens, text, logprobs))
        return events

    def done(self, stop_reason: str) -> Done:
        """The final event, with the times up to now."""
        now = time.monotonic()
        first = self.first_token or now
        decoded = len(self.generated) - 1
        return Done(
            id=self.request.id,
            stop_reason=stop_reason,
            prompt_tokens=len(self.prompt),
            cached_tokens=self.cached,
            completion_tokens=len(self.generated),
            queue_s=(self.begun or now) - self.submitted,
            time_to_first_token_s=first - self.submitted,
            tokens_per_s=decoded / (now - first) if decoded > 0 and now > first else 0.0,
        )


@dataclass(eq=False)
class Texts:
    """One request for vectors: the tokens of its texts, the places of those that wait, and those that are read now."""

    request: Embed
    texts: list[list[int]]
    waiting: list[int]
    batch: Batch | None = None
    submitted: float = field(default_factory=time.monotonic)
    begun: float | None = None

    def done(self, stop_reason: str) -> Done:
        now = time.monotonic()
        return Done(
            id=self.request.id,
            stop_reason=stop_reason,
            prompt_tokens=sum(map(len, self.texts)),
            cached_tokens=0,
            completion_tokens=0,
            queue_s=(self.begun or now) - self.submitted,
            time_to_first_token_s=now - self.submitted,
            tokens_per_s=0.0,
        )


Work = Sequence | Texts


class Scheduler:
    def __init__(self) -> None:
        self._waiting: deque[Work] = deque()
        self._running: Work | None = None

    @property
    def idle(self) -> bool:
        return self._running is None and not self._waiting

    def add(self, work: Work) -> None:
        self._waiting.append(work)

    def next(self) -> Work:
        """Who takes the next step; it runs on until it is removed."""
        if self._running is None:
            self._running = self._waiting.popleft()
            self._running.begun = time.monotonic()
        return self._running

    def find(self, request_id: int) -> Work | None:
        everyone = [self._running, *self._waiting]
        return next((one for one in everyone if one is not None and one.request.id == request_id), None)

    def remove(self, work: Work) -> None:
        """Forgets `work`, wherever it stands."""
        if work is self._running:
            self._running = None
        else:
            self._waiting.remove(work)
