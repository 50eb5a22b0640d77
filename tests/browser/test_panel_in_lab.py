"""The chat panel, as a person meets it: in JupyterLab, with a kernel."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import Lab, Notebook, scripted, wait_until

MakeNotebook = Callable[..., Notebook]
Shot = Callable[[Page | Locator, str], Path]

POEM = " ".join(f"word{number}" for number in range(1, 61))
LONG = " ".join(f"word{number}" for number in range(1, 2001))
RICH = """## A tour of attention

Each token **looks back** at the *others*:

1. Make queries, keys and values
2. Compare them, and scale by `sqrt(d)`

```python
def attention(q, k, v):
    return (q @ k.T / q.shape[-1] ** 0.5).softmax(-1) @ v
```

| Name | Meaning |
|:-----|--------:|
| q | what I look for |

> It is all you need.

See [the paper](https://arxiv.org/abs/1706.03762).
"""
CALL = '<|python_tag|>{"type": "function", "name": "get_weather", "parameters": {"city": "Zürich", "days": 3}}'
WITH_TOOL = """
from llama_nb.apis.messages import ToolDefinition
chat.tools = [ToolDefinition(tool_name="get_weather")]
panel = nb.Panel(chat); panel"""


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


def test_a_suggestion_is_one_click(notebook: MakeNotebook) -> None:
    book = notebook(scripted("I answer."))
    book.run(0)
    book.panel.get_by_role("button", name="What can you do?").click()
    assert book.wait_for_answer() == "I answer."
    expect(book.turns).to_contain_text("What can you do?")


# What a message to the kernel and back costs on this machine, now, with nothing of ours.
ECHO = '''
import anywidget
class Echo(anywidget.AnyWidget):
    _esm = """export default { render({ model, el }) {
        el.textContent = "echo";
        window.echo = () => new Promise(done => {
            const began = performance.now();
            const hear = () => { model.off("msg:custom", hear); done(performance.now() - began); };
            model.on("msg:custom", hear);
            model.send("there");
        });
    } }"""
echo = Echo()
echo.on_msg(lambda widget, content, buffers: widget.send("and back"))
echo'''


def test_stop_ends_the_answer_within_100_ms(notebook: MakeNotebook, record_property: Callable[..., None]) -> None:
    book = notebook(scripted(LONG, delay_s=0.02), ECHO)
    book.run(0)
    book.run(1)
    expect(book.cell(1)).to_contain_text("echo")
    stops: list[float] = []
    echoes: list[float] = []
    for _ in range(5):
        book.ask("Go on and on.")
        expect(book.answer()).to_contain_text("word3")
        echoes.append(book.page.evaluate("echo()"))
        stops.append(book.stop())
        expect(book.turns.last).to_have_attribute("data-phase", "stopped")
        expect(book.answer()).to_contain_text("Stopped")
        expect(book.panel.get_by_role("button", name="Stop")).to_be_hidden()
    record_property("stop_ms", stops)
    record_property("echo_ms", echoes)
    print(f"Stop took {sorted(map(round, stops))} ms, a bare echo {sorted(map(round, echoes))} ms")
    # The machine is shared. On a busy one nothing takes less than an echo, so we are measured against that.
    assert min(stops) < max(100, 3 * min(echoes))
    book.ask("And again?")
    expect(book.answer()).to_contain_text("word1")


BUSY = "import time; time.sleep(8)"
ASK_AND_BE_BUSY = "import time; chat.start('Go on and on.'); time.sleep(8)"


def _stop_while_busy(book: Notebook) -> float:
    """Stops the answer while the second cell runs, which has asked the question if nobody has before."""
    book.begin(1)
    expect(book.cell(1).locator(".jp-InputPrompt")).to_have_text("[*]:")
    expect(book.answer()).to_contain_text("word3")
    # A piece must be published during the cell, for ipykernel 7.4 to bind the comm to the cell's own shell.
    seen = len(book.answer().inner_text())
    book.page.wait_for_function(
        "seen => [...document.querySelectorAll('.llama-nb-answer')].at(-1).innerText.length > seen + 40", arg=seen
    )
    took = book.stop()
    expect(book.turns.last).to_have_attribute("data-phase", "stopped")
    return took


@pytest.mark.parametrize("asked_in", ["panel", "cell"])
def test_stop_works_within_a_second_while_a_cell_runs(
    notebook: MakeNotebook, record_property: Callable[..., None], asked_in: str
) -> None:
    book = notebook(scripted(LONG, delay_s=0.02), BUSY if asked_in == "panel" else ASK_AND_BE_BUSY)
    book.run(0)
    if asked_in == "panel":
        book.ask("Go on and on.")
    took = _stop_while_busy(book)
    record_property("stop_busy_ms", took)
    print(f"Stop during a busy cell took {took:.0f} ms (asked in the {asked_in})")
    assert took < 1000


def test_stop_waits_for_the_cell_without_our_guard(notebook: MakeNotebook) -> None:
    """The negative control: without the guard on its comm, ipykernel 7.4 holds Stop back. When this fails, the guard
    may no longer be needed."""
    without = scripted(LONG, delay_s=0.02, panel="panel = nb.Panel(chat); del panel.comm._reply_subshell_for; panel")
    book = notebook(without, ASK_AND_BE_BUSY)
    book.run(0)
    seen: list[str] = []
    book.page.expose_function("llamaSaid", lambda said: seen.append(said))
    book.panel.get_by_role("status").evaluate("""el => new MutationObserver(() => llamaSaid(el.textContent))
        .observe(el, { subtree: true, characterData: true, childList: true })""")
    assert _stop_while_busy(book) > 2000
    assert any("press ■ to interrupt" in said for said in seen), seen


@pytest.fixture
def reloads(full: bool) -> int:
    return 20 if full else 3


@pytest.mark.timeout(1200)  # twenty reloads in a soak
def test_a_reload_in_mid_answer_loses_and_doubles_nothing(notebook: MakeNotebook, reloads: int) -> None:
    book = notebook(scripted(LONG, delay_s=0.01 * reloads))
    book.run(0)
    book.save("Llama conversation")
    book.ask("Go on and on.")
    expect(book.answer()).to_contain_text("word3")
    for _ in range(reloads):
        book.reload()
        expect(book.turns).to_have_count(1)
        expect(book.turns).to_have_attribute("data-phase", "answering")
        before = book.answer().inner_text()
        assert before.split()[1:4] == ["word1", "word2", "word3"]
        book.page.wait_for_function(
            "seen => document.querySelector('.llama-nb-answer').innerText.length > seen", arg=len(before) + 20
        )
    book.stop()
    words = book.answer().locator(".llama-nb-text").inner_text()
    assert LONG.startswith(words), "a piece was lost or doubled"
    expect(book.turns).to_have_count(1)


def test_after_a_reload_the_saved_notebook_has_what_was_said_since(notebook: MakeNotebook) -> None:
    book = notebook(scripted(POEM, delay_s=0.1))
    book.run(0)
    book.save("Llama conversation")
    book.ask("Say sixty words.")
    expect(book.answer()).to_contain_text("word3")
    book.panel.get_by_role("textbox", name="Message").fill("half a thought")
    book.reload()
    expect(book.panel.get_by_role("textbox", name="Message")).to_have_value("half a thought")
    assert book.wait_for_answer() == POEM
    book.save("word60")


def test_a_tool_call_unfolds_as_a_collapsible_cell(notebook: MakeNotebook, shot: Shot) -> None:
    book = notebook(scripted(CALL, delay_s=0.1, panel=WITH_TOOL))
    book.run(0)
    book.ask("The weather in Zürich?")
    cell = book.panel.locator("details")
    expect(cell).to_have_attribute("open", "")
    expect(cell.locator("summary")).to_contain_text("calling…")
    expect(cell.locator("summary")).to_contain_text("get_weather")
    shot(book.page, "calling")
    expect(cell.locator("summary")).to_contain_text("not run")
    assert json.loads(cell.locator("pre").inner_text()) == {"city": "Zürich", "days": 3}
    cell.locator("summary").press("Enter")
    expect(cell.locator("pre")).to_be_hidden()
    cell.locator("summary").click()
    expect(cell.locator("pre")).to_be_visible()
    shot(book.page, "called")


def test_no_key_in_the_panel_reaches_the_notebook(notebook: MakeNotebook) -> None:
    book = notebook(scripted("Fine."), "1 + 1")
    book.run(0)
    prompts = book.prompts()
    box = book.panel.get_by_role("textbox", name="Message")
    box.press_sequentially("add")
    box.press("Shift+Enter")
    box.press_sequentially("b")
    for keys in ("Control+Enter", "Alt+Enter", "Shift+Enter", "Escape", "a", "d", "d"):
        box.press(keys)
    value = box.input_value()
    assert value.startswith("add\nb")
    assert value.endswith("add")
    expect(book.turns).to_have_count(0)
    box.press("Enter")
    assert book.wait_for_answer() == "Fine."
    assert book.prompts() == prompts
    expect(book.page.locator(".jp-Notebook .jp-Cell")).to_have_count(2)


def test_ctrl_s_in_the_panel_saves_the_notebook(notebook: MakeNotebook) -> None:
    book = notebook(scripted("Fine."))
    book.run(0)
    book.ask("Are you well?")
    book.wait_for_answer()
    box = book.panel.get_by_role("textbox", name="Message")

    def saved() -> bool:
        box.press("Control+s")
        book.page.wait_for_timeout(200)
        return "Are you well?" in book.path.read_text()

    wait_until(saved, "Ctrl+S saves")


def test_enter_that_chooses_characters_does_not_send(notebook: MakeNotebook) -> None:
    book = notebook(scripted("Fine."))
    book.run(0)
    box = book.panel.get_by_role("textbox", name="Message")
    box.fill("にほん")
    for event in ("{key: 'Enter', isComposing: true}", "{key: 'Enter', keyCode: 229}"):
        box.evaluate(f"el => el.dispatchEvent(new KeyboardEvent('keydown', {{bubbles: true, ...{event}}}))")
    expect(box).to_have_value("にほん")
    box.press("Enter")
    book.wait_for_answer()
    expect(book.turns).to_have_count(1)


def test_an_error_is_said_in_plain_words_and_the_next_question_works(notebook: MakeNotebook) -> None:
    failing = """
answer = chat.stack.inference.chat_completion
def fail_once(*args, **kwargs):
    chat.stack.inference.chat_completion = answer
    raise nb.LlamaError("The model <b>fell</b> over.")
chat.stack.inference.chat_completion = fail_once
panel = nb.Panel(chat); panel"""
    book = notebook(scripted("Now I can.", panel=failing))
    book.run(0)
    book.ask("Will you?")
    expect(book.turns).to_have_attribute("data-phase", "failed")
    expect(book.turns).to_contain_text("The model <b>fell</b> over.")
    book.ask("And now?")
    assert book.wait_for_answer() == "Now I can."


def test_two_views_of_a_panel_say_the_same(notebook: MakeNotebook) -> None:
    book = notebook(scripted(POEM, delay_s=0.02), "panel", "nb.Panel(chat)")
    for cell in range(3):
        book.run(cell)
    book.ask("Say sixty words.")
    views = book.page.locator(".llama-nb")
    expect(views).to_have_count(3)
    for view in range(3):
        expect(views.nth(view).locator(".llama-nb-turn")).to_have_attribute("data-phase", "done")
        expect(views.nth(view).locator(".llama-nb-text")).to_have_text(POEM)


def test_the_panel_wears_the_notebooks_theme(lab: Lab, notebook: MakeNotebook, shot: Shot) -> None:
    themes = "/lab/api/settings/@jupyterlab/apputils-extension:themes"
    seen = {}
    try:
        for theme in ("Light", "Dark"):
            lab.api("PUT", themes, {"raw": json.dumps({"theme": f"JupyterLab {theme}"})})
            book = notebook(scripted(RICH, CALL, panel=WITH_TOOL))
            book.run(0)
            book.ask("How does attention work?")
            book.wait_for_answer()
            shot(book.page, f"{theme.lower()}-answer")
            book.ask("The weather in Zürich?")
            expect(book.panel.locator("details summary")).to_contain_text("not run")
            shot(book.page, f"{theme.lower()}-call")
            seen[theme] = book.panel.evaluate("el => getComputedStyle(el).backgroundColor")
    finally:
        lab.api("PUT", themes, {"raw": "{}"})
    assert seen["Light"] == "rgb(255, 255, 255)"
    assert max(int(part) for part in seen["Dark"][4:-1].split(",")) < 80, seen


def test_a_notebook_reopened_without_its_kernel_shows_the_transcript(
    lab: Lab, notebook: MakeNotebook, context: BrowserContext, shot: Shot
) -> None:
    book = notebook(scripted(RICH, CALL, panel=WITH_TOOL))
    book.run(0)
    book.ask("How does attention work?")
    book.wait_for_answer()
    mirror = book.page.locator(".jp-RenderedMarkdown", has_text="Llama conversation")
    expect(mirror).to_be_hidden()  # the panel itself is there
    book.ask("The weather in Zürich?")
    expect(book.panel.locator("details summary")).to_contain_text("not run")
    book.save("not run")
    book.page.goto("about:blank")
    lab.end_kernels()

    again = Notebook(lab, context.new_page(), book.name).open()
    mirror = again.page.locator(".jp-RenderedMarkdown", has_text="Llama conversation")
    expect(mirror).to_be_visible()
    for said in ("How does attention work?", "Make queries", "def attention", "The weather in Zürich?", '"days": 3'):
        expect(mirror).to_contain_text(said)
    shot(again.page, "reopened")
    again.page.close()


def test_the_embedded_model_answers_in_the_panel(notebook: MakeNotebook, shot: Shot) -> None:
    book = notebook("import llama_nb as nb\nnb.Panel()")
    book.run(0)
    expect(book.panel.get_by_role("status")).to_contain_text("llama-nb-guide")
    book.ask("What can you do?")
    assert len(book.wait_for_answer()) > 20
    expect(book.panel.locator(".llama-nb-status")).to_contain_text("tokens/s")
    shot(book.page, "guide")
