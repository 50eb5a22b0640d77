"""`code_interpreter` in a process: what it gives, what it is kept from, and that nothing of it stays.

What this machine cannot keep is asserted too: the isolation that a run reports is what its code finds.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from llama_nb import loop
from llama_nb.apis.messages import BuiltinTool, ToolDefinition
from llama_nb.tools import Tool, code_interpreter, sandbox
from llama_nb.tools.sandbox import Isolation, Limits, Outcome, run_code
from tests.stacks import WAIT_S

LONG = Limits(seconds=WAIT_S, cpu_s=60)
BARE = Limits(seconds=WAIT_S, cpu_s=60, namespaces=False, landlock=False, seccomp=False)


def ran(code: str, limits: Limits = LONG) -> Outcome:
    return loop.run(run_code(code, limits))


@pytest.fixture(scope="module")
def tool() -> Tool:
    return code_interpreter("process", timeout_s=WAIT_S)


def test_the_tool_says_how_far_it_is_shut_in(tool: Tool) -> None:
    assert tool.definition == ToolDefinition(tool_name=BuiltinTool.code_interpreter)
    assert tool.notice == f"Runs in a process of its own: {sandbox.isolation()}."
    assert code_interpreter("process", approval="allow").approval == "allow"


def test_the_probe_is_what_a_run_reports() -> None:
    assert ran("pass").isolation == sandbox.isolation()
    assert ran("pass", BARE).isolation == Isolation(limits=True, count=os.getuid() != 0)


@pytest.mark.parametrize("namespaces", [True, False])
@pytest.mark.parametrize("landlock", [True, False])
@pytest.mark.parametrize("seccomp", [True, False])
def test_each_bar_holds_without_the_others(namespaces: bool, landlock: bool, seccomp: bool) -> None:
    outcome = ran("print(1 + 1)", Limits(WAIT_S, namespaces=namespaces, landlock=landlock, seccomp=seccomp))
    assert (outcome.output, outcome.status) == ("2\n", 0)
    best = sandbox.isolation()
    assert outcome.isolation.processes is (namespaces and best.processes)
    assert outcome.isolation.files is (landlock and best.files)
    assert outcome.isolation.network is (seccomp and best.network)
    assert outcome.isolation.limits


def test_what_is_not_kept_is_said_with_the_result(tool: Tool, run: Any) -> None:
    from llama_nb.tools.interpreter import _result

    open_ = _result(ran("print(1)", BARE)).text
    assert open_.startswith("1\n[This process was not fully shut in: the network is within reach, ")
    assert "your files are within reach" in open_
    if sandbox.isolation() == Isolation(True, True, True, True, True):
        assert run(tool, code="print(1)").text == "1"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("1 + 1", "2"),
        ("print('said')\n'text'", "said\n'text'"),
        ("x = 1", "The code ran and printed nothing."),
        ("", "The code ran and printed nothing."),
        ("def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\nf(10)", "55"),
        ("import asyncio\nawait asyncio.sleep(0, 'awaited')", "'awaited'"),
        ("open('a.txt', 'w').write('kept')\nopen('a.txt').read()", "'kept'"),
        ("import os\nos.listdir()", "[]"),
        (
            "import subprocess\nsubprocess.run(['echo', 'from a child'], capture_output=True).stdout",
            "b'from a child\\n'",
        ),
        ("import sys\nprint('oops', file=sys.stderr)", "oops"),
        ("'ä€😀'", "'ä€😀'"),
        ("import __main__, pickle\nclass A: pass\ntype(pickle.loads(pickle.dumps(A()))).__name__", "'A'"),
    ],
)
def test_code_answers_with_what_it_prints_and_its_last_value(tool: Tool, run: Any, code: str, text: str) -> None:
    result = run(tool, code=code)
    assert (result.text, result.failed) == (text, False)


def test_each_run_is_fresh(tool: Tool, run: Any) -> None:
    run(tool, code="kept = 1\nopen('kept', 'w').close()")
    assert "NameError" in run(tool, code="kept").text
    assert run(tool, code="import os\nos.path.exists('kept')").text == "False"


def test_what_it_prints_is_progress(tool: Tool) -> None:
    said: list[str] = []
    both = threading.Event()

    def hear(word: str) -> None:
        said.append(word)
        if word == "two":
            both.set()

    code = "import time\nprint('one', flush=True)\ntime.sleep(0.1)\nprint('two', flush=True)\ntime.sleep(600)"
    future = loop.submit(tool.run({"code": code}, hear))
    assert both.wait(WAIT_S)  # before its end
    future.cancel()
    assert said[-1] == "two"


def test_an_error_tells_its_lines_and_nobodys_files(tool: Tool, run: Any) -> None:
    failed = run(tool, code="def f():\n    return 1 / 0\nf()")
    assert failed.failed and failed.text == (
        "Traceback (most recent call last):\n  line 3, in <module>\n  line 2, in f\n"
        "ZeroDivisionError: division by zero\n[The code ended with status 1.]"
    )
    assert run(tool, code="(1,").text.startswith("SyntaxError: '(' was never closed (line 1)")
    assert run(tool, code="exit(3)").text == "[The code ended with status 3.]"


def test_tables_and_figures_are_shown(tool: Tool, run: Any) -> None:
    table = run(tool, code="import pandas as pd\npd.DataFrame({'a': [1]})")
    assert "<table" in table.bundle["text/html"] and table.text.split() == ["a", "0", "1"]
    figure = run(tool, code="import matplotlib.pyplot as plt\nplt.plot([1, 2])")
    assert figure.bundle["image/png"].startswith("iVBORw0KGgo")
    assert figure.text == "[a picture, shown to the user]"


def test_what_is_too_large_to_show_is_named(tool: Tool, run: Any) -> None:
    code = "class Large:\n    def _repr_html_(self): return 'x' * 6_000_000\n    def __repr__(self): return 'Large'\nLarge()"
    shown = run(tool, code=code)
    assert shown.text == "Large\n[text/html of 6,000,000 characters is too large to show]" and not shown.bundle


def test_threads_that_it_started_are_waited_for(tool: Tool, run: Any) -> None:
    begin = (
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep({}), print('late')), daemon={}).start()"
    )
    assert run(tool, code=begin.format(0.3, False)).text == "late"
    assert run(tool, code=begin.format(600, True)).text == "The code ran and printed nothing."


# --- What it is kept from ---------------------------------------------------------------------------------------------


def test_no_secret_and_no_variable_of_ours_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-of-the-environment")
    for limits in (LONG, BARE):
        out = ran("import os\nprint(dict(os.environ), os.getenv('OPENAI_API_KEY'))", limits).output
        assert "canary" not in out and out.rstrip().endswith("None")


def test_standard_input_is_empty() -> None:
    assert "EOFError" in ran("input()").output


def test_the_network_is_out_of_reach_exactly_when_it_says_so() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    code = f"import socket\nsocket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)\nprint('reached')"
    for limits in (LONG, BARE):
        outcome = ran(code, limits)
        assert ("reached" in outcome.output) is not outcome.isolation.network
    server.close()


def test_no_socket_of_any_family_can_be_made(tmp_path: Path) -> None:
    """One that lies in the file system is in no network namespace: with Docker's, all would be lost."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        code = f"""
import socket
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            socket.socket(family, kind)
            print("made")
        except PermissionError:
            print("refused")
left, right = socket.socketpair()
try:
    left.connect({str(tmp_path / "s")!r})
    print("connected")
except OSError:
    pass
import asyncio
print(asyncio.run(asyncio.sleep(0, "asyncio works")))
"""
        outcome = ran(code)
        assert outcome.isolation.network is (os.uname().machine in ("x86_64", "aarch64"))
        if outcome.isolation.network:
            assert outcome.output.split("\n") == ["refused"] * 8 + ["asyncio works", ""]
    reach = f"import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect({str(tmp_path / 't')!r})\nprint('reached')"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "t"))
        server.listen()
        without = Limits(seconds=WAIT_S, seccomp=False)
        assert not ran(reach, without).isolation.network  # namespaces alone: not called shut
        assert "reached" in ran(reach, BARE).output  # so the test can fail
        if sandbox.isolation().network:
            assert "PermissionError" in ran(reach).output


def test_files_are_out_of_reach_exactly_when_it_says_so(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary-of-the-file")
    code = f"""
found = []
for what in ({str(secret)!r}, "/etc/passwd"):
    try:
        found.append(open(what).read())
    except OSError as error:
        print(type(error).__name__)
try:
    open({str(tmp_path / "planted")!r}, "w").close()
except OSError as error:
    print(type(error).__name__)
print(found)
"""
    kept = ran(code)
    assert ("canary" in kept.output) is not kept.isolation.files
    assert (tmp_path / "planted").exists() is not kept.isolation.files
    if kept.isolation.files:
        assert kept.output == "PermissionError\nPermissionError\nPermissionError\n[]\n"
    assert "canary" in ran(code, BARE).output  # so the test can fail


def test_other_processes_are_out_of_reach_exactly_when_it_says_so() -> None:
    code = f"""
import os
try:
    os.kill({os.getpid()}, 0)
    print("reached")
except OSError as error:
    print(type(error).__name__)
"""
    for limits in (LONG, BARE):
        outcome = ran(code, limits)
        assert ("reached" in outcome.output) is not outcome.isolation.processes


def test_its_own_first_process_cannot_be_killed_to_get_away() -> None:
    outcome = ran("import os, signal\nfor p in (os.getppid(), 1):\n    os.kill(p, signal.SIGKILL)\nprint('alive')")
    if outcome.isolation.processes:
        assert "PermissionError" in outcome.output or "alive" in outcome.output


# --- Its bounds -------------------------------------------------------------------------------------------------------


def test_an_endless_loop_is_ended_on_the_clock_and_by_processor_time(run: Any) -> None:
    result = run(code_interpreter("process", timeout_s=0.5), code="print('begun', flush=True)\nwhile True: pass")
    assert result.failed and result.text.endswith("[The code was ended: it did not finish within 0.5 s.]")
    outcome = ran("while True: pass", Limits(seconds=WAIT_S, cpu_s=1))
    assert outcome.status == 128 + signal.SIGXCPU and not outcome.ended


def test_memory_is_bounded() -> None:
    outcome = ran("x = bytearray(3 << 30)", Limits(seconds=WAIT_S, memory_mb=512))
    assert outcome.isolation.limits and "MemoryError" in outcome.output and outcome.status == 1


def test_files_and_the_folder_are_bounded() -> None:
    limits = Limits(seconds=WAIT_S, file_mb=4, folder_mb=8)
    assert "File too large" in ran("open('x', 'wb').write(bytes(16 << 20))", limits).output
    many = ran("for n in range(20): open(str(n), 'wb').write(bytes(1 << 20))", limits)
    if many.isolation.processes:
        assert "No space left" in many.output


def test_a_fork_bomb_is_bounded_and_leaves_nothing() -> None:
    bomb = """
import os, time
count = 0
try:
    while count < 2_000:
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
        count += 1
except OSError as error:
    print("refused", flush=True)
print(count)
"""
    before = processes()
    outcome = ran(bomb, Limits(seconds=WAIT_S, processes=16))
    assert outcome.isolation.count or not outcome.isolation.processes
    if outcome.isolation.count:
        refused, count = outcome.output.split()
        assert refused == "refused" and int(count) < 400
    assert vanish(processes() - before)


def test_output_is_bounded(run: Any) -> None:
    outcome = ran("import sys\nwhile True: sys.stdout.write('x' * 65536)")
    assert outcome.ended == "it wrote more than 1 MiB" and len(outcome.output) <= sandbox.MAX_OUTPUT


@pytest.mark.parametrize("limits", [LONG, BARE], ids=["namespaces", "without"])
def test_a_child_that_gets_away_neither_delays_nor_stays(limits: Limits) -> None:
    """It has a session of its own, so no signal to the group reaches it, and it holds the pipes open."""
    code = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("escaped", flush=True)
        time.sleep(600)
    os._exit(0)
os.wait()
print("done")
"""
    before = processes()
    began = time.monotonic()
    outcome = ran(code, limits)
    assert time.monotonic() - began < WAIT_S / 2 and outcome.status == 0
    assert "done" in outcome.output
    assert vanish(processes() - before)


@pytest.mark.parametrize("limits", [LONG, BARE], ids=["namespaces", "without"])
def test_one_that_gets_away_is_ended_with_a_cancel(limits: Limits) -> None:
    code = """
import os, time
if os.fork() == 0:
    os.setsid()
    print("escaped", flush=True)
time.sleep(600)
"""
    before = processes()
    begun = threading.Event()
    future = loop.submit(run_code(code, limits, lambda piece: begun.set()))
    assert begun.wait(WAIT_S)
    assert processes() - before
    future.cancel()
    assert vanish(processes() - before)


def test_it_ends_with_the_kernel(tmp_path: Path) -> None:
    """The kernel is killed, so it cannot clean up."""
    code = f"""
import os, signal
from llama_nb import loop
from llama_nb.tools.sandbox import Limits, run_code
def said(piece):
    os.kill(os.getpid(), signal.SIGKILL)
loop.run(run_code("print('begun', flush=True)\\nimport time\\ntime.sleep(600)", Limits(seconds={WAIT_S}), said))
"""
    before = processes()
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # its folder, empty, is all that stays
    done = subprocess.run([sys.executable, "-c", code], timeout=WAIT_S, check=False, env=environment)
    assert done.returncode == -signal.SIGKILL
    assert vanish(processes() - before)


def test_a_crash_is_told(tool: Tool, run: Any) -> None:
    crashed = run(tool, code="import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    assert crashed.failed and crashed.text == "[The code was ended by a crash (segmentation fault).]"


def test_a_forged_report_is_only_a_picture_that_is_none() -> None:
    forged = """
import os, json
for fd in range(3, 64):
    try:
        os.write(fd, json.dumps({"text/html": 3, "application/javascript": "x", "network": False}).encode())
    except OSError:
        pass
"""
    outcome = ran(forged)
    assert outcome.isolation == sandbox.isolation() and outcome.pictures == {}
    flood = (
        "import os\nfor fd in range(3, 64):\n    try:\n        os.write(fd, b'[' * (8 << 20))\n    except OSError: pass"
    )
    assert ran(flood, Limits(seconds=WAIT_S)).pictures == {}


def test_nothing_is_left_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ran("open('a', 'w').close()")
    ran("open('a', 'w').close()", BARE)
    begun = threading.Event()
    future = loop.submit(run_code("print(1, flush=True)\nwhile True: pass", LONG, lambda piece: begun.set()))
    assert begun.wait(WAIT_S)
    future.cancel()
    until = time.monotonic() + WAIT_S
    while list(tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.01)
    assert list(tmp_path.iterdir()) == []


def test_no_descriptor_leaks() -> None:
    ran("1")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        ran("print(1)")
    assert len(os.listdir("/proc/self/fd")) <= before


def test_several_at_once_keep_apart(tool: Tool) -> None:
    async def main() -> list[str]:
        return [r.text for r in await asyncio.gather(*(tool.run({"code": f"{n} * 2"}) for n in range(4)))]

    assert asyncio.run(main()) == ["0", "2", "4", "6"]


def test_limits_travel_as_json() -> None:
    from dataclasses import asdict

    assert json.loads(json.dumps(asdict(Limits()))) == asdict(Limits())


# --- Whose processes --------------------------------------------------------------------------------------------------


def processes() -> set[int]:
    """The processes that run the sandbox's script, or were started by one that does."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                told = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if b"sandbox_inside.py" in told:
                found.add(int(name))
    return found


def vanish(these: set[int]) -> bool:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        if not these & processes():
            return True
        time.sleep(0.01)
    return False
