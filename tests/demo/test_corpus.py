"""The same seed gives the same bytes, whatever the order in which Python keeps its sets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from llama_nb.demo import corpus, heldout
from llama_nb.demo.words import say


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
        offered = [tool.tool_name for tool in dialog.tools]
        for message in dialog.messages:
            if message.role == "assistant":
                assert all(call.tool_name in offered for call in message.tool_calls)


def test_no_template_is_left_unread() -> None:
    for dialog in corpus.dialogs(4, 300):
        for message in dialog.messages:
            if message.role == "user":
                assert not any(mark in str(message.content) for mark in ("{0}", "{1}", "<how>", "<about>", "<nb>"))


def test_choices_can_stand_in_choices() -> None:
    from random import Random

    assert say(Random(0), "(a (b|b)|a b)") == "a b"


def test_held_out_values_are_not_in_the_corpus_of_the_checkpoint() -> None:
    asked = [case.said[-1] for case in heldout.CASES if case.call is not None]
    typed = {str(message.content) for dialog in corpus.dialogs(1, 3000) for message in dialog.messages}
    assert not typed.intersection(map(str, asked))
