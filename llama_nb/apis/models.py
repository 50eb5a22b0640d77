"""Which models there are, and who serves them."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field


class ModelDef(BaseModel):
    """`identifier` is the name one asks for; `llama_model` the entry of Llama's list of models it descends from."""

    model_config = ConfigDict(protected_namespaces=())

    identifier: str
    llama_model: str
    metadata: dict[str, Any] = Field(default_factory=dict)


class ModelDefWithProvider(ModelDef):
    provider_id: str


class Models(Protocol):
    async def list_models(self) -> list[ModelDefWithProvider]: ...

    async def get_model(self, identifier: str) -> ModelDefWithProvider | None: ...

    async def register_model(self, model: ModelDefWithProvider) -> None: ...
