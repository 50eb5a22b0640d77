"""One conversation: its messages, its turns, and who listens. Magics, panel and code share it.

Turns run one after the other in llama_nb's event loop, the only writer of an answer's messages. A question whose
answer fails before its first word leaves no trace there; a partial answer stays, and is marked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal, TypeVar

from llama_nb import export, loop
from llama_nb import stack as stacks
from llama_nb.apis.inference import ChatCompletionResponseEvent, TokenCount
from llama_nb.apis.messages import (
    Message,
    SamplingParams,
    ToolChoice,
    ToolPromptFormat,
    UserMessage,
    interleaved_text_media_as_str,
)
from llama_nb.approval import Approvals
from llama_nb.engine.client import Status
from llama_nb.errors import BadRequest, EngineError, LlamaError, ModelNotFound, did_you_mean
from llama_nb.history import History, all_messages, turns_of
from llama_nb.question import OPTIONS as OPTIONS
from llama_nb.question import Question, count_of, message_of, one_of, tool_format_of, understood
from llama_nb.reply import SLICE_S
from llama_nb.reply import ChatEvent as ChatEvent
from llama_nb.reply import Part as Part
from llama_nb.reply import Reply as Reply
from llama_nb.reply import reply_markdown as reply_markdown
from llama_nb.tool_calls import ToolCalls, by_name
from llama_nb.tools.definition import Approval, Tool, as_tool
from llama_nb.tools.events import Decision, ToolEvent
from llama_nb.turn import Turn

log = logging.getLogger("llama_nb")
T = TypeVar("T")

_chats: weakref.WeakSet[Chat] = weakref.WeakSet()

Listener = Callable[[ChatEvent], None]
Emit = Callable[[ChatCompletionResponseEvent | None], None]


class Chat:
    """A conversation with one model.

    Args:
        model: a name that the stack serves, or a checkpoint folder; the stack's default when None.
        system: the system message.
        tools: offered with each question: functions, `Tool`s and lists of them, names of built-in tools. The model's
            calls are approved, run one after the other, and answered, until it calls nothing more. A bare
            `ToolDefinition` cannot be run: an answer that calls one ends the turn, and none of its calls is run.
        sampling_params: the default for each question.
        stack: the one of `configure`, or the config that is found, when None.
        approval: "ask", "allow" or "deny" for every tool; each tool's own when None.
        max_rounds: how many times in one turn the model's calls are run.
        context: what happens when the conversation no longer fits the model: "error", or "drop_oldest", which sends
            the newest turns only, and says what it left out; `messages` keep all.
        tool_prompt_format: how tools are offered and called; the default of the model's family when None.
        tool_choice: "auto", "none", "required" or the name of a tool, for the model's first message of each turn.

    >>> scripted = {"provider_id": "s", "provider_type": "scripted", "config": {"answers": ["Hello!"]}}
    >>> chat = Chat(stack=stacks.Stack.from_config({"providers": {"inference": [scripted]}}))
    >>> str(chat.ask("Say hello.", temperature=0.7, seed=1))
    'Hello!'

    `ask`, `stream` and `start`, and the `_async` siblings, take temperature, top_p, top_k, max_tokens, seed, stop (a
    list of strings), repetition_penalty and logprobs (True, or how many alternatives); `schema` (a Pydantic model,
    dataclass, TypedDict or JSON schema: the answer's value is `reply.parsed`) or `response_format`; `tool_choice`;
    `prefill` (how the answer begins); and `n` (so many answers, `reply.choices`, each with a seed of its own where one
    is given; the first one is streamed and goes into `messages`). An answer with a form calls no tool.

    A call that is to be asked about waits in `pending` until a page, `decide`, or somebody at the prompt decides: `ask`
    and `stream` in the main thread ask there. When nobody can decide, it is denied after a moment: who will decide from
    code holds `watch()`.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        system: str | None = None,
        tools: Iterable[Any] = (),
        sampling_params: SamplingParams | None = None,
        stack: stacks.Stack | None = None,
        approval: Approval | None = None,
        max_rounds: int = 10,
        context: Literal["error", "drop_oldest"] = "error",
        tool_prompt_format: ToolPromptFormat | str | None = None,
        tool_choice: ToolChoice | str = "auto",
    ) -> None:
        self.stack = stack or stacks.current()
        self.model = self.stack.resolve(model or os.environ.get("LLAMA_NB_MODEL"))
        self.tools = tools
        self.sampling_params = sampling_params or SamplingParams()
        self.max_rounds = count_of("max_rounds", max_rounds, least=0)
        self.context = one_of("context", context, ("error", "drop_oldest"))
        self.tool_prompt_format = tool_format_of(tool_prompt_format)
        self.tool_choice = tool_choice
        self.context_use: TokenCount | None = None
        self._approvals = Approvals(approval)
        self._history = History()
        self._limits: dict[str, int] = {}  # max_seq_len of each model that was asked
        if system is not None:
            self.system = system
        self._listeners: list[Listener] = []
        self._replies: list[Reply] = []  # those that have not ended
        self._order = asyncio.Lock()
        _chats.add(self)

    # --- What it is ---------------------------------------------------------------------------------------------------

    @property
    def messages(self) -> list[Message]:
        """All that was said, tool results included."""
        return self._history.messages

    @messages.setter
    def messages(self, messages: Iterable[Message]) -> None:
        self._history.messages[:] = all_messages(messages)

    @property
    def turns(self) -> list[list[Message]]:
        """The messages of each turn; each begins with its question. `edit` and `regenerate` count them."""
        return turns_of(list(self.messages))

    @property
    def system(self) -> str | None:
        """The system message's text; setting it holds from the next question on."""
        return self._history.system

    @system.setter
    def system(self, text: str | None) -> None:
        self._history.system = text

    @property
    def tools(self) -> list[Tool]:
        """What is offered from the next question on."""
        return self._tools

    @tools.setter
    def tools(self, tools: Iterable[Any]) -> None:
        self._tools = list(by_name(tools).values())

    def register_tool(self, tool: Any) -> Tool:
        """Offers a function (or what else is a tool) from the next question on; one of the same name is replaced."""
        made = as_tool(tool)
        name = made.definition.tool_name
        self.tools = [*(known for known in self.tools if known.definition.tool_name != name), made]
        return made

    @property
    def under_way(self) -> list[Reply]:
        """The replies that have not ended: the one being answered first, then those that wait."""
        return list(self._replies)

    @property
    def status(self) -> Status:
        """How the model is: idle, loading (with a fraction), ready or failed."""
        return self.stack.status(self.model)

    def count_tokens(self, prompt: str = "") -> TokenCount:
        """How long the prompt would be if `prompt` were asked now, and how long prompt and answer may be together."""
        said = list(self.messages)
        asked = [UserMessage(content=prompt)] if prompt or not said else []  # no provider counts nothing at all
        return loop.run(self._count([*said, *asked]))

    # --- Asking -------------------------------------------------------------------------------------------------------

    def ask(self, prompt: str, **options: Any) -> Reply:
        """Asks, and blocks until the answer is complete.

        Raises:
            KeyboardInterrupt: ■ was pressed; the answer is stopped, and what had come stays in `messages`.
            LlamaError: the answer failed; AnswerInvalid: it is not what `schema` asks for, or was cut off before.
        """
        return self.start(prompt, **options).wait()

    async def ask_async(self, prompt: str, **options: Any) -> Reply:
        """As `ask`, in any event loop; cancelling the call stops the answer. Nobody is asked at a prompt."""
        reply = self.start(prompt, **options)
        assert reply._future is not None, "it was started"
        try:
            await asyncio.shield(asyncio.wrap_future(reply._future))
        except asyncio.CancelledError:
            reply.stop()
            raise
        if reply.error is not None:
            raise reply.error
        return reply

    def stream(self, prompt: str, **options: Any) -> Iterator[ChatCompletionResponseEvent]:
        """Asks, and gives the events of the answer as they come, from `start` to `complete` for each of the model's
        messages; leaving the loop stops the answer."""
        if loop.is_current():
            raise RuntimeError("this would wait for llama_nb's event loop from inside of it; use stream_async there")
        events: SimpleQueue[ChatCompletionResponseEvent | None] = SimpleQueue()
        reply = self._start(prompt, options, events.put)
        leave = reply._stay_at_prompt()  # also while the caller is busy with an event
        try:
            while (event := _next(events, reply._ask_at_prompt)) is not None:
                yield event
        finally:
            leave()
            reply.stop()
        if reply.error is not None:
            raise reply.error

    def stream_async(self, prompt: str, **options: Any) -> AsyncIterator[ChatCompletionResponseEvent]:
        """As `stream`, in any event loop. Nobody is asked at a prompt."""
        return loop.aiterate(self._events(prompt, options))

    def start(self, prompt: str, **options: Any) -> Reply:
        """Asks, and returns at once; the answer grows in the `Reply`."""
        return self._start(prompt, options)

    def edit(self, index: int, prompt: str, **options: Any) -> Reply:
        """Asks something else in the place of that turn's question, and blocks as `ask` does.

        That turn and all later ones go; what is being answered is stopped. When the new question fails before its
        answer's first word, they come back.
        """
        return self.start_edit(index, prompt, **options).wait()

    def regenerate(self, index: int = -1, **options: Any) -> Reply:
        """Asks that turn's question once more, as `edit` would. Another answer needs a temperature, or a seed."""
        return self.start_regenerate(index, **options).wait()

    def start_edit(self, index: int, prompt: str, **options: Any) -> Reply:
        """As `edit`, and returns at once."""
        return self._start(prompt, options, instead_of=self._question(index))

    def start_regenerate(self, index: int = -1, **options: Any) -> Reply:
        """As `regenerate`, and returns at once."""
        question = self._question(index)
        return self._start(question, options, instead_of=question)

    def stop(self) -> None:
        """Stops whatever is being answered in this chat, or waits to be."""
        for reply in reversed(self.under_way):  # so that what waits does not begin first
            reply.stop()

    def reset(self) -> None:
        """Stops and forgets the conversation, and what was allowed for it; the system message stays."""
        self.stop()
        self._history.clear()
        self._approvals.forget()
        self.context_use = None
        loop.get().call_soon_threadsafe(self._tell, ChatEvent("reset"))

    # --- Deciding about calls -----------------------------------------------------------------------------------------

    @property
    def approval(self) -> Approval | None:
        """ "ask", "allow" or "deny" for every tool; None: each tool's own."""
        return self._approvals.policy

    @approval.setter
    def approval(self, policy: Approval | None) -> None:
        self._approvals.policy = policy

    @property
    def pending(self) -> list[ToolEvent]:
        """The calls that wait for a decision: at most one, since they run one after the other."""
        return self._approvals.pending

    def decide(self, call_id: str, digest: str, decision: Decision, reason: str = "") -> bool:
        """Decides about a pending call, from any thread: "once", "chat" (this tool, from now on), or "deny".

        False when no call with this id and digest waits. The digest binds the decision to the call's arguments: were
        they changed after it, the call is not run.
        """
        return self._approvals.decide(call_id, digest, decision, reason)

    def watch(self) -> Callable[[], None]:
        """Says that somebody is there who will `decide`, such as a page: so nobody is asked at a prompt, and a call
        waits. Gives what ends it."""
        return self._approvals.watch()

    @property
    def watchers(self) -> int:
        return self._approvals.watchers

    # --- Copies and files ---------------------------------------------------------------------------------------------

    def fork(self) -> Chat:
        """An independent copy: its messages (without the turn that is being answered), tools and settings.

        What was allowed "for this chat" is not.
        """
        with self._history.lock:
            messages = list(self.messages)
            if any(not reply.queued for reply in self.under_way) and (turns := turns_of(messages)):
                messages = messages[: -len(turns[-1])]
        copy = Chat(
            self.model,
            tools=self.tools,
            sampling_params=self.sampling_params.model_copy(deep=True),
            stack=self.stack,
            approval=self.approval,
            max_rounds=self.max_rounds,
            context=self.context,
            tool_prompt_format=self.tool_prompt_format,
            tool_choice=self.tool_choice,
        )
        copy.messages = [message.model_copy(deep=True) for message in messages]
        return copy

    def export(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Writes the conversation as `.md` or `.html` to read, `.json` or `.ipynb` to read and to `load`."""
        return export.write(Path(path), export.Conversation(self.model, list(self.messages)), overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path, **options: Any) -> Chat:
        """The conversation of a `.json` or `.ipynb` that `export` wrote, exactly, to be gone on with.

        `options` are those of `Chat`; without a `model`, it is the one that the conversation was held with.
        """
        said = export.read(Path(path))
        stack = options.setdefault("stack", stacks.current())
        if options.get("model") is None:
            if said.model not in stack.models.identifiers():
                raise ModelNotFound(
                    f"{path} was held with `{said.model}`, which this stack does not serve: give `model=`. "
                    + did_you_mean(said.model, stack.models.identifiers())
                )
            options["model"] = said.model
        system = options.pop("system", None)
        chat = cls(**options)
        chat.messages = said.messages
        if system is not None:
            chat.system = system
        return chat

    # --- Listening ----------------------------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Calls `listener` with each `ChatEvent`, in llama_nb's thread: it must not block. Gives what ends it."""
        self._listeners.append(listener)

        def unlisten() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return unlisten

    def _tell(self, event: ChatEvent) -> None:
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception:  # the answer goes on, whatever becomes of who listens
                log.exception("a listener of %r failed", self)

    # --- A turn -------------------------------------------------------------------------------------------------------

    async def _events(self, prompt: str, options: dict[str, Any]) -> AsyncGenerator[ChatCompletionResponseEvent, None]:
        events: asyncio.Queue[ChatCompletionResponseEvent | None] = asyncio.Queue()
        reply = self._start(prompt, options, events.put_nowait)
        try:
            while (event := await events.get()) is not None:
                yield event
        finally:
            reply.stop()
        if reply.error is not None:
            raise reply.error

    def _start(
        self,
        prompt: str | UserMessage,
        options: dict[str, Any],
        emit: Emit = lambda event: None,
        instead_of: UserMessage | None = None,
    ) -> Reply:
        message = message_of(prompt)
        offered = by_name(self.tools)
        question = understood(message, options, self.sampling_params, offered, self.tool_choice, instead_of)
        if instead_of is not None:
            self.stop()
        reply = Reply(interleaved_text_media_as_str(message.content), self._approvals)
        self._replies.append(reply)
        reply._future = loop.submit(self._turn(reply, question, emit))
        return reply

    def _question(self, index: int) -> UserMessage:
        turns = self.turns
        if not -len(turns) <= index < len(turns):
            raise BadRequest(f"There is no turn {index}: this conversation has {len(turns)}, counted from 0.")
        question = turns[index][0]
        assert isinstance(question, UserMessage), "each turn begins with one"
        return question

    async def _turn(self, reply: Reply, question: Question, emit: Emit) -> None:
        reply._task = asyncio.current_task()
        self._tell(ChatEvent("asked", reply))
        try:
            if reply._stop_wanted:
                raise asyncio.CancelledError
            async with self._order:
                reply.queued = False
                await self._answer(reply, question, emit)
        except asyncio.CancelledError:
            reply._stopped()
        except Exception as error:
            reply.error = error if isinstance(error, LlamaError) else EngineError(f"{type(error).__name__}: {error}")
        finally:
            self._replies.remove(reply)
            self._tell(ChatEvent("ended", reply))
            reply._ended.set()
            emit(None)

    async def _answer(self, reply: Reply, question: Question, emit: Emit) -> None:
        def add(message: Message) -> None:
            self._history.add(question.message, message)

        turn = Turn(
            reply=reply,
            question=question,
            model=self.model,
            inference=self.stack.inference,
            calls=ToolCalls(reply, by_name(self.tools), self._approvals, add, self._tell),
            history=self._history,
            tell=self._tell,
            emit=emit,
            max_rounds=self.max_rounds,
            drop_oldest=self.context == "drop_oldest",
            tool_prompt_format=self.tool_prompt_format,
        )
        try:
            await turn.run()
        finally:
            self.context_use = None if reply.messages else self.context_use
        self.context_use = await turn.context_use(self._limits)

    async def _count(self, messages: list[Message]) -> TokenCount:
        definitions = [tool.definition for tool in by_name(self.tools).values()]
        return await self.stack.inference.count_tokens(
            self.model, messages, definitions, tool_prompt_format=self.tool_prompt_format
        )

    def __repr__(self) -> str:
        return f"Chat({self.model!r}, {len(self.messages)} messages)"


def _next(events: SimpleQueue[T], meanwhile: Callable[[], None]) -> T:
    """The next event; `meanwhile` is called now and then until it comes."""
    while True:
        with contextlib.suppress(Empty):
            return events.get(timeout=SLICE_S)
        meanwhile()


def stop_all() -> None:
    """Stops every answer that is being made in this process."""
    for chat in list(_chats):
        chat.stop()
