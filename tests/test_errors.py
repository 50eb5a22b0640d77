"""Errors: each is also the built-in that Llama Stack raises there, and says what is known."""

from __future__ import annotations

import re

import pytest

from llama_nb import errors

PARENTS = {
    "ConfigError": ValueError,
    "ModelNotFound": ValueError,
    "CheckpointError": ValueError,
    "ContextOverflow": ValueError,
    "BadRequest": ValueError,
    "NotSupported": NotImplementedError,
    "ToolArgumentsInvalid": ValueError,
    "AnswerInvalid": ValueError,
    "EngineError": RuntimeError,
}


@pytest.mark.parametrize("name", PARENTS)
def test_each_error_is_ours_and_a_builtin(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, errors.LlamaError)
    assert issubclass(kind, PARENTS[name])


def test_the_table_is_complete() -> None:
    assert {kind.__name__ for kind in errors.LlamaError.__subclasses__()} >= set(PARENTS)
    defined = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert defined == {"LlamaError", *PARENTS}


def test_the_docstring_shows_the_same_tree() -> None:
    shown = dict(re.findall(r"[├└]── (\w+)\s+\((\w+)\)", str(errors.__doc__)))
    assert shown == {name: parent.__name__ for name, parent in PARENTS.items()}


@pytest.mark.parametrize("name", PARENTS)
def test_an_error_crosses_a_pipe_by_its_name(name: str) -> None:
    assert errors.by_name(name) is getattr(errors, name)


@pytest.mark.parametrize("name", ["", "SystemExit", "LlamaErrors", "__class__"])
def test_an_unknown_name_is_an_engine_error(name: str) -> None:
    assert errors.by_name(name) is errors.EngineError


def test_the_nearest_name_is_offered_and_all_are_listed() -> None:
    assert errors.did_you_mean("modle", ["model", "device"]) == "Did you mean `model`? Known: `device`, `model`."
    assert errors.did_you_mean("colour", ["model", "device"]) == "Known: `device`, `model`."
    assert errors.did_you_mean("x", []) == "None is known."
    assert errors.did_you_mean("", ["model"]) == "Known: `model`."
