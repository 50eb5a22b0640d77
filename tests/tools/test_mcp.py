"""The tools of a real MCP server of the SDK, over its pipes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llama_nb import loop, tools
from llama_nb.errors import BadRequest, NotSupported
from llama_nb.tools import MCPTools, Tool, mcp_servers, mcp_session
from tests.stacks import WAIT_S

SERVER = Path(__file__).with_name("mcp_server.py")
CARELESS = Path(__file__).with_name("careless_mcp_server.py")


@pytest.fixture(scope="module")
def server() -> Iterator[MCPTools]:
    with tools.mcp(sys.executable, SERVER) as server:
        yield server


def named(server: MCPTools, name: str) -> Tool:
    return next(tool for tool in server if tool.name == name)


def gone(process: int) -> bool:
    """Whether a process ends (within the time that what is sure to come is waited for)."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def test_its_tools_are_tools(server: MCPTools) -> None:
    add = named(server, "add")
    assert add.description == "Adds two numbers." and add.source == "mcp mcp_server" and add.approval == "ask"
    parameters = add.definition.parameters
    assert parameters is not None
    assert (parameters["a"].param_type, parameters["a"].required) == ("int", True)
    assert (parameters["b"].param_type, parameters["b"].required, parameters["b"].default) == ("int", False, 1)
    assert server[0] is add and len(server[:2]) == 2 and "add" in repr(server)


def test_its_calls_run_and_their_arguments_are_checked(server: MCPTools, run: Any) -> None:
    add = named(server, "add")
    assert run(add, a="41").text == "42"
    assert run(add, a="many").text == "Argument `a` of `add` must be int, but 'many' came."
    assert "has no argument `c`" in run(add, a=1, c=2).text


def test_a_name_that_llama_cannot_call_becomes_one_that_it_can(server: MCPTools, run: Any) -> None:
    assert '"city": "Bern"' in run(named(server, "get_weather_today"), city="Bern").text
    assert run(named(server, "mcp_server_brave_search"), words="not Llama's").text == "not Llama's"


def test_an_error_of_a_tool_is_a_failed_result(server: MCPTools, run: Any) -> None:
    failed = run(named(server, "fails"), why="because")
    assert failed.failed and "fails" in failed.text
    assert run(named(server, "add"), a=1).text == "2"


def test_a_picture_goes_to_the_page(server: MCPTools, run: Any) -> None:
    drawn = run(named(server, "draws"))
    assert drawn.text == "look:\n[a picture, shown to the user]"
    assert drawn.bundle["image/png"].startswith("iVBORw0KGgo")


def test_progress_is_told_and_a_limit_kept(server: MCPTools) -> None:
    waits = named(server, "waits")
    waits.timeout_s = WAIT_S
    said, reported = [], threading.Event()

    def hear(word: str) -> None:
        said.append(word)
        reported.set()

    future = loop.submit(waits.run({}, hear))
    assert reported.wait(WAIT_S) and said == ["half of it"]
    future.cancel()
    waits.timeout_s = 0.2
    assert asyncio.run(waits.run({})).text == "TimeoutError: `waits` did not finish within 0.2 s and was cancelled."
    assert asyncio.run(named(server, "add").run({"a": 1})).text == "2"


def test_a_server_that_dies_is_a_failed_result_and_started_anew(run: Any) -> None:
    with tools.mcp(sys.executable, SERVER, name="mortal") as server:
        first = run(named(server, "process")).text
        died = run(named(server, "dies"))
        assert died.failed
        assert died.text == "The MCP server `mortal` went away during the call; the next call starts it anew."
        second = run(named(server, "process")).text
        assert second.isdigit() and second != first
        os.kill(int(second), signal.SIGKILL)  # between two calls
        assert gone(int(second))
        answers = [run(named(server, "process")) for _ in range(2)]
        assert not answers[1].failed and answers[1].text != second


def test_closing_ends_the_process_and_says_so_afterwards(run: Any) -> None:
    server = tools.mcp(sys.executable, SERVER)
    process = int(run(named(server, "process")).text)
    server.close()
    server.close()
    assert gone(process)
    after = run(named(server, "add"), a=1)
    assert after.failed and "was closed" in after.text


def test_calls_at_once_share_one_session(server: MCPTools) -> None:
    add = named(server, "add")

    async def main() -> list[str]:
        return [result.text for result in await asyncio.gather(*(add.run({"a": n, "b": 0}) for n in range(20)))]

    assert asyncio.run(main()) == [str(n) for n in range(20)]


def test_secrets_of_ours_do_not_reach_the_server(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    monkeypatch.setenv("BRAVE_SEARCH_API_KEY", "canary")
    with tools.mcp(sys.executable, SERVER, env={"GIVEN": "yes"}) as server:
        names = run(named(server, "environment")).text.split()
    assert "BRAVE_SEARCH_API_KEY" not in names and "GIVEN" in names


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(mcp_session.ServerGone, match=r"`mcp_server` could not be reached.*no licence found"):
        tools.mcp(sys.executable, SERVER, "--broken")
    with pytest.raises(mcp_session.ServerGone, match="FileNotFoundError"):
        tools.mcp("no-such-command")


def test_a_list_of_tools_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_session, "CONNECT_S", 5.0)
    with pytest.raises(mcp_session.ServerGone, match="does not list its tools: TimeoutError"):
        tools.mcp(sys.executable, CARELESS)


def test_a_server_that_prints_what_it_should_not_disturbs_nobody(capfd: pytest.CaptureFixture[str], run: Any) -> None:
    with tools.mcp(sys.executable, CARELESS, "--one-tool") as server:
        failed = run(server[0])
    assert failed.failed and failed.text == "The tool failed, and did not say why."
    logged = logging.getLogger("mcp").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in logged)
    assert "Traceback" not in capfd.readouterr().err


def test_options_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(BadRequest, match="takes no arguments"):
        tools.mcp("http://127.0.0.1:9/mcp", "server.py")
    with pytest.raises(BadRequest, match="headers"):
        tools.mcp("python", "server.py", headers={"Authorization": "x"})


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(NotSupported, match=r"pip install 'llama_nb\[mcp\]'"):
        tools.mcp("python", "server.py")


def test_python_ends_quietly_with_a_session_open() -> None:
    code = f"from llama_nb import tools; import sys; print(len(tools.mcp(sys.executable, {str(SERVER)!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "10\n", "")


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"properties": 3, "required": "x"},
        {"properties": {"a": True, "b": {"enum": 3}, "c": {"type": ["string", "null"]}}, "required": ["a", "zz", 4]},
        {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"properties": {"a": {"$ref": "#/properties/a"}}, "$defs": 3},
    ],
)
def test_a_schema_of_a_careless_server_does_no_harm(told: dict[str, Any]) -> None:
    from mcp_types import Tool as Offered

    connection = mcp_session.Connection("careless", lambda log: None)
    tool = mcp_servers._tool(Offered(name="x", input_schema=told), "x", connection, "ask", 30)
    assert set(tool.schema["required"]) <= set(tool.definition.parameters or {})
    for name in tool.definition.parameters or {}:
        assert tool.check({**dict.fromkeys(tool.schema["required"], "v"), name: "v"})[name] == "v"
    mcp_session._open.discard(connection)


@pytest.fixture
def address() -> Iterator[str]:
    """A server that listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(SERVER), "--http", str(port)], stderr=subprocess.DEVNULL)
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}/mcp"
    process.kill()
    process.wait()


def test_a_server_at_an_address_is_one_too(address: str, run: Any) -> None:
    with tools.mcp(address, name="web", headers={"Authorization": "Bearer canary"}) as server:
        assert run(named(server, "add"), a="41").text == "42"
        assert run(named(server, "token")).text == "Bearer canary"
        assert named(server, "add").source == "mcp web" and "canary" not in repr(server)


def test_an_address_where_nobody_listens_is_told_of() -> None:
    with pytest.raises(mcp_session.ServerGone, match="could not be reached") as refused:
        tools.mcp("http://127.0.0.1:9/mcp", headers={"Authorization": "Bearer canary"})
    assert "canary" not in str(refused.value)
