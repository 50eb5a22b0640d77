"""JSON schemas in the words that a model is told: a type's one word, and a phrase for what a value may be.

Knows JSON schema; knows nothing of Python's types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORDS = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
    "null": "None",
}
_CHOICES_TOLD = 40
_DEPTH = 3  # how deep an object's fields are told; a type may hold itself
_ANYTHING = "any value"

Schema = Mapping[str, Any]


def resolved(schema: Any, root: Schema) -> Schema:
    """`schema`, or what its `$ref` into `root` points to."""
    if not isinstance(schema, Mapping):  # true and false are schemas, too
        return {}
    seen = set()
    while isinstance(reference := schema.get("$ref"), str) and reference not in seen:
        seen.add(reference)
        target: Any = root
        for step in reference.removeprefix("#").strip("/").split("/"):
            target = target.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(target, Mapping) else {}
        schema = target if isinstance(target, Mapping) else {}
    found: Schema = schema
    return found


def alternatives(schema: Schema, root: Schema) -> list[Schema]:
    """The schemas one of which a value has to fit; `null` is left out, since leaving an argument out says as much."""
    schema = resolved(schema, root)
    options = schema.get("anyOf") or schema.get("oneOf")
    if options is None and isinstance(schema.get("type"), list):
        options = [{**schema, "type": kind} for kind in schema["type"]]
    if options is None:
        return [schema]
    return [option for option in options if resolved(option, root).get("type") != "null"] or [schema]


def word_of(schema: Schema, root: Schema) -> str:
    """The one word for the type: str, int, float, bool, list or dict.

    >>> word_of({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {})
    'int'
    """
    words = {_own_word(option, root) for option in alternatives(schema, root)}
    if words == {"int", "float"}:
        return "float"
    return words.pop() if len(words) == 1 else "str"


def _own_word(schema: Schema, root: Schema) -> str:
    schema = resolved(schema, root)
    kind = schema.get("type")
    if isinstance(kind, str):
        return _WORDS.get(kind, "str")
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    for plain in (bool, int, float, str, list, dict):
        if values and all(type(value) is plain for value in values):
            return plain.__name__
    return "dict" if "properties" in schema else "str"


def phrase_of(schema: Schema, root: Schema, depth: int = _DEPTH) -> str:
    """What a value may be, in a few words.

    >>> phrase_of({"enum": ["celsius", "fahrenheit"]}, {})
    "one of 'celsius', 'fahrenheit'"
    >>> phrase_of({"type": "array", "items": {"type": "integer", "minimum": 0}}, {})
    'a list of int (at least 0)'
    """
    phrases = [_own_phrase(option, root, depth) for option in alternatives(schema, root)]
    return " or ".join(dict.fromkeys(phrases))


def _own_phrase(schema: Schema, root: Schema, depth: int) -> str:
    schema = resolved(schema, root)
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return _choices(schema["enum"])
    match schema.get("type"):
        case "array":
            return _list(schema, root, depth)
        case "object":
            return _object(schema, root, depth)
        case str(kind):
            return _WORDS.get(kind, kind) + _limits(schema)
    return _object(schema, root, depth) if "properties" in schema else _ANYTHING


def _choices(values: list[Any]) -> str:
    told = ", ".join(map(repr, values[:_CHOICES_TOLD]))
    return f"one of {told}" + (" and more" if len(values) > _CHOICES_TOLD else "")


def _list(schema: Schema, root: Schema, depth: int) -> str:
    if depth == 0:
        return "list"
    if isinstance(places := schema.get("prefixItems"), list):
        return "a list [" + ", ".join(phrase_of(place, root, depth - 1) for place in places) + "]"
    items = schema.get("items")
    inside = phrase_of(items, root, depth - 1) if isinstance(items, Mapping) else _ANYTHING
    return "list" if inside == _ANYTHING else f"a list of {inside}"


def _object(schema: Schema, root: Schema, depth: int) -> str:
    fields = schema.get("properties")
    if depth == 0:
        return "dict"
    if isinstance(fields, Mapping) and fields:
        required = schema.get("required", [])
        told = [
            f"`{name}` ({phrase_of(field, root, depth - 1)}{'' if name in required else ', optional'})"
            for name, field in fields.items()
        ]
        return "a dict with " + ", ".join(told)
    values = schema.get("additionalProperties")
    inside = phrase_of(values, root, depth - 1) if isinstance(values, Mapping) else _ANYTHING
    return "dict" if inside == _ANYTHING else f"a dict of {inside}"


def _limits(schema: Schema) -> str:
    told = [
        f"{words} {schema[keyword]}"
        for keyword, words in (
            ("format", ""),
            ("minimum", "at least"),
            ("maximum", "at most"),
            ("exclusiveMinimum", "more than"),
            ("exclusiveMaximum", "less than"),
            ("pattern", "matching"),
        )
        if keyword in schema
    ]
    return f" ({', '.join(words.strip() for words in told)})" if told else ""
