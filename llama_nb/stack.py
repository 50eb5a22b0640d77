"""Run config → providers → the registry of models → the router → inspect.

Knows which provider serves which model, and nothing of what a provider does. What is asked of it may come from any
thread and any event loop; the work is done in llama_nb's own.
"""

from __future__ import annotations

import importlib
import inspect as python_inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeGuard

from pydantic import TypeAdapter, ValidationError

from llama_nb import loop
from llama_nb.apis.inference import EmbeddingsResponse, Inference, TokenCount
from llama_nb.apis.inspect import HealthInfo, ProviderInfo, RouteInfo
from llama_nb.apis.messages import InterleavedTextMedia, Message, StopReason, ToolDefinition, ToolPromptFormat
from llama_nb.apis.models import ModelDef, ModelDefWithProvider
from llama_nb.config import ProviderEntry, RunConfig, is_checkpoint, load_config, validation_complaints
from llama_nb.engine.client import Status
from llama_nb.errors import BadRequest, ConfigError, ModelNotFound, did_you_mean
from llama_nb.providers import inference as inference_providers
from llama_nb.providers.inference import InferenceProvider

PROVIDER_TYPES = {"inference": inference_providers.PROVIDER_TYPES}
# Llama Stack's, and still to come.
NOT_YET = ("agents", "memory", "safety", "telemetry")
# Served by the stack itself, so no provider can be named for them (Llama Stack's R-2).
BUILT_IN = ("inspect", "memory_banks", "models", "shields")

_MESSAGES: TypeAdapter[list[Message]] = TypeAdapter(list[Message])


class Stack:
    """What a run config describes, ready to be asked.

    >>> stack = Stack.from_config({"providers": {"inference": [
    ...     {"provider_id": "guide", "provider_type": "meta-reference", "config": {"model": "llama-nb-guide"}}]}})
    >>> loop.run(stack.models.list_models())[0].identifier
    'llama-nb-guide'
    """

    def __init__(self, config: RunConfig, origin: str = "the config") -> None:
        self.config = config
        self._providers = {
            entry.provider_id: _build("inference", index, entry, origin) for index, entry in _inference(config, origin)
        }
        self.models = Registry(self._providers)
        loop.run(self.models.ask_providers())
        self.inference: Inference = Router(self.models)
        self.inspect = Inspection(config)

    @classmethod
    def from_config(cls, source: str | Path | Mapping[str, Any] | None = None) -> Stack:
        """The stack of a config file or dict; of None, the config that is found (see `config.load_config`).

        Raises:
            ConfigError: with the address of each complaint.
        """
        origin = "the config" if source is None or isinstance(source, Mapping) else str(source)
        return cls(load_config(source), origin)

    @property
    def default_model(self) -> str:
        """The config's `defaults.model`, else its first model."""
        return self.config.defaults.model or self.models.identifiers()[0]

    def serve(self, checkpoint: str | Path) -> str:
        """Begins to serve the checkpoint in a folder, and gives the name it is served under.

        It is the folder's own name, or its path when that name is taken.
        """
        path = Path(checkpoint).expanduser().absolute()
        folder = str(path)
        if folder not in self._providers:
            name = folder if path.name in self.models.identifiers() else path.name
            config = {"model": name, "checkpoint": folder}
            entry = ProviderEntry(provider_id=folder, provider_type="meta-reference", config=config)
            self._providers[folder] = _build("inference", len(self._providers), entry, "the config")
            loop.run(self.models.ask_provider(folder))
        return self.models.identifier_of(folder)

    def resolve(self, model: str | Path | None) -> str:
        """The identifier of a served model: `model` itself, or a checkpoint folder's; of None, the default.

        Raises:
            ModelNotFound: nothing serves it, and no checkpoint is there.
        """
        if model is None:
            model = self.default_model
        if str(model) in self.models.identifiers():
            return str(model)
        with suppress(OSError):  # a question taken for a path can be too long for one
            if is_checkpoint(Path(model).expanduser()):
                return self.serve(model)
        raise self.models.not_found(str(model))

    async def load(self, model: str) -> None:
        """Makes `model` ready to answer."""
        await loop.cross(self.models.provider_of(model).load(model))

    def status(self, model: str) -> Status:
        return self.models.provider_of(model).status(model)

    def unload(self, model: str) -> None:
        """Gives back what `model` holds; the next question loads it anew."""
        self.models.provider_of(model).close()

    def close(self) -> None:
        """Ends all that the providers started. The stack can still be asked: what is needed starts again."""
        for provider in self._providers.values():
            provider.close()


def _inference(config: RunConfig, origin: str) -> list[tuple[int, ProviderEntry]]:
    """The entries of the one API whose providers can be configured so far."""
    for api in config.providers:
        if api in BUILT_IN:
            raise ConfigError(f"{origin}: providers.{api}: it is provided by the stack itself and takes no providers.")
        if api in NOT_YET:
            raise ConfigError(f"{origin}: providers.{api}: llama_nb does not serve this API yet; leave it out.")
        if api not in PROVIDER_TYPES:
            raise ConfigError(f"{origin}: providers.{api}: there is no such API. {did_you_mean(api, PROVIDER_TYPES)}")
    entries = config.providers.get("inference", [])
    if not entries:
        raise ConfigError(f"{origin}: providers.inference: give at least one provider of inference.")
    return list(enumerate(entries))


def _build(api: str, index: int, entry: ProviderEntry, origin: str) -> InferenceProvider:
    address = f"providers.{api}[{index}]"
    types = PROVIDER_TYPES[api]
    if entry.provider_type not in types:
        raise ConfigError(
            f"{origin}: {address}.provider_type: Provider `{entry.provider_type}` is not available for API `{api}`. "
            + did_you_mean(entry.provider_type, types)
        )
    module = importlib.import_module(types[entry.provider_type])
    try:
        config = module.Config.model_validate(entry.config)
    except ValidationError as error:
        complaints = validation_complaints(error, origin, module.Config, at=f"{address}.config")
        raise ConfigError(complaints) from error
    provider: InferenceProvider = module.create(config)
    return provider


class Registry:
    """Which models there are, and who serves them. The first provider of a name is the one that is asked.

    Llama Stack's `models` API. Written in llama_nb's event loop only.
    """

    def __init__(self, providers: Mapping[str, InferenceProvider]) -> None:
        self._providers = providers
        self._models: list[ModelDefWithProvider] = []

    async def ask_providers(self) -> None:
        for provider_id in self._providers:
            await self.ask_provider(provider_id)

    async def ask_provider(self, provider_id: str) -> None:
        """Takes down what the provider serves."""
        for model in await self._providers[provider_id].list_models():
            self._models.append(ModelDefWithProvider(**model.model_dump(), provider_id=provider_id))

    async def list_models(self) -> list[ModelDefWithProvider]:
        """Every model of every provider, in the order of the config."""
        return list(self._models)

    async def get_model(self, identifier: str) -> ModelDefWithProvider | None:
        """The model of that name that requests would reach; None when nobody serves it."""
        return next((model for model in self._models if model.identifier == identifier), None)

    async def register_model(self, model: ModelDefWithProvider) -> None:
        """Asks the provider to serve `model`, and takes it down when it does."""
        if model.provider_id not in self._providers:
            raise ModelNotFound(
                f"Provider `{model.provider_id}` not found. {did_you_mean(model.provider_id, self._providers)}"
            )
        await loop.cross(self._register(model))

    async def _register(self, model: ModelDefWithProvider) -> None:
        plain = ModelDef(**model.model_dump(exclude={"provider_id"}))
        await self._providers[model.provider_id].register_model(plain)
        self._models.append(model)

    def identifiers(self) -> list[str]:
        return list(dict.fromkeys(model.identifier for model in self._models))

    def identifier_of(self, provider_id: str) -> str:
        return next(model.identifier for model in self._models if model.provider_id == provider_id)

    def provider_of(self, identifier: str) -> InferenceProvider:
        """Who answers for that model. Raises ModelNotFound."""
        for model in self._models:
            if model.identifier == identifier:
                return self._providers[model.provider_id]
        raise self.not_found(identifier)

    def not_found(self, identifier: str) -> ModelNotFound:
        return ModelNotFound(
            f"Model `{identifier}` is not served by any provider, and is no checkpoint folder. "
            + did_you_mean(identifier, self.identifiers())
        )


class Router:
    """Llama Stack's `inference` API over all providers: the model's name decides who answers."""

    def __init__(self, models: Registry) -> None:
        self._models = models

    def chat_completion(
        self, model: str, messages: Sequence[Message | Mapping[str, Any]], *args: Any, **kwargs: Any
    ) -> Any:
        """See `apis.inference.Inference`; an unknown model raises at once. Messages may be dicts, as JSON has them."""
        return _asked(self._models.provider_of(model).chat_completion, model, _read(messages), *args, **kwargs)

    def completion(self, model: str, content: InterleavedTextMedia, *args: Any, **kwargs: Any) -> Any:
        """As `chat_completion`, of a text that is to go on."""
        return _asked(self._models.provider_of(model).completion, model, content, *args, **kwargs)

    async def embeddings(self, model: str, contents: list[InterleavedTextMedia]) -> EmbeddingsResponse:
        return await loop.cross(self._models.provider_of(model).embeddings(model, contents))

    async def count_tokens(
        self,
        model: str,
        messages: Sequence[Message | Mapping[str, Any]],
        tools: list[ToolDefinition] | None = None,
        tool_prompt_format: ToolPromptFormat | None = None,
    ) -> TokenCount:
        provider = self._models.provider_of(model)
        return await loop.cross(provider.count_tokens(model, _read(messages), tools, tool_prompt_format))


def _is_answer(message: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(message, dict) and message.get("role") == "assistant"


def _read(messages: Sequence[Message | Mapping[str, Any]]) -> list[Message]:
    """Raises BadRequest for what is no message, with its place and the reason."""
    answered = {"stop_reason": StopReason.end_of_turn}
    try:
        return _MESSAGES.validate_python(
            [answered | message if _is_answer(message) else message for message in messages]
        )
    except (ValidationError, TypeError) as error:
        shape = '{"role": "user", "content": "…"}'
        raise BadRequest(
            f"messages cannot be read: {error}\nEach is a message, or a dict such as {shape}; the roles are system, "
            "user, assistant and ipython (what a tool gave back)."
        ) from error


def _asked(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What the provider's `call` gives, to be looped over or awaited in the caller's loop."""
    bound = python_inspect.signature(call).bind(*args, **kwargs)
    answer: Any = call(*bound.args, **bound.kwargs)
    return loop.aiterate(answer) if bound.arguments.get("stream") else loop.cross(answer)


class Inspection:
    """Llama Stack's `inspect` API."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config

    async def list_providers(self) -> dict[str, list[ProviderInfo]]:
        return {
            api: [ProviderInfo(provider_id=entry.provider_id, provider_type=entry.provider_type) for entry in entries]
            for api, entries in self._config.providers.items()
        }

    async def list_routes(self) -> dict[str, list[RouteInfo]]:
        """The routes that Llama Stack gives these calls, and the provider types behind them."""
        types = [entry.provider_type for entry in self._config.providers["inference"]]
        calls = ("completion", "chat_completion", "embeddings")
        return {
            "inference": [RouteInfo(route=f"/inference/{call}", method="post", provider_types=types) for call in calls],
            "models": [
                RouteInfo(route="/models/list", method="get", provider_types=[]),
                RouteInfo(route="/models/get", method="get", provider_types=[]),
                RouteInfo(route="/models/register", method="post", provider_types=[]),
            ],
            "inspect": [
                RouteInfo(route="/providers/list", method="get", provider_types=[]),
                RouteInfo(route="/routes/list", method="get", provider_types=[]),
                RouteInfo(route="/health", method="get", provider_types=[]),
            ],
        }

    async def health(self) -> HealthInfo:
        return HealthInfo(status="OK")


_lock = threading.Lock()
_current: Stack | None = None


def current() -> Stack:
    """The stack of magics and `Chat()`: the one given to `configure`, else that of the config that is found."""
    global _current
    with _lock:
        if _current is None:
            _current = Stack.from_config()
        return _current


def configure(source: Stack | str | Path | Mapping[str, Any] | None = None) -> Stack:
    """Sets the stack that magics and `Chat()` use from now on; what the one before had started is ended."""
    global _current
    stack = source if isinstance(source, Stack) else Stack.from_config(source)
    with _lock:
        before, _current = _current, stack
    if before is not None and before is not stack:
        before.close()
    return stack
