"""The tools that were offered, and what a model's text means in view of them: calls, code, or text.

Behind `<|python_tag|>` a call is meant: what names an offered tool is one, with whatever arguments (the tool's runner
tells the model what is wrong with them), text behind it stays text, and what is no call is code, where code was
offered and did not break off. Letters alone are a call only if they are the whole message, name offered tools, and
their arguments are among those that the tools have, the required ones included. Several calls count together or not
at all. Knows nothing of tokens and events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import islice
from typing import NamedTuple

from llama_nb.apis.messages import BuiltinTool, ToolDefinition, ToolPromptFormat, tool_name_str
from llama_nb.prompt_format.calls import Call, Reading, read
from llama_nb.prompt_format.family import Family

CODE = BuiltinTool.code_interpreter.value
_TRIES = 50  # a text full of beginnings is not searched for a whole call without an end
_SEARCHES = "|".join(tool.value for tool in BuiltinTool if tool is not BuiltinTool.code_interpreter)
_SHAPE = re.compile(rf'\s*(?:\{{\s*"type"\s*:\s*"function"|<function=|[\w.-]+\.call\(\s*query|(?:{_SEARCHES})\b)')
_FORMS = {
    ToolPromptFormat.json: '{"type": "function", "name": …, "parameters": {…}}',
    ToolPromptFormat.function_tag: "<function=NAME>{…}</function>",
    ToolPromptFormat.python_list: "[NAME(parameter=value)]",
}


class Opening(Enum):
    """What the beginning of a message may become."""

    text = "text"
    maybe = "maybe"
    call = "call"


class Verdict(NamedTuple):
    """The calls, and the text beside them; without calls `fault` says why there are none."""

    calls: list[Call]
    text: str
    fault: str | None = None


class Offer:
    """Tools, as one prompt offers them."""

    def __init__(
        self,
        tools: Sequence[ToolDefinition] = (),
        family: Family = Family.llama3_1,
        tool_prompt_format: ToolPromptFormat | None = None,
    ) -> None:
        able = tools if family.tool_formats else ()
        self._tools = {tool_name_str(tool.tool_name): tool for tool in able}
        self._openings = tuple(opening for name in self._tools for opening in _openings(name))
        form = _FORMS.get(tool_prompt_format or family.default_tool_format or ToolPromptFormat.json, "")
        self._advice = f"A call reads `{form}`, and nothing else."

    def opening(self, squeezed: str) -> Opening:
        """What a message may become that begins so; white space is to be left out.

        >>> offer = Offer([ToolDefinition(tool_name="add")])
        >>> [offer.opening(text).value for text in ("[ad", "[add(", "[1,")]
        ['maybe', 'call', 'text']
        """
        if squeezed.startswith(self._openings):
            return Opening.call
        return Opening.maybe if any(opening.startswith(squeezed) for opening in self._openings) else Opening.text

    def tagged(self, parts: Sequence[str], breaks_off: bool = False) -> Verdict:
        """What stands behind `<|python_tag|>`, and behind each further one; whether the answer had to end there."""
        if not self._tools:
            return Verdict([], "".join(parts), "A call was begun, and no tool was offered.")
        calls: list[Call] = []
        text = ""
        for number, part in enumerate(parts, 1):
            found = self._tagged(part, breaks_off and number == len(parts)) if part.strip() else Verdict([], part)
            if found.fault:
                return Verdict([], "".join(parts), found.fault)
            calls += found.calls
            text += found.text
        return Verdict(calls, text) if calls else Verdict([], text, "No call stands behind the tag.")

    def untagged(self, text: str) -> Verdict:
        """A message that began as a call does."""
        reading = read(text)
        fault = self._fault(reading, strictly=True) or (self._among_text(reading.calls[0]) if reading.rest else None)
        return Verdict([], text, fault) if fault else Verdict(reading.calls, "")

    def near_miss(self, text: str) -> str | None:
        """Why `text`, which did not begin as a call does, is none, if it looks like one."""
        if not self._tools:
            return None
        reading = read(text)
        looks = _SHAPE.match(text) is not None or text.lstrip().startswith("{")
        if reading.calls and not reading.rest:
            if any(call.name in self._tools for call in reading.calls):
                return f"The call of `{reading.calls[0].name}` has another form. {self._advice}"
            return self._unoffered(reading.calls[0]) if looks else None
        if reading.fault and text.lstrip().startswith(("{", "<")) and _SHAPE.match(text):
            return self._unreadable(reading.fault)
        inside = next(self._inside(text), None)
        return self._among_text(inside) if inside else None

    def _tagged(self, part: str, breaks_off: bool) -> Verdict:
        reading = read(part)
        fault = self._fault(reading, strictly=False)
        if not fault:
            return Verdict(reading.calls, reading.rest)
        if CODE not in self._tools or self._is_shaped_like_a_call(part, reading.calls):
            return Verdict([], part, fault)
        if breaks_off:  # half a program can do what the whole one would not
            return Verdict([], part, "The code breaks off: the answer ran out of tokens.")
        return Verdict([Call(CODE, {"code": part})], "")

    def _fault(self, reading: Reading, strictly: bool) -> str | None:
        if reading.fault:
            return self._unreadable(reading.fault)
        faults = (self._unoffered(call) or (self._misfit(call) if strictly else None) for call in reading.calls)
        return next(filter(None, faults), None)

    def _is_shaped_like_a_call(self, text: str, calls: Sequence[Call]) -> bool:
        squeezed = "".join(text.split())
        json_calls = bool(calls) and squeezed.startswith(("{", "[{"))
        return json_calls or bool(_SHAPE.match(text)) or self.opening(squeezed) is Opening.call

    def _inside(self, text: str) -> Iterator[Call]:
        """The calls of offered tools that stand somewhere in `text`."""
        names = "|".join(re.escape(name) for name in self._tools)
        begins = re.compile(rf'\{{\s*"(?:type|name)"|<function=(?:{names})>|\[\s*(?:{names})\(|\b(?:{names})\.call\(')
        for found in islice(begins.finditer(text), _TRIES):
            yield from (call for call in read(text[found.start() :]).calls[:1] if call.name in self._tools)

    def _unoffered(self, call: Call) -> str | None:
        if call.name in self._tools:
            return None
        return f"`{call.name}` was called, and was not offered; offered: {_listed(list(self._tools))}."

    def _misfit(self, call: Call) -> str | None:
        required, known = _parameters(self._tools[call.name])
        if missing := [name for name in required if name not in call.arguments]:
            return f"The call of `{call.name}` lacks {_listed(missing)}."
        if known is not None and (unknown := [name for name in call.arguments if name not in known]):
            return f"`{call.name}` has no parameter {_listed(unknown)}; it has {_listed(known) or 'none'}."
        return None

    def _unreadable(self, fault: str) -> str:
        return f"It cannot be read as a call: {fault}. {self._advice}"

    def _among_text(self, call: Call) -> str:
        return f"The call of `{call.name}` stands among other text. {self._advice}"


def _openings(name: str) -> Iterator[str]:
    """How a call of the tool begins in each form, white space left out."""
    quoted = json.dumps(name, ensure_ascii=False)
    for bracket in ("", "["):
        for rest in (f'"type":"function","name":{quoted}', *(f'"name":{quoted},{next_}' for next_ in _NEXT_KEYS)):
            yield "".join(f"{bracket}{{{rest}".split())
    yield from ("".join(text.split()) for text in (f"<function={name}>", f"[{name}(", f"{name}.call("))


_NEXT_KEYS = ('"parameters":', '"arguments":', '"type":"function"')


def _parameters(tool: ToolDefinition) -> tuple[list[str], list[str] | None]:
    """The names of those that are required, and of all; None: any will do."""
    if tool.parameters is not None:
        return [name for name, parameter in tool.parameters.items() if parameter.required], list(tool.parameters)
    if isinstance(tool.tool_name, BuiltinTool):
        only = "code" if tool.tool_name is BuiltinTool.code_interpreter else "query"
        return [only], [only]
    return [], None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
