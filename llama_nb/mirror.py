"""The mirror: a transcript as Markdown, for wherever a notebook is shown without a kernel. Knows turns and Markdown."""

from __future__ import annotations

import re

from llama_nb.safe_markdown import safe_markdown
from llama_nb.transcript import OPEN, Part, Turn

MARKS = {"stopped": "*Stopped.*", "cut": "*Unfinished: out of tokens.*", **dict.fromkeys(OPEN, "*Still answering.*")}


def mirror_markdown(name: str, turns: list[Turn], model: str) -> str:
    """The transcript as Markdown that is safe and readable wherever a notebook is shown."""
    heading = f"*Llama conversation {name}* · {safe_markdown(f'`{model}`')}"
    return "\n\n---\n\n".join([heading, *(_mirror_turn(turn) for turn in turns)])


def _mirror_turn(turn: Turn) -> str:
    blocks = ["**You**", safe_markdown(turn["question"]), "**Llama**"]
    for part in turn["parts"]:
        match part["kind"]:
            case "text":
                blocks.append(safe_markdown(part["text"]))
            case "notice":
                blocks.append("**Note:** " + safe_markdown(" ".join(part["text"].split())))
            case _:
                blocks += _mirror_call(part)
    if turn["phase"] == "failed":
        blocks.append("**Failed:** " + safe_markdown(" ".join(turn.get("error", "").split())))
    blocks.append(MARKS.get(turn["phase"], ""))
    return "\n\n".join(block for block in blocks if block.strip())


def _mirror_call(part: Part) -> list[str]:
    """A call and its result: as text or as Markdown, never as HTML."""
    name = part["name"].replace("`", "'") or "?"
    call = f"**Tool call** {safe_markdown(f'`{name}`')} ({part['state']})"
    blocks = [call, _fenced(part["text"], part.get("language", "text"))]
    match part.get("bundle", {}):
        case {"text/markdown": text}:
            return [*blocks, safe_markdown(text)]
        case {"text/plain": text}:
            return [*blocks, _fenced(text, "text")]
    return blocks + ([_fenced(part["result"], "text")] if "result" in part else [])


def _fenced(text: str, language: str) -> str:
    fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", text))]))
    return safe_markdown(f"{fence}{language}\n{text}\n{fence}")
