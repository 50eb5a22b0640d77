"""Types that tools of tests take; a module's own, so that their names are found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TypedDict

import typing_extensions
from pydantic import BaseModel, Field


class Unit(Enum):
    celsius = "celsius"
    fahrenheit = "fahrenheit"


class Level(IntEnum):
    low = 1
    high = 2


@dataclass
class Address:
    street: str
    zip: int = 8000
    notes: list[str] = field(default_factory=list)


class Person(BaseModel):
    """Somebody."""

    name: str = Field(min_length=1)
    home: Address
    friends: list[Person] = []


class Point(TypedDict):
    x: float
    y: float


class Route(typing_extensions.TypedDict):
    stops: list[Point]
