"""`%llama` as a person meets it in JupyterLab: in the background, at a prompt, with code that appears below."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import Locator, expect

from tests.browser.conftest import Notebook, scripted

MakeNotebook = Callable[..., Notebook]

LOAD = "%load_ext llama_nb"
CALL = "<|python_tag|>" + json.dumps({"type": "function", "name": "add", "parameters": {"a": 2, "b": 3}})


def answers(*said: str, delay_s: float = 0.0) -> str:
    return f"{LOAD}\n{scripted(*said, delay_s=delay_s, panel='')}"


def markdown(cell: Locator) -> Locator:
    return cell.locator('.jp-OutputArea-output[data-mime-type="text/markdown"]')


def test_an_answer_in_the_background_grows_below_its_own_cell_while_others_run(notebook: MakeNotebook) -> None:
    words = " ".join(f"word{number}" for number in range(200))
    book = notebook(answers(words, delay_s=0.01), "r = %llama --bg hi", "text = str(r.wait())\nprint(len(text))")
    book.run(0)
    book.run(1)
    book.run(2)
    expect(markdown(book.cell(1))).to_contain_text("word199")
    expect(markdown(book.cell(2))).to_have_count(0)
    expect(book.cell(2).locator(".jp-OutputArea-output")).to_have_text(str(len(words)))


def test_a_tool_below_the_magic_is_asked_about_at_the_prompt(notebook: MakeNotebook) -> None:
    book = notebook(
        answers(CALL, "It is **5**."),
        "def add(a: int, b: int) -> int:\n    return a + b",
        "%llama -t add what is 2 + 3?",
    )
    book.run(0)
    book.run(1)
    book.begin(2)
    prompt = book.cell(2).locator(".jp-Stdin")
    expect(prompt).to_contain_text("Allow it?")
    prompt.locator("input").fill("once")
    prompt.locator("input").press("Enter")
    expect(markdown(book.cell(2)).locator("strong", has_text="5")).to_be_visible()


def test_code_appears_in_a_new_cell_below(notebook: MakeNotebook) -> None:
    book = notebook(
        answers("So:\n\n```python\nx = 41\nprint(x + 1)\n```"), "%llama -f code write it", "'the last cell'"
    )
    book.run(0)
    book.run(1)
    expect(book.cell(2).locator(".cm-content")).to_contain_text("print(x + 1)")
    expect(book.cell(3).locator(".cm-content")).to_contain_text("the last cell")
    expect(markdown(book.cell(1))).to_contain_text("code inserted below")
