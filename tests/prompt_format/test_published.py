"""Every prompt that Meta printed comes out of messages and tools byte for byte, through the real vocabulary.

The 18 prompts among the 36 blocks are of three kinds, and each is accounted for: dialogs, completions of plain text,
and prompts with an image, which are refused. The 18 answers are read where answers are tested.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pytest
from llama_models.llama3.tokenizer import Tokenizer

from llama_nb.apis.messages import (
    URL,
    BuiltinTool,
    CompletionMessage,
    ImageMedia,
    Message,
    StopReason,
    SystemMessage,
    ToolCall,
    ToolDefinition,
    ToolParamDefinition,
    ToolPromptFormat,
    ToolResponseMessage,
    UserMessage,
)
from llama_nb.errors import NotSupported
from llama_nb.prompt_format.encode import DialogEncoder
from llama_nb.prompt_format.family import Family
from llama_nb.prompt_format.render import render, text_of
from llama_nb.prompt_format.tokenizer import load_tokenizer
from tests.engine import tiny
from tests.prompt_format.published import Block, block, blocks

DAY = date(2024, 9, 21)
SEARCH = ToolDefinition(tool_name=BuiltinTool.brave_search)
WOLFRAM = ToolDefinition(tool_name=BuiltinTool.wolfram_alpha)
CODE = ToolDefinition(tool_name=BuiltinTool.code_interpreter)
SONGS = ToolDefinition(
    tool_name="trending_songs",
    description="Returns the trending songs on a Music site",
    parameters={
        "n": ToolParamDefinition(param_type="int", description="The number of songs to return"),
        "genre": ToolParamDefinition(param_type="str", description="The genre of the songs to return", required=False),
    },
)
WEATHER = ToolDefinition(
    tool_name="get_weather",
    description="Get weather info for places",
    parameters={
        "city": ToolParamDefinition(param_type="string", description="The name of the city to get the weather for"),
        "metric": ToolParamDefinition(
            param_type="string",
            description="The metric for weather. Options are: celsius, fahrenheit",
            required=False,
            default="celsius",
        ),
    },
)


class Dialog(NamedTuple):
    family: Family
    messages: list[Message]
    tools: list[ToolDefinition]
    today: date = DAY
    tool_prompt_format: ToolPromptFormat | None = None


def asked(question: str, system: str | None = None) -> list[Message]:
    head: list[Message] = [] if system is None else [SystemMessage(content=system)]
    return [*head, UserMessage(content=question)]


def called(name: BuiltinTool | str, arguments: dict[str, object], result: str, stop: StopReason) -> list[Message]:
    call = ToolCall(call_id="1", tool_name=name, arguments=arguments)
    return [
        CompletionMessage(content="", stop_reason=stop, tool_calls=[call]),
        ToolResponseMessage(call_id="1", tool_name=name, content=result),
    ]


def between(text: str, start: str, end: str) -> str:
    return text.split(start, 1)[1].split(end, 1)[0]


# What a tool answered, and what a user typed about his own tools, is theirs: it is taken from the page.
WOLFRAM_RESULT = between(block("llama3_1", 8), "ipython<|end_header_id|>\n\n", "<|eot_id|>")
TOOLS_IN_THE_QUESTION = between(block("llama3_2_text", 4), "user<|end_header_id|>\n\n", "<|eot_id|>")

HELPFUL = "You are a helpful assistant."
GOLD = "Search the web for the latest price of 1oz gold?"
PI = "100th decimal of pi"
PRIME = "Write code to check if number is prime"
SONGS_DIALOG = asked("Use tools to get latest trending songs", HELPFUL)
PYTHON_CALL: dict[str, object] = {"city": "San Francisco", "metric": "celsius"}

DIALOGS = {
    ("llama3_1", 2): Dialog(
        Family.llama3_1, asked("Answer who are you in the form of jeopardy?", "You are a helpful assistant"), []
    ),
    ("llama3_1", 4): Dialog(Family.llama3_1, asked(GOLD, HELPFUL), [SEARCH, WOLFRAM]),
    ("llama3_1", 6): Dialog(Family.llama3_1, asked(f"{PRIME}, use that to see if the number 7 is prime"), [CODE]),
    ("llama3_1", 8): Dialog(
        Family.llama3_1,
        asked("What is the 100th decimal of pi?")
        + called(BuiltinTool.wolfram_alpha, {"query": PI}, WOLFRAM_RESULT, StopReason.end_of_message),
        [SEARCH, WOLFRAM],
    ),
    ("llama3_1", 10): Dialog(Family.llama3_1, SONGS_DIALOG, [SONGS]),
    ("llama3_1", 12): Dialog(Family.llama3_1, SONGS_DIALOG, [SONGS], tool_prompt_format=ToolPromptFormat.function_tag),
    ("llama3_2_text", 0): Dialog(Family.llama3_2, asked("Who are you?", "You are a helpful assistant"), []),
    ("llama3_2_text", 2): Dialog(Family.llama3_2, asked("What is the weather in SF and Seattle?"), [WEATHER]),
    ("llama3_2_text", 4): Dialog(Family.llama3_2, asked(TOOLS_IN_THE_QUESTION), []),
    ("llama3_2_text", 6): Dialog(
        Family.llama3_2, asked(f"{PRIME}. Use it to verify if number 7 is prime"), [CODE], date(2024, 9, 24)
    ),
    ("llama3_2_text", 8): Dialog(
        Family.llama3_2,
        asked("What is the weather in SF?") + called("get_weather", PYTHON_CALL, '"25 C"', StopReason.end_of_turn),
        [WEATHER],
    ),
    ("llama3_2_vision", 0): Dialog(Family.llama3_2_vision, asked("Who are you?", "You are a helpful assistant"), []),
    ("llama3_2_vision", 4): Dialog(Family.llama3_2_vision, asked(GOLD, HELPFUL), [SEARCH, WOLFRAM], date(2024, 9, 23)),
}
# Llama 3.3's own document, which the package does not hold, prints these again.
AGAIN_FOR_3_3 = [
    *[("llama3_1", index) for index in (2, 4, 6, 8)],
    *[("llama3_2_text", index) for index in (2, 4)],
]
ALTERNATIVES_OF_3_3 = {("llama3_1", 10): ToolPromptFormat.json, ("llama3_1", 12): ToolPromptFormat.function_tag}

COMPLETIONS = {
    ("llama3_1", 0): "Color of sky is blue but sometimes can also be",
    ("llama3_2_text", 10): "The color of the sky is blue but sometimes it can also be",
    ("llama3_2_vision", 6): "The color of the sky is blue but sometimes it can also be",
}

IMAGE = ImageMedia(image=URL(uri="file:dog.png"))
IMAGES = {
    ("llama3_2_vision", 2): (True, "Describe this image in two sentences"),
    ("llama3_2_vision", 8): (False, "If I had to write a haiku for this one"),
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer(Path(tiny.llama3_tokenizer_path()).parent)


@pytest.fixture(scope="module")
def written(tokenizer: Tokenizer) -> Callable[[Dialog], str]:
    """The prompt as the model gets it: ids, with control tokens spelled."""

    def write(dialog: Dialog) -> str:
        turns = render(
            dialog.messages,
            dialog.tools,
            today=dialog.today,
            family=dialog.family,
            tool_prompt_format=dialog.tool_prompt_format,
        )
        text: str = tokenizer.decode(DialogEncoder(tokenizer).encode(turns))
        return text

    return write


def test_there_are_36_blocks_and_every_prompt_among_them_is_accounted_for() -> None:
    prompts = {(found.document, found.index) for found in blocks() if found.is_prompt}
    assert len(blocks()) == 36
    assert len(prompts) == len(DIALOGS) + len(COMPLETIONS) + len(IMAGES) == 18
    assert prompts == DIALOGS.keys() | COMPLETIONS.keys() | IMAGES.keys()


@pytest.mark.parametrize("where", DIALOGS, ids=str)
def test_a_dialog_is_written_as_published(where: tuple[str, int], written: Callable[[Dialog], str]) -> None:
    assert written(DIALOGS[where]).encode() == block(*where).encode()


@pytest.mark.parametrize("where", COMPLETIONS, ids=str)
def test_a_text_to_continue_is_written_as_published(where: tuple[str, int], tokenizer: Tokenizer) -> None:
    ids = DialogEncoder(tokenizer).encode_text(text_of(COMPLETIONS[where]))
    assert ids[0] == tokenizer.bos_id
    assert tokenizer.decode(ids).encode() == block(*where).encode()


@pytest.mark.parametrize("where", IMAGES, ids=str)
def test_a_prompt_with_an_image_is_refused_and_the_text_beside_it_is_as_published(
    where: tuple[str, int], tokenizer: Tokenizer, written: Callable[[Dialog], str]
) -> None:
    is_dialog, text = IMAGES[where]
    content: list[str | ImageMedia] = [IMAGE, text]
    with pytest.raises(NotSupported, match="holds an image; llama_nb reads text only"):
        text_of(content)
    if not is_dialog:
        assert tokenizer.decode(DialogEncoder(tokenizer).encode_text(text)) == block(*where).replace("<|image|>", "")
        return
    with pytest.raises(NotSupported, match="holds an image; llama_nb reads text only"):
        render([UserMessage(content=content)], today=DAY, family=Family.llama3_2_vision)
    beside = Dialog(Family.llama3_2_vision, asked(text), [])
    assert written(beside) == block(*where).replace("<|image|>", "")


@pytest.mark.parametrize("where", AGAIN_FOR_3_3, ids=str)
def test_llama_3_3_reads_what_3_1_and_3_2_read(where: tuple[str, int], written: Callable[[Dialog], str]) -> None:
    assert written(DIALOGS[where]._replace(family=Family.llama3_3)) == block(*where)


@pytest.mark.parametrize("where", ALTERNATIVES_OF_3_3, ids=str)
def test_llama_3_3_knows_the_formats_of_3_1_too(where: tuple[str, int], written: Callable[[Dialog], str]) -> None:
    alternative = DIALOGS[where]._replace(family=Family.llama3_3, tool_prompt_format=ALTERNATIVES_OF_3_3[where])
    assert written(alternative) == block(*where)


CHANGES: dict[str, Callable[[Dialog], Dialog]] = {
    "a letter more in the question": lambda it: it._replace(
        messages=[*it.messages[:-1], UserMessage(content="Use tools to get latest trending songs ")]
    ),
    "no system message": lambda it: it._replace(messages=it.messages[1:]),
    "another day": lambda it: it._replace(today=date(2024, 9, 22)),
    "another description": lambda it: it._replace(tools=[SONGS.model_copy(update={"description": "Songs"})]),
    "a tool more": lambda it: it._replace(tools=[SONGS, WEATHER]),
    "another format": lambda it: it._replace(tool_prompt_format=ToolPromptFormat.function_tag),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_check_sees_any_change(change: str, written: Callable[[Dialog], str]) -> None:
    where = ("llama3_1", 10)
    assert written(CHANGES[change](DIALOGS[where])) != block(*where)


def test_a_block_ends_where_its_fence_begins() -> None:
    prompt, answer = (Block("llama3_1", index, block("llama3_1", index)) for index in (2, 3))
    assert prompt.text.endswith("<|start_header_id|>assistant<|end_header_id|>\n\n")
    assert answer.text.endswith('"What is a helpful assistant?"<|eot_id|>')
