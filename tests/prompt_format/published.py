"""The prompts and answers that Meta printed, read from the installed llama-models.

Three documents, 36 blocks. A block with an even index is a prompt, the next one what the model answered to it. The
text of a block is what stands between its fences, less the line breaks that belong to the fences themselves: the one
behind the opening fence, and the one before the closing fence. So a prompt ends with the two line breaks of the
header of the answer.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import llama_models

DOCUMENTS = {
    "llama3_1": "llama3_1/prompt_format.md",
    "llama3_2_text": "llama3_2/text_prompt_format.md",
    "llama3_2_vision": "llama3_2/vision_prompt_format.md",
}
_FENCED = re.compile(r"^##### (Input Prompt|Model Response) Format\n```\n(.*?)\n```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    document: str
    index: int
    text: str

    @property
    def is_prompt(self) -> bool:
        return self.index % 2 == 0


def blocks() -> list[Block]:
    """All 36, in the order in which they are printed: 14 of `llama3_1`, 12 of `llama3_2_text`, 10 of
    `llama3_2_vision`."""
    return [Block(document, index, text) for document in DOCUMENTS for index, text in enumerate(_texts(document))]


def block(document: str, index: int) -> str:
    """The text of one."""
    return _texts(document)[index]


def _texts(document: str) -> list[str]:
    page = (Path(llama_models.__file__).parent / DOCUMENTS[document]).read_text("utf-8")
    found = _FENCED.findall(page)
    kinds = [kind for kind, _ in found]
    assert kinds == ["Input Prompt", "Model Response"] * (len(found) // 2), f"{document}: prompts and answers alternate"
    return [text for _, text in found]
