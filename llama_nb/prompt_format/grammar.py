"""What an answer is held to, as it travels to the generator. Knows how llguidance reads it; knows no vocabulary."""

from __future__ import annotations

from typing import Literal

import msgspec

# As `json.dumps` writes it, which is what models have read most; and nothing that could be repeated without an end.
JSON_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Grammar(msgspec.Struct, frozen=True):
    """What an answer must be a sentence of: a JSON schema, a regular expression, or a grammar in llguidance's Lark."""

    kind: Literal["json_schema", "regex", "lark"]
    text: str


class Guide(msgspec.Struct, frozen=True):
    """What an answer is held to if it begins a call: with `<|python_tag|>`, or with one of these texts."""

    grammar: Grammar
    openings: list[str] = []


def compiled(grammar: Grammar) -> str:
    """`grammar` as llguidance takes it. Raises ValueError when it is no JSON."""
    from llguidance import LLMatcher

    if grammar.kind == "json_schema":
        return LLMatcher.grammar_from_json_schema(grammar.text, overrides=JSON_STYLE)  # type: ignore[arg-type]
    if grammar.kind == "regex":
        return LLMatcher.grammar_from_regex(grammar.text)
    return LLMatcher.grammar_from_lark(grammar.text)


def refusal(grammar: Grammar) -> str:
    """Why no answer can be held to `grammar`; "" when one can.

    >>> refusal(Grammar("regex", "a+"))
    ''
    >>> print(refusal(Grammar("lark", "start: nobody")).splitlines()[0])
    at 1(8): unknown name: "nobody"
    """
    from llguidance import LLMatcher

    try:
        said = LLMatcher.validate_grammar(compiled(grammar)).strip()
    except ValueError as error:
        return str(error)
    return "" if said.startswith("WARNING") else said
