"""The same seed gives the same bytes, whatever the order in which Python keeps its sets."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

from llama_nb.apis.messages import BuiltinTool, tool_name_str
from llama_nb.demo import beside, corpus, heldout
from llama_nb.demo.families import families
from llama_nb.demo.offers import SORTS
from llama_nb.demo.values import SPOKEN
from llama_nb.demo.words import say
from llama_nb.prompt_format.answer import AnswerReader
from llama_nb.prompt_format.call_text import calls_text, needs_python_tag


def prepared(folder: Path, hash_seed: str, seed: int = 1) -> dict[str, str]:
    command = [sys.executable, "-m", "llama_nb.demo", "--preset", "toy", "--prepare", str(folder), "--seed", str(seed)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONHASHSEED": hash_seed}, check=True, capture_output=True, text=True
    )
    figures: dict[str, dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return figures["sha256"]


def test_vocabulary_and_tokens_are_the_same_in_every_process(tmp_path: Path) -> None:
    one = prepared(tmp_path / "one", hash_seed="1")
    assert prepared(tmp_path / "two", hash_seed="2") == one
    assert prepared(tmp_path / "three", hash_seed="1", seed=2) != one  # the comparison can fail


def test_a_dialog_can_be_made_alone() -> None:
    assert list(corpus.dialogs(7, 20))[13] == corpus.dialog(7, 13)


def test_every_dialog_ends_with_an_answer() -> None:
    for dialog in corpus.dialogs(3, 300):
        assert dialog.messages[-1].role == "assistant"
        offered = [tool_name_str(tool.tool_name) for tool in dialog.tools]
        for message in dialog.messages:
            if message.role == "assistant":
                assert all(tool_name_str(call.tool_name) in offered for call in message.tool_calls)


def test_all_that_a_call_passes_was_said() -> None:
    checked = 0
    for dialog in corpus.dialogs(5, 600):
        said = ""
        for message in dialog.messages:
            if message.role == "user":
                said += f"{message.content}\n"
            for call in message.tool_calls if message.role == "assistant" else ():
                for value in call.arguments.values():
                    checked += 1
                    assert was_said(value, said), f"{value!r} in {said!r}"
    assert checked > 300


def was_said(value: object, said: str) -> bool:
    if isinstance(value, bool):
        return True  # as "on" and the like
    if isinstance(value, int) and 2 <= value <= 12 and SPOKEN[value] in said:
        return True
    return str(value).removeprefix("solve ") in said


def test_a_value_that_was_not_said_is_noticed() -> None:
    assert not was_said("Oslo", "the weather in Rome") and was_said(3, "for three days")


def test_calls_fit_what_is_offered_and_are_read_back() -> None:
    kinds = set()
    for dialog in corpus.dialogs(6, 400):
        for message in dialog.messages:
            if message.role != "assistant" or not message.tool_calls:
                continue
            tagged = needs_python_tag(message.tool_calls, dialog.tool_prompt_format)
            reader = AnswerReader({"<|python_tag|>": 1}, dialog.tools, tool_prompt_format=dialog.tool_prompt_format)
            text = calls_text(message.tool_calls, dialog.tool_prompt_format)
            reader.feed([1] if tagged else [], "")
            reader.feed([2], text)
            reader.end(message.stop_reason)
            assert reader.message is not None
            read = [(call.tool_name, call.arguments) for call in reader.message.tool_calls]
            assert read == [(call.tool_name, call.arguments) for call in message.tool_calls], text
            kinds.add("built-in" if isinstance(read[0][0], BuiltinTool) else dialog.tool_prompt_format.value)
    assert kinds == {"built-in", "json", "function_tag"}


def test_often_no_call_is_due_though_tools_are_offered() -> None:
    answers = {"called": 0, "told": 0}
    for dialog in (dialog for dialog in corpus.dialogs(8, 600) if dialog.tools):
        for before, message in itertools.pairwise(dialog.messages):
            if before.role == "user" and message.role == "assistant":
                answers["called" if message.tool_calls else "told"] += 1
    assert answers["told"] > 0.25 * answers["called"]


def test_every_theme_has_what_is_said_near_its_tools_when_none_is_due() -> None:
    rng = Random(0)
    for theme in {family.theme for family in families() if family.theme} - {SORTS}:
        stated, asked = beside.statement(rng, theme), beside.request(rng, theme)
        assert stated and asked, theme
        assert not set("{}|") & set(stated + asked[0])


def test_what_is_said_near_tools_belongs_to_a_theme() -> None:
    assert {theme for theme, _ in beside._lines()} <= {family.theme for family in families()}
    assert {mark for _, mark in beside._lines()} == {"-", "?"}
    assert beside.statement(Random(0), "no theme") is beside.request(Random(0), "no theme") is None


def test_no_template_is_left_unread() -> None:
    for dialog in corpus.dialogs(4, 300):
        for message in dialog.messages:
            if message.role == "user":
                assert not any(mark in str(message.content) for mark in ("{0}", "{1}", "<how>", "<about>", "<nb>"))


def test_choices_can_stand_in_choices() -> None:
    from random import Random

    assert say(Random(0), "(a (b|b)|a b)") == "a b"


def test_held_out_questions_are_not_in_the_corpus() -> None:
    groups = ("calls a tool", "calls in tags", "calls an unseen tool", "built-in tools", "about llama_nb")
    asked = {plain(case.said[-1]) for case in heldout.CASES if case.group in groups}
    typed = {plain(message.content) for dialog in corpus.dialogs(1, 3000) for message in dialog.messages}
    assert len(asked) > 80 and not typed & asked


def plain(text: object) -> str:
    return str(text).casefold().strip(" ?.!")
