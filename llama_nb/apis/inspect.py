"""What a stack tells of itself."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel


class ProviderInfo(BaseModel):
    provider_id: str
    provider_type: str


class RouteInfo(BaseModel):
    route: str
    method: str
    provider_types: list[str]


class HealthInfo(BaseModel):
    status: str


class Inspect(Protocol):
    async def list_providers(self) -> dict[str, list[ProviderInfo]]: ...

    async def list_routes(self) -> dict[str, list[RouteInfo]]: ...

    async def health(self) -> HealthInfo: ...
