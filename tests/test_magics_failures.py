"""The errors of cells as text: for `{Err[3]}` and `%llama fix`."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.error import UsageError

from llama_nb.errors import ModelNotFound
from llama_nb.failures import LONGEST_TRACEBACK, REMEMBERED, Failures, error_text


def raised(function: Callable[[], Any]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("it did not raise")


def failing(error: type[BaseException] | BaseException) -> BaseException:
    def fail() -> None:
        raise error

    return raised(fail)


def result(error: BaseException | None, code: str = "1 / 0", number: int | None = 1, before: bool = False) -> Any:
    return SimpleNamespace(
        error_before_exec=error if before else None,
        error_in_exec=None if before else error,
        info=SimpleNamespace(raw_cell=code),
        execution_count=number,
    )


def test_the_last_errors_are_kept_by_their_number() -> None:
    failures = Failures()
    for number in range(REMEMBERED + 10):
        failures.post_run_cell(result(failing(ValueError(f"no {number}")), f"cell {number}", number))
    assert list(failures.by_number) == list(range(10, REMEMBERED + 10))
    assert failures.last is not None and failures.last.code == f"cell {REMEMBERED + 9}"
    assert failures.by_number[10].endswith("ValueError: no 10")


def test_a_cell_that_works_changes_nothing() -> None:
    failures = Failures()
    failures.post_run_cell(result(failing(ValueError("no"))))
    failures.post_run_cell(result(None, number=2))
    assert failures.last is not None and failures.last.number == 1


def test_a_cell_without_a_number_can_be_fixed_but_not_named() -> None:
    failures = Failures()
    failures.post_run_cell(result(failing(ValueError("no")), "x", None, before=True))
    assert failures.last is not None and failures.last.code == "x" and not failures.by_number


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), "while True: pass"),
        (SystemExit(1), "exit()"),
        (UsageError("no such option"), "%llama -x"),
        (ModelNotFound("nobody"), "%llama -m nobody hi"),
        (ModelNotFound("nobody"), "  %%llama -m nobody\nhi"),
    ],
)
def test_what_is_no_mistake_of_the_code_is_not_kept(error: BaseException, code: str) -> None:
    failures = Failures()
    failures.post_run_cell(result(failing(error), code))
    assert failures.last is None


def test_our_errors_in_the_users_code_are_kept() -> None:
    failures = Failures()
    failures.post_run_cell(result(failing(ModelNotFound("nobody")), "nb.Chat('nobody')"))
    assert failures.last is not None


def test_no_object_of_the_user_lives_longer_for_it() -> None:
    class Large:
        pass

    def fail() -> None:
        large = Large()
        seen.append(weakref.ref(large))
        raise ValueError(large)

    seen: list[weakref.ref[Large]] = []
    failures = Failures()
    failures.post_run_cell(result(raised(fail)))
    gc.collect()
    assert failures.last is not None and seen[0]() is None


def test_files_have_the_names_that_a_reader_knows() -> None:
    text = error_text(failing(ValueError("no")), lambda filename: "Cell In[3]")
    assert 'File "Cell In[3]", line' in text and "test_magics_failures" not in text
    error = raised(lambda: compile("x = = 1", "/tmp/kernel/1.py", "exec"))
    assert 'File "Cell In[3]", line 1' in error_text(error, lambda filename: "Cell In[3]")


def test_causes_are_told_and_a_circle_of_them_ends() -> None:
    def fail() -> None:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    error = raised(fail)
    text = error_text(error)
    assert text.index("KeyError: 'first'") < text.index("direct cause") < text.index("ValueError: second")
    assert error.__cause__ is not None
    error.__cause__.__cause__ = error
    assert "ValueError: second" in error_text(error)


def test_a_long_error_is_cut_in_its_middle_and_a_deep_one_too() -> None:
    def deeper(level: int) -> None:
        if level == 0:
            raise ValueError("x" * 100_000)
        deeper(level - 1)

    text = error_text(raised(lambda: deeper(50)))
    assert len(text) < LONGEST_TRACEBACK + 100 and "are left out here" in text
    text = error_text(raised(lambda: deeper(500)))
    assert text.startswith("Traceback") and "times]" in text


def test_escape_codes_are_taken_out() -> None:
    text = error_text(failing(ValueError("\x1b[0;31mred\x1b[0m \x1b]8;;http://e.org\x07link\x1b]8;;\x07")))
    assert text.endswith("ValueError: red link")


def test_an_error_that_cannot_be_told_is_named() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Mute" in error_text(failing(Mute()))
