"""What is said: messages, tools and their calls, and how an answer is to be sampled.

Llama Stack's data types (October 2024), with a few additions, each marked where it stands.
Knows pydantic; knows nothing of how a message is written down for a model.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field


class Role(Enum):
    system = "system"
    user = "user"
    assistant = "assistant"
    ipython = "ipython"


class BuiltinTool(Enum):
    brave_search = "brave_search"
    wolfram_alpha = "wolfram_alpha"
    photogen = "photogen"
    code_interpreter = "code_interpreter"


class ToolChoice(Enum):
    """Whether the model may call (`auto`), must (`required`) or must not (`none`, ours).

    Where one is taken, so is the name of an offered tool: that one must be called.
    """

    auto = "auto"
    required = "required"
    none = "none"


class ToolPromptFormat(Enum):
    """How custom tools are offered and called: as JSON, in `<function=…>` tags, or as a Python list of calls."""

    json = "json"
    function_tag = "function_tag"
    python_list = "python_list"


class StopReason(Enum):
    end_of_turn = "end_of_turn"
    end_of_message = "end_of_message"
    out_of_tokens = "out_of_tokens"


class SamplingStrategy(Enum):
    greedy = "greedy"
    top_p = "top_p"
    top_k = "top_k"


class SamplingParams(BaseModel):
    """How the next token is chosen.

    Temperature 0 is greedy. Above 0, `top_k` (when > 0) and then `top_p` apply. `max_tokens` 0 means as many as
    the context holds. `seed` and `stop` are ours: Llama Stack has neither.
    """

    strategy: SamplingStrategy = SamplingStrategy.greedy
    temperature: float | None = 0.0
    top_p: float | None = 0.95
    top_k: int | None = 0
    max_tokens: int | None = 0
    repetition_penalty: float | None = 1.0
    seed: int | None = None
    stop: list[str] = Field(default_factory=list)


class URL(BaseModel):
    uri: str


class ImageMedia(BaseModel):
    image: URL


InterleavedTextMedia = str | ImageMedia | list[str | ImageMedia]


def interleaved_text_media_as_str(content: InterleavedTextMedia, sep: str = " ") -> str:
    """The text of `content`; an image reads `<media>`, the items of a list are joined by `sep`.

    >>> interleaved_text_media_as_str(["look:", ImageMedia(image=URL(uri="file:cat.png"))])
    'look: <media>'
    """
    items = content if isinstance(content, list) else [content]
    return sep.join(item if isinstance(item, str) else "<media>" for item in items)


def _builtin_if_known(name: Any) -> Any:
    return BuiltinTool(name) if name in BuiltinTool.__members__ else name


ToolName = Annotated[BuiltinTool | str, BeforeValidator(_builtin_if_known)]


def tool_name_str(name: BuiltinTool | str) -> str:
    """The plain spelling of a tool's name.

    >>> tool_name_str(BuiltinTool.brave_search), tool_name_str("get_weather")
    ('brave_search', 'get_weather')
    """
    return name.value if isinstance(name, BuiltinTool) else name


class ToolCall(BaseModel):
    call_id: str
    tool_name: ToolName
    arguments: dict[str, Any]


class ToolResponse(BaseModel):
    call_id: str
    tool_name: ToolName
    content: InterleavedTextMedia


class ToolParamDefinition(BaseModel):
    param_type: str
    description: str | None = None
    required: bool | None = True
    default: Any = None


class ToolDefinition(BaseModel):
    tool_name: ToolName
    description: str | None = None
    parameters: dict[str, ToolParamDefinition] | None = None


class UserMessage(BaseModel):
    role: Literal["user"] = "user"
    content: InterleavedTextMedia
    context: InterleavedTextMedia | None = None


class SystemMessage(BaseModel):
    role: Literal["system"] = "system"
    content: InterleavedTextMedia


class ToolResponseMessage(BaseModel):
    role: Literal["ipython"] = "ipython"
    call_id: str
    tool_name: BuiltinTool | str
    content: InterleavedTextMedia


class CompletionMessage(BaseModel):
    """What the model answered. `malformed_call` is ours: why text that looks like a tool call is none."""

    role: Literal["assistant"] = "assistant"
    content: InterleavedTextMedia
    stop_reason: StopReason
    tool_calls: list[ToolCall] = Field(default_factory=list)
    malformed_call: str | None = None


Message = Annotated[
    UserMessage | SystemMessage | ToolResponseMessage | CompletionMessage,
    Field(discriminator="role"),
]


class TokenLogProbs(BaseModel):
    """Natural logarithms of probabilities, keyed by the token's text (bytes that are no whole character as `\\xNN`)."""

    logprobs_by_token: dict[str, float]
