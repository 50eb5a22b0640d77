"""Text that a model wrote → the tool calls in it, in any of Llama's forms.

    calls    = item {[";" | ","] item}             also one below the other
    item     = object | tag | call | "[" (object | call) {"," (object | call)} "]"
    object   = {["type": "function",] "name": NAME, "parameters" or "arguments": {…}}     keys in any order
    tag      = "<function=" NAME ">" {…} "</function>"
    call     = NAME "(" [KEY "=" value {"," KEY "=" value}] ")"
    built-in = NAME ".call(query=" string ")"      a call whose name ends so

A call's NAME is of letters, digits, `_`, `.`, `-` and `/`, a tag's has no `<` and `>`, and a KEY may be anything
without quotes, `(){}`, `,` and `=`. Values are those of `literals`. Nothing here raises: what cannot be read is no
call, and a `Reading` says why. Knows nothing of the tools that were offered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from llama_nb.prompt_format.literals import Scanner, Unreadable

_TAG = re.compile(r"<function=([^<>]+)>")
_NAME = re.compile(r"(\w[\w./-]*)\(")
_KEY = re.compile(r"""([^\s"'(){},=][^"'(){},=]*)=""")
_ITEM = re.compile(r"\{|<function=|\[\s*\{|(?:\[\s*)?\w[\w./-]*\(")  # how one begins
_NOTHING = re.compile(r"[\s;,]*\Z")
_BUILTIN_ENDING = ".call"


class Call(NamedTuple):
    name: str
    arguments: dict[str, Any]


class Reading(NamedTuple):
    """What stands at the beginning of a text: calls, and the `rest` behind them; or none, and `fault` says why."""

    calls: list[Call]
    rest: str
    fault: str = ""


def read_calls(text: str) -> list[Call] | None:
    """The calls that `text` as a whole consists of; None when it is something else.

    >>> read_calls('{"type": "function", "name": "add", "parameters": {"a": 1}}')
    [Call(name='add', arguments={'a': 1})]
    >>> read_calls('brave_search.call(query="llamas")')
    [Call(name='brave_search', arguments={'query': 'llamas'})]
    >>> read_calls("[add(a=1), add(a=2)]")
    [Call(name='add', arguments={'a': 1}), Call(name='add', arguments={'a': 2})]
    >>> read_calls('<function=add>{"a": 1}</function>')
    [Call(name='add', arguments={'a': 1})]
    """
    reading = read(text)
    return reading.calls if reading.calls and not reading.rest else None


def read(text: str) -> Reading:
    """The calls with which `text` begins.

    >>> read("[add(a=1)] That is it.")
    Reading(calls=[Call(name='add', arguments={'a': 1})], rest=' That is it.', fault='')
    >>> read("[add(a=1").fault
    'it breaks off'
    """
    scanner = Scanner(text)
    calls: list[Call] = []
    end = 0
    try:
        while not calls or _ITEM.match(text, _after_separators(scanner)):
            calls += _item(scanner)
            end = scanner.at
    except (Unreadable, RecursionError) as error:
        return Reading([], text, str(error))
    return Reading(calls, "" if _NOTHING.match(text, end) else text[end:])


def _after_separators(scanner: Scanner) -> int:
    while scanner.take(";") or scanner.take(","):
        pass
    return scanner.at


def _item(scanner: Scanner) -> list[Call]:
    if scanner.take("["):
        calls = [_object_or_call(scanner)]
        while scanner.take(",") and scanner.peek() != "]":
            calls.append(_object_or_call(scanner))
        scanner.expect("]")
        return calls
    if scanner.peek() == "<":
        return [_tag(scanner)]
    return [_object_or_call(scanner)]


def _object_or_call(scanner: Scanner) -> Call:
    return _object(scanner) if scanner.peek() == "{" else _call(scanner)


def _object(scanner: Scanner) -> Call:
    content = scanner.object()
    name, arguments = content.get("name"), content.get("parameters", content.get("arguments"))
    if arguments is None and content.get("type") == "function":
        arguments = {}
    if not isinstance(name, str):
        raise Unreadable('the JSON object has no `"name"`')
    if not isinstance(arguments, dict):
        raise Unreadable('the JSON object has no `"parameters"` that are an object')
    return Call(name, arguments)


def _tag(scanner: Scanner) -> Call:
    found = scanner.match(_TAG)
    if not found:
        raise scanner.unreadable("`<function=NAME>` is missing")
    call = Call(found[1], scanner.object())
    scanner.expect("</function>")
    return call


def _call(scanner: Scanner) -> Call:
    found = scanner.match(_NAME)
    if not found:
        raise scanner.unreadable("a call is missing")
    name, arguments = found[1], dict(_keyword_arguments(scanner))
    if name.endswith(_BUILTIN_ENDING) and arguments.keys() == {"query"}:
        name = name.removesuffix(_BUILTIN_ENDING)
    return Call(name, arguments)


def _keyword_arguments(scanner: Scanner) -> Iterator[tuple[str, Any]]:
    """Up to the closing bracket; values without a name have no place in a call."""
    while not scanner.take(")"):
        found = scanner.match(_KEY)
        if not found:
            raise scanner.unreadable("the name of an argument is missing")
        yield found[1].rstrip(), scanner.value()
        if not scanner.take(",") and scanner.peek() != ")":
            raise scanner.unreadable("`,` or `)` is missing")
