"""`typing`'s TypedDicts as pydantic can read them. Goes once 3.11 is no longer served."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, NotRequired, Required, Union, get_args, get_origin, get_type_hints

import typing_extensions


def readable(kind: Any, made: dict[Any, Any] | None = None) -> Any:
    """`kind` with `typing`'s TypedDicts as those of `typing_extensions`, which alone pydantic reads before 3.12.

    `made` are those that are there already.
    """
    made = {} if made is None else made
    origin, arguments = get_origin(kind), get_args(kind)
    if typing_extensions.is_typeddict(kind):
        return made[kind] if kind in made else _readable_typed_dict(kind, made)
    if origin is Annotated:
        return Annotated[(readable(arguments[0], made), *kind.__metadata__)]
    if origin in (Union, UnionType):
        return Union[tuple(readable(argument, made) for argument in arguments)]  # noqa: UP007
    if origin in (list, dict, tuple, set):
        return origin[tuple(readable(argument, made) for argument in arguments)]
    return kind


def _readable_typed_dict(kind: Any, made: dict[Any, Any]) -> Any:
    hints = get_type_hints(kind, include_extras=True)
    make: Any = typing_extensions.TypedDict
    # Its fields are known by name first, and by type once it is there: it may hold itself.
    twin = made[kind] = make(kind.__name__, {name: _need(kind, name, hint)[Any] for name, hint in hints.items()})
    twin.__annotations__ = {name: _field(kind, name, hint, made) for name, hint in hints.items()}
    twin.__doc__ = kind.__doc__
    return twin


def _field(kind: Any, name: str, hint: Any, made: dict[Any, Any]) -> Any:
    [of] = get_args(hint) if get_origin(hint) in (Required, NotRequired) else [hint]
    return _need(kind, name, hint)[readable(of, made)]


def _need(kind: Any, name: str, hint: Any) -> Any:
    # What stands there in words comes first: under `from __future__ import annotations` a class does not know of it.
    said = get_origin(hint)
    required = said is Required if said in (Required, NotRequired) else name in kind.__required_keys__
    return typing_extensions.Required if required else typing_extensions.NotRequired
