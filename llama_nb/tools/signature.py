"""A Python function, read: its docstring, its parameters, their types and what they take.

Types are pydantic's business, docstrings `docstring_parser`'s. `*names: T` is a parameter `names`, a list of T that may
be left out; `**names: T` likewise a dict. A parameter without a type has that of its default, or the one that the
docstring gives, or takes anything.
"""

from __future__ import annotations

import functools
import inspect
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from llama_nb.apis.messages import ToolParamDefinition
from llama_nb.errors import NotSupported
from llama_nb.tools.arguments import Convert, Misfit
from llama_nb.tools.schema import phrase_of, word_of
from llama_nb.tools.typed_dicts import readable

_EMPTY = inspect.Parameter.empty
_DOCUMENTED_TYPES: dict[str, Any] = {
    "str": str,
    "string": str,
    "int": int,
    "integer": int,
    "float": float,
    "number": float,
    "bool": bool,
    "boolean": bool,
    "list": list,
    "dict": dict,
}


@dataclass(frozen=True)
class Documented:
    """What a docstring says: of the function, and of each parameter its description and its type's name."""

    description: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parameters:
    """What a function takes: as Llama Stack's definitions, as a JSON schema, and how a value becomes what it takes."""

    definitions: dict[str, ToolParamDefinition]
    schema: dict[str, Any]
    converters: dict[str, Convert]
    kinds: dict[str, Any]

    def call(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Calls `function`, each argument in its place: by position, by name, or spread."""
        by_position: list[Any] = []
        by_name: dict[str, Any] = {}
        left_out = False
        for name, kind in self.kinds.items():
            if name not in arguments:
                left_out = True
                continue
            value = arguments[name]
            match kind:
                case inspect.Parameter.VAR_POSITIONAL:
                    by_position += value
                case inspect.Parameter.VAR_KEYWORD:
                    self._check_spread(name, value)
                    by_name |= value
                case inspect.Parameter.POSITIONAL_ONLY if left_out:
                    raise TypeError(f"`{name}` can only be given together with the arguments before it")
                case inspect.Parameter.KEYWORD_ONLY:
                    by_name[name] = value
                case _ if left_out:
                    by_name[name] = value
                case _:
                    by_position.append(value)
        return function(*by_position, **by_name)

    def _check_spread(self, name: str, value: dict[str, Any]) -> None:
        """What is spread may not stand in for a parameter of its own, whose type it was not held to."""
        by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        if twice := [key for key, kind in self.kinds.items() if kind in by_keyword and key in value]:
            raise TypeError(f"`{twice[0]}` is an argument by itself, and cannot be given in `{name}`")


def routine(function: Callable[..., Any]) -> Callable[..., Any]:
    """What is behind a partial, or the `__call__` of a thing: where types and texts stand, and whether it is async."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def documented(function: Callable[..., Any]) -> Documented:
    """The docstring of `function`, in Google's, NumPy's, reST's or Epydoc's style; in none it is all description."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function):
        return _parsed(inspect.getdoc(function) or "")
    kind = type(function)
    text = inspect.getdoc(kind.__call__)
    if not text or text == inspect.getdoc(type.__call__):  # it has no words of its own; it may be given Python's
        text = inspect.getdoc(function) or inspect.getdoc(kind)
    return _parsed(text or "")


def _parsed(text: str) -> Documented:
    from docstring_parser import ParseError, parse

    try:
        parts = parse(text)
    except ParseError:
        return Documented(text.strip())
    about = "\n\n".join(part.strip() for part in (parts.short_description, parts.long_description) if part)
    described = {part.arg_name.lstrip("*"): part for part in parts.params}
    return Documented(
        about,
        {name: " ".join(part.description.split()) for name, part in described.items() if part.description},
        {name: part.type_name for name, part in described.items() if part.type_name},
    )


def parameters_of(function: Callable[..., Any], name: str, told: Documented) -> Parameters:
    """The parameters of `function`, which errors call `name`.

    Raises:
        NotSupported: for a parameter that a model cannot fill, with the reason.
    """
    from pydantic import TypeAdapter

    signature, types = _signature(function, name), _types(function, name)
    adapters, descriptions = {}, {}
    for parameter in signature.parameters.values():
        _check_default(parameter, name)
        kind = _type_of(parameter, types, told)
        descriptions[parameter.name] = told.parameters.get(parameter.name) or _annotated_description(kind)
        adapters[parameter.name] = _adapter(_spread(parameter, _at_once(kind)), name, parameter.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of defaults that JSON cannot hold
        schemas, shared = TypeAdapter.json_schemas([(key, "validation", each) for key, each in adapters.items()])
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {key: dict(schemas[key, "validation"]) for key in adapters},
        "required": [key for key in adapters if _is_required(signature.parameters[key])],
        "additionalProperties": False,
    }
    if "$defs" in shared:
        schema["$defs"] = shared["$defs"]
    definitions = {
        key: _definition(signature.parameters[key], adapters[key], descriptions[key], schema) for key in adapters
    }
    return Parameters(
        definitions,
        schema,
        {key: _by_adapter(adapter) for key, adapter in adapters.items()},
        {key: parameter.kind for key, parameter in signature.parameters.items()},
    )


def _signature(function: Callable[..., Any], name: str) -> inspect.Signature:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise NotSupported(
            f"`{name}` has no signature to read, so no model can be told what it takes; wrap it in a function of yours."
        ) from None
    first = next(iter(signature.parameters), None)
    if first in ("self", "cls") and signature.parameters[first].annotation is _EMPTY:
        raise NotSupported(
            f"`{name}` is a method that has no object yet (`{first}`); make the tool of the bound method instead: "
            f"`nb.tool(thing.{name})`."
        )
    return signature


def _types(function: Callable[..., Any], name: str) -> dict[str, Any]:
    plain = routine(function)
    try:
        return get_type_hints(plain, include_extras=True)
    except NameError as error:
        raise NotSupported(
            f"A type of `{name}` cannot be found: {error}. Define it before the tool, and outside of functions."
        ) from None
    except TypeError as error:
        if not getattr(plain, "__annotations__", None):  # a built-in has none
            return {}
        raise NotSupported(f"The types of `{name}` cannot be read: {error}.") from None


def _check_default(parameter: inspect.Parameter, name: str) -> None:
    from pydantic.fields import FieldInfo

    if isinstance(parameter.default, FieldInfo):
        raise NotSupported(
            f"The default of `{parameter.name}` of `{name}` is a pydantic Field, which the function would be given; "
            f"write `{parameter.name}: Annotated[type, Field(…)] = default` instead."
        )


def _type_of(parameter: inspect.Parameter, types: dict[str, Any], told: Documented) -> Any:
    if parameter.name in types:
        kind = types[parameter.name]
        return kind | None if parameter.default is None and isinstance(kind, type) else kind
    if type(parameter.default) in (bool, int, float, str, list, dict):
        return type(parameter.default)
    words = re.findall(r"\w+", told.types.get(parameter.name, ""))
    return _DOCUMENTED_TYPES.get(words[0].lower(), Any) if words else Any


def _annotated_description(kind: Any) -> str:
    """`Annotated[str, "the city"]` says it, and so does whatever has a `documentation`."""
    if get_origin(kind) is not Annotated:
        return ""
    for note in get_args(kind)[1:]:
        told = note if isinstance(note, str) else getattr(note, "documentation", None)
        if isinstance(told, str):
            return told
    return ""


def _at_once(kind: Any) -> Any:
    """An `Iterable` as a list, which is one: pydantic would look at its items only when the function does."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return Union[tuple(map(_at_once, arguments))]  # noqa: UP007
    if Iterable not in (kind, origin):
        return kind
    return list[arguments[0]] if arguments else list  # type: ignore[valid-type]


def _spread(parameter: inspect.Parameter, kind: Any) -> Any:
    match parameter.kind:
        case inspect.Parameter.VAR_POSITIONAL:
            return list[kind]
        case inspect.Parameter.VAR_KEYWORD:
            return dict[str, kind]
    return kind


def _adapter(kind: Any, name: str, parameter: str) -> Any:
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter
    from pydantic.errors import PydanticUndefinedAnnotation

    try:
        plain = readable(kind)
        try:
            adapter: Any = TypeAdapter(plain, config=ConfigDict(coerce_numbers_to_str=True))
        except PydanticUserError as error:
            if error.code != "type-adapter-config-unused":  # a model has a config of its own
                raise
            adapter = TypeAdapter(plain)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of defaults that JSON cannot hold
            adapter.json_schema()
    except (PydanticUserError, PydanticUndefinedAnnotation, TypeError, NameError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise NotSupported(
            f"The parameter `{parameter}` of `{name}` is of type {_type_name(kind)}, which a model cannot write down "
            f"({reason}). Take text, numbers, lists, dicts, dataclasses or pydantic models instead."
        ) from None
    return adapter


def _type_name(kind: Any) -> str:
    return kind.__qualname__ if isinstance(kind, type) and not get_args(kind) else str(kind)


def _is_required(parameter: inspect.Parameter) -> bool:
    spread = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is _EMPTY and parameter.kind not in spread


def _definition(parameter: inspect.Parameter, adapter: Any, told: str, root: dict[str, Any]) -> ToolParamDefinition:
    """The parameter in Llama Stack's words. Its own part of the schema gains the description and the default."""
    part = root["properties"][parameter.name]
    told = told or str(part.get("description") or "")
    word, phrase = word_of(part, root), phrase_of(part, root)
    if told:
        part.setdefault("description", told)
    if phrase not in (word, "any value"):
        told = f"{told.rstrip('.')}. {phrase[0].upper()}{phrase[1:]}." if told else f"{phrase[0].upper()}{phrase[1:]}."
    default = None if parameter.default is _EMPTY else _plain(adapter, parameter.default)
    if parameter.default is not _EMPTY and (default is not None or parameter.default is None):
        part["default"] = default
    return ToolParamDefinition(
        param_type=word, description=told or None, required=_is_required(parameter), default=default
    )


def _plain(adapter: Any, default: Any) -> Any:
    """A default as JSON has it; None for one that JSON cannot hold."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a default that is not of its parameter's type
        try:
            return adapter.dump_python(default, mode="json")
        except Exception:
            return None


def _by_adapter(adapter: Any) -> Convert:
    from pydantic import ValidationError

    def convert(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            raise _misfit(error) from None

    return convert


def _misfit(error: Any) -> Misfit:
    """The first complaint below the argument when there are such, and else the one about the argument itself."""
    complaints = error.errors(include_url=False, include_context=False)
    own_words = [complaint for complaint in complaints if complaint["type"] in ("value_error", "assertion_error")]
    first = (own_words or complaints)[0]
    steps = [step for step in first["loc"] if not isinstance(step, str) or step.isidentifier()]
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    says = first["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")
    if len(complaints) > 1 and len({complaint["loc"][:1] for complaint in complaints}) > 1 and not own_words:
        return Misfit("", "")  # one for each alternative of a union: the phrase says them all
    return Misfit(says[:1].lower() + says[1:], where, first["input"])
