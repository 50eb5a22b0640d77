"""Answers for tests to read: cut into pieces, told as events, and made up by chance."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from llama_nb.apis.inference import (
    ChatCompletionResponseEvent,
    ChatCompletionResponseEventType,
    ToolCallDelta,
    ToolCallParseStatus,
)
from llama_nb.apis.messages import (
    BuiltinTool,
    CompletionMessage,
    StopReason,
    ToolCall,
    ToolDefinition,
    ToolParamDefinition,
    tool_name_str,
)
from llama_nb.prompt_format.answer import AnswerReader
from llama_nb.prompt_format.calls import Call

TAG = 1000
LETTER = 1
CONTROL = {"<|python_tag|>": TAG, "<|eot_id|>": 1001}
STARTED, IN_PROGRESS = ToolCallParseStatus.started, ToolCallParseStatus.in_progress
SUCCESS, FAILURE = ToolCallParseStatus.success, ToolCallParseStatus.failure


def tool(name: Any, required: str = "", optional: str = "") -> ToolDefinition:
    """A tool with these parameters, their names in one string."""
    parameters = {key: ToolParamDefinition(param_type="str", required=True) for key in required.split()}
    parameters |= {key: ToolParamDefinition(param_type="str", required=False) for key in optional.split()}
    return ToolDefinition(tool_name=name, parameters=parameters)


ADD = tool("add", "a", "b")
ANY = ToolDefinition(tool_name="anything")
SEARCH = ToolDefinition(tool_name=BuiltinTool.brave_search)
ALPHA = ToolDefinition(tool_name=BuiltinTool.wolfram_alpha)
CODE = ToolDefinition(tool_name=BuiltinTool.code_interpreter)
WEATHER = tool("get_weather", "city", "metric")

Piece = tuple[list[int], str]


def pieces_of(text: str, cuts: Sequence[int] = ()) -> list[Piece]:
    """`text` as pieces that end at `cuts`; `<TAG>` stands for the control token."""
    pieces: list[Piece] = []
    at = 0
    for index, part in enumerate(text.split("<TAG>")):
        if index:
            pieces.append(([TAG], ""))
        edges = sorted({cut - at for cut in cuts if at < cut < at + len(part)} | {len(part)})
        pieces += [([LETTER], part[start:end]) for start, end in itertools.pairwise([0, *edges]) if start < end]
        at += len(part)
    return pieces


class Read(NamedTuple):
    message: CompletionMessage
    events: list[ChatCompletionResponseEvent]

    @property
    def calls(self) -> list[Call]:
        return [Call(tool_name_str(call.tool_name), call.arguments) for call in self.message.tool_calls]

    @property
    def spoken(self) -> str:
        return "".join(event.delta for event in self.events if isinstance(event.delta, str))

    @property
    def deltas(self) -> list[ToolCallDelta]:
        return [event.delta for event in self.events if isinstance(event.delta, ToolCallDelta)]

    @property
    def statuses(self) -> list[ToolCallParseStatus]:
        """Of the tool calls, with a run of the same told once."""
        return [status for status, _ in itertools.groupby(delta.parse_status for delta in self.deltas)]

    @property
    def call_text(self) -> str:
        return "".join(str(delta.content) for delta in self.deltas if delta.parse_status is IN_PROGRESS)

    @property
    def told(self) -> str:
        """The letters in the order in which they came, whatever they were taken for."""
        told = ""
        for event in self.events:
            content = event.delta if isinstance(event.delta, str) else event.delta.content
            if isinstance(event.delta, ToolCallDelta) and event.delta.parse_status in (SUCCESS, FAILURE):
                break  # what comes now was told before
            told += content if isinstance(content, str) else ""
        return told

    @property
    def story(self) -> list[tuple[Any, ...]]:
        """All that must be the same however an answer is cut: its events, with neighbours of one kind joined."""
        told: list[tuple[Any, ...]] = []
        for kind, group in itertools.groupby(map(_told, self.events), key=lambda told: told[0]):
            contents = [content for _, content in group]
            told.append(
                (kind, "".join(contents) if all(isinstance(content, str) for content in contents) else contents)
            )
        return [*told, without_ids(self.message)]


def _told(event: ChatCompletionResponseEvent) -> tuple[Any, Any]:
    delta = event.delta
    if isinstance(delta, str):
        return (event.event_type, event.stop_reason), delta
    content = (
        (delta.content.tool_name, delta.content.arguments) if isinstance(delta.content, ToolCall) else delta.content
    )
    return (event.event_type, event.stop_reason, delta.parse_status), content


def without_ids(message: CompletionMessage) -> CompletionMessage:
    calls = [call.model_copy(update={"call_id": ""}) for call in message.tool_calls]
    return message.model_copy(update={"tool_calls": calls})


def read(
    text: str | Sequence[Piece],
    tools: Sequence[ToolDefinition] = (),
    cuts: Sequence[int] = (),
    stop_reason: StopReason = StopReason.end_of_turn,
    **options: Any,
) -> Read:
    """What becomes of an answer; its events are whole: one start, one complete, and nothing said twice or lost."""
    reader = AnswerReader(CONTROL, tools, **options)
    events = [reader.start()]
    for tokens, piece in pieces_of(text, cuts) if isinstance(text, str) else text:
        events += reader.feed(tokens, piece)
    events += reader.end(stop_reason)
    assert reader.message is not None
    found = Read(reader.message, events)
    kinds = [event.event_type for event in events]
    progress = [ChatCompletionResponseEventType.progress] * (len(kinds) - 2)
    assert kinds == [ChatCompletionResponseEventType.start, *progress, ChatCompletionResponseEventType.complete]
    assert reader.message.content == found.spoken, "the stream says what the message says"
    told = [delta.content for delta in found.deltas if delta.parse_status is SUCCESS]
    assert told == reader.message.tool_calls, "the stream calls what the message calls"
    return found


# --- Made up by chance ----------------------------------------------------------------------------------------------

WORDS = [
    "x",
    "it's",
    'the "best"',
    "a\nb",
    "\\",
    "\\n",
    "é",
    "😀",
    "{",
    "}]",
    "[1, 2]",
    "</function>",
    ");",
    "",
    " ",
    "true",
]
NAMES = ["add", "anything", "get_weather", "brave_search", "rm"]
PROSE = [
    "So it is.",
    " ",
    "\n",
    "{}",
    '{"name": "Bob"}',
    "[1, 2]",
    "print(x)",
    "<b>",
    "f(x) = [x(1)]",
    "😀 é",
    "```json\n",
]
OFFERED = [ADD, ANY, SEARCH, ALPHA, CODE, WEATHER]


def a_value(chance: random.Random, depth: int = 3) -> Any:
    match chance.randrange(8 if depth else 6):
        case 0:
            return chance.choice([True, False, None])
        case 1:
            return chance.choice([0, -1, 10**20, 2.5, -1e-9])
        case 6:
            return [a_value(chance, depth - 1) for _ in range(chance.randrange(3))]
        case 7:
            return {chance.choice(WORDS): a_value(chance, depth - 1) for _ in range(chance.randrange(3))}
        case _:
            return "".join(chance.choices(WORDS, k=chance.randrange(3)))


def a_call(chance: random.Random) -> Call:
    name = chance.choice(NAMES)
    keys = {"add": "ab", "anything": "abcxyz", "rm": "p"}.get(name)
    if name == "brave_search":
        return Call(name, {"query": "".join(chance.choices(WORDS, k=2))})
    if name == "get_weather":
        return Call(name, {"city": a_value(chance)})
    return Call(name, {key: a_value(chance) for key in keys or "" if key == "a" or chance.random() < 0.5})


FORMS = ("json", "json list", "function tag", "python list", "builtin")


def written(calls: Sequence[Call], form: str, chance: random.Random) -> str:
    """The calls in one of the forms, by other means than the package's own."""
    indent = chance.choice([None, None, 4])
    ascii_ = chance.random() < 0.3

    def dumps(value: Any) -> str:
        return json.dumps(value, indent=indent, ensure_ascii=ascii_)

    if form == "builtin" and all(call.arguments.keys() == {"query"} for call in calls):
        return chance.choice(["\n", ";", "; "]).join(
            f"{call.name}.call(query={dumps(call.arguments['query'])})" for call in calls
        )
    if form == "function tag":
        return chance.choice(["", "\n"]).join(
            f"<function={call.name}>{dumps(call.arguments)}</function>" for call in calls
        )
    if form == "python list":
        arguments = [", ".join(f"{key}={value!r}" for key, value in call.arguments.items()) for call in calls]
        return "[" + ", ".join(f"{call.name}({given})" for call, given in zip(calls, arguments, strict=True)) + "]"
    kind = {"type": "function"} if chance.random() < 0.5 else {}
    key = chance.choice(["parameters", "arguments"])
    objects = [kind | {"name": call.name, key: call.arguments} for call in calls]
    return dumps(objects) if form == "json list" else chance.choice(["; ", ";\n", "\n", ", "]).join(map(dumps, objects))


def an_answer(chance: random.Random) -> str:
    """Prose, calls behind a tag or without, code, and mixtures of them."""
    calls = [a_call(chance) for _ in range(chance.choice([1, 1, 2, 3]))]
    body = written(calls, chance.choice(FORMS), chance)
    prose = "".join(chance.choices(PROSE, k=chance.randrange(3)))
    return chance.choice(
        [
            body,
            f"<TAG>{body}",
            f"{prose}<TAG>{body}",
            f"{prose}{body}",
            f"{body}{prose}",
            f"<TAG>{body}{prose}",
            f"<TAG>{body}<TAG>{body}",
            "<TAG>print(1)\nx = [add(a=1)]",
            prose * 2,
            body[: chance.randrange(len(body) + 1)],
        ]
    )


def cuttings(text: str, chance: random.Random, count: int) -> Iterator[list[int]]:
    """Ways to cut `text`: not at all, everywhere, and `count` by chance."""
    length = len(text.replace("<TAG>", ""))
    yield []
    yield list(range(length))
    for _ in range(count):
        yield [chance.randrange(length + 1) for _ in range(chance.randint(1, 5))]
