"""JSON schemas for answers: which can be kept to, and whether a text keeps to one. Knows nothing of models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from llama_nb.errors import AnswerInvalid, BadRequest, did_you_mean

# Keywords that hold a schema, a list of schemas, and schemas by name.
_ONE = ("items", "additionalProperties")
_SEVERAL = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "$defs", "definitions")
_LIMITS = """
    type enum const required minProperties maxProperties minItems maxItems minLength maxLength pattern format
    minimum maximum exclusiveMinimum exclusiveMaximum multipleOf $ref
""".split()
_EXCLUDED = ("exclusiveMinimum", "exclusiveMaximum")
_BOUNDS = ("minimum", "maximum", *_EXCLUDED)
_NOTES = """
    title description default examples $schema $id $comment deprecated readOnly writeOnly discriminator
""".split()
KEYWORDS = frozenset([*_ONE, *_SEVERAL, *_NAMED, *_LIMITS, *_NOTES])
SHOWN_CHARACTERS = 200


def check(schema: Mapping[str, Any]) -> None:
    """Whether an answer can be made to fit `schema`, as far as its keywords say.

    A keyword is refused where it would be passed over in silence, or where what comes of it is known to be wrong.

    Raises:
        BadRequest: with the keyword and where it stands.

    >>> check({"type": "object", "patternProperties": {}})
    Traceback (most recent call last):
    llama_nb.errors.BadRequest: The JSON schema has `patternProperties` at `$`, which answers cannot be made to fit. ...
    """
    try:
        _require_json(schema)
        for place, part in _parts(schema, "$"):
            _check_part(place, part)
    except RecursionError:
        raise BadRequest(
            "The JSON schema is nested too deeply. Make it flatter, or name its parts in `$defs`."
        ) from None


def _require_json(schema: Mapping[str, Any]) -> None:
    try:
        json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadRequest(f"The JSON schema is not JSON: {error}.") from error


def _check_part(place: str, part: Any) -> None:
    if isinstance(part, bool):
        return
    if not isinstance(part, Mapping):
        raise BadRequest(f"The JSON schema has {part!r} at `{place}`; a schema is an object, true or false.")
    for keyword in part:
        if keyword not in KEYWORDS:
            raise BadRequest(
                f"The JSON schema has `{keyword}` at `{place}`, which answers cannot be made to fit. "
                f"Say it in the description, or check it afterwards. {did_you_mean(str(keyword), KEYWORDS)}"
            )
    _check_bounds(place, part)
    _check_pattern(place, part.get("pattern", ""))
    reference = part.get("$ref", "#")
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise BadRequest(
            f"The JSON schema has `$ref` {reference!r} at `{place}`; it must point into itself: `#/$defs/…`."
        )


def _check_bounds(place: str, part: Mapping[str, Any]) -> None:
    """llguidance lets 8 pass where more than 8 and at most 8.5 is asked for."""
    bounds = {keyword: part[keyword] for keyword in _BOUNDS if isinstance(part.get(keyword), int | float)}
    excluded = [keyword for keyword, bound in bounds.items() if keyword in _EXCLUDED and float(bound).is_integer()]
    if excluded and part.get("type") != "integer" and max(bounds.values()) - min(bounds.values()) < 1 < len(bounds):
        raise BadRequest(
            f"The JSON schema has `{excluded[0]}` at `{place}` with bounds less than 1 apart, which answers cannot be "
            "made to fit. Use `minimum` and `maximum` there."
        )


def _check_pattern(place: str, pattern: Any) -> None:
    """The answer is checked once more in Python, which does not know all of what Rust's `regex` does."""
    try:
        re.compile(str(pattern))
    except (re.error, RecursionError, OverflowError) as error:
        raise BadRequest(f"The JSON schema has the `pattern` {pattern!r} at `{place}`: {error}.") from None


def _parts(schema: Any, place: str) -> Iterator[tuple[str, Any]]:
    """`schema` and all that it consists of, each with where it stands."""
    yield place, schema
    if not isinstance(schema, Mapping):
        return
    for keyword, value in schema.items():
        if keyword in _ONE:
            yield from _parts(value, f"{place}.{keyword}")
        elif keyword in _SEVERAL and isinstance(value, list):
            for index, one in enumerate(value):
                yield from _parts(one, f"{place}.{keyword}[{index}]")
        elif keyword in _NAMED and isinstance(value, Mapping):
            for name, one in value.items():
                yield from _parts(one, f"{place}.{keyword}.{name}")


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` with no other properties than those it names, so that a model does not invent more without an end.

    What fits it fits `schema`. A schema that puts objects together from parts stays as it is: a part that is closed
    would forbid the others' properties.

    >>> closed({"properties": {"a": {}}})
    {'properties': {'a': {}}, 'additionalProperties': False}
    """
    whole: dict[str, Any] = json.loads(json.dumps(schema))
    parts = [part for _, part in _parts(whole, "$") if isinstance(part, dict)]
    if any("allOf" in part or ("properties" in part and {"anyOf", "oneOf", "$ref"} & part.keys()) for part in parts):
        return whole
    for part in parts:
        named = part.get("properties")
        if isinstance(named, dict) and named and set(part.get("required", ())) <= named.keys():
            part.setdefault("additionalProperties", False)
    return whole


def validate(schema: Mapping[str, Any], text: str) -> Any:
    """What `text` says in JSON, once it is sure that it fits `schema`. `format` is not looked at again.

    Raises:
        AnswerInvalid: it is no JSON (as when an answer was cut off), or does not fit; with the place.

    >>> validate({"type": "integer"}, "3")
    3
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for

    try:
        content = json.loads(text, parse_constant=_no_such_number)
        errors = validator_for(schema, default=Draft202012Validator)(schema).iter_errors(content)
        worst = best_match(errors)
    except ValueError as error:
        raise AnswerInvalid(f"The answer is not JSON: {error}. It reads {_shortened(text)!r}.") from error
    except RecursionError:
        raise AnswerInvalid("The answer is nested too deeply to be read.") from None
    if worst is not None:
        raise AnswerInvalid(f"The answer does not fit its schema at `{worst.json_path}`: {_shortened(worst.message)}.")
    return content


def _no_such_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
