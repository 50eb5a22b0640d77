"""A call's arguments, held to their tool: missing, unknown and misfit ones become a sentence that a model can act on.

Two kinds of tools come here: functions, whose types pydantic checks and converts, and those that bring a JSON schema.
Knows no tool.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from llama_nb.errors import ToolArgumentsInvalid, did_you_mean
from llama_nb.tools.schema import Schema, alternatives, phrase_of, word_of

_SHOWN = 80  # characters of a value that came

Convert = Callable[[Any], Any]
"""A value → the value that the function takes. Raises `Misfit`."""


class Misfit(ValueError):
    """A value that does not fit: `where` in it (a path below the argument, "" for itself), and `why`."""

    def __init__(self, why: str, where: str = "", came: Any = None) -> None:
        super().__init__(why)
        self.why, self.where, self.came = why, where, came


def checked(tool: str, schema: Schema, arguments: Mapping[str, Any], convert: Mapping[str, Convert]) -> dict[str, Any]:
    """`arguments` as the tool takes them. What is left out stays out; None for what may be left out leaves it out.

    Raises:
        ToolArgumentsInvalid: with what is wrong with the first of them that does not fit.
    """
    if not isinstance(arguments, Mapping):
        raise ToolArgumentsInvalid(f"The arguments of `{tool}` must be a dict, but {shown(arguments)} came.")
    _check_names(tool, schema, arguments)
    required = schema.get("required", [])
    return {
        name: _one(tool, schema, name, value, convert[name])
        for name, value in arguments.items()
        if value is not None or name in required or _takes_none(convert[name])
    }


def _takes_none(convert: Convert) -> bool:
    try:
        convert(None)
    except Misfit:
        return False
    return True


def _check_names(tool: str, schema: Schema, arguments: Mapping[str, Any]) -> None:
    known = schema.get("properties", {})
    unknown = [name for name in arguments if name not in known]
    if unknown and not known:
        raise ToolArgumentsInvalid(f"`{tool}` takes no arguments, but `{unknown[0]}` came.")
    if unknown:
        raise ToolArgumentsInvalid(f"`{tool}` has no argument `{unknown[0]}`. {did_you_mean(str(unknown[0]), known)}")
    missing = [name for name in schema.get("required", []) if name not in arguments]
    if missing:
        told = ", ".join(f"`{name}` ({phrase_of(known.get(name, {}), schema)})" for name in missing)
        raise ToolArgumentsInvalid(f"`{tool}` needs {told}, which did not come.")


def _one(tool: str, schema: Schema, name: str, value: Any, convert: Convert) -> Any:
    expected = schema["properties"][name]
    try:
        return _fitting(value, convert, expected, schema)
    except Misfit as misfit:
        where = f"`{name}{misfit.where}`"
        if misfit.where:
            raise ToolArgumentsInvalid(
                f"Argument `{name}` of `{tool}` does not fit: at {where}, {shown(misfit.came)} came, but {misfit.why}."
            ) from None
        phrase = phrase_of(expected, schema)
        reason = f" ({misfit.why})" if misfit.why and "one of" not in phrase else ""
        raise ToolArgumentsInvalid(
            f"Argument `{name}` of `{tool}` must be {phrase}, but {shown(value)} came{reason}."
        ) from None


def _fitting(value: Any, convert: Convert, expected: Schema, root: Schema) -> Any:
    """`value` converted; text that spells a list, a number or None is read when the text itself does not fit."""
    try:
        return convert(value)
    except Misfit as misfit:
        for reading in _readings(value):
            try:
                return convert(reading)
            except Misfit:
                continue
        raise misfit


def _readings(text: Any) -> list[Any]:
    """What `text` says as JSON or as Python: models write `"[1, 2]"` and `"None"` in quotes, now and then."""
    if not isinstance(text, str):
        return []
    readings = []
    for read in (json.loads, ast.literal_eval):
        try:
            readings.append(read(text))
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return readings


def shown(value: Any) -> str:
    """A value as an error names it: short, and its type where that is not plain.

    >>> shown("soon"), shown([1, 2])
    ("'soon'", '[1, 2]')
    """
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def schema_converters(schema: Schema) -> dict[str, Convert]:
    """For each property of a JSON schema the check of its values. Nothing is fetched, wherever a `$ref` points to."""
    parts = schema.get("properties", {})
    return {name: _by_schema(part if isinstance(part, Mapping) else {}, schema) for name, part in parts.items()}


def _by_schema(part: Schema, root: Schema) -> Convert:
    def convert(value: Any) -> Any:
        value = _as_typed(value, part, root)
        error = _first_error(value, part, root)
        if error is None:
            return value
        path, message, came = error
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
        raise Misfit(message if where else "", where, came)

    return convert


def _as_typed(value: Any, part: Schema, root: Schema) -> Any:
    """Numbers and truth values that came as text, as what they spell; a number where text is asked for, as text."""
    words = {word_of(option, root) for option in alternatives(part, root)}
    if isinstance(value, str) and "str" not in words and words:
        for reading in _readings(value.strip()) + _readings(value.strip().lower()):
            if _first_error(reading, part, root) is None:
                return reading
    if isinstance(value, int | float) and not isinstance(value, bool) and words == {"str"}:
        return str(value) if _first_error(value, part, root) is not None else value
    return value


def _first_error(value: Any, part: Schema, root: Schema) -> tuple[list[Any], str, Any] | None:
    from jsonschema.exceptions import SchemaError, UnknownType, best_match
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # The definitions stand beside it, so that its references find them; the empty registry fetches no others.
    whole = {"$defs": root.get("$defs", {}), "definitions": root.get("definitions", {}), **part}
    try:
        error = best_match(_validator()(whole, registry=Registry()).iter_errors(value))
    except (Unresolvable, SchemaError, UnknownType, re.error, TypeError, RecursionError):
        return None  # a schema that cannot be read: whoever made it checks its arguments, or nobody does
    return None if error is None else (list(error.absolute_path), error.message[:200], error.instance)


@cache
def _validator() -> Any:
    """Checks as JSON schema says, but for its patterns: Python may take years for one that a server wrote, with the
    whole kernel waiting. Those of texts are left to an engine that takes no longer than the text, those of names to
    whoever wrote them."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    additional = Draft202012Validator.VALIDATORS["additionalProperties"]

    def without_patterns(validator: Any, extras: Any, value: Any, schema: Schema) -> Any:
        return () if "patternProperties" in schema else additional(validator, extras, value, schema)

    def unchecked(*_: Any) -> Any:
        return ()

    return extend(
        Draft202012Validator,
        {
            "pattern": _pattern_error,
            "patternProperties": unchecked,
            "additionalProperties": without_patterns,
            "unevaluatedProperties": unchecked,
        },
    )


def _pattern_error(validator: Any, pattern: Any, value: Any, schema: Schema) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if isinstance(value, str) and not _matches(pattern, value):
        yield ValidationError(f"{shown(value)} does not match {shown(pattern)}")


def _matches(pattern: Any, text: str) -> bool:
    """Whether `text` has it somewhere; also when the engine does not know such a pattern."""
    from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

    try:
        SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex")).validate_python(text)
    except SchemaError:
        return True
    except ValidationError:
        return False
    return True
