"""Our own engine as a provider: one checkpoint, one generator process, started by the first request."""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llama_nb.apis.inference import (
    ChatCompletionResponse,
    ChatCompletionResponseStreamChunk,
    CompletionResponse,
    CompletionResponseStreamChunk,
    EmbeddingsResponse,
    LogProbConfig,
    Metrics,
    ResponseFormat,
    TokenCount,
    Usage,
)
from llama_nb.apis.messages import (
    CompletionMessage,
    ImageMedia,
    InterleavedTextMedia,
    Message,
    SamplingParams,
    StopReason,
    TokenLogProbs,
    ToolChoice,
    ToolDefinition,
    ToolPromptFormat,
)
from llama_nb.apis.models import ModelDef
from llama_nb.config import EMBEDDED_MODEL, checkpoints_folder, embedded_checkpoint, is_checkpoint
from llama_nb.engine.client import Engine, Status
from llama_nb.engine.protocol import Done, Piece, Quantization, Sampling, Start, Submit
from llama_nb.errors import BadRequest, NotSupported
from llama_nb.prompt_format.answer import AnswerReader
from llama_nb.prompt_format.constrain import call_grammar, call_guide, required_tools, response_grammar
from llama_nb.prompt_format.encode import Turn
from llama_nb.prompt_format.family import Family, family_of
from llama_nb.prompt_format.grammar import Grammar, Guide
from llama_nb.prompt_format.render import Layout, offered_tools, render, text_of
from llama_nb.prompt_format.text import well_formed

Chunk = ChatCompletionResponseStreamChunk
TextChunk = CompletionResponseStreamChunk


class Config(BaseModel):
    """`model` is a name of Llama's list of models, or the embedded one's; `checkpoint` a folder. One of them.

    `max_batch_size` is how many requests are answered at once, 8 on a CPU and 32 on a GPU unless it is given; further
    ones wait for their turn.

    `prompt_family` says which prompts the model reads, where its name does not; `prompt_layout` "llama_stack" lays
    them out as Llama Stack did; `today` is the date that they tell, instead of the day's. Without `guided_calls` a
    model may write calls of tools and arguments that nobody offered, which are then no calls. `quantization` is
    "int8", "int4" or "fp8", or Llama Stack's form of it, {type: fp8}. With `prompt_lookup`, what stood in the prompt or
    the answer before is guessed to come again, and read at once; answers stay the same.
    `ranks` spreads the model over so many processes, on GPUs over so many of these.
    """

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    checkpoint: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    max_seq_len: int | None = Field(default=None, gt=0)
    max_batch_size: int | None = Field(default=None, ge=1)
    torch_seed: int | None = None
    quantization: Quantization | None = None
    prompt_lookup: bool = True
    ranks: int = Field(default=1, ge=1)
    prompt_family: Family | None = None
    prompt_layout: Layout = "published"
    today: date | None = None
    guided_calls: bool = True

    @field_validator("quantization", mode="before")
    @classmethod
    def _is_a_quantization(cls, value: Any) -> Any:
        named = value["type"] if isinstance(value, dict) and value.keys() == {"type"} else value
        if value is None or value == {"type": "bf16"}:
            return None  # Llama Stack's bf16: the weights as they are
        if not isinstance(named, str) or named not in get_args(Quantization):
            known = ", ".join(get_args(Quantization))
            raise ValueError(f"there is no quantization {value!r}. Choose one of {known}, or write {{type: fp8}}")
        return named

    @model_validator(mode="after")
    def _names_a_checkpoint(self) -> Config:
        if self.model is None and self.checkpoint is None:
            raise ValueError("give `model` (a name) or `checkpoint` (a folder)")
        if self.checkpoint is None and self.model != EMBEDDED_MODEL:
            _require_known(str(self.model))
        return self


def _require_known(name: str) -> None:
    from llama_models.sku_list import all_registered_models, resolve_model

    if resolve_model(name) is None:
        choices = [EMBEDDED_MODEL, *(model.descriptor() for model in all_registered_models())]
        raise ValueError(f"Unknown model: `{name}`. Choose from {choices}, or give a `checkpoint` folder")


def create(config: Config) -> MetaReference:
    return MetaReference(config)


class _Question(NamedTuple):
    """What is asked of the engine, and how its answer is to be understood."""

    request: Submit
    tools: list[ToolDefinition]
    tool_prompt_format: ToolPromptFormat | None
    calls_allowed: bool


class MetaReference:
    """Serves the model of one checkpoint, under the name of its entry in the config or of its folder."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folder = _folder(config)
        self.identifier = config.model or self._folder.name
        self._family = config.prompt_family or family_of(self.identifier)
        self._engine = Engine(
            Start(
                checkpoint=str(self._folder),
                device=config.device,
                dtype=config.dtype,
                max_seq_len=config.max_seq_len,
                max_batch_size=config.max_batch_size,
                quantization=config.quantization,
                prompt_lookup=config.prompt_lookup,
                ranks=config.ranks,
            )
        )
        self._seeds = itertools.count(config.torch_seed) if config.torch_seed is not None else None

    async def list_models(self) -> list[ModelDef]:
        metadata = {"checkpoint": str(self._folder)}
        return [ModelDef(identifier=self.identifier, llama_model=self.identifier, metadata=metadata)]

    async def register_model(self, model: ModelDef) -> None:
        raise NotSupported(
            f"Dynamic model registration is not supported by meta-reference (asked for `{model.identifier}`): "
            "give each checkpoint a provider of its own in the run config."
        )

    async def load(self, model: str) -> None:
        self._require_checkpoint()
        await self._engine.load()

    def status(self, model: str) -> Status:
        return self._engine.status

    def close(self) -> None:
        self._engine.close()

    def chat_completion(
        self,
        model: str,
        messages: list[Message],
        sampling_params: SamplingParams | None = None,
        tools: list[ToolDefinition] | None = None,
        tool_choice: ToolChoice | str | None = ToolChoice.auto,
        tool_prompt_format: ToolPromptFormat | None = None,
        stream: bool = False,
        logprobs: LogProbConfig | None = None,
        *,
        response_format: ResponseFormat | None = None,
        prefill: str = "",
    ) -> Any:
        """Llama Stack's call: an asynchronous iterator of chunks with `stream=True`, else an awaitable response.

        A `tool_choice` that requires a call, and a `response_format`, hold the answer by a grammar: what it says is
        in that form, unless it ends as `out_of_tokens` before it is whole. An answer that is free to call a tool is
        held to the offered names and arguments from where it begins a call (`guided_calls` in the config).

        Raises:
            BadRequest, NotSupported: at once, before anything runs.
            ContextOverflow, CheckpointError, EngineError: from the iterator or the awaitable.
        """
        offered = offered_tools(tools or [], tool_choice)
        dialog = self._dialog(messages, offered, tool_prompt_format)
        required = required_tools(offered, tool_choice)
        if required and (response_format is not None or prefill):
            other = "prefill" if prefill else "response_format"
            raise BadRequest(f"tool_choice requires a call, and {other} another answer. Leave one of them out.")
        grammar = None if response_format is None else response_grammar(response_format)
        if required:
            grammar = call_grammar(required, self._family, tool_prompt_format)
        guide = None
        if offered and grammar is None and self._config.guided_calls:
            guide = call_guide(offered, self._family, tool_prompt_format)
        request = self._request(dialog, sampling_params, logprobs, grammar, guide, prefill=prefill)
        question = _Question(request, offered, tool_prompt_format, calls_allowed=response_format is None)
        return self._chunks(question) if stream else self._whole(question)

    def completion(
        self,
        model: str,
        content: InterleavedTextMedia,
        sampling_params: SamplingParams | None = None,
        stream: bool = False,
        logprobs: LogProbConfig | None = None,
        *,
        response_format: ResponseFormat | None = None,
    ) -> Any:
        """Goes on with a text, which no chat format surrounds; streams and raises as `chat_completion` does."""
        grammar = None if response_format is None else response_grammar(response_format)
        request = self._request([], sampling_params, logprobs, grammar, prompt=well_formed(text_of(content)))
        return self._text_chunks(request) if stream else self._whole_text(request)

    async def embeddings(self, model: str, contents: list[InterleavedTextMedia]) -> EmbeddingsResponse:
        """A vector of length 1 for each content: the mean of the last hidden states of its tokens.

        That tells texts on one subject from texts on another. A model that was trained for it does better at finding
        the passage that answers a question; all vectors of a Llama lie rather near each other, so compare their order
        and not their distance. A content longer than the context is refused.

        Raises:
            BadRequest: there is no content, an empty one, or what is no text.
            ContextOverflow: one is longer than the context.
        """
        texts = _texts_to_embed(contents)
        self._require_checkpoint()
        return EmbeddingsResponse(embeddings=await self._engine.embed(texts))

    async def count_tokens(
        self,
        model: str,
        messages: list[Message],
        tools: list[ToolDefinition] | None = None,
        tool_prompt_format: ToolPromptFormat | None = None,
    ) -> TokenCount:
        dialog = self._dialog(messages, tools or [], tool_prompt_format)
        self._require_checkpoint()
        counted = await self._engine.count(dialog)
        return TokenCount(prompt_tokens=counted.prompt_tokens, max_seq_len=counted.max_seq_len)

    def _dialog(
        self, messages: list[Message], offered: list[ToolDefinition], tool_prompt_format: ToolPromptFormat | None
    ) -> list[Turn]:
        if not messages:
            raise BadRequest("There are no messages. Give at least one, such as UserMessage(content='…').")
        return render(
            messages,
            offered,
            today=self._config.today or date.today(),
            family=self._family,
            tool_prompt_format=tool_prompt_format,
            layout=self._config.prompt_layout,
        )

    def _request(
        self,
        dialog: list[Turn],
        params: SamplingParams | None,
        logprobs: LogProbConfig | None,
        grammar: Grammar | None,
        guide: Guide | None = None,
        *,
        prefill: str = "",
        prompt: str | None = None,
    ) -> Submit:
        params = params or SamplingParams()
        return Submit(
            id=0,
            dialog=dialog,
            sampling=self._sampling(params),
            max_tokens=_at_least_zero("max_tokens", params.max_tokens),
            stop=params.stop,
            logprobs=None if logprobs is None else _at_least_zero("logprobs.top_k", logprobs.top_k),
            grammar=grammar,
            guide=guide,
            prefill=well_formed(prefill),
            prompt=prompt,
        )

    def _sampling(self, params: SamplingParams) -> Sampling:
        temperature = params.temperature or 0.0
        top_p = 1.0 if params.top_p is None else params.top_p
        if not 0 <= temperature < float("inf"):
            raise BadRequest(f"temperature is {temperature}; it must be 0 (greedy) or more.")
        if not 0 < top_p <= 1:
            raise BadRequest(f"top_p is {top_p}; it must be above 0 and at most 1.")
        penalty = 1.0 if params.repetition_penalty is None else params.repetition_penalty
        if not 0 < penalty < math.inf:
            raise BadRequest(f"repetition_penalty is {penalty}; it must be above 0, and 1 changes nothing.")
        seed = params.seed
        if seed is None and self._seeds is not None:
            seed = next(self._seeds)
        if seed is not None and not -(2**63) <= seed < 2**63:
            raise BadRequest(f"seed is {seed}; it must fit into 64 bits.")
        return Sampling(temperature, top_p, _at_least_zero("top_k", params.top_k), seed, penalty)

    async def _chunks(self, question: _Question) -> AsyncIterator[Chunk]:
        async for chunk, _ in self._answer(question):
            yield chunk

    async def _whole(self, question: _Question) -> ChatCompletionResponse:
        async for last, reader in self._answer(question):  # noqa: B007
            pass
        assert reader.message is not None, "the last chunk comes when the answer is complete"
        return ChatCompletionResponse(
            completion_message=reader.message,
            logprobs=reader.logprobs if question.request.logprobs is not None else None,
            usage=last.usage,
            metrics=last.metrics,
        )

    async def _answer(self, question: _Question) -> AsyncIterator[tuple[Chunk, AnswerReader]]:
        self._require_checkpoint()
        ready = await self._engine.load()
        reader = AnswerReader(
            ready.control,
            question.tools,
            family=self._family,
            tool_prompt_format=question.tool_prompt_format,
            prefill=question.request.prefill,
            calls_allowed=question.calls_allowed,
        )
        yield Chunk(event=reader.start()), reader
        async for event in self._engine.answer(question.request):
            if isinstance(event, Piece):
                for progress in reader.feed(event.tokens, event.text, event.logprobs):
                    yield Chunk(event=progress), reader
            elif isinstance(event, Done):
                *progresses, complete = reader.end(StopReason(event.stop_reason))
                for progress in progresses:
                    yield Chunk(event=progress), reader
                yield (
                    Chunk(
                        event=complete, malformed_call=_malformed(reader), usage=_usage(event), metrics=_metrics(event)
                    ),
                    reader,
                )

    async def _text_chunks(self, request: Submit) -> AsyncIterator[TextChunk]:
        self._require_checkpoint()
        async for event in self._engine.answer(request):
            if isinstance(event, Piece):
                yield TextChunk(delta=event.text, logprobs=_logprobs(event))
            elif isinstance(event, Done):
                reason = StopReason(event.stop_reason)
                yield TextChunk(delta="", stop_reason=reason, usage=_usage(event), metrics=_metrics(event))

    async def _whole_text(self, request: Submit) -> CompletionResponse:
        chunks = [chunk async for chunk in self._text_chunks(request)]
        reason = chunks[-1].stop_reason
        assert reason is not None, "the last chunk comes when the answer is complete"
        return CompletionResponse(
            completion_message=CompletionMessage(content="".join(chunk.delta for chunk in chunks), stop_reason=reason),
            logprobs=None if request.logprobs is None else [one for chunk in chunks for one in chunk.logprobs or []],
            usage=chunks[-1].usage,
            metrics=chunks[-1].metrics,
        )

    def _require_checkpoint(self) -> None:
        from llama_nb.errors import CheckpointError

        if not is_checkpoint(self._folder):
            raise CheckpointError(
                f"There is no checkpoint of `{self.identifier}` in {self._folder}: expected `params.json` (Meta's "
                "layout) or `config.json` (Hugging Face's). Put the files there, or name their folder as `checkpoint`."
            )


def _folder(config: Config) -> Path:
    if config.checkpoint is not None:
        return config.checkpoint.expanduser().absolute()
    if config.model == EMBEDDED_MODEL:
        return embedded_checkpoint()
    # llama-models' own rule for the folder of a descriptor such as Llama3.1-405B:bf16-mp8
    return checkpoints_folder() / str(config.model).replace(":", "-")


def _texts_to_embed(contents: Any) -> list[str]:
    """Nothing is taken for a text that is none: a single one would be read letter by letter, None as its name."""
    if isinstance(contents, str):
        raise BadRequest("contents is a text. Give a list of texts, such as [text].")
    if not contents:
        raise BadRequest("There are no contents. Give at least one text.")
    for place, content in enumerate(contents):
        items = content if isinstance(content, list) else [content]
        if wrong := [item for item in items if not isinstance(item, str | ImageMedia)]:
            raise BadRequest(f"Content {place} holds {wrong[0]!r}, which is no text. Give a text, or a list of texts.")
    return [well_formed(text_of(content)) for content in contents]


def _malformed(reader: AnswerReader) -> str | None:
    return reader.message.malformed_call if reader.message else None


def _at_least_zero(name: str, value: int | None) -> int:
    if value is not None and value < 0:
        raise BadRequest(f"{name} is {value}; it must be 0 or more.")
    return value or 0


def _logprobs(piece: Piece) -> list[TokenLogProbs] | None:
    return None if piece.logprobs is None else [TokenLogProbs(logprobs_by_token=entry) for entry in piece.logprobs]


def _usage(done: Done) -> Usage:
    return Usage(
        prompt_tokens=done.prompt_tokens, cached_tokens=done.cached_tokens, completion_tokens=done.completion_tokens
    )


def _metrics(done: Done) -> Metrics:
    return Metrics(
        time_to_first_token_s=done.time_to_first_token_s, tokens_per_s=done.tokens_per_s, queue_s=done.queue_s
    )
