"""Which tokens may come next in an answer that is held to a grammar, by llguidance.

Knows the vocabulary and the tokens so far; knows nothing of the model. Control tokens stand in llguidance's vocabulary
apart from all text, so no grammar of text lets one pass, and a grammar names one as `<|python_tag|>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from llama_nb.engine.sampling import Mask
from llama_nb.errors import BadRequest, EngineError
from llama_nb.prompt_format.grammar import Grammar, Guide, compiled

if TYPE_CHECKING:
    from llama_models.llama3.tokenizer import Tokenizer
    from llguidance import LLMatcher, LLTokenizer

FEW_WORDS = 256  # of the mask, that have a bit set: their tokens are listed


class Vocabulary:
    """A tokenizer as llguidance needs it: built by the first grammar, since that takes up to half a second."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @property
    def size(self) -> int:
        return int(self._tokenizer.n_words)

    @cached_property
    def ends(self) -> list[int]:
        """The tokens that end any answer: of a turn first, then of a text."""
        return [self._tokenizer.eot_id, self._tokenizer.eos_id]

    @property
    def stops(self) -> list[int]:
        return [*self.ends, self._tokenizer.eom_id]

    @cached_property
    def _tokens(self) -> LLTokenizer:
        from llguidance.tiktoken import lltokenizer_from_encoding

        return lltokenizer_from_encoding(self._tokenizer.model, n_vocab=self.size, eos_token=self.ends)

    def constraint(self, grammar: Grammar, prefill: Sequence[int] = (), *, of_text: bool = False) -> Constraint:
        """What holds one answer to `grammar`.

        Args:
            prefill: the tokens that the answer begins with.
            of_text: the answer goes on with a text, and ends as texts do, not as turns.

        Raises:
            BadRequest: the grammar cannot be kept to, or `prefill` does not.
        """
        from llguidance import LLMatcher, LLParserLimits

        try:
            # An error that is told verbosely repeats the whole grammar.
            limits = LLParserLimits(verbose_errors=False)
            matcher = LLMatcher(self._tokens, compiled(grammar), log_level=0, limits=limits)
        except ValueError as error:
            raise BadRequest(f"The answer cannot be held to this grammar: {error}") from error
        if matcher.is_error():
            raise BadRequest(f"The answer cannot be held to this grammar: {matcher.get_error().strip()}")
        fitting = matcher.try_consume_tokens(list(prefill))
        if fitting < len(prefill):
            wrong = self._tokenizer.decode(list(prefill[fitting:]))
            raise BadRequest(f"The prefill does not fit the form that the answer is to have, from {wrong!r} on.")
        return Constraint(matcher, self, self.ends[1] if of_text else self.ends[0])


class Opening:
    """Watches how an answer begins: one that begins a call is held to the grammar of calls from there on."""

    def __init__(self, guide: Guide, vocabulary: Vocabulary, tokenizer: Tokenizer) -> None:
        self._guide, self._vocabulary, self._tokenizer = guide, vocabulary, tokenizer
        self._longest = max(map(len, guide.openings), default=0)

    def constraint(self, generated: list[int]) -> Constraint | None:
        """What holds the rest of an answer that began with `generated`; None while that begins no call."""
        if generated[-1] == self._tokenizer.python_tag_id:
            return self._held([self._tokenizer.python_tag_id])
        if len(generated) > self._longest:  # a token is at least a letter
            return None
        begun = self._tokenizer.decode(generated)
        if any(begun.startswith(opening) for opening in self._guide.openings):
            return self._held(generated)
        return None

    def _held(self, begun: list[int]) -> Constraint | None:
        try:
            return self._vocabulary.constraint(self._guide.grammar, begun)
        except BadRequest:  # the call of a tool that is not offered: the reader says so
            return None


class Constraint:
    """How far one answer has come in its grammar.

    `forced` what must come, and where nothing must, choose one that `mask` allows and `take` it.
    """

    def __init__(self, matcher: LLMatcher, vocabulary: Vocabulary, end: int) -> None:
        self._matcher = matcher
        self._stops = vocabulary.stops
        self._end = end
        self._ended = False
        self._words = np.zeros((vocabulary.size + 31) // 32, dtype=np.uint32)
        self._room = np.empty((4 * len(self._words), 8), dtype=np.float32)

    @property
    def ended(self) -> bool:
        """Whether the last token that was taken is the last of the answer."""
        return self._ended

    def mask(self) -> Mask:
        """The tokens that may come next."""
        self._matcher.unsafe_compute_mask_ptr(self._words.ctypes.data, self._words.nbytes)
        self._require_sound()
        filled = np.flatnonzero(self._words)
        if len(filled) > FEW_WORDS:
            return Mask(octets=self._words.view(np.uint8), room=self._room)
        bits = np.flatnonzero(np.unpackbits(self._words[filled].view(np.uint8), bitorder="little"))
        return Mask(ids=filled[bits >> 5] * 32 + (bits & 31))

    def take(self, token: int) -> None:
        """`token` was chosen."""
        self._consume([token])

    def forced(self) -> list[int]:
        """The tokens that can only come now, up to the end if that is one of them; they count as taken."""
        tokens: list[int] = []
        while not self._ended:
            if self._matcher.is_stopped():
                self._require_sound()
                tokens.append(self._end)
                self._ended = True
            elif more := self._matcher.compute_ff_tokens():
                self._consume(more)
                tokens += more
            else:
                break
        return tokens

    def _consume(self, tokens: list[int]) -> None:
        self._ended = tokens[-1] in self._stops
        if self._ended and self._matcher.is_stopped():
            return  # nothing else could have come, so it is not asked for
        if not self._matcher.consume_tokens(tokens):
            self._require_sound()

    def _require_sound(self) -> None:
        if not self._matcher.is_error():
            return
        why = self._matcher.get_error().strip()
        if why.startswith("NoExtensionBias"):  # its words for: no token may come, and this is no end
            raise BadRequest(
                "The answer came to where its grammar allows nothing more and no end, as where a rule or a `$ref` "
                "leads only to itself. Give it a way to an end."
            )
        raise EngineError(f"The answer could not be held to its grammar: {why}")
