"""The families of Llama 3 that differ in how they are written to, and which one a model's name belongs to.

Knows which tool formats each family has learnt, its own first; knows nothing of how a format looks.
"""

from __future__ import annotations

import re
from enum import Enum

from llama_nb.apis.messages import ToolPromptFormat
from llama_nb.errors import BadRequest, NotSupported, did_you_mean


class Family(Enum):
    """Models that read the same prompts. The text side of Llama 3.2's vision models reads those of Llama 3.1.

    >>> Family.llama3_2.default_tool_format
    <ToolPromptFormat.python_list: 'python_list'>
    """

    llama3 = "llama3"
    llama3_1 = "llama3_1"
    llama3_2 = "llama3_2"
    llama3_2_vision = "llama3_2_vision"
    llama3_3 = "llama3_3"
    llama_guard_3 = "llama_guard_3"

    @property
    def title(self) -> str:
        """The name as people write it."""
        return _TITLES[self]

    @property
    def tool_formats(self) -> tuple[ToolPromptFormat, ...]:
        """The formats in which custom tools can be offered, the family's own first; none: it cannot call tools."""
        return _TOOL_FORMATS.get(self, ())

    @property
    def default_tool_format(self) -> ToolPromptFormat | None:
        return self.tool_formats[0] if self.tool_formats else None


_TITLES = {
    Family.llama3: "Llama 3",
    Family.llama3_1: "Llama 3.1",
    Family.llama3_2: "Llama 3.2",
    Family.llama3_2_vision: "Llama 3.2 Vision",
    Family.llama3_3: "Llama 3.3",
    Family.llama_guard_3: "Llama Guard 3",
}
_TOOL_FORMATS = {
    Family.llama3_1: (ToolPromptFormat.json, ToolPromptFormat.function_tag),
    Family.llama3_2: (ToolPromptFormat.python_list,),
    Family.llama3_2_vision: (ToolPromptFormat.json, ToolPromptFormat.function_tag),
    Family.llama3_3: (ToolPromptFormat.python_list, ToolPromptFormat.json, ToolPromptFormat.function_tag),
}

# "3.1", "3-1" and "3_1", but not the 8 of "3-8B", nor the 1 of "3-1B": that is a size.
_VERSION = re.compile(r"llama[-_ ]?3(?:[._-](\d)(?![\d.]*b))?(?!\d)")
_VERSIONS = {
    "0": Family.llama3,
    "1": Family.llama3_1,
    "2": Family.llama3_2,
    "3": Family.llama3_3,
}


def family_of(name: str) -> Family:
    """The family of a model, by the name of its SKU, repository or checkpoint folder; Llama 3.1 where it says nothing.

    >>> family_of("meta-llama/Llama-3.2-11B-Vision-Instruct")
    <Family.llama3_2_vision: 'llama3_2_vision'>
    >>> family_of("Meta-Llama-3-8B"), family_of("llama-nb-guide")
    (<Family.llama3: 'llama3'>, <Family.llama3_1: 'llama3_1'>)
    """
    last = name.rstrip("/\\").replace("\\", "/").rpartition("/")[2].lower()
    if re.search(r"llama[-_ ]?guard", last):
        return Family.llama_guard_3
    found = _VERSION.search(last)
    family = _VERSIONS.get(found[1] or "0", Family.llama3_1) if found else Family.llama3_1
    return Family.llama3_2_vision if family is Family.llama3_2 and "vision" in last else family


def tool_format_of(family: Family, asked: ToolPromptFormat | str | None = None) -> ToolPromptFormat:
    """The format in which `family` is offered custom tools: the one that is asked for, else the family's own.

    >>> tool_format_of(Family.llama3_1)
    <ToolPromptFormat.json: 'json'>

    Raises:
        NotSupported: the family cannot call tools.
        BadRequest: it does not know this format.
    """
    if family.default_tool_format is None:
        others = ", ".join(other.title for other in Family if other.tool_formats)
        raise NotSupported(f"{family.title} has no prompt for tools. Offer none, or use one of: {others}.")
    if asked is None:
        return family.default_tool_format
    try:
        tool_format = ToolPromptFormat(asked)
    except ValueError:
        known = did_you_mean(str(asked), [known.value for known in family.tool_formats])
        raise BadRequest(f"tool_prompt_format `{asked}` is unknown. {known}") from None
    if tool_format not in family.tool_formats:
        known = ", ".join(f"`{known.value}`" for known in family.tool_formats)
        raise BadRequest(
            f"{family.title} does not know the tool_prompt_format `{tool_format.value}`. It knows: {known}; "
            "leave tool_prompt_format out to use the first."
        )
    return tool_format
