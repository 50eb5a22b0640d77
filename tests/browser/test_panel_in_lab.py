"""The chat panel, as a person meets it: in JupyterLab, with a kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Notebook, scripted

MakeNotebook = Callable[..., Notebook]
Shot = Callable[[Page | Locator, str], Path]

POEM = " ".join(f"word{number}" for number in range(1, 61))


def test_a_question_typed_into_the_panel_streams_an_answer(notebook: MakeNotebook, shot: Shot) -> None:
    book = notebook(scripted(POEM, delay_s=0.05))
    book.run(0)
    expect(book.panel).to_contain_text("Ask your Llama")
    shot(book.page, "empty")
    book.ask("Say sixty words.")
    expect(book.answer()).to_contain_text("word3")
    assert "word60" not in book.answer().inner_text(), "it came at once: nothing was streamed"
    shot(book.page, "streaming")
    assert book.wait_for_answer() == POEM
    expect(book.panel.get_by_role("status")).to_contain_text("Ready")
    expect(book.panel.get_by_role("textbox", name="Message")).to_have_value("")
    shot(book.page, "answered")
