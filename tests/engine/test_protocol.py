"""Frames arrive whole however the bytes are split, and nothing that comes over the pipe does more than raise one error."""

from __future__ import annotations

import ast
import random
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import llama_nb.engine
from llama_nb.engine import protocol
from llama_nb.engine.protocol import (
    Cancel,
    Command,
    Count,
    Counted,
    Done,
    Embed,
    Embedded,
    Event,
    Failed,
    FrameError,
    FrameReader,
    Loading,
    Piece,
    Prefilled,
    Queued,
    Ready,
    Sampling,
    Start,
    Submit,
    frame,
)
from llama_nb.engine.worker import Connection
from llama_nb.prompt_format.encode import Turn
from llama_nb.prompt_format.grammar import Grammar
from tests.counts import full

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
WHOLE = st.integers(0, 2**40)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
LOGPROBS = st.none() | st.lists(st.dictionaries(TEXT, FLOAT, max_size=3), max_size=3)
TURNS = st.builds(Turn, role=TEXT, text=TEXT, call=st.none() | TEXT, end_of_message=st.booleans(), tagged=st.booleans())
SAMPLING = st.builds(
    Sampling,
    temperature=FLOAT,
    top_p=FLOAT,
    top_k=WHOLE,
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
    repetition_penalty=FLOAT,
)
GRAMMARS = st.builds(Grammar, kind=st.sampled_from(["json_schema", "regex", "lark"]), text=TEXT)
COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        Start,
        checkpoint=TEXT,
        device=TEXT,
        dtype=TEXT,
        max_seq_len=st.none() | WHOLE,
        max_batch_size=st.none() | WHOLE,
    ),
    st.builds(
        Submit,
        id=WHOLE,
        dialog=st.lists(TURNS, max_size=4),
        sampling=SAMPLING,
        max_tokens=WHOLE,
        stop=st.lists(TEXT, max_size=3),
        logprobs=st.none() | WHOLE,
        grammar=st.none() | GRAMMARS,
        prefill=TEXT,
        prompt=st.none() | TEXT,
    ),
    st.builds(Embed, id=WHOLE, texts=st.lists(TEXT, max_size=3)),
    st.builds(Count, id=WHOLE, dialog=st.lists(TURNS, max_size=3)),
    st.builds(Cancel, id=WHOLE),
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Loading, stage=TEXT, fraction=FLOAT),
    st.builds(
        Ready,
        device=TEXT,
        dtype=TEXT,
        parameters=WHOLE,
        max_seq_len=WHOLE,
        load_s=FLOAT,
        control=st.dictionaries(TEXT, WHOLE, max_size=3),
        max_batch_size=WHOLE,
        cache_bytes=WHOLE,
    ),
    st.builds(Queued, id=WHOLE, position=WHOLE),
    st.builds(Prefilled, id=WHOLE, done=WHOLE, total=WHOLE),
    st.builds(Piece, id=WHOLE, tokens=st.lists(WHOLE, max_size=4), text=TEXT, logprobs=LOGPROBS),
    st.builds(
        Done,
        id=WHOLE,
        stop_reason=TEXT,
        prompt_tokens=WHOLE,
        cached_tokens=WHOLE,
        completion_tokens=WHOLE,
        queue_s=FLOAT,
        time_to_first_token_s=FLOAT,
        tokens_per_s=FLOAT,
    ),
    st.builds(
        Embedded,
        id=WHOLE,
        places=st.lists(WHOLE, max_size=3),
        vectors=st.lists(st.lists(FLOAT, max_size=3), max_size=3),
    ),
    st.builds(Counted, id=WHOLE, prompt_tokens=WHOLE, max_seq_len=WHOLE),
    st.builds(Failed, id=st.none() | WHOLE, kind=TEXT, message=TEXT),
)


def chopped(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in zip(edges, edges[1:], strict=False)]


@given(st.lists(COMMANDS, max_size=4), st.lists(st.integers(0), max_size=20))
def test_commands_arrive_as_they_were_sent_however_the_bytes_are_split(sent: list[Command], cuts: list[int]) -> None:
    reader = FrameReader()
    parts = chopped(b"".join(map(frame, sent)), cuts)
    assert [command for part in parts for command in reader.commands(part)] == sent


@given(st.lists(st.lists(EVENTS, max_size=3), max_size=4), st.lists(st.integers(0), max_size=20))
def test_events_arrive_as_they_were_sent_however_the_bytes_are_split(sent: list[list[Event]], cuts: list[int]) -> None:
    reader = FrameReader()
    parts = chopped(b"".join(map(frame, sent)), cuts)
    assert [events for part in parts for events in reader.events(part)] == sent


def test_a_frame_arrives_when_it_comes_byte_by_byte() -> None:
    sent = [Submit(1, [Turn("user", "Grüße 👋", "x", True)], Sampling(0.5, 0.9, 3, 7), 5, ["\n"], 2), Cancel(1)]
    reader = FrameReader()
    data = b"".join(map(frame, sent))
    assert [command for at in range(len(data)) for command in reader.commands(data[at : at + 1])] == sent


def test_a_process_is_fed_frames_through_a_real_pipe_however_they_are_split() -> None:
    ours, theirs = socket.socketpair()
    connection = Connection(theirs)
    sent: list[Command] = [Cancel(number) for number in range(200)]
    data = b"".join(map(frame, sent))
    cuts = [random.Random(1).randrange(len(data)) for _ in range(100)]
    with ours, theirs:
        sender = threading.Thread(target=lambda: [ours.sendall(part) for part in chopped(data, cuts)])
        sender.start()
        assert [connection.wait() for _ in sent] == sent
        sender.join()
        assert connection.poll() is None
        ours.close()
        with pytest.raises(EOFError):
            connection.wait()


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with bytes changed, cut out, doubled, or put in; often behind a length that is right again."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0 if at < len(changed):
                changed[at] = chance.randrange(256)
            case 1:
                del changed[at : at + chance.randint(1, 8)]
            case 2:
                changed[at:at] = changed[at : at + chance.randint(1, 8)]
            case _:
                changed[at:at] = chance.randbytes(chance.randint(1, 8))
    if chance.random() < 0.8 and len(changed) >= 4:
        changed[:4] = struct.pack("<I", len(changed) - 4)
    return bytes(changed)


def errors_of(count: int, chance: random.Random) -> tuple[int, set[type[BaseException]]]:
    """How many of the mutated frames were refused, and with which errors."""
    samples = [
        frame(Start("/models/ünï", "cpu", "float32", 4096)),
        frame(Submit(1, [Turn("user", "Grüße 👋", "x", True)], Sampling(0.5, 0.9, 3, 7), 5, ["\n"], 2)),
        frame(Submit(1, [], grammar=Grammar("regex", "[a-ü]+"), prefill="ja", prompt="Grüße 👋")),
        frame(Embed(1, ["Grüße 👋", "x"])),
        frame(Count(1, [Turn("user", "Grüße 👋")])),
        frame(Cancel(1)),
        frame([Loading("weights", 0.5), Ready("cpu", "float32", 10, 20, 0.5, {"<|eot_id|>": 9}, 8, 2**30)]),
        frame([Piece(1, [5, 6], "héllo", [{"h": -0.5}, {"é": -1.5}]), Queued(3, 1), Prefilled(2, 3, 4)]),
        frame([Done(1, "end_of_turn", 1, 2, 3, 0.1, 0.2, 0.3), Failed(None, "EngineError", "ümlaut")]),
        frame([Embedded(1, [1, 0], [[0.5, -0.25], [1.0, 0.0]]), Counted(1, 2, 3)]),
    ]
    seen: set[type[BaseException]] = set()
    refused = 0
    for number in range(count):
        data = mutated(samples[number % len(samples)], chance)
        for read in (FrameReader().commands, FrameReader().events):
            try:
                list(read(data))
            except BaseException as error:
                refused += 1
                seen.add(type(error))
    return refused, seen


def test_mutated_frames_raise_nothing_but_FrameError() -> None:
    count = full(10_000, 1_000_000)
    refused, seen = errors_of(count, random.Random(0))
    assert seen == {FrameError}
    assert refused > count, "most of them are to be no frames"


def test_the_check_sees_an_error_that_is_not_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """msgspec's own error for bytes that are no UTF-8 is not one of msgspec's: a reader that forgot it is seen."""

    def forgetful(self: FrameReader, data: bytes, decoder: msgspec.msgpack.Decoder[object]) -> object:
        try:
            return [decoder.decode(data[4:])]
        except msgspec.MsgspecError as error:
            raise FrameError from error

    monkeypatch.setattr(FrameReader, "read", forgetful)
    assert errors_of(10_000, random.Random(0))[1] == {FrameError, UnicodeDecodeError}


@pytest.mark.parametrize("length", [protocol.MAX_FRAME_BYTES + 1, 2**32 - 1])
def test_a_length_above_the_bound_is_refused_before_any_of_it_is_awaited(length: int) -> None:
    with pytest.raises(FrameError, match=f"{length:,} bytes was announced"):
        list(FrameReader().commands(struct.pack("<I", length)))


def test_a_length_at_the_bound_is_awaited() -> None:
    assert list(FrameReader().commands(struct.pack("<I", protocol.MAX_FRAME_BYTES))) == []


@pytest.mark.parametrize(
    "command",
    [
        Submit(1, [Turn("user", "x" * protocol.MAX_FRAME_BYTES)]),
        Submit(1, [Turn("user", "half a character: \ud83d")]),
        Submit(1, [], Sampling(seed=2**70)),
        Start("/tmp/\udcff"),
    ],
    ids=["too large", "lone surrogate", "beyond 64 bits", "a path that is no text"],
)
def test_what_cannot_be_written_is_a_FrameError(command: Command) -> None:
    with pytest.raises(FrameError):
        frame(command)


FORBIDDEN_MODULES = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "jsonpickle"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "recv_pyobj", "send_pyobj", "broadcast_object_list", "unsafe_load"}
# `weights.py` names pickle's error, which torch raises for a file that holds code.
ALLOWED = {("weights.py", "pickle.UnpicklingError"), ("weights.py", "import pickle")}


def dangers(name: str, source: str) -> set[str]:
    """What in `source` could run code that came over a pipe or out of a file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {f"import {alias.name}" for alias in node.names if alias.name.split(".")[0] in FORBIDDEN_MODULES}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            found.add(f"from {node.module}")
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in FORBIDDEN_MODULES:
            found.add(ast.unparse(node))
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in FORBIDDEN_CALLS or called.split(".")[-1] in FORBIDDEN_CALLS - {"compile", "eval"}:
                found.add(called)
            if called == "torch.load" and "weights_only=True" not in ast.unparse(node):
                found.add("torch.load without weights_only")
    return {danger for danger in found if (name, danger) not in ALLOWED}


ENGINE_FILES = sorted(Path(llama_nb.engine.__path__[0]).rglob("*.py"))


@pytest.mark.parametrize("path", ENGINE_FILES, ids=lambda path: path.name)
def test_nothing_in_the_engine_unpickles_or_evaluates(path: Path) -> None:
    assert dangers(path.name, path.read_text("utf-8")) == set()


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from marshal import loads",
        "eval(text)",
        "socket.recv_pyobj()",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "pickle.loads(data)",
    ],
)
def test_the_check_sees_what_would_run_code(source: str) -> None:
    assert dangers("any.py", source)


def canary(touched: Path) -> bytes:
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
            return Path.touch, (touched,)

    return pickle.dumps(Evil())


def test_a_pickle_on_the_pipe_is_no_frame_and_does_not_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    data = canary(touched)
    with pytest.raises(FrameError):
        list(FrameReader().commands(struct.pack("<I", len(data)) + data))
    assert not touched.exists()
