"""What `%llama` and `%%llama` make of questions and answers: names, forms, errors, tools, conversations, background."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

from llama_nb.magic_line import FLAGS, HELP, NO_FORMATS, OPTIONS, WrongOption, parse_options
from llama_nb.magics import BUILT_IN_TOOLS, COMMANDS
from llama_nb.views import code_of, json_of
from tests.live_kernel import Kernel, Ran, live_kernel
from tests.stacks import LONG, WAIT_S, config_of, entry
from tests.test_safe_markdown import complaints
from tests.xss_corpus import EVIL, LURE

ROOT = Path(__file__).resolve().parent.parent
ANSWER = "It **works**."
CODE = "Sure:\n\n```python\nx = 41\nprint(x + 1)\n```\n\nThat is it.\n\n```\nno\n```"
STEADY = LONG[:600]
CALL = '<|python_tag|>{"type": "function", "name": "add", "parameters": {"a": 2, "b": 3}}'


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("magics")
    answers: dict[str, list[str]] = {
        "quick": [ANSWER],
        "code": [CODE],
        "bare": ["y = 2\n"],
        "blank": [" "],
        "json": ['```json\n{"a": [1, "<b>"]}\n```'],
        "nojson": ["I'd rather not: {"],
        "hostile": [f"{EVIL} {LURE}\n\x1b[31m"],
        "caller": [CALL, "It is **5**."],
    }
    config = config_of(
        *(entry("scripted", name, answers=said, model=name) for name, said in answers.items()),
        entry("scripted", "steady", answers=[STEADY], delay_s=0.005, model="steady"),
        entry("scripted", "slow", answers=[LONG], delay_s=0.01, model="slow"),
        entry("scripted", "small", answers=[ANSWER], max_seq_len=20, model="small"),
    )
    path = folder / "llama_nb.yaml"
    path.write_text(yaml.safe_dump(config))
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    keys = {"BRAVE_SEARCH_API_KEY": "none", "WOLFRAM_ALPHA_API_KEY": "none"}
    return os.environ | keys | {"LLAMA_NB_CONFIG": str(path), "PYTHONPATH": paths}


@pytest.fixture(scope="module")
def one_kernel(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with live_kernel(tmp_path_factory.mktemp("notebook"), environment) as kernel:
        yield kernel


@pytest.fixture
def kernel(one_kernel: Kernel) -> Kernel:
    """The kernel of this file, with conversations that begin anew."""
    one_kernel.run(
        "%reload_ext llama_nb\n"
        "import llama_nb\n"
        "llama_nb.configure()\n"  # so that the written answers begin anew
        "magics = get_ipython().find_line_magic('llama').__self__\n"
        "sent = lambda: [m.content for m in magics.chat.messages if m.role == 'user']"
    )
    return one_kernel


def inserted(ran: Ran) -> list[str]:
    """The cells that a front end is told to put below."""
    return [str(payload["text"]) for payload in ran.reply["payload"] if payload["source"] == "set_next_input"]


# --- Names --------------------------------------------------------------------------------------------------------------


def test_a_cell_takes_in_what_the_notebook_knows_and_says_so(kernel: Kernel) -> None:
    kernel.run("import pandas as pd\nframe = pd.DataFrame({'a': [1, 2, 3], 'b': ['x', 'y', '{n}']})\nn = 7")
    [number] = [kernel.value("len(In) - 1")]
    ran = kernel.run(f"%%llama\nExplain {{frame}} by {{In[{number}]}}, {{n}}, {{nothing}} and {{{{n}}}}.")
    [question] = kernel.value("sent()")
    assert question.startswith("Explain DataFrame with 3 rows and 2 columns: a (int64), b (")
    assert "{n}\n" not in question and "  {n} by import pandas as pd\n" in question, "values are not read again"
    assert question.endswith("n = 7, 7, {nothing} and {n}.")
    assert ran.markdown == [f"*put in: frame (DataFrame, 3×2), In[{number}], n (int)*\n\n{ANSWER}"]
    assert ran.text == [ANSWER]
    assert ran.outputs[0].metadata["llama_nb"]["notes"] == [f"put in: frame (DataFrame, 3×2), In[{number}], n (int)"]


def test_results_and_errors_of_cells_by_their_number(kernel: Kernel) -> None:
    kernel.run("6 * 7")
    number = kernel.value("len(In) - 1")
    kernel.run("def half(x):\n    return x / 0\nhalf(3)")
    kernel.run(f"%%llama\n{{Out[{number}]}}; {{Err[{number + 1}]}}; {{Err[{number}]}}")
    assert kernel.value("sent()") == [
        "42; Traceback (most recent call last):\n"
        f'  File "Cell In[{number + 1}]", line 3, in <module>\n'
        "    half(3)\n"
        f'  File "Cell In[{number + 1}]", line 2, in half\n'
        "    return x / 0\n"
        f"ZeroDivisionError: division by zero; {{Err[{number}]}}"
    ]


def test_what_is_left_says_why_and_is_harmless(kernel: Kernel) -> None:
    kernel.run(
        f"class E(Exception): pass\nclass C:\n    @property\n    def p(self): raise E({f'{EVIL}|{LURE}'!r})\nc = C()"
    )
    ran = kernel.run("%%llama\n{c.p} and {c.__class__}")
    assert kernel.value("sent()") == ["{c.p} and {c.__class__}"]
    assert ran.markdown[0].startswith("*left as it stands: c.p (E: ")
    assert "c.\\_\\_class" in ran.markdown[0] or "c.__class__ (private names are not read)" in ran.markdown[0]
    assert complaints(ran.markdown, str) == []


def test_raw_and_the_line_magic_put_nothing_in(kernel: Kernel) -> None:
    kernel.run("n = 7")
    assert kernel.run("%%llama --raw\n{n} {{n}}").markdown == [ANSWER]
    assert kernel.run("%llama {n} {{n}}").markdown == [ANSWER]
    assert kernel.value("sent()") == ["{n} {{n}}", "{n} {{n}}"]
    kernel.run("%%llama -T 0 Look at {n}:\nand {n}")
    assert kernel.value("sent()")[-1] == "Look at 7:\nand 7"


def test_names_that_ipython_put_there_are_not_the_users(kernel: Kernel) -> None:
    kernel.run("%%llama\n{get_ipython} {exit} {quit} {In} {Out}")
    assert kernel.value("sent()") == ["{get_ipython} {exit} {quit} {In} {Out}"]


# --- fix ----------------------------------------------------------------------------------------------------------------


def test_fix_without_an_error_says_so(kernel: Kernel) -> None:
    assert kernel.run("%llama fix").markdown == ["No cell has failed since llama_nb was loaded."]
    kernel.run("%llama -x hi")
    kernel.run("%llama -m nobody hi")
    assert kernel.run("%llama error").markdown == ["No cell has failed since llama_nb was loaded."], (
        "questions are no code"
    )
    assert kernel.value("sent()") == []


@pytest.mark.parametrize("line", ["%llama fix", "%llama error", "%llama -T 0 fix", "%llama fix -T 0"])
def test_fix_asks_about_the_last_error(kernel: Kernel, line: str) -> None:
    kernel.run("1 / 0")
    kernel.run("s = '```'\nundefined_name")
    number = kernel.value("len(In) - 1")
    ran = kernel.run(line)
    [question] = kernel.value("sent()")
    assert question.startswith("This code of my notebook fails:\n\n````python\ns = '```'\nundefined_name\n````")
    assert "NameError: name 'undefined_name' is not defined" in question
    assert "\x1b" not in question and "ZeroDivision" not in question
    assert ran.markdown == [f"*put in: the code and the error of cell {number}*\n\n{ANSWER}"]


def test_fix_can_put_its_code_below(kernel: Kernel) -> None:
    kernel.run("x = = 1")
    assert inserted(kernel.run("%llama -m code fix -f code")) == ["x = 41\nprint(x + 1)"]
    assert "SyntaxError" in kernel.value("sent()")[0]


@pytest.mark.parametrize("prompt", ["fix my bike", "error 404 means what?", "fix -v in my script", "fixed", "errors"])
def test_other_words_with_fix_are_questions(kernel: Kernel, prompt: str) -> None:
    kernel.run(f"%llama {prompt}")
    assert kernel.value("sent()") == [prompt]


@pytest.mark.parametrize(("line", "reason"), [("fix -f WRONG", "no format `WRONG`"), ("fix -T", "needs a value")])
def test_a_wrong_option_of_fix_is_told_and_no_question(kernel: Kernel, line: str, reason: str) -> None:
    assert reason in kernel.run(f"%llama {line}").printed
    assert kernel.value("sent()") == []


# --- Forms --------------------------------------------------------------------------------------------------------------


def test_code_goes_into_a_new_cell_below(kernel: Kernel) -> None:
    ran = kernel.run("r = %llama -m code -f code write it")
    assert inserted(ran) == ["x = 41\nprint(x + 1)"]
    [payload] = [payload for payload in ran.reply["payload"] if payload["source"] == "set_next_input"]
    assert payload["replace"] is False
    assert ran.markdown[0].endswith("\n\n*(code inserted below)*") and "print(x + 1)" in ran.markdown[0]
    assert inserted(kernel.run("%llama -m bare --format code again")) == ["y = 2"], "without a block it is all code"
    ran = kernel.run("%llama -m blank -f code nothing")
    assert inserted(ran) == [] and ran.markdown[0].endswith("*(there is no code to insert)*")
    assert inserted(kernel.run("%llama -m code no form")) == []


def test_an_interrupt_inserts_nothing(kernel: Kernel) -> None:
    ran = kernel.run(
        "%llama -m slow -f code hi",
        when=lambda ran: any("word1" in text for text in ran.updates),
        then=kernel.interrupt,
    )
    assert ran.reply["ename"] == "KeyboardInterrupt"
    assert inserted(ran) == [] and ran.markdown[0].endswith("*(stopped)*")


def test_json_is_read_shown_and_kept(kernel: Kernel) -> None:
    ran = kernel.run("r = %llama -m json -f json list it")
    assert kernel.value("r.parsed") == {"a": [1, "<b>"]}
    assert ran.markdown == ['```json\n{\n  "a": [\n    1,\n    "<b>"\n  ]\n}\n```'] or "&#60;b" in ran.markdown[0]
    assert complaints(ran.markdown, str) == []


def test_what_is_no_json_is_shown_as_it_came(kernel: Kernel) -> None:
    ran = kernel.run("r = %llama -m nojson -f json list it")
    assert ran.status == "ok"
    assert kernel.value("(r.parsed, str(r))") == (None, "I'd rather not: {")
    [shown] = ran.markdown
    assert "I'd rather not: {" in shown
    assert shown.endswith("*(this is not JSON: Expecting value: line 1 column 1 (char 0))*")


def test_text_is_plain(kernel: Kernel) -> None:
    ran = kernel.run("%llama -f text hi")
    assert [dict(output.data) for output in ran.outputs] == [{"text/plain": ANSWER}]
    kernel.run("n = 1")
    ran = kernel.run("%%llama -m hostile -f text\n{n}")
    assert set(ran.outputs[0].data) == {"text/plain"}
    assert ran.text == [f"put in: n (int)\n\n{EVIL} {LURE}\n\ufffd[31m"], "a page that draws escapes gets none"


@pytest.mark.parametrize("name", ["md", "markdown"])
def test_markdown_is_the_default_form(kernel: Kernel, name: str) -> None:
    assert kernel.run(f"%llama -f {name} hi").markdown == kernel.run("%llama hi").markdown == [ANSWER]


@pytest.mark.parametrize("name", [*NO_FORMATS, "pdf", "JSON"])
def test_other_forms_are_refused_with_a_reason(name: str) -> None:
    with pytest.raises(WrongOption, match=f"`{name}`.* (scripts|formulas|text only|Known: `code`)"):
        parse_options(f"-f {name} hi")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a\n```python\nx\n  y\n```\nb", "x\n  y"),
        ("~~~\nx\n~~~", "x"),
        ("````\n```\nx\n```\n````", "```\nx\n```"),
        ("```py\nx = 1\n\n", "x = 1"),
        ("  plain", "  plain"),
        ("use `x` here", "use `x` here"),
        ("```\n```", ""),
        ("", ""),
    ],
)
def test_the_first_block_is_the_code(text: str, code: str) -> None:
    assert code_of(text) == code


@pytest.mark.parametrize("text", ["[1]", " [1]\n", "```\n[1]\n```", "Here:\n```json\n[1]\n```\nand\n```\n2\n```"])
def test_json_may_stand_in_a_block(text: str) -> None:
    assert json_of(text) == ([1], "")


@pytest.mark.parametrize("text", ["", "{'a': 1}", "[1] and more", "NaN", "[Infinity]", "[" * 100_000, "```\n```"])
def test_what_cannot_be_json_says_why(text: str) -> None:
    value, why = json_of(text)
    assert value is None and why


# --- Tools --------------------------------------------------------------------------------------------------------------

ADD = "def add(a: int, b: int) -> int:\n    '''Adds.'''\n    ran.append((a, b))\n    return a + b\nran = []"


def begun(ran: Ran) -> bool:
    return bool(ran.outputs)


def answer(kernel: Kernel, text: str) -> None:
    """What somebody types at the prompt below the cell."""
    asked = kernel.client.get_stdin_msg(timeout=WAIT_S)
    assert "add" in asked["content"]["prompt"] and "a: 2" in asked["content"]["prompt"]
    kernel.client.input(text)


def test_a_function_is_offered_asked_about_and_run(kernel: Kernel) -> None:
    kernel.run(ADD)
    ran = kernel.run("r = %llama -m caller -t add what is 2 + 3?", when=begun, then=lambda: answer(kernel, "o"))
    assert ran.status == "ok", ran.error
    assert kernel.value("(ran, str(r), r.tool_events[0].state)") == ([(2, 3)], "It is **5**.", "done")
    assert "**Tool call** add — done" in ran.markdown[0] and ran.markdown[0].endswith("It is **5**.")
    ran = kernel.run("r = %llama once more", when=begun, then=lambda: answer(kernel, "no it is late"))
    assert kernel.value("(ran, r.tool_events[0].state)") == ([(2, 3)], "denied"), "it is still offered, and asked about"
    assert "it is late" in kernel.value("r.messages[1].content")


def test_with_nobody_to_ask_a_call_is_denied_and_nothing_hangs(kernel: Kernel) -> None:
    kernel.run(ADD)
    kernel.client.allow_stdin = False
    try:
        ran = kernel.run("r = %llama -m caller -t add what is 2 + 3?")
    finally:
        kernel.client.allow_stdin = True
    assert ran.status == "ok", ran.error
    assert kernel.value("(ran, r.tool_events[0].state)") == ([], "denied")


def test_an_interrupt_at_the_prompt_stops_the_answer(kernel: Kernel) -> None:
    kernel.run(ADD)

    def interrupt() -> None:
        kernel.client.get_stdin_msg(timeout=WAIT_S)
        kernel.interrupt()

    ran = kernel.run("r = %llama -m caller -t add what is 2 + 3?", when=begun, then=interrupt)
    assert ran.reply["ename"] == "KeyboardInterrupt"
    assert kernel.value("ran") == []
    assert ran.markdown[0].endswith("*(stopped)*")
    assert kernel.run("%llama -m quick -t none and now?").markdown == [ANSWER]


def test_tools_come_one_by_one_and_go_all_at_once(kernel: Kernel) -> None:
    kernel.run(
        f"{ADD}\ndef other(): pass\nclass toolbox:\n    add = add\nprepared = llama_nb.tool(approval='allow')(add)"
    )
    names = "[tool.name for tool in magics.chat.tools]"
    kernel.run("%llama -t add,other hi")
    kernel.run('%llama -t wolfram_alpha -t "brave_search, add" hi')
    assert sorted(kernel.value(names)) == ["add", "brave_search", "other", "wolfram_alpha"]
    kernel.run("%llama -t none hi")
    assert kernel.value(names) == []
    kernel.run("%llama -t toolbox.add hi")
    assert kernel.value(names) == ["add"]
    [status] = kernel.run("%llama -t none,other").markdown
    assert kernel.value(names) == ["other"] and "Tools: other." in status
    assert len(kernel.value("sent()")) == 4
    kernel.run("%llama -m caller -t prepared hi")
    assert kernel.value("ran") == [(2, 3)], "a tool's own approval holds"


@pytest.mark.parametrize("name", BUILT_IN_TOOLS)
def test_built_in_tools_have_names(kernel: Kernel, name: str) -> None:
    ran = kernel.run(f"%llama -t {name}")
    assert ran.status == "ok" and not ran.error, ran.error
    assert kernel.value("[tool.name for tool in magics.chat.tools]") == [name.partition(":")[0]]


@pytest.mark.parametrize(
    ("name", "words"),
    [("addd", "no tool `addd`. Did you mean `add`?"), ("n", "cannot be offered"), ("add.x", "no such")],
)
def test_what_is_no_tool_is_told_and_changes_nothing(kernel: Kernel, name: str, words: str) -> None:
    kernel.run(f"{ADD}\nn = 7")
    ran = kernel.run(f"%llama -c elsewhere -m slow -t add,{name} hi")
    assert words in ran.printed + ran.error and "Traceback" not in ran.printed + ran.error
    assert kernel.value("(magics.chat.tools, magics.chat.model, sent())") == ([], "quick", [])


# --- Conversations ------------------------------------------------------------------------------------------------------


def test_conversations_have_names(kernel: Kernel) -> None:
    kernel.run("%llama -m code first")
    kernel.run("%llama -c ideas second")
    assert kernel.value("(sent(), magics.chat.model)") == (["second"], "code"), "a new one goes on with the model"
    kernel.run("%llama -m quick third")
    kernel.run("%llama -c default fourth")
    assert kernel.value("(sent(), magics.chat.model)") == (["first", "fourth"], "code")
    [status] = kernel.run("%llama -c ideas").markdown
    assert "4 messages in this conversation **ideas**" in status
    assert kernel.value("sent()") == ["second", "third"]
    [table] = kernel.run("%llama chats").markdown
    assert "| default | code | 4 |" in table and "| **ideas** (in use) | quick | 4 |" in table


def test_a_hostile_name_of_a_conversation_is_text(kernel: Kernel) -> None:
    kernel.run(f'%llama -c "{EVIL}|{LURE}" hi'.replace("\n", " "))
    for line in ("chats", "status"):
        assert complaints(kernel.run(f"%llama {line}").markdown, str) == []


def test_configure_forgets_all_conversations(kernel: Kernel) -> None:
    kernel.run("%llama -c ideas hi")
    kernel.run("llama_nb.configure(llama_nb.stack.current().config.model_dump())")
    assert kernel.value("sent()") == []
    assert kernel.run("%llama chats").markdown[0].count("\n") == 2
    kernel.run("llama_nb.configure()")


def test_the_context_that_is_left(kernel: Kernel) -> None:
    kernel.run("%llama -m small one two three")
    [shown] = kernel.run("%llama context").markdown
    used = kernel.value("magics.chat.count_tokens().prompt_tokens")
    assert 3 < used < 20
    assert (
        f"has {used} tokens" in shown
        and "of the 20 that **small** takes" in shown
        and f"; {20 - used} are left" in shown
    )


def test_export_writes_the_conversation(kernel: Kernel) -> None:
    kernel.run("%llama what is it?")
    [shown] = kernel.run("%llama export talk.json").markdown
    assert "`talk.json`" in shown
    assert kernel.value("ANSWER in open('talk.json').read()".replace("ANSWER", repr(ANSWER)))
    ran = kernel.run("%llama export talk.xyz")
    assert "Traceback" not in ran.error and ".json" in ran.error
    ran = kernel.run("%llama export nowhere/talk.md")
    assert "Traceback" not in ran.error and "nowhere/talk.md cannot be written" in ran.error
    kernel.run("import os; os.environ['HOME'] = os.getcwd()")
    kernel.run("%llama export ~/home.md")
    assert kernel.value("os.path.exists('home.md')")


# --- In the background --------------------------------------------------------------------------------------------------


class Grown:
    """A cell's first display, followed beyond the cell's end until the magic has finished it."""

    def __init__(self, kernel: Kernel, code: str) -> None:
        self.updates: list[str] = []
        self.after_the_cell = 0
        request = kernel.client.execute(code, store_history=True)
        idle, name = False, ""
        until = time.monotonic() + WAIT_S
        while True:
            message = kernel.client.get_iopub_msg(timeout=max(0.1, until - time.monotonic()))
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and message["parent_header"].get("msg_id") == request:
                idle = content["execution_state"] == "idle"
            if kind == "display_data" and not name:
                name = content["transient"]["display_id"]
            if kind == "update_display_data" and content["transient"]["display_id"] == name:
                self.updates.append(content["data"].get("text/markdown", content["data"]["text/plain"]))
                self.after_the_cell += idle
                if "llama_nb" in content["metadata"]:
                    self.metadata: dict[str, Any] = content["metadata"]["llama_nb"]
                    break
        assert kernel.client.get_shell_msg(timeout=WAIT_S)["content"]["status"] == "ok"


def test_an_answer_in_the_background_grows_below_its_cell(kernel: Kernel) -> None:
    grown = Grown(kernel, "r = %llama -m steady --bg hi")
    assert grown.after_the_cell > 3, "the cell ended long before the answer"
    assert grown.updates[-1] == STEADY
    assert all(STEADY.startswith(update) or update == "*…*" for update in grown.updates)
    assert len(grown.updates) < len(STEADY.split()), "not one for each piece"
    assert grown.metadata["stop_reason"] == "end_of_turn"
    assert kernel.value("(str(r.wait()), sent())") == (STEADY, ["hi"])


def test_it_returns_the_reply_at_once_and_shows_it_once(kernel: Kernel) -> None:
    ran = kernel.run("%llama -m slow --bg hi")
    assert len(ran.outputs) == 1
    assert kernel.value("(type(_).__name__, _.ended)") == ("Reply", False)
    assert kernel.value("(magics.chat.stop(), _.wait().stopped)") == (None, True)


def test_json_in_the_background_is_there_when_the_wait_is_over(kernel: Kernel) -> None:
    assert kernel.run("r = %llama -m json -f json --bg hi\nprint(r.wait().parsed)").printed == "{'a': [1, '<b>']}\n"


def test_an_error_in_the_background_is_told_below_its_cell(kernel: Kernel) -> None:
    grown = Grown(kernel, f"r = %llama -m small --bg {'many words ' * 20}")
    assert "*(failed)*" in grown.updates[-1] and "**ContextOverflow**: " in grown.updates[-1]
    assert "ContextOverflow" in kernel.run("r.wait()").error


def test_a_tool_in_the_background_is_asked_about_by_whoever_waits(kernel: Kernel) -> None:
    kernel.run(ADD)
    kernel.run("r = %llama -m caller -t add --bg what is 2 + 3?")
    request = kernel.client.execute("print(r.wait())")
    answer(kernel, "once")
    until = time.monotonic() + WAIT_S
    while kernel.client.get_shell_msg(timeout=max(0.1, until - time.monotonic()))["parent_header"]["msg_id"] != request:
        pass
    assert kernel.value("(ran, str(r))") == ([(2, 3)], "It is **5**.")


def test_code_is_not_inserted_from_the_background(kernel: Kernel) -> None:
    ran = kernel.run("%llama -f code --bg hi")
    assert "cannot be had with `--bg`" in ran.printed + ran.error
    assert kernel.value("sent()") == []


def test_a_run_without_anybody_keeps_what_came_and_all_where_it_waits(
    environment: dict[str, str], tmp_path: Path
) -> None:
    notebook = nbformat.v4.new_notebook()
    cells = ["%load_ext llama_nb", "r = %llama -m steady --bg hi", "_ = r.wait()", "%llama -m slow --bg cut short"]
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute(env=environment)
    _, first, _, last = notebook.cells
    assert [output.data["text/markdown"] for output in first.outputs] == [STEADY]
    assert [output.output_type for output in last.outputs] == ["display_data"]


# --- Help, options and a terminal ---------------------------------------------------------------------------------------


def test_help_names_everything() -> None:
    for word in [
        *OPTIONS,
        *FLAGS,
        *BUILT_IN_TOOLS,
        *COMMANDS,
        "none",
        "default",
        "fix",
        "{In[3]}",
        "{Out[3]}",
        "{Err[3]}",
    ]:
        assert word in HELP, word


@pytest.mark.parametrize(
    ("text", "options", "prompt"),
    [
        ("--bg hi", {"background": True}, "hi"),
        ("--raw --bg -n 3 hi", {"raw": True, "background": True, "max_tokens": 3}, "hi"),
        ("--bg what's --raw?", {"background": True}, "what's --raw?"),
        ("-t a,b -t c hi", {"tools": ["a", "b", "c"]}, "hi"),
        ('-t "a, b" hi', {"tools": ["a", "b"]}, "hi"),
        ("-t none", {"tools": ["none"]}, ""),
        ("-c 'my ideas' -f markdown hi", {"chat": "my ideas", "format": "md"}, "hi"),
        ("--format=json hi", {"format": "json"}, "hi"),
    ],
)
def test_the_other_options(text: str, options: dict[str, object], prompt: str) -> None:
    assert parse_options(text) == (options, prompt)


def test_a_terminal_sees_calls_notes_and_forms(environment: dict[str, str], tmp_path: Path) -> None:
    lines = [
        "%load_ext llama_nb",
        "def add(a: int, b: int) -> int: return a + b",
        "",
        "%llama -m caller -t add what is 2 + 3?",
        "once",
        "%llama -m nojson -t none -f json hi",
        "1 / 0",
        "%llama -m quick fix",
        "r = %llama -m json -f json --bg hi",
        "print('parsed', r.wait().parsed)",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor", "--quick"],
        input="\n".join([*lines, ""]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    shown = done.stdout
    assert shown.count('[tool call] add {"a": 2, "b": 3}\n') == 1, shown + done.stderr
    assert "or [n]o and why: [done] 5\nIt is **5**.\n" in shown
    assert "I'd rather not: {\n(this is not JSON: Expecting value" in shown
    assert "(put in: the code and the error of " in shown and ANSWER in shown
    assert "parsed {'a': [1, '<b>']}" in shown
