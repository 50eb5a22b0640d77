"""What happens to a tool call between the model's words and its result. Knows messages; runs nothing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Literal

from llama_nb.apis.messages import ToolCall, tool_name_str

State = Literal["waiting", "running", "done", "failed", "denied", "stopped"]
Decision = Literal["once", "chat", "deny"]


@dataclass(frozen=True)
class Result:
    """What came of a call: `text` is what the model reads, `bundle` what a page may show (MIME type → content)."""

    text: str
    bundle: dict[str, str] = field(default_factory=dict)
    failed: bool = False


@dataclass(frozen=True)
class ToolEvent:
    """One step of a call. `digest` binds a decision to these very arguments; `progress` is the latest word of a run.

    Who is asked should read `notice`, too; without `lasting`, it is allowed once and not for the chat.

    States: "waiting" for a decision, "running" (once at its start, and with each `progress`), and one of the four ends
    with its `result`, and the `seconds` that it ran.
    """

    call: ToolCall
    state: State
    digest: str = ""
    progress: str = ""
    result: Result | None = None
    seconds: float | None = None
    notice: str = ""
    lasting: bool = True


def digest_of(call: ToolCall) -> str:
    """SHA-256 of what would run: the name and the arguments, in one spelling.

    >>> one = ToolCall(call_id="1", tool_name="add", arguments={"a": 1, "b": 2})
    >>> two = ToolCall(call_id="2", tool_name="add", arguments={"b": 2, "a": 1})
    >>> digest_of(one) == digest_of(two)
    True
    """
    spelled = json.dumps([tool_name_str(call.tool_name), call.arguments], sort_keys=True, default=str)
    return hashlib.sha256(spelled.encode("utf-8", "surrogatepass")).hexdigest()
