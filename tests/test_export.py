"""Conversations as files: readable and harmless everywhere, and exactly the same when they come back."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_nb import errors, export
from llama_nb.apis.messages import (
    URL,
    BuiltinTool,
    CompletionMessage,
    ImageMedia,
    Message,
    StopReason,
    SystemMessage,
    ToolCall,
    ToolResponseMessage,
    UserMessage,
)
from llama_nb.chat import Chat
from llama_nb.export import Conversation
from tests.stacks import calling, entry, provider_of, stack_of, written_chat
from tests.test_safe_markdown import complaints, complaints_of_jupyterlab
from tests.xss_corpus import HOSTILE

HALF = "half \ud83d a character"
CALL = ToolCall(call_id="1", tool_name="look", arguments={"at": "Ghent", "deep": {"n": [1, 2.5, None, True, HALF]}})
SEARCH = ToolCall(call_id="2", tool_name=BuiltinTool.brave_search, arguments={"query": "<b>"})
SAID: list[Message] = [
    SystemMessage(content="Be brief."),
    UserMessage(content="Hé 🦙 <script>alert(1)</script>\r\n\tto", context="what was found"),
    CompletionMessage(content=HALF, stop_reason=StopReason.end_of_turn, tool_calls=[CALL, SEARCH]),
    ToolResponseMessage(call_id="1", tool_name="look", content="seen ``` \x00 \x1b[2K"),
    ToolResponseMessage(call_id="2", tool_name=BuiltinTool.brave_search, content="found"),
    CompletionMessage(content="", stop_reason=StopReason.out_of_tokens, malformed_call="it names no tool"),
    UserMessage(content=["look: ", ImageMedia(image=URL(uri="file:cat.png"))]),
    CompletionMessage(content="a cat", stop_reason=StopReason.end_of_message),
]
READABLE = (".json", ".ipynb")
ALL = (".json", ".ipynb", ".md", ".html")


def held(messages: list[Message] = SAID) -> Chat:
    chat = written_chat("and on")
    chat.messages = [message.model_copy(deep=True) for message in messages]
    return chat


# --- Back again ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", READABLE)
def test_a_conversation_comes_back_exactly_and_goes_on(tmp_path: Path, suffix: str) -> None:
    chat = held()
    path = chat.export(tmp_path / f"talk{suffix}")
    back = Chat.load(path, stack=chat.stack)
    assert back.messages == chat.messages == SAID
    assert [type(message) for message in back.messages] == [type(message) for message in SAID]
    assert back.model == chat.model
    assert str(back.ask("more?")) == "and on"
    assert provider_of(back).asked[-1]["messages"][:-1] == SAID


@pytest.mark.parametrize("suffix", READABLE)
@pytest.mark.parametrize(
    "messages",
    [
        [],
        [SystemMessage(content="alone")],
        [CompletionMessage(content="first", stop_reason=StopReason.end_of_turn), UserMessage(content="then")],
        [UserMessage(content="unanswered")],
    ],
)
def test_odd_conversations_come_back_too(tmp_path: Path, suffix: str, messages: list[Message]) -> None:
    chat = held(messages)
    assert Chat.load(chat.export(tmp_path / f"talk{suffix}"), stack=chat.stack).messages == messages


TEXT = st.text(st.characters(codec=None), max_size=20)  # also half characters
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
CALLS = st.builds(
    ToolCall,
    call_id=TEXT,
    tool_name=TEXT | st.sampled_from(BuiltinTool),
    arguments=st.dictionaries(TEXT, PLAIN, max_size=3),
)
MESSAGES = st.lists(
    st.builds(UserMessage, content=TEXT, context=st.none() | TEXT)
    | st.builds(SystemMessage, content=TEXT)
    | st.builds(ToolResponseMessage, call_id=TEXT, tool_name=TEXT | st.sampled_from(BuiltinTool), content=TEXT)
    | st.builds(
        CompletionMessage,
        content=TEXT,
        stop_reason=st.sampled_from(StopReason),
        tool_calls=st.lists(CALLS, max_size=2),
        malformed_call=st.none() | TEXT,
    ),
    max_size=6,
)


@settings(max_examples=100, deadline=None)
@given(messages=MESSAGES, model=TEXT)
@pytest.mark.parametrize("suffix", ALL)
def test_whatever_is_said_can_be_written_and_read(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, messages: list[Message], model: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"talk{suffix}"
    export.write(path, Conversation(model, messages), overwrite=True)
    path.read_text(encoding="utf-8")
    if suffix in READABLE:
        assert export.read(path) == Conversation(model, messages)


def test_numbers_that_json_lacks_come_back() -> None:
    said = [
        CompletionMessage(
            content="",
            stop_reason=StopReason.end_of_turn,
            tool_calls=[ToolCall(call_id="", tool_name="f", arguments={"x": float("inf")})],
        )
    ]
    chat = held(list(said))
    assert export.MESSAGES.validate_python(json.loads(export._dumped(chat.messages))) == said


def test_a_talk_with_tools_comes_back(tmp_path: Path) -> None:
    def look(at: str) -> str:
        """Looks."""
        return f"at {at}"

    chat = written_chat([calling("look", at="it")], "seen", tools=[look], approval="allow", system="Be brief.")
    chat.ask("?")
    for suffix in READABLE:
        back = Chat.load(chat.export(tmp_path / f"x{suffix}"), stack=chat.stack)
        assert back.messages == chat.messages
        assert back.system == "Be brief."
        assert back.tools == [], "functions are not in a file"


# --- Loading ------------------------------------------------------------------------------------------------------------


def test_options_stand_above_the_file(tmp_path: Path) -> None:
    path = held().export(tmp_path / "talk.json")
    stack = stack_of(entry("faulty"))
    with pytest.raises(errors.ModelNotFound, match=r"held with `written`.*give `model=`"):
        Chat.load(path, stack=stack)
    back = Chat.load(path, stack=stack, model="faulty", system="Be long.")
    assert (back.model, back.system, back.messages[1:]) == ("faulty", "Be long.", SAID[1:])


def test_a_file_names_no_folder_to_load_a_model_from(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "params.json").write_text("{}")
    path = export.write(tmp_path / "talk.json", Conversation(str(folder), []))
    with pytest.raises(errors.ModelNotFound):
        Chat.load(path, stack=stack_of(entry("faulty")))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.json", "{", "no conversation"),
        ("x.json", "[]", "no conversation"),
        ("x.json", "{}", "not marked"),
        ("x.json", '{"format": "llama_nb conversation", "version": 9}', "version 9"),
        ("x.json", '{"format": "llama_nb conversation", "version": 1}', "model"),
        (
            "x.json",
            '{"format": "llama_nb conversation", "version": 1, "model": "m", "messages": [{"role": "user"}]}',
            "at 0.user.content",
        ),
        (
            "x.json",
            '{"format": "llama_nb conversation", "version": 1, "model": "m", "messages": [{"role": "god"}]}',
            "at 0",
        ),
        ("x.json", b"\xff\xfe\xff", "no conversation"),
        ("x.ipynb", '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "not marked"),
        ("x.ipynb", "[" * 100_000, "no conversation"),
        ("x.md", "# hi", "`.ipynb`, `.json`"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, name: str, content: str | bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(errors.BadRequest, match=words):
        Chat.load(tmp_path / name, stack=stack_of(entry("faulty")))


# --- Writing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ALL)
def test_a_file_is_never_overwritten_in_silence(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"talk{suffix}"
    path.write_text("mine")
    with pytest.raises(errors.BadRequest, match="overwrite=True"):
        held().export(path)
    assert path.read_text() == "mine"
    assert held().export(str(path), overwrite=True) == path
    assert path.read_text() != "mine"
    assert os.listdir(tmp_path) == [path.name]


def test_an_unknown_suffix_is_told_with_the_known(tmp_path: Path) -> None:
    for name in ("talk.txt", "talk", "talk.htm"):
        with pytest.raises(errors.BadRequest, match=r"`.html`, `.ipynb`, `.json`, `.md`"):
            held().export(tmp_path / name)
    held().export(tmp_path / "talk.JSON")


def test_what_cannot_be_written_leaves_no_half_file(tmp_path: Path) -> None:
    chat = held(
        [
            CompletionMessage(
                content="",
                stop_reason=StopReason.end_of_turn,
                tool_calls=[ToolCall(call_id="1", tool_name="f", arguments={"x": object()})],
            )
        ]
    )
    with pytest.raises(errors.BadRequest, match="JSON cannot carry"):
        chat.export(tmp_path / "talk.json")
    with pytest.raises(OSError) as refused:
        held().export(tmp_path / "nowhere" / "talk.json")
    assert isinstance(refused.value, errors.LlamaError)
    assert str(refused.value).startswith(f"{tmp_path / 'nowhere' / 'talk.json'} cannot be written: No such file")
    assert os.listdir(tmp_path) == []


# --- Reading ------------------------------------------------------------------------------------------------------------


def test_a_notebook_is_one(tmp_path: Path) -> None:
    path = held().export(tmp_path / "talk.ipynb")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert {cell.cell_type for cell in notebook.cells} == {"markdown"}, "nothing in it can be run"
    assert [cell.id for cell in notebook.cells] == ["title", "question-1", "answer-1", "question-2", "answer-2"]
    assert "Be brief." in notebook.cells[0].source
    assert "brave_search" in notebook.cells[2].source


def test_a_notebook_comes_back_through_another_editor(tmp_path: Path) -> None:
    """One that rewrites the file, as JupyterLab does, with cells of the user's own between ours."""
    path = held().export(tmp_path / "talk.ipynb")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(2, nbformat.v4.new_markdown_cell("a note"))
    notebook.cells.append(nbformat.v4.new_code_cell("1 + 1"))
    nbformat.write(notebook, path)
    assert export.read(path).messages == SAID


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


OURS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "h1",
    "h2",
    "section",
    "p",
    "pre",
    "code",
    "details",
    "summary",
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_nothing_in_a_page_is_live(attack: str) -> None:
    page = Page(export._as_html(attacked(attack)))
    assert {tag for tag, _ in page.tags} <= OURS
    for tag, attributes in page.tags:
        assert set(attributes) <= {"class", "open", "lang", "charset", "name", "content", "http-equiv"}, tag
    assert {attributes.get("class", "user") for _, attributes in page.tags} <= {
        "user",
        "assistant",
        "ipython",
        "system",
    }


def test_a_page_says_what_was_said(tmp_path: Path) -> None:
    text = held().export(tmp_path / "talk.html").read_text()
    page = Page(text)
    for words in ("Be brief.", "<script>alert(1)</script>", "half \ufffd a character", "brave_search", "(unfinished)"):
        assert words in page.text
    assert "default-src 'none'" in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", text)


def test_markdown_says_what_was_said(tmp_path: Path) -> None:
    text = held().export(tmp_path / "talk.md").read_text()
    places = [
        text.index(words)
        for words in (
            "**System**",
            "**You**",
            "&lt;script>",
            "**Tool call** look",
            "**Result**",
            "*(unfinished)*",
            "a cat",
        )
    ]
    assert places == sorted(places)
    assert "<script>" not in text


def test_nothing_in_markdown_is_live() -> None:
    """In the file, and in the cells of the notebook, in every parser that may show them."""

    def written(attack: str) -> str:
        return export._as_markdown(attacked(attack))

    assert complaints(HOSTILE, written) == []
    assert complaints_of_jupyterlab(HOSTILE, written) == []


def attacked(attack: str) -> Conversation:
    call = ToolCall(call_id="1", tool_name=attack, arguments={attack: attack})
    return Conversation(
        attack,
        [
            SystemMessage(content=attack),
            UserMessage(content=attack),
            CompletionMessage(content=attack, stop_reason=StopReason.end_of_turn, tool_calls=[call]),
            ToolResponseMessage(call_id="1", tool_name=attack, content=attack),
        ],
    )
