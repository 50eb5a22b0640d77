"""Who runs in the next step. Knows the requests and their phases; knows nothing of tensors.

Requests begin in the order in which they came, as many at once as there are rows and memory for. In every step all
that are being answered go on by a token, and beside them one of those that are still reading reads a chunk.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from llama_nb.engine.protocol import Done, Embed, Event, Piece, Submit
from llama_nb.prompt_format.detokenize import Detokenizer, Text
from llama_nb.prompt_format.encode import Answer

if TYPE_CHECKING:
    from llama_nb.engine.embeddings import Batch
    from llama_nb.engine.grammar import Constraint, Opening
    from llama_nb.engine.lookup import Lookup
    from llama_nb.engine.sampling import Sampler
    from llama_nb.engine.slots import Slot

EXPECTED_ANSWER = 1024  # tokens, for which there is to be memory when a request begins; most answers are shorter


@dataclass(eq=False)
class Sequence:
    """One request on its way: its prompt, how much of it is read, and what was generated.

    `forced` tokens come next, but are not part of the answer until their log-probabilities are known. Times are
    seconds of the monotonic clock.
    """

    request: Submit
    prompt: list[int]
    room: int  # the most tokens that may be generated
    detokenizer: Detokenizer
    constraint: Constraint | None = None  # what holds the answer to its grammar
    opening: Opening | None = None  # what sees whether the answer begins a call
    answer: Answer = field(default_factory=Answer)
    logprobs: deque[dict[str, float]] = field(default_factory=deque)  # of tokens that are not in a piece yet
    slot: Slot | None = None  # since its first step
    sampler: Sampler | None = None
    lookup: Lookup | None = None
    cached: int = 0
    generated: list[int] = field(default_factory=list)
    forced: list[int] = field(default_factory=list)
    submitted: float = field(default_factory=time.monotonic)
    begun: float | None = None
    first_token: float | None = None
    position: int = 0  # in the queue, as it was told
    turn: int = 0  # when it last read a chunk

    @property
    def read(self) -> int:
        """How many tokens of prompt and answer the cache holds."""
        return len(self.slot.tokens) if self.slot is not None else 0

    @property
    def in_prefill(self) -> bool:
        return self.read < len(self.prompt)

    @property
    def expected_tokens(self) -> int:
        return len(self.prompt) + min(self.room, EXPECTED_ANSWER)

    def unread(self, limit: int) -> list[int]:
        """The next tokens to be read, at most `limit`, from the prompt or from what follows it."""
        behind = self.read - len(self.prompt)
        if behind < 0:
            return self.prompt[self.read : self.read + limit]
        if not self.forced:
            return self.generated[behind : behind + limit]
        return (self.generated + self.forced)[behind : behind + limit]

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
    position: int = 0
    turn: int = 0

    @property
    def expected_tokens(self) -> int:
        return max(map(len, self.texts))

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


class Step(NamedTuple):
    """Who runs in one step: the sequences, and beside them perhaps some texts."""

    sequences: list[Sequence]
    texts: Texts | None = None


class Scheduler:
    """At most `rows` requests run at once, and as many as may come to have `tokens` in all; one always may."""

    def __init__(self, rows: int, tokens: int) -> None:
        self._rows = rows
        self._tokens = tokens
        self._waiting: deque[Work] = deque()
        self._running: list[Work] = []
        self._clock = count(1)

    @property
    def idle(self) -> bool:
        return not self._running and not self._waiting

    def add(self, work: Work) -> None:
        self._waiting.append(work)

    def next(self) -> Step:
        """Who takes part in the next step: all that are being answered, and one of those that read, in turn."""
        self._admit()
        answered = [work for work in self._running if isinstance(work, Sequence) and not work.in_prefill]
        readers = [work for work in self._running if isinstance(work, Texts) or work.in_prefill]
        if not readers:
            return Step(answered)
        reader = min(readers, key=lambda work: work.turn)
        reader.turn = next(self._clock)
        return Step(answered, reader) if isinstance(reader, Texts) else Step([*answered, reader])

    def moved(self) -> list[Work]:
        """Those who wait at another `position` than when this was last asked."""
        moved = []
        for position, work in enumerate(self._waiting, 1):
            if work.position != position:
                work.position = position
                moved.append(work)
        return moved

    def find(self, request_id: int) -> Work | None:
        everyone = [*self._running, *self._waiting]
        return next((one for one in everyone if one.request.id == request_id), None)

    def remove(self, work: Work) -> None:
        """Forgets `work`, wherever it stands."""
        (self._running if work in self._running else self._waiting).remove(work)

    def _admit(self) -> None:
        while self._waiting and self._has_place_for(self._waiting[0]):
            work = self._waiting.popleft()
            work.begun = time.monotonic()
            work.turn = next(self._clock)  # behind those who read already
            self._running.append(work)

    def _has_place_for(self, work: Work) -> bool:
        if not self._running:
            return True
        taken = sum(one.expected_tokens for one in self._running)
        return len(self._running) < self._rows and taken + work.expected_tokens <= self._tokens
