"""llama-nb bench: what it measures, through real processes, and what it says of what it cannot measure."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from llama_nb import cli, loop
from llama_nb.bench import measure, options, probe, shapes
from llama_nb.bench.asked import Ours, Rival, prompts
from llama_nb.bench.beside import Beside
from llama_nb.bench.figures import Answered, Round, comparison, figures_of, medians
from llama_nb.bench.options import Options, start_of, subject
from llama_nb.bench.table import table
from llama_nb.engine.protocol import Start
from llama_nb.errors import BadRequest, EngineError, NotSupported
from llama_nb.prompt_format.encode import DialogEncoder
from llama_nb.prompt_format.tokenizer import load_tokenizer
from tests.engine import live

GUIDE = cli.PACKAGE / "demo" / "llama-nb-guide"
FIGURES = {
    "decode_tokens_per_s",
    "batch_tokens_per_s",
    "prefill_tokens_per_s",
    "time_to_first_token_s",
    "peak_memory_bytes",
    "bytes_per_token",
    "copy_bytes_per_s",
    "fraction_of_bandwidth",
}
KEYS = FIGURES | {"load_s", "model", "device", "dtype", "quantization", "ranks", "batch", "compare", "notes"}
NEW = 12


def small(**changed: Any) -> Options:
    return Options(**({"shape": "tiny", "device": "cpu", "prompt": 24, "new": NEW, "repeat": 1} | changed))


# --- The whole of it --------------------------------------------------------------------------------------------------


def test_bench_ends_with_one_json_object() -> None:
    """In a process of its own, which must not have imported torch when it is done."""
    arguments = "bench --shape tiny --device cpu --dtype float32 --prompt 24 --new 12 --batch 3 --repeat 2".split()
    code = (
        "import sys; from llama_nb.cli import main; "
        f"status = main([*{arguments!r}, '--compare', 'reference']); "
        "sys.exit(status or int('torch' in sys.modules) * 99)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    result = json.loads(last)
    assert set(result) >= KEYS
    assert all(result[name] > 0 for name in FIGURES), result
    assert result["load_s"] is None
    assert "drawn" in result["notes"]["load_s"]
    assert (result["model"], result["device"], result["dtype"]) == ("tiny", "cpu", "float32")
    assert (result["prompt_tokens"], result["new_tokens"], result["batch"]) == (24, 12, 3)
    assert result["parameters"] == 164_160
    assert result["peak_memory_bytes"] > 50_000_000  # torch alone takes more
    reference = result["compare"]["reference"]
    assert reference["same_tokens"] == 12  # the same weights: they say the same
    assert all(reference[name] > 0 and reference["ratio"][name] > 0 for name in result["range"])
    for name, (least, most) in result["range"].items():
        assert least <= result[name] <= most
    assert any("decode_tokens_per_s" in line and "×" in line for line in lines)
    assert "round 2 of 2: reference" in done.stderr


def test_bench_of_a_checkpoint_tells_how_long_loading_took(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "--checkpoint", str(GUIDE), "--prompt", "8", "--new", "4", "--repeat", "1"]
    assert cli.main([*arguments, "--dtype", "bfloat16", "--device", "cpu"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["model"], result["dtype"], result["random_weights"]) == ("llama-nb-guide", "bfloat16", False)
    assert result["load_s"] > 0
    assert result["batch_tokens_per_s"] is None
    assert "batch" in result["notes"]["batch_tokens_per_s"]


def test_without_a_choice_the_default_model_is_measured() -> None:
    with subject(Options()) as found:
        assert (found.name, found.folder, found.drawn) == ("llama-nb-guide", GUIDE, False)


def test_an_answer_of_one_token_has_no_rate_and_says_so() -> None:
    result = measure.run(small(new=1))
    assert result["decode_tokens_per_s"] is None
    assert result["fraction_of_bandwidth"] is None
    assert "2 or more" in result["notes"]["decode_tokens_per_s"]
    assert result["time_to_first_token_s"] > 0
    assert "–" in table(result)
    assert "2 or more" in table(result)


def test_progress_goes_forward_from_nothing_to_all() -> None:
    told: list[tuple[float, str]] = []
    measure.run(small(repeat=2), lambda fraction, what: told.append((fraction, what)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] < 1
    assert [what for _, what in told[-2:]] == ["round 1 of 2: llama_nb", "round 2 of 2: llama_nb"]


def test_nothing_is_left_behind() -> None:
    with subject(small()) as found:
        assert sorted(path.name for path in found.folder.iterdir()) == ["params.json", "tokenizer.model"]
    assert not found.folder.exists()
    with subject(Options(checkpoint=GUIDE)) as found:
        pass
    assert found.folder.exists()


# --- Others beside it -------------------------------------------------------------------------------------------------


def test_other_weights_would_say_other_tokens(tmp_path: Path) -> None:
    """What `same_tokens` is worth: the reference with weights of another seed is not taken for ours."""
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
        shapes.write("tiny", tmp_path / str(seed), seed)

    async def both() -> list[list[int]]:
        ours = Ours(Start(str(tmp_path / "1"), device="cpu", dtype="float32"))
        process = await Beside.start("llama_nb.bench.rivals", "reference")
        try:
            ready = await ours.load(lambda status: None)
            theirs = Rival(process)
            await theirs.load(tmp_path / "2", ready, rows=1, length=64)
            return [(await asked.ask(["a1b2c3"], NEW)).answers[0] for asked in (ours, theirs)]
        finally:
            ours.close()
            await process.close()

    mine, other = loop.run(both())
    assert len(mine) == len(other) == NEW
    assert mine[:4] != other[:4]


def test_transformers_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "find_spec", lambda name: None)
    result = measure.run(small(compare=("transformers",)))
    assert result["compare"] == {"transformers": None}
    assert "pip install transformers" in result["notes"]["compare.transformers"]
    assert result["decode_tokens_per_s"] > 0
    assert "pip install transformers" in table(result)


def test_another_that_cannot_run_keeps_nobody_from_being_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "transformers.py").write_text("raise ImportError('of another age')")
    monkeypatch.syspath_prepend(tmp_path)
    result = measure.run(small(compare=("transformers", "reference"), dtype="float32"))
    assert result["compare"]["transformers"] is None
    assert "of another age" in result["notes"]["compare.transformers"]
    assert result["compare"]["reference"]["same_tokens"] == NEW


# --- What is asked ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["llama-nb-guide", "tiny", "llama3.2-1b"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DialogEncoder]:
    """Of a small vocabulary, of one without any merges, and of Llama 3's whole one."""
    folder = GUIDE
    if request.param != "llama-nb-guide":
        folder = tmp_path_factory.mktemp("shape")
        shapes.write(request.param, folder)
    yield DialogEncoder(load_tokenizer(folder))


def test_a_prompt_is_as_long_as_was_asked_for(encoder: DialogEncoder) -> None:
    for length in (1, 2, 17, 1024):
        assert len(encoder.encode_text(next(prompts(length)))) == length
    assert len(encoder.encode_text("hello there")) != len("hello there") + 1 or encoder.tokenizer.n_words == 512


def test_prompts_differ_from_the_start_on() -> None:
    texts = prompts(64)
    starts = [next(texts)[:6] for _ in range(500)]
    assert len(set(starts)) == len(starts)


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--shape", "llama3.2-1c"], "Did you mean `llama3.2-1b`?"),
        (["--compare", "referenz"], "Did you mean `reference`?"),
        (["--model", "llama-nb-guid"], "llama-nb-guide"),
        (["--checkpoint", "/nowhere"], "/nowhere"),
    ],
)
def test_what_is_not_there_is_named(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_two_things_at_once_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["bench", "--shape", "tiny", "--checkpoint", str(GUIDE)])
    assert "not allowed with" in capsys.readouterr().err
    with pytest.raises(BadRequest, match="give one"):
        Options(shape="tiny", checkpoint=GUIDE)


@pytest.mark.parametrize("name", ["ranks", "batch", "prompt", "new", "repeat"])
def test_less_than_one_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match=f"`{name}` should be 1 or more, got 0"):
        Options(**{name: 0})


class PlainStart(msgspec.Struct):
    """What a generator takes that knows neither ranks nor quantisation."""

    checkpoint: str
    device: str
    dtype: str
    max_seq_len: int | None


class FullStart(PlainStart):
    max_batch_size: int | None = None
    quantization: Literal["int8", "int4"] | None = None
    ranks: int = 1


@pytest.mark.parametrize(("name", "value"), [("quantization", "int8"), ("ranks", 2)])
def test_what_the_generator_does_not_take_is_refused(name: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "Start", PlainStart)
    start_of(small(), GUIDE)
    with pytest.raises(NotSupported, match=f"`{name}` {value}: .* cannot do that yet"):
        start_of(small(**{name: value}), GUIDE)


def test_what_the_generator_takes_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "Start", FullStart)
    start = start_of(small(quantization="int4", ranks=2, batch=8), GUIDE)
    assert start == FullStart(str(GUIDE), "cpu", "auto", None, 8, "int4", 2)
    with pytest.raises(BadRequest, match="int3"):
        start_of(small(quantization="int3"), GUIDE)


def test_a_long_prompt_gets_the_context_that_it_needs() -> None:
    assert start_of(small(prompt=8000, new=100), GUIDE).max_seq_len == 8100
    assert start_of(small(), GUIDE).max_seq_len is None


def test_shapes_have_the_names_of_llamas_list() -> None:
    assert shapes.resolve("Llama3.2-1B-Instruct") == shapes.resolve("llama3.2-1b") == "llama3.2-1b"
    assert {"llama3.2-3b", "llama3.1-8b", "llama3.1-70b", "160m", "tiny"} <= set(shapes.shapes())
    assert not any("vision" in name for name in shapes.shapes())


# --- Limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
def test_a_tied_head_reads_the_embedding_and_another_one_row(tmp_path: Path, tied: bool) -> None:
    shapes.write("tiny", tmp_path)
    dim, vocabulary, layers, kv_heads, head_dim = 64, 512, 2, 2, 16
    matrices = 2 * (2 * dim * dim + 2 * dim * kv_heads * head_dim + 3 * dim * 192)
    norms = (2 * layers + 1) * dim
    head, row = vocabulary * dim, 0 if tied else dim
    parameters = matrices + norms + head * (1 if tied else 2)
    cache = 2 * 2 * layers * kv_heads * head_dim * 10
    read = probe.traffic(str(tmp_path), "bfloat16", parameters, None, context=10)
    assert read == {"weights": 2 * (matrices + norms + head + row), "cache": cache}
    # The same matrices and head in one byte each, the embedding as it was: then it gives one row, tied or not.
    small = matrices + head + 2 * norms + 2 * head
    read = probe.traffic(str(tmp_path), "bfloat16", parameters, small, context=10)
    assert read == {"weights": matrices + head + 2 * norms + 2 * dim, "cache": cache}


def test_another_number_of_parameters_is_not_guessed_about(tmp_path: Path) -> None:
    shapes.write("tiny", tmp_path)
    assert "unknown" in probe.traffic(str(tmp_path), "bfloat16", 1_000_000, None, context=10)


def test_the_processor_has_a_bandwidth_and_no_memory_of_its_own() -> None:
    assert probe.bandwidth("cpu")["bytes_per_s"] > 1e8
    assert probe.memory("cpu") == {"used": None}


# --- Figures ----------------------------------------------------------------------------------------------------------


def test_figures_are_what_their_names_say() -> None:
    single = Answered(read=100, first_s=0.5, total_s=2.5, answers=[[1] * 11])
    several = Answered(read=100, first_s=0.5, total_s=4.0, answers=[[1] * 11, [1] * 9])
    assert figures_of(single, several) == {
        "time_to_first_token_s": 0.5,
        "prefill_tokens_per_s": 200.0,
        "decode_tokens_per_s": 5.0,
        "batch_tokens_per_s": 5.0,
    }
    assert "batch_tokens_per_s" not in figures_of(single)


def test_a_ratio_above_one_is_in_our_favour() -> None:
    def one(mine: float, other: float) -> Round:
        figures = {
            "llama_nb": {"decode_tokens_per_s": mine, "time_to_first_token_s": 1 / mine},
            "reference": {"decode_tokens_per_s": other, "time_to_first_token_s": 1 / other},
        }
        return Round(figures, {"llama_nb": [1, 2, 3], "reference": [1, 2, 4]}, 1.0)

    # The machine is busy in the middle round: in each round ours is twice as fast.
    found = comparison([one(8, 4), one(2, 1), one(10, 5)], "reference")
    assert found["ratio"]["decode_tokens_per_s"] == pytest.approx(2)
    assert found["ratio"]["time_to_first_token_s"] == pytest.approx(2)
    assert found["ratio"]["batch_tokens_per_s"] is None
    assert found["decode_tokens_per_s"] == 4
    assert found["same_tokens"] == 2
    assert medians([one(8, 4), one(2, 1), one(10, 5)])["decode_tokens_per_s"] == 8


# --- The processes beside ---------------------------------------------------------------------------------------------


def asked(module: str, *questions: dict[str, Any]) -> list[dict[str, Any]]:
    async def ask() -> list[dict[str, Any]]:
        process = await Beside.start(module)
        try:
            return [await process.ask(**question) for question in questions]
        finally:
            await process.close()

    return asyncio.run(ask())


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that can be run: it adds, prints, and dies."""
    code = """
        import os
        from llama_nb.bench.beside import serve

        def add(a, b):
            print("noise")
            return {"sum": a + b}

        def be_busy():
            while True:
                pass

        def die():
            os.write(2, b"my last words\\n")
            os._exit(3)

        serve({"add": add, "be_busy": be_busy, "die": die})
    """
    (tmp_path / "bench_helper.py").write_text("\n".join(line[8:] for line in code.splitlines()))
    monkeypatch.syspath_prepend(tmp_path)
    return "bench_helper"


def test_what_is_printed_is_no_answer(helper: str) -> None:
    assert asked(helper, {"what": "add", "a": 1, "b": 2}, {"what": "add", "a": 3, "b": 4}) == [{"sum": 3}, {"sum": 7}]


def test_a_question_that_fails_is_told(helper: str) -> None:
    with pytest.raises(EngineError, match="TypeError"):
        asked(helper, {"what": "add", "a": 1, "b": None})
    with pytest.raises(EngineError, match="multiply"):
        asked(helper, {"what": "multiply"})


def test_a_death_is_told_with_the_last_words(helper: str) -> None:
    with pytest.raises(EngineError, match="died while it was asked for `die`") as told:
        asked(helper, {"what": "die"})
    assert "my last words" in str(told.value)
    with pytest.raises(EngineError, match="died"):
        asked(helper, {"what": "add", "a": 1, "b": 2}, {"what": "die"}, {"what": "add", "a": 1, "b": 2})


@pytest.mark.parametrize("busy", [False, True])
def test_it_ends_with_who_asks(helper: str, busy: bool) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", helper],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(b'{"what": "add", "a": 1, "b": 2}\n')
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"sum": 3}
        assert process.poll() is None
        if busy:
            process.stdin.write(b'{"what": "be_busy"}\n')
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_an_interrupt_ends_all_of_it() -> None:
    command = [sys.executable, "-m", "llama_nb.cli", "bench", "--shape", "tiny", "--repeat", "100000"]
    command += ["--device", "cpu", "--compare", "reference"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process:
        next(line for line in process.stderr if "round 2 " in line)
        ends = [os.pidfd_open(child) for child in live.children(process.pid)]
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait(timeout=60) == 130
    assert len(ends) == 3  # the supervisor, the probe, the reference
    for end in ends:
        assert select.select([end], [], [], 30)[0], "it outlives the one who asked"


# --- On a GPU ---------------------------------------------------------------------------------------------------------


@pytest.mark.cuda
def test_on_a_gpu_the_memory_is_the_devices() -> None:
    result = measure.run(small(device="cuda", dtype="float32", compare=("reference",), batch=2))
    assert result["device"].startswith("cuda")
    assert 0 < result["peak_memory_bytes"] < 20e9
    assert result["copy_bytes_per_s"] > 1e11
    assert result["compare"]["reference"]["same_tokens"] == NEW
