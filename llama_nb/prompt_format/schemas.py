"""JSON schemas for answers: which can be kept to, and whether a text keeps to one. Knows nothing of models."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NoReturn

from llama_nb.errors import AnswerInvalid, BadRequest, did_you_mean

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

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
FORMATS = "date-time time date duration email hostname ipv4 ipv6 uuid uri unknown".split()  # those of llguidance
SHOWN_CHARACTERS = 200

# What `readable` leaves of a format: the days that there are, from the year 1 on, and no leap seconds.
_YEAR = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_BY_FOUR = "(?:0[48]|[2468][048]|[13579][26])"
_LEAP_YEAR = f"(?:[0-9]{{2}}{_BY_FOUR}|{_BY_FOUR}00)"
_DATE = f"(?:{_LEAP_YEAR}-02-29|{_YEAR}-(?:02-(?:[01][0-9]|2[0-8])|(?:0[13-9]|1[0-2])-[0-3][0-9]))"
_TIME = "[0-9]{2}:[0-9]{2}:[0-5][0-9](?:\\.[0-9]{1,6})?[zZ+-]"
_DATED = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}",
    "date-time": f"^{_DATE}[tT]{_TIME}",
    "duration": "^P(?:T?[0-9]{1,6}[A-Z])+$",  # all of them together are less than the longest timedelta
}


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
    for keyword in ("$schema", "$id"):
        if not isinstance(part.get(keyword, ""), str):
            raise BadRequest(f"The JSON schema has the `{keyword}` {part[keyword]!r} at `{place}`; it must be a text.")
    _check_bounds(place, part)
    _check_pattern(place, part.get("pattern", ""))
    _check_format(place, part)
    reference = part.get("$ref", "#")
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise BadRequest(
            f"The JSON schema has `$ref` {reference!r} at `{place}`; it must point into itself: `#/$defs/…`."
        )


def _check_bounds(place: str, part: Mapping[str, Any]) -> None:
    """llguidance lets 8 pass where more than 8 and at most 8.5 is asked for."""
    bounds = {keyword: Fraction(part[keyword]) for keyword in _BOUNDS if isinstance(part.get(keyword), int | float)}
    excluded = [keyword for keyword, bound in bounds.items() if keyword in _EXCLUDED and bound.denominator == 1]
    if excluded and part.get("type") != "integer" and max(bounds.values()) - min(bounds.values()) < 1 < len(bounds):
        raise BadRequest(
            f"The JSON schema has `{excluded[0]}` at `{place}` with bounds less than 1 apart, which answers cannot be "
            "made to fit. Use `minimum` and `maximum` there."
        )


def _check_pattern(place: str, pattern: Any) -> None:
    """The answer is checked once more in Python, which does not know all of what Rust's `regex` does.

    What Python means to read otherwise one day, as `[[:alpha:]]`, Rust reads so today; Python only warns of it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            re.compile(str(pattern), re.ASCII)
    except (re.error, ValueError, RecursionError, OverflowError, FutureWarning) as error:
        raise BadRequest(f"The JSON schema has the `pattern` {pattern!r} at `{place}`: {error}.") from None


def _check_format(place: str, part: Mapping[str, Any]) -> None:
    """Formats are of texts: that of a number, as OpenAPI has them, is a note."""
    named, kinds = part.get("format"), part.get("type", "string")
    if isinstance(named, str) and named not in FORMATS and "string" in (kinds if isinstance(kinds, list) else [kinds]):
        raise BadRequest(
            f"The JSON schema has the unknown format `{named}` at `{place}`, which answers cannot be made to fit. "
            f"Leave it out, or use a `pattern`. {did_you_mean(named, FORMATS)}"
        )


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
        if _names_enough(part):
            part.setdefault("additionalProperties", False)
    return whole


def _names_enough(part: dict[str, Any]) -> bool:
    """Whether an object can have all that is asked for without a property that is not named.

    What is no list and no number here is refused by those who read the schema next.
    """
    named, needed, least = part.get("properties"), part.get("required", []), part.get("minProperties", 0)
    if not isinstance(named, dict) or not isinstance(needed, list) or not isinstance(least, int):
        return False
    return bool(named) and all(name in list(named) for name in needed) and least <= len(named)


def readable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` with digits, dates, times and durations that Python can read.

    Its formats allow more: the 29th of any February, leap seconds, durations without an end. What fits this schema
    fits the one that is given.

    >>> readable({"items": {"format": "duration"}})["items"]["pattern"]
    '^P(?:T?[0-9]{1,6}[A-Z])+$'
    """
    whole: dict[str, Any] = json.loads(json.dumps(schema))
    for _, part in _parts(whole, "$"):
        if isinstance(part, dict) and isinstance(part.get("pattern"), str):
            part["pattern"] = plain_digits(part["pattern"])
        elif isinstance(part, dict) and not {"enum", "const"} & part.keys():
            pattern = _DATED.get(str(part.get("format")))
            part |= {} if pattern is None else {"pattern": pattern}
    return whole


def plain_digits(pattern: str) -> str:
    r"""`pattern` with the digits 0 to 9 alone for `\d`, which to llguidance are those of all scripts.

    >>> plain_digits(r"\d{3}-[\dA-F]+\\d")
    '[0-9]{3}-[[0-9]A-F]+\\\\d'
    """
    return re.sub(r"\\.", lambda escape: "[0-9]" if escape[0] == r"\d" else escape[0], pattern, flags=re.DOTALL)


def validate(schema: Mapping[str, Any], text: str) -> Any:
    """What `text` says in JSON, once it is sure that it fits `schema`. `format` is not looked at again.

    JSON has numbers that are too large for Python's floats: `1e999` is read as `inf`.

    Raises:
        AnswerInvalid: it is no JSON (as when an answer was cut off), or does not fit; with the place.

    >>> validate({"type": "integer"}, "3")
    3
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import extend, validator_for

    try:
        content = json.loads(text, parse_constant=_no_such_number)
        known = validator_for(schema, default=Draft202012Validator)
        exact = extend(known, {"multipleOf": _not_a_multiple, "pattern": _no_match})
        worst = best_match(exact(schema).iter_errors(content))
    except ValueError as error:
        raise AnswerInvalid(f"The answer is not JSON: {error}. It reads {_shortened(text)!r}.") from error
    except RecursionError:
        raise AnswerInvalid("The answer is nested too deeply to be read.") from None
    if worst is not None:
        raise AnswerInvalid(f"The answer does not fit its schema at `{worst.json_path}`: {_shortened(worst.message)}.")
    return content


def _not_a_multiple(validator: Any, divisor: Any, number: Any, schema: Any) -> Iterator[ValidationError]:
    """Decimals count as they are written: in binary 0.07 is no multiple of 0.01."""
    from jsonschema.exceptions import ValidationError

    if validator.is_type(number, "number") and (
        abs(number) == float("inf") or Fraction(str(number)) % Fraction(str(divisor))
    ):
        yield ValidationError(f"{number!r} is not a multiple of {divisor!r}")


def _no_match(validator: Any, pattern: str, text: Any, schema: Any) -> Iterator[ValidationError]:
    """The generator reads `\\W`, `\\D` and `\\S` as the opposite of ASCII's classes, but `\\s` as Python does."""
    from jsonschema.exceptions import ValidationError

    if validator.is_type(text, "string") and not any(re.search(pattern, text, flags) for flags in (0, re.ASCII)):
        yield ValidationError(f"{text!r} does not match {pattern!r}")


def _no_such_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
