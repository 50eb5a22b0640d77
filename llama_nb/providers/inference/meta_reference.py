"""Our own engine as a provider: one checkpoint, one generator process, started by the first request."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from llama_nb.apis.inference import (
    ChatCompletionResponse,
    ChatCompletionResponseStreamChunk,
    LogProbConfig,
    Metrics,
    Usage,
)
from llama_nb.apis.messages import (
    Message,
    SamplingParams,
    StopReason,
    ToolChoice,
    ToolDefinition,
    ToolPromptFormat,
)
from llama_nb.apis.models import ModelDef
from llama_nb.config import EMBEDDED_MODEL, checkpoints_folder, embedded_checkpoint, is_checkpoint
from llama_nb.engine.client import Engine, Status
from llama_nb.engine.protocol import Done, Piece, Sampling, Start, Submit
from llama_nb.errors import BadRequest, NotSupported
from llama_nb.prompt_format.answer import AnswerReader
from llama_nb.prompt_format.render import render

Chunk = ChatCompletionResponseStreamChunk


class Config(BaseModel):
    """`model` is a name of Llama's list of models, or the embedded one's; `checkpoint` a folder. One of them."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    checkpoint: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    max_seq_len: int | None = Field(default=None, gt=0)
    max_batch_size: int = Field(default=1, ge=1)
    torch_seed: int | None = None
    quantization: None = None

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


class MetaReference:
    """Serves the model of one checkpoint, under the name of its entry in the config or of its folder."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folder = _folder(config)
        self.identifier = config.model or self._folder.name
        self._engine = Engine(
            Start(
                checkpoint=str(self._folder),
                device=config.device,
                dtype=config.dtype,
                max_seq_len=config.max_seq_len,
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
        tool_choice: ToolChoice | None = ToolChoice.auto,
        tool_prompt_format: ToolPromptFormat | None = ToolPromptFormat.json,
        stream: bool = False,
        logprobs: LogProbConfig | None = None,
    ) -> Any:
        """Llama Stack's call: an asynchronous iterator of chunks with `stream=True`, else an awaitable response.

        Raises:
            BadRequest, NotSupported: at once, before anything runs.
            ContextOverflow, CheckpointError, EngineError: from the iterator or the awaitable.
        """
        tools = tools or []
        if not messages:
            raise BadRequest("There are no messages. Give at least one, such as UserMessage(content='…').")
        if tools and tool_choice is ToolChoice.required:
            raise NotSupported("tool_choice `required` is not supported yet; use `auto`.")
        if tools and tool_prompt_format not in (None, ToolPromptFormat.json):
            raise NotSupported(f"tool_prompt_format `{tool_prompt_format.value}` is not supported yet; use `json`.")
        sampling_params = sampling_params or SamplingParams()
        request = Submit(
            id=0,
            dialog=render(messages, tools, today=date.today()),
            sampling=self._sampling(sampling_params),
            max_tokens=_at_least_zero("max_tokens", sampling_params.max_tokens),
            stop=sampling_params.stop,
            logprobs=None if logprobs is None else _at_least_zero("logprobs.top_k", logprobs.top_k),
        )
        return self._chunks(request, tools) if stream else self._whole(request, tools)

    def _sampling(self, params: SamplingParams) -> Sampling:
        temperature = params.temperature or 0.0
        top_p = 1.0 if params.top_p is None else params.top_p
        if not 0 <= temperature < float("inf"):
            raise BadRequest(f"temperature is {temperature}; it must be 0 (greedy) or more.")
        if not 0 < top_p <= 1:
            raise BadRequest(f"top_p is {top_p}; it must be above 0 and at most 1.")
        if params.repetition_penalty not in (None, 1.0):
            raise NotSupported(f"repetition_penalty {params.repetition_penalty} is not supported yet; leave it at 1.0.")
        seed = params.seed
        if seed is None and self._seeds is not None:
            seed = next(self._seeds)
        if seed is not None and not -(2**63) <= seed < 2**63:
            raise BadRequest(f"seed is {seed}; it must fit into 64 bits.")
        return Sampling(temperature, top_p, _at_least_zero("top_k", params.top_k), seed)

    async def _chunks(self, request: Submit, tools: list[ToolDefinition]) -> AsyncIterator[Chunk]:
        async for chunk, _ in self._answer(request, tools):
            yield chunk

    async def _whole(self, request: Submit, tools: list[ToolDefinition]) -> ChatCompletionResponse:
        async for last, reader in self._answer(request, tools):  # noqa: B007
            pass
        assert reader.message is not None, "the last chunk comes when the answer is complete"
        return ChatCompletionResponse(
            completion_message=reader.message,
            logprobs=reader.logprobs if request.logprobs is not None else None,
            usage=last.usage,
            metrics=last.metrics,
        )

    async def _answer(self, request: Submit, tools: list[ToolDefinition]) -> AsyncIterator[tuple[Chunk, AnswerReader]]:
        self._require_checkpoint()
        ready = await self._engine.load()
        reader = AnswerReader(ready.control, tools)
        yield Chunk(event=reader.start()), reader
        async for event in self._engine.answer(request):
            if isinstance(event, Piece):
                for progress in reader.feed(event.tokens, event.text, event.logprobs):
                    yield Chunk(event=progress), reader
            elif isinstance(event, Done):
                *progresses, complete = reader.end(StopReason(event.stop_reason))
                for progress in progresses:
                    yield Chunk(event=progress), reader
                yield Chunk(event=complete, usage=_usage(event), metrics=_metrics(event)), reader

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


def _at_least_zero(name: str, value: int | None) -> int:
    if value is not None and value < 0:
        raise BadRequest(f"{name} is {value}; it must be 0 or more.")
    return value or 0


def _usage(done: Done) -> Usage:
    return Usage(
        prompt_tokens=done.prompt_tokens, cached_tokens=done.cached_tokens, completion_tokens=done.completion_tokens
    )


def _metrics(done: Done) -> Metrics:
    return Metrics(
        time_to_first_token_s=done.time_to_first_token_s, tokens_per_s=done.tokens_per_s, queue_s=done.queue_s
    )
