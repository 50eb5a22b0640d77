"""Providers of answers.

A provider type is a module with a pydantic `Config` and a `create(config)` that gives an `InferenceProvider`. To add
one, write the module and name it in `PROVIDER_TYPES`.
"""

from __future__ import annotations

from typing import Protocol

from llama_nb.apis.inference import Inference
from llama_nb.apis.models import ModelDef
from llama_nb.engine.client import Status

PROVIDER_TYPES = {
    "meta-reference": "llama_nb.providers.inference.meta_reference",
    "scripted": "llama_nb.providers.inference.scripted",
}


class InferenceProvider(Inference, Protocol):
    """What a stack asks of a provider. All but `close` is called in llama_nb's event loop."""

    async def list_models(self) -> list[ModelDef]: ...

    async def register_model(self, model: ModelDef) -> None:
        """Begins to serve `model`; NotSupported when the provider cannot."""

    async def load(self, model: str) -> None:
        """Makes `model` ready to answer; returns at once when it is."""

    def status(self, model: str) -> Status: ...

    def close(self) -> None:
        """Gives back what the provider holds. Any thread may call this; the next request begins anew."""
