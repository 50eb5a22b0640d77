"""The other side of the sandbox: a script that shuts itself in, runs the code it reads, and takes all it started along.

    python -I sandbox_inside.py LIMITS REPORT_FD < code

Three processes, where Linux allows it: the door (this one, which the notebook started), the first process of a PID
namespace of its own, and the code's. When the door or the first goes, the kernel takes the whole namespace. Elsewhere
the door collects what its descendants leave behind.

What was achieved is the first line of REPORT_FD, written before any of the code runs; the rest of it is written by the
code's process, and is as trustworthy as the code. Knows the standard library only: it must start fast, and anywhere.
"""

from __future__ import annotations

import ast
import contextlib
import ctypes
import errno
import json
import os
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Iterator
from types import CodeType, ModuleType
from typing import Any

FILE_NAME = "<code>"
MAX_SHOWN = 1_000_000  # characters of what a page may draw, each: the report has an end

# linux/prctl.h, linux/sched.h, sys/mount.h, linux/landlock.h; the system calls have these numbers on every architecture
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, SECCOMP_ALLOW, SECCOMP_ERRNO = 22, 2, 0x7FFF0000, 0x00050000
IO_URING_SETUP = 425
CAPABILITIES_VERSION = 0x20080522

READ_FILES = 0b1101  # execute, read a file, list a folder
ON_FILES = 0b1100_0000_0000_0111  # what can be said of a file: execute, write, read, truncate, ioctl
ALL_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many rights an ABI knows

LEAST_PID_MAX = 301  # the kernel takes no less
INNER_UID = 1000  # inside of the user namespace: nobody in particular, least of all root


def main() -> int:
    limits, report_fd = json.loads(sys.argv[1]), int(sys.argv[2])
    source = sys.stdin.buffer.read().decode("utf-8", "replace")
    _no_input()
    linux = sys.platform == "linux"
    if linux:
        _libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != limits["parent"]:
            return 1
        _libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    done = {"processes": linux and limits["namespaces"] and _own_namespaces(), "network": False, "files": False}
    done["count"] = os.getuid() != 0  # of root's processes the kernel counts none
    child = os.fork()
    if child == 0:
        if done["processes"]:
            _first_process(source, limits, report_fd, done)
        _code_process(source, limits, report_fd, done)
    os.close(report_fd)
    return _wait_for(child, collect=not done["processes"])


def _no_input() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


# --- The door ---------------------------------------------------------------------------------------------------------


def _wait_for(child: int, collect: bool) -> int:
    """The child's exit status as a shell has it. SIGTERM ends the child; what survives it is ended, too."""
    if collect and sys.platform == "linux":
        _libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: _kill(child))
    _, status = os.waitpid(child, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while collect and (left := _children()):
        for pid in left:
            _kill(pid)
        for pid in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _proc() -> list[str]:
    try:
        return os.listdir("/proc")
    except OSError:  # not Linux, or hidden
        return []


def _children() -> list[int]:
    """Our own, and those that a descendant left behind."""
    found = []
    for name in _proc():
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{int(name)}/stat", encoding="utf-8", errors="replace") as stat:
                parent = int(stat.read().rpartition(")")[2].split()[1])
            if parent == os.getpid():
                found.append(int(name))
    return found


# --- The first process of the namespace -------------------------------------------------------------------------------


def _first_process(source: str, limits: dict[str, Any], report_fd: int, done: dict[str, bool]) -> None:
    """Starts the code's process and ends with it: a first process is shielded from signals that the code may need."""
    libc = _libc()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
    own_proc = libc.mount(b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, None) == 0
    if own_proc and _kernel_is_since(6, 14):
        with contextlib.suppress(OSError), open("/proc/sys/kernel/pid_max", "w") as most:
            most.write(str(LEAST_PID_MAX + limits["processes"]))
            done["count"] = True
    size = f"size={limits['folder_mb']}m,mode=700".encode()
    if libc.mount(b"tmpfs", os.getcwd().encode(), b"tmpfs", MS_NOSUID | MS_NODEV, size) == 0:
        os.chdir(os.getcwd())  # into what now lies over it
    child = os.fork()
    if child == 0:
        _code_process(source, limits, report_fd, done | {"own_proc": own_proc})
    os.close(report_fd)
    status = 0
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _kernel_is_since(major: int, minor: int) -> bool:
    """Asked before a setting is written that was the whole machine's in earlier kernels."""
    return tuple(int(part) for part in os.uname().release.split(".")[:2] if part.isdigit()) >= (major, minor)


def _own_namespaces() -> bool:
    uid, gid = os.getuid(), os.getgid()
    kinds = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS
    if _libc().unshare(kinds) != 0:
        return False
    try:
        for name, content in (
            ("setgroups", "deny"),
            ("uid_map", f"{INNER_UID} {uid} 1"),
            ("gid_map", f"{INNER_UID} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(content)
    except OSError:  # without a name in it the namespaces still hold
        pass
    return True


# --- The code's process -----------------------------------------------------------------------------------------------


def _code_process(source: str, limits: dict[str, Any], report_fd: int, done: dict[str, bool]) -> None:
    own_proc = done.pop("own_proc", False)
    others = 0 if done["processes"] else _threads_of_ours()  # to be looked at before /proc is out of reach
    if sys.platform == "linux":
        _libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _drop_capabilities()
        done["network"] = limits["seccomp"] and _no_sockets()
        done["files"] = limits["landlock"] and _shut_in(own_proc)
    done["limits"] = _limit(limits, others)
    with open(report_fd, "w", encoding="utf-8", errors="replace") as report:
        report.write(json.dumps(done) + "\n")
        report.flush()
        status = _run(source, report)
    _wait_for_threads()
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _no_sockets() -> bool:
    """No socket of any family can be made (seccomp); pairs of them can, and lead nowhere.

    A network namespace leaves those that lie in the file system: with Docker's, or a desktop's, all would be lost.
    """
    known = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # how calls are numbered, and `socket`'s number
    if os.uname().machine not in known:
        return False
    numbering, socket = known[os.uname().machine]
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    program = [
        (load, 0, 0, 4),
        (equal, 0, 5, numbering),  # another numbering: refused
        (load, 0, 0, 0),
        (at_least, 3, 0, 0x40000000),  # yet another
        (equal, 2, 0, socket),
        (equal, 1, 0, IO_URING_SETUP),  # a second way to all calls
        (answer, 0, 0, SECCOMP_ALLOW),
        (answer, 0, 0, SECCOMP_ERRNO | errno.EACCES),
    ]
    packed = b"".join(struct.pack("=HBBI", *step) for step in program)
    whole = struct.pack("HP", len(program), ctypes.addressof(kept := ctypes.create_string_buffer(packed)))
    done = _libc().prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, whole, 0, 0)
    del kept  # it had to live until now
    return bool(done == 0)


def _drop_capabilities() -> None:
    header = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0)
    _libc().capset(header, (ctypes.c_uint32 * 6)())


def _threads_of_ours() -> int:
    """What this user runs already: outside of a namespace the limit counts all of it."""
    count = 0
    for name in _proc():
        with contextlib.suppress(OSError):
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{name}/task"))
    return count


def _limit(limits: dict[str, Any], others: int) -> bool:
    import resource

    wanted = {
        "RLIMIT_CPU": limits["cpu_s"],
        "RLIMIT_AS": limits["memory_mb"] << 20,
        "RLIMIT_FSIZE": limits["file_mb"] << 20,
        "RLIMIT_NPROC": limits["processes"] + others,
        "RLIMIT_NOFILE": 256,
        "RLIMIT_CORE": 0,
    }
    held = True
    for name, most in wanted.items():
        kind = getattr(resource, name, None)
        if kind is None:
            held = False
            continue
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            soft_first = name == "RLIMIT_CPU" and (hard == resource.RLIM_INFINITY or most < hard)
            resource.setrlimit(kind, (most, most + 1 if soft_first else most))
        except (OSError, ValueError):
            held = False
    return held


def _shut_in(own_proc: bool) -> bool:
    """Leaves of the file system what Python needs, to read, and the working folder (Landlock)."""
    libc = _libc()
    abi = libc.syscall(LANDLOCK_CREATE, None, 0, 1)
    if abi < 1:
        return False
    everything = (1 << ALL_BY_ABI.get(abi, 16)) - 1
    tcp, outside = (0b11 if abi >= 4 else 0), (0b11 if abi >= 6 else 0)  # bind and connect; abstract sockets, signals
    attributes = (ctypes.c_uint64 * 3)(everything, tcp, outside)
    rules = libc.syscall(LANDLOCK_CREATE, attributes, 8 if abi < 4 else 16 if abi < 6 else 24, 0)
    if rules < 0:
        return False
    for path in _readable(own_proc):
        _allow(rules, path, READ_FILES)
    for path in ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"):
        _allow(rules, path, everything)
    _allow(rules, os.getcwd(), everything)
    return bool(libc.syscall(LANDLOCK_RESTRICT, rules, 0) == 0)


def _readable(own_proc: bool) -> list[str]:
    python = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, os.path.realpath(sys.executable)]
    system = "/usr /lib /lib64 /lib32 /bin /sbin /etc/alternatives /etc/fonts /etc/localtime /etc/mime.types"
    loader = "/etc/ld.so.cache /etc/ld.so.conf /etc/ld.so.conf.d /sys/devices/system/cpu"
    return [*python, *system.split(), *loader.split(), *(["/proc"] if own_proc else ["/proc/cpuinfo", "/proc/meminfo"])]


def _allow(rules: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):
        access &= ON_FILES
    rule = access.to_bytes(8, sys.byteorder) + place.to_bytes(4, sys.byteorder, signed=True)
    _libc().syscall(LANDLOCK_ADD, rules, 1, rule, 0)
    os.close(place)


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


# --- The code ---------------------------------------------------------------------------------------------------------


def _run(source: str, report: Any) -> int:
    """Runs the code like a cell: a last expression's value is printed. 0; 1 for an error; or what it exits with."""
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.argv = [""]
    sys.path.insert(0, "")
    try:
        value = None
        for code in compiled(source):
            value = evaluated(code, module.__dict__)
        shown = {} if value is None else _shown(value)
        shown |= _figures()
        if shown := _small_enough(shown):
            report.write(json.dumps(shown))
    except SystemExit as exit_:
        return _exit_code(exit_)
    except BaseException as error:
        sys.stdout.flush()
        sys.stderr.write(told(error))
        return 1
    return 0


def evaluated(code: CodeType, names: dict[str, Any]) -> Any:
    value = eval(code, names)
    if code.co_flags & 0x80:  # a coroutine: there is an `await` outside of functions
        import asyncio

        value = asyncio.run(value)
    return value


def _small_enough(shown: dict[str, str]) -> dict[str, str]:
    """What of it the report has room for; of the rest it is printed that it was there."""
    for kind, content in shown.items():
        if len(content) > MAX_SHOWN:
            sys.stdout.write(f"[{kind} of {len(content):,} characters is too large to show]\n")
    return {kind: content for kind, content in shown.items() if len(content) <= MAX_SHOWN}


def _wait_for_threads() -> None:
    """As Python does at its end: what they still print is part of the output."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


def _exit_code(exit_: SystemExit) -> int:
    if exit_.code is None or isinstance(exit_.code, int):
        return (exit_.code or 0) & 0xFF
    sys.stderr.write(f"{exit_.code}\n")
    return 1


def compiled(source: str, name: str = FILE_NAME) -> Iterator[CodeType]:
    """The code in one or two parts: what comes before, and, if the last statement is an expression, that one."""
    tree = ast.parse(source, name)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    yield compile(tree, name, "exec", flags, dont_inherit=True)
    if isinstance(last, ast.Expr) and not source.rstrip().endswith(";"):
        yield compile(ast.Expression(last.value), name, "eval", flags, dont_inherit=True)
    elif isinstance(last, ast.Expr):
        yield compile(ast.Module([last], []), name, "exec", flags, dont_inherit=True)


def told(error: BaseException, name: str = FILE_NAME) -> str:
    """An error as the writer of the code needs it: its lines, without anybody's files."""
    if isinstance(error, SyntaxError) and error.filename == name:
        shown = f"\n    {error.text.strip()}" if error.text else ""
        return f"SyntaxError: {error.msg} (line {error.lineno}){shown}\n"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    where = "".join(f"  line {frame.lineno}, in {frame.name}\n" for frame in frames[-10:])
    says = "".join(traceback.format_exception_only(error))
    return (f"Traceback (most recent call last):\n{where}" if where else "") + says


def _shown(value: Any) -> dict[str, str]:
    """Prints the value, and gives what a page can draw of it. What `plt.plot` returns says nothing: its figure does."""
    if not is_drawn(value):
        sys.stdout.write(f"{value!r}\n")
    shown = {}
    for kind, method in (("text/html", "_repr_html_"), ("text/markdown", "_repr_markdown_")):
        with contextlib.suppress(Exception):
            content = getattr(type(value), method)(value)
            if isinstance(content, str):
                shown[kind] = content
    return shown


def is_drawn(value: Any) -> bool:
    artist = sys.modules.get("matplotlib.artist")
    first = value[0] if isinstance(value, list) and value else value
    return artist is not None and isinstance(first, artist.Artist)


def _figures() -> dict[str, str]:
    """The last of the figures that the code left open, as PNG."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None or not pyplot.get_fignums():
        return {}
    import base64
    from io import BytesIO

    png = BytesIO()
    pyplot.figure(pyplot.get_fignums()[-1]).savefig(png, format="png", bbox_inches="tight")
    return {"image/png": base64.b64encode(png.getvalue()).decode("ascii")}


if __name__ == "__main__":
    sys.exit(main())
