"""One turn: the question, the model's messages, its tool calls, their results, until an answer calls nothing more.

Runs in llama_nb's thread. Whatever ends it, no call that it was to run is left without a result in the history.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from llama_nb.apis.inference import (
    ChatCompletionResponseEvent,
    ChatCompletionResponseStreamChunk,
    Inference,
    TokenCount,
)
from llama_nb.apis.messages import CompletionMessage, Message, ToolCall, ToolChoice
from llama_nb.history import History, newest_that_fit
from llama_nb.question import Question
from llama_nb.reply import ChatEvent, Reply
from llama_nb.round import Round
from llama_nb.tool_calls import ToolCalls

COUNT_S = 2.0  # how long the end of a turn may wait to learn how much of the context is used


@dataclass
class Turn:
    """What one turn works with. `tell` hears all its events, `emit` those of the model alone."""

    reply: Reply
    question: Question
    model: str
    inference: Inference
    calls: ToolCalls
    history: History
    tell: Callable[[ChatEvent], None]
    emit: Callable[[ChatCompletionResponseEvent], None]
    max_rounds: int = 10
    drop_oldest: bool = False
    tool_prompt_format: Any = None
    left_out: int = 0  # turns that no longer fit the context

    async def run(self) -> None:
        """Adds the question and its answer to the history, message by message.

        When the question fails before the answer's first word, the history is as it was before.
        """
        gone = self.history.ask(self.question.message, self.question.instead_of)
        if self.question.instead_of is not None:
            self.tell(ChatEvent("reset"))
        try:
            await self._answer()
        finally:
            if not self.reply.messages:
                self.history.take_back(self.question.message, gone)
            if not self.reply.messages and gone:
                self.tell(ChatEvent("reset"))

    async def _answer(self) -> None:
        try:
            await self._rounds()
            await self._other_choices()
        except asyncio.CancelledError:
            self.reply.stopped = True
            raise
        finally:
            self.calls.leave_none_open()
        self._parse()

    async def _rounds(self) -> None:
        for number in range(self.max_rounds + 1):
            calls = self.calls.to_run(await self._ask_model(number))
            if not calls:
                return
            if number == self.max_rounds:
                self._refuse_more(calls)
                return
            for call in calls:
                await self.calls.run(call)

    def _refuse_more(self, calls: list[ToolCall]) -> None:
        rounds = f"{self.max_rounds} rounds of tool calls"
        self.calls.refuse(calls, f"not run: this turn has had its {rounds}")
        self._note(f"the turn ended after {rounds} (max_rounds), without the model's last word")

    # --- The model --------------------------------------------------------------------------------------------------

    async def _ask_model(self, number: int) -> CompletionMessage | None:
        """The model's next message; None when it had nothing to say, not even that it had ended."""
        messages = await self._messages()
        answer = self.reply._next_round()
        try:
            await self._grow(answer, self._request(number, messages))
        except asyncio.CancelledError:
            self.reply.stopped = True
            raise
        finally:  # a partial answer stays
            message = self._close(answer)
        return message

    def _close(self, answer: Round) -> CompletionMessage | None:
        if not (answer.stop_reason or self.reply.stopped) and answer.empty:
            return None
        message = self.reply._close_round()
        self.history.add(self.question.message, message)
        return message

    async def _grow(self, answer: Round, chunks: AsyncIterator[ChatCompletionResponseStreamChunk]) -> None:
        async with contextlib.aclosing(chunks):  # type: ignore[type-var]
            async for chunk in chunks:
                answer.take(chunk)
                self.tell(ChatEvent("progress", self.reply, chunk.event))
                self.emit(chunk.event)
        self.reply._require_to_go_on()

    def _request(self, number: int, messages: list[Message], seed: int | None = None) -> Any:
        """Asks the model. What is not asked for is not given, so that simple providers need not know of it."""
        question = self.question
        params = question.params if seed is None else question.params.model_copy(update={"seed": seed})
        # A forced call is forced once: its result is what the rest of the answer is about.
        choice = question.tool_choice if number == 0 or question.tool_choice is ToolChoice.none else ToolChoice.auto
        forced = choice is not ToolChoice.auto and not question.response_format
        ours = {
            "tool_prompt_format": self.tool_prompt_format,
            "tool_choice": choice if forced else None,
            "response_format": question.response_format,
            "prefill": question.prefill if number == 0 else None,
        }
        return self.inference.chat_completion(
            model=self.model,
            messages=messages,
            sampling_params=params,
            tools=self._definitions(),
            stream=True,
            logprobs=question.logprobs,
            **{name: value for name, value in ours.items() if value},
        )

    def _definitions(self) -> list[Any]:
        """What is offered: nothing when the answer has a form, which no call could have."""
        return [] if self.question.response_format else [tool.definition for tool in self.calls.tools.values()]

    async def _messages(self) -> list[Message]:
        """What is sent: all, or the newest turns that leave room for an answer."""
        messages = list(self.history.messages)
        if not self.drop_oldest:
            return messages
        try:
            kept, turns, count = await newest_that_fit(messages, self._fits)
        except (AttributeError, NotImplementedError):  # this provider cannot count: it says itself when it is too much
            return messages
        if turns > self.left_out:
            self.left_out = turns
            self._note(
                f"the conversation no longer fits the model's context: its oldest {turns} "
                f"{'turn was' if turns == 1 else 'turns were'} left out ({count} messages)"
            )
        return kept

    async def _fits(self, messages: list[Message]) -> bool:
        """Whether these leave room for the answer: `max_tokens`, or an eighth of the context; half of it at most."""
        count = await self._count(messages)
        room = min(self.question.params.max_tokens or count.max_seq_len // 8, count.max_seq_len // 2)
        return count.prompt_tokens + room <= count.max_seq_len

    async def context_use(self, limits: dict[str, int]) -> TokenCount | None:
        """How much of the context the conversation takes now; `limits` are those of the models that were asked.

        From the answer's own figures where it has them. None where the provider cannot tell.
        """
        usage = self.reply._rounds[-1].usage
        try:
            if usage is None or self.model not in limits:
                count = await asyncio.wait_for(self._count(list(self.history.messages)), COUNT_S)
                limits[self.model] = count.max_seq_len
        except Exception:  # the answer is none the worse
            return None
        if usage is None:
            return count
        return TokenCount(prompt_tokens=usage.prompt_tokens + usage.completion_tokens, max_seq_len=limits[self.model])

    async def _count(self, messages: list[Message]) -> TokenCount:
        return await self.inference.count_tokens(
            self.model, messages, self._definitions(), tool_prompt_format=self.tool_prompt_format
        )

    async def _other_choices(self) -> None:
        """Answers the same once more, with other seeds, for `n` > 1. What these call is not run."""
        last = self.reply.message
        if self.question.n == 1 or last is None:
            return
        number = sum(isinstance(message, CompletionMessage) for message in self.reply.messages) - 1
        messages = await self._messages()
        if messages and messages[-1] is last:
            messages.pop()
        seed = self.question.params.seed
        others = [
            asyncio.ensure_future(_whole(self._request(number, list(messages), None if seed is None else seed + other)))
            for other in range(1, self.question.n)
        ]
        try:
            await asyncio.gather(*others)
        finally:
            for task in others:
                task.cancel()
            whole = [task for task in others if task.done() and not task.cancelled() and not task.exception()]
            self.reply._others = [task.result() for task in whole]

    def _parse(self) -> None:
        form, message = self.question.form, self.reply.message
        if form is not None and message is not None:
            usage = self.reply.usage
            tokens = usage.completion_tokens if usage else None
            self.reply.parsed = form.read(str(message.content), message.stop_reason, tokens)

    def _note(self, text: str) -> None:
        """Tells the user something."""
        self.reply.notices.append(text)
        self.tell(ChatEvent("notice", self.reply, text=text))


async def _whole(chunks: AsyncIterator[ChatCompletionResponseStreamChunk]) -> Round:
    answer = Round()
    async with contextlib.aclosing(chunks):  # type: ignore[type-var]
        async for chunk in chunks:
            answer.take(chunk)
    return answer
