"""In a live kernel: asked at the notebook's own prompt, interrupted there, and without one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.live_kernel import Kernel, live_kernel
from tests.stacks import WAIT_S

SETUP = """
import llama_nb as nb
called = []
def get_weather(city: str) -> str:
    "The weather of a city."
    called.append(city)
    return "sunny in " + city
call = '<|python_tag|>{"type": "function", "name": "get_weather", "parameters": {"city": "Ghent"}}'
def new_chat():
    called.clear()
    scripted = {"provider_id": "s", "provider_type": "scripted", "config": {"answers": [call, "It is sunny."]}}
    return nb.Chat(stack=nb.Stack.from_config({"providers": {"inference": [scripted]}}), tools=[get_weather])
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with live_kernel(tmp_path_factory.mktemp("notebook"), {**os.environ}) as kernel:
        assert kernel.run(SETUP).error == ""
        yield kernel


def asked(kernel: Kernel, code: str) -> str:
    """Runs a cell until it asks at the prompt; gives the question."""
    kernel.client.execute(code, allow_stdin=True)
    question = kernel.client.get_stdin_msg(timeout=WAIT_S)
    return str(question["content"]["prompt"])


def status(kernel: Kernel) -> str:
    return str(kernel.client.get_shell_msg(timeout=WAIT_S)["content"]["status"])


def results(kernel: Kernel) -> list[str]:
    found: list[str] = kernel.value("[message.content for message in chat.messages if message.role == 'ipython']")
    return found


@pytest.mark.parametrize("ask", ["chat.ask('?')", "list(chat.stream('?'))"])
def test_a_cell_asks_at_its_prompt(kernel: Kernel, ask: str) -> None:
    question = asked(kernel, f"chat = new_chat()\n{ask};")
    assert 'get_weather\n  city: "Ghent"' in question
    kernel.client.input("o")
    assert status(kernel) == "ok"
    assert (kernel.value("called"), results(kernel)) == (["Ghent"], ["sunny in Ghent"])


def test_a_cell_that_is_interrupted_at_its_prompt_stops(kernel: Kernel) -> None:
    asked(kernel, "chat = new_chat()\nchat.ask('?');")
    kernel.interrupt()
    assert status(kernel) == "error"
    assert (kernel.value("called"), results(kernel)) == ([], ["stopped: not run"])
    assert kernel.value("str(chat.ask('and now?'))") == "It is sunny."


def test_a_kernel_without_a_prompt_denies_and_says_why(kernel: Kernel) -> None:
    """As papermill and nbconvert run it."""
    kernel.client.execute("chat = new_chat()\nanswer = str(chat.ask('?'))", allow_stdin=False)
    assert status(kernel) == "ok"
    assert (kernel.value("called"), kernel.value("answer")) == ([], "It is sunny.")
    [result] = results(kernel)
    assert result.startswith("denied: nobody could be asked")
