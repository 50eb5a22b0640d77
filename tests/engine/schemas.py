"""Random JSON schemas, of all the keywords that answers can be held to. A seed gives the same schema everywhere."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]
NAMES = 'name age city tags score note kind id é "quoted" with space'.split()
TEXTS = ["", "yes", "no", "it's", 'a "word"', "line\nbreak", "back\\slash", "Grüße 😀", "<|eot_id|>", "{}"]
PATTERNS = [
    "^[a-z]{2,6}$",
    "^\\d{3}-\\d{4}$",
    "^(red|green|blue)$",
    "^[A-Z][a-z]{1,4}( [A-Z][a-z]{1,4})?$",
    "[0-9]{1,3}",
]
FORMATS = ["date", "time", "date-time", "uuid", "ipv4", "email"]
SCALARS = [0, 1, -7, 2.5, True, False, None, *TEXTS]


def random_schema(seed: int) -> Schema:
    chance = random.Random(seed)
    schema = _schema(chance, 3)
    if chance.random() < 0.3:
        schema = {"$ref": "#/$defs/whole", "$defs": {"whole": schema}}
    if chance.random() < 0.3:
        schema |= {"title": "Answer", "description": "what is wanted", "examples": [1]}
    return schema


def _schema(chance: random.Random, depth: int) -> Schema:
    flat: list[Callable[[random.Random], Schema]] = [_string, _integer, _number, _of_values, _plain, _types]
    nested: list[Callable[[random.Random, int], Schema]] = [_object, _object, _array, _any_of, _all_of]
    if depth == 0 or chance.random() < 0.4:
        return chance.choice(flat)(chance)
    return chance.choice(nested)(chance, depth - 1)


def _string(chance: random.Random) -> Schema:
    match chance.randrange(4):
        case 0:
            return {"type": "string", "pattern": chance.choice(PATTERNS), "maxLength": 20}
        case 1:
            return {"type": "string", "format": chance.choice(FORMATS)}
        case 2:
            return {"type": "string"}
        case _:
            least = chance.randrange(4)
            return {"type": "string", "minLength": least, "maxLength": least + chance.randrange(12)}


def _integer(chance: random.Random) -> Schema:
    least = chance.randint(-1000, 1000)
    match chance.randrange(5):
        case 0:
            return {"type": "integer", "minimum": least, "maximum": least + chance.randrange(500)}
        case 1:
            return {"type": "integer", "exclusiveMinimum": least, "exclusiveMaximum": least + chance.randint(2, 500)}
        case 2:
            return {"type": "integer", "multipleOf": chance.choice([2, 3, 5, 10]), "minimum": 0, "maximum": 300}
        case 3:
            return {"type": "integer", "minimum": least}
        case _:
            return {"type": "integer"}


def _number(chance: random.Random) -> Schema:
    least = round(chance.uniform(-10, 10), 2)
    least += 0.1 * least.is_integer()  # whole ones that are excluded, so near each other, are refused
    match chance.randrange(4):
        case 0:
            return {"type": "number", "minimum": least, "maximum": least + 3.5}
        case 1:
            return {"type": "number", "exclusiveMinimum": least, "exclusiveMaximum": least + 0.755}
        case 2:
            return {"type": "number", "maximum": least}
        case _:
            return {"type": "number"}


def _of_values(chance: random.Random) -> Schema:
    values = chance.sample(SCALARS, chance.randint(1, 4)) + [{"a": [1, "b"]}] * chance.randrange(2)
    return {"const": values[0]} if chance.random() < 0.3 else {"enum": values}


def _plain(chance: random.Random) -> Schema:
    return {"type": chance.choice(["boolean", "null"])}


def _types(chance: random.Random) -> Schema:
    return {"type": chance.sample(["boolean", "null", "integer", "string"], 2), "maxLength": 5}


def _object(chance: random.Random, depth: int) -> Schema:
    names = chance.sample(NAMES, chance.randint(0, 4))
    schema: Schema = {
        "type": "object",
        "properties": {name: _schema(chance, depth) for name in names},
        "required": [name for name in names if chance.random() < 0.7],
    }
    match chance.randrange(4):
        case 0:
            schema["additionalProperties"] = False
        case 1 if not names:
            schema |= {"additionalProperties": _plain(chance), "maxProperties": 2, "minProperties": 1}
        case 2:
            del schema["type"]
    return schema


def _array(chance: random.Random, depth: int) -> Schema:
    least = chance.randrange(3)
    schema: Schema = {"type": "array", "minItems": least, "maxItems": least + chance.randrange(3)}
    if chance.random() < 0.3:
        firsts = [_schema(chance, 0) for _ in range(chance.randint(1, 2))]
        return {"type": "array", "prefixItems": firsts, "items": False, "minItems": len(firsts)}
    return schema | {"items": _schema(chance, depth)}


def _any_of(chance: random.Random, depth: int) -> Schema:
    if chance.random() < 0.4:
        return {"oneOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "string", "maxLength": 5}]}
    return {"anyOf": [_schema(chance, depth) for _ in range(chance.randint(1, 3))]}


def _all_of(chance: random.Random, depth: int) -> Schema:
    parts = [
        {"type": "object", "properties": {name: _schema(chance, 0)}, "required": [name]}
        for name in chance.sample(NAMES, 2)
    ]
    closing = [{"type": "object", "properties": dict.fromkeys(NAMES, True), "additionalProperties": False}]
    return {"allOf": parts + (closing if chance.random() < 0.7 else [])}
