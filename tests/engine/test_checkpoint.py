"""A checkpoint loads as it is, or is refused with one line that names file, parameter, expected and got."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from llama_nb.engine import checkpoint
from llama_nb.engine.checkpoint import automatic_dtype, load, read_args
from llama_nb.engine.description import meta_hidden_dim
from llama_nb.engine.model import RopeScaling, Transformer
from llama_nb.errors import CheckpointError
from tests.engine import live, tiny

CPU = torch.device("cpu")
PTH = "consolidated.00.pth"
WQ = "layers.0.attention.wq.weight"
Q_PROJ = "model.layers.0.self_attn.q_proj.weight"
EMBEDDING = "tok_embeddings.weight"
VOCABULARY = 544


def loaded(folder: Path, *, dtype: torch.dtype | None = None, max_seq_len: int | None = None) -> Transformer:
    return load(folder, device=CPU, dtype=dtype, max_seq_len=max_seq_len, progress=lambda stage, share: None)[0]


def refusal(folder: Path, **wishes: Any) -> str:
    """The one line with which `folder` is refused."""
    with pytest.raises(CheckpointError) as caught:
        loaded(folder, **wishes)
    line = str(caught.value)
    assert "\n" not in line
    assert line.endswith("."), line
    return line


def edit_json(path: Path, **changes: Any) -> None:
    """Changes keys; `...` removes one."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def edit_pth(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = torch.load(path, weights_only=True)
    torch.save(content if (changed := change(content)) is None else changed, path)


def edit_safetensors(path: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    content = load_file(path)
    change(content)
    save_file(content, path)


def without(name: str) -> Callable[[dict[str, Any]], None]:
    def change(weights: dict[str, Any]) -> None:
        del weights[name]

    return change


def with_last(name: str, value: float) -> Callable[[dict[str, Any]], None]:
    """Puts `value` into the last place of a parameter."""

    def change(weights: dict[str, Any]) -> None:
        weights[name].view(-1)[-1] = value

    return change


def parameters(model: Transformer) -> dict[str, Tensor]:
    return dict(model.named_parameters(remove_duplicate=False))


@pytest.fixture
def meta(tmp_path: Path) -> Path:
    tiny.write_meta_checkpoint(tmp_path)
    return tmp_path


@pytest.fixture
def hugging_face(tmp_path: Path) -> Path:
    tiny.write_hugging_face_checkpoint(tmp_path)
    return tmp_path


class TestWhatLoads:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"safetensors": True},
            {"shards": 2},
            {"shards": 4, "n_kv_heads": 4},
            {"shards": 2, "safetensors": True},
            {"tied": True},
            {"tied": True, "shards": 2, "safetensors": True},
            {"n_kv_heads": 1, "n_layers": 3},
            {"dtype": torch.bfloat16},
            {"dtype": torch.float16, "shards": 2},
        ],
        ids=str,
    )
    def test_metas_layout_is_taken_over_exactly(self, tmp_path: Path, options: dict[str, Any]) -> None:
        weights = tiny.write_meta_checkpoint(tmp_path, **options)
        got = parameters(loaded(tmp_path, dtype=torch.float32))
        assert got.keys() == weights.keys()
        assert all(torch.equal(got[name], weights[name].float()) for name in weights)

    @pytest.mark.parametrize(
        "options", [{}, {"files": 3}, {"tied": True}, {"n_kv_heads": 1}, {"dtype": torch.bfloat16, "files": 2}], ids=str
    )
    def test_hugging_faces_layout_is_the_same_model(self, tmp_path: Path, options: dict[str, Any]) -> None:
        weights = tiny.write_hugging_face_checkpoint(tmp_path, **options)
        got = parameters(loaded(tmp_path, dtype=torch.float32))
        assert got.keys() == weights.keys()
        assert all(torch.equal(got[name], weights[name].float()) for name in weights)

    def test_a_model_is_ready_to_answer_and_not_to_learn(self, meta: Path) -> None:
        model = loaded(meta)
        assert not any(module.training for module in model.modules())
        assert not any(parameter.requires_grad for parameter in model.parameters())
        assert model(torch.tensor([[1, 2, 3]])).shape == (1, 3, VOCABULARY)

    @pytest.mark.parametrize("layout", ["meta", "hugging_face", "shared in the file", "said and stored"])
    def test_a_tied_head_takes_no_memory_of_its_own(self, tmp_path: Path, layout: str) -> None:
        if layout == "meta":
            tiny.write_meta_checkpoint(tmp_path, tied=True)
        elif layout == "shared in the file":
            tiny.write_meta_checkpoint(tmp_path)
            edit_pth(tmp_path / PTH, lambda weights: weights.update({"output.weight": weights[EMBEDDING]}))
        else:
            tiny.write_hugging_face_checkpoint(tmp_path, tied=True)
        if layout == "said and stored":
            file = tmp_path / "model.safetensors"
            edit_safetensors(file, lambda w: w.update({"lm_head.weight": w["model.embed_tokens.weight"].clone()}))
        model = loaded(tmp_path)
        assert model.args.tied_head
        assert model.output.weight is model.tok_embeddings.weight

    def test_an_absent_head_is_tied_unless_the_config_says_no(self, tmp_path: Path) -> None:
        tiny.write_hugging_face_checkpoint(tmp_path, tied=True, config={"tie_word_embeddings": None})
        assert loaded(tmp_path).args.tied_head
        edit_json(tmp_path / "config.json", tie_word_embeddings=False)
        assert "`lm_head.weight` is missing" in refusal(tmp_path)

    def test_rotary_constants_in_the_file_are_ignored(self, meta: Path) -> None:
        edit_pth(meta / PTH, lambda weights: weights.update({"rope.freqs": torch.ones(8)}))
        loaded(meta)

    def test_rotary_constants_of_hugging_face_are_ignored(self, hugging_face: Path) -> None:
        name = "model.layers.0.self_attn.rotary_emb.inv_freq"
        edit_safetensors(hugging_face / "model.safetensors", lambda weights: weights.update({name: torch.ones(8)}))
        loaded(hugging_face)

    def test_weights_of_several_dtypes_become_one(self, meta: Path) -> None:
        edit_pth(meta / PTH, lambda weights: weights.update({WQ: weights[WQ].bfloat16()}))
        assert {parameter.dtype for parameter in loaded(meta).parameters()} == {torch.float32}

    def test_metas_names_in_any_safetensors_file(self, meta: Path) -> None:
        weights = torch.load(meta / PTH, weights_only=True)
        (meta / PTH).unlink()
        names = sorted(weights)
        save_file({name: weights[name] for name in names[:5]}, meta / "first.safetensors")
        save_file({name: weights[name] for name in names[5:]}, meta / "second.safetensors")
        assert torch.equal(parameters(loaded(meta))[WQ], weights[WQ])

    def test_with_both_descriptions_metas_goes_with_metas_weights(self, tmp_path: Path) -> None:
        tiny.write_hugging_face_checkpoint(tmp_path, seed=1)
        (tmp_path / "params.json").write_text("{}")
        loaded(tmp_path)
        weights = tiny.write_meta_checkpoint(tmp_path, seed=2)
        assert torch.equal(parameters(loaded(tmp_path))[WQ], weights[WQ])

    def test_progress_runs_from_0_to_1_in_every_stage(self, meta: Path) -> None:
        write_manifest(meta)
        told: list[tuple[str, float]] = []
        load(meta, device=CPU, dtype=None, max_seq_len=None, progress=lambda *event: told.append(event))
        assert list(dict.fromkeys(stage for stage, _ in told)) == ["checksums", "weights"]
        for stage in ("checksums", "weights"):
            shares = [share for name, share in told if name == stage]
            assert shares[0] == 0.0
            assert shares[-1] == 1.0
            assert shares == sorted(shares)

    def test_a_parameter_of_the_wished_dtype_stays_in_the_file(self, meta: Path) -> None:
        assert pages_of(loaded(meta).layers[0].attention.wq.weight).endswith(PTH)

    def test_a_parameter_of_another_dtype_leaves_the_file(self, meta: Path) -> None:
        assert PTH not in pages_of(loaded(meta, dtype=torch.bfloat16).layers[0].attention.wq.weight)

    def test_converting_never_needs_two_copies(self, tmp_path: Path) -> None:
        weights = tiny.write_meta_checkpoint(tmp_path, vocabulary="llama3", dtype=torch.float32)
        used: list[int] = []
        load(
            tmp_path,
            device=CPU,
            dtype=torch.bfloat16,
            max_seq_len=None,
            progress=lambda stage, share: used.append(live.memory_used(os.getpid())),
        )
        target = sum(tensor.numel() * 2 for tensor in weights.values())
        assert max(used) - used[0] < 1.25 * target

    @pytest.mark.parametrize("layout", ["meta", "hugging_face"])
    def test_loading_imports_nothing_slow(self, tmp_path: Path, layout: str) -> None:
        """Drawing on the meta device, say, imports sympy and dynamo: two seconds of every start."""
        write = tiny.write_meta_checkpoint if layout == "meta" else tiny.write_hugging_face_checkpoint
        write(tmp_path)
        script = (
            "import sys, pathlib, torch; before = set(sys.modules)\n"
            "from llama_nb.engine.checkpoint import load\n"
            "load(pathlib.Path(sys.argv[1]), device=torch.device('cpu'), dtype=None, max_seq_len=None,"
            " progress=lambda *_: None)\n"
            "print(*(name for name in set(sys.modules) - before))"
        )
        result = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
        )
        new = result.stdout.split()
        slow = {"sympy", "torch._dynamo", "torch._refs", "PIL", "numpy", "fairscale", "llama_models.llama3.chat_format"}
        assert "llama_nb.engine.checkpoint" in new
        assert not slow.intersection(new)
        assert len(new) < 80


def pages_of(tensor: Tensor) -> str:
    """The line of /proc/self/maps that the tensor's memory is in; it ends with the file, if there is one."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(number, 16) for number in line.split()[0].split("-"))
        if start <= tensor.data_ptr() < end:
            return line
    raise AssertionError("a tensor outside of all memory")


class TestArgs:
    def test_params_json(self, tmp_path: Path) -> None:
        tiny.write_meta_checkpoint(tmp_path, scaled_rope=True, params={"norm_eps": 1e-6, "rope_theta": 10_000})
        args = read_args(tmp_path)
        assert (args.dim, args.n_layers, args.n_heads, args.n_kv_heads) == (64, 2, 4, 2)
        assert (args.hidden_dim, args.vocab_size) == (tiny.HIDDEN_DIM, VOCABULARY)
        assert (args.norm_eps, args.rope_theta, args.rope_scaling) == (1e-6, 10_000.0, RopeScaling(8.0))

    def test_config_json(self, tmp_path: Path) -> None:
        scaling = {
            "rope_type": "llama3",
            "factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        }
        tiny.write_hugging_face_checkpoint(tmp_path, rope_scaling=scaling, tied=True)
        args = read_args(tmp_path)
        assert (args.dim, args.n_layers, args.n_heads, args.n_kv_heads) == (64, 2, 4, 2)
        assert (args.hidden_dim, args.vocab_size, args.tied_head) == (tiny.HIDDEN_DIM, VOCABULARY, True)
        assert args.rope_scaling == RopeScaling(32.0)

    def test_weights_are_not_needed(self, meta: Path) -> None:
        (meta / PTH).unlink()
        assert read_args(meta).dim == tiny.DIM

    def test_an_open_vocabulary_size_is_the_tokenizers(self, tmp_path: Path) -> None:
        tiny.write_meta_checkpoint(tmp_path, params={"vocab_size": -1})
        assert read_args(tmp_path).vocab_size == VOCABULARY
        assert loaded(tmp_path).args.vocab_size == VOCABULARY

    @pytest.mark.parametrize(
        ("dim", "multiple_of", "multiplier", "hidden"),
        [(4096, 1024, 1.3, 14_336), (8192, 4096, 1.3, 28_672), (2048, 256, 1.5, 8192), (3072, 256, 1.0, 8192)],
    )
    def test_the_hidden_size_of_the_real_models(
        self, dim: int, multiple_of: int, multiplier: float, hidden: int
    ) -> None:
        assert meta_hidden_dim(dim, multiple_of, multiplier) == hidden

    @pytest.mark.parametrize(
        ("params", "wish", "length"),
        [
            ({}, None, 4096),
            ({}, 8192, 8192),
            ({"use_scaled_rope": True}, 131_072, 131_072),
            ({"max_seq_len": 1000}, None, 1000),
            ({"max_seq_len": 20_000}, 20_000, 20_000),
            ({}, 1, 1),
        ],
    )
    def test_the_context(self, tmp_path: Path, params: dict[str, Any], wish: int | None, length: int) -> None:
        tiny.write_meta_checkpoint(tmp_path, params=params)
        assert read_args(tmp_path, wish).max_seq_len == length
        assert loaded(tmp_path, max_seq_len=wish).rotations.shape == (length, tiny.HEAD_DIM // 2)

    @pytest.mark.parametrize("wish", [8193, 0, -1])
    def test_a_context_that_the_checkpoint_does_not_have(self, meta: Path, wish: int) -> None:
        line = refusal(meta, max_seq_len=wish)
        assert str(wish) in line
        assert "8192" in line

    @pytest.mark.parametrize(
        ("device", "multiplies_bfloat16", "count", "dtype"),
        [
            ("cpu", False, 499_999_999, torch.float32),
            ("cpu", False, 500_000_000, torch.bfloat16),
            ("cpu", True, 29_999_999, torch.float32),
            ("cpu", True, 30_000_000, torch.bfloat16),
            ("cuda", False, 1000, torch.bfloat16),
        ],
    )
    def test_the_automatic_dtype(
        self, device: str, multiplies_bfloat16: bool, count: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(checkpoint, "_multiplies_bfloat16", lambda: multiplies_bfloat16)
        assert automatic_dtype(torch.device(device), count) == dtype

    def test_the_automatic_dtype_of_a_small_model(self, tmp_path: Path) -> None:
        tiny.write_meta_checkpoint(tmp_path, dtype=torch.bfloat16)
        assert loaded(tmp_path).norm.weight.dtype == torch.float32
        assert loaded(tmp_path, dtype=torch.bfloat16).norm.weight.dtype == torch.bfloat16


class TestDescriptions:
    def test_no_folder(self, tmp_path: Path) -> None:
        assert refusal(tmp_path / "nowhere").endswith("nowhere: no such folder.")

    def test_a_file_for_a_folder(self, meta: Path) -> None:
        assert "is a file: give the folder" in refusal(meta / PTH)

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        line = refusal(tmp_path)
        assert "params.json" in line
        assert "config.json" in line

    def test_no_vocabulary(self, meta: Path) -> None:
        (meta / "tokenizer.model").unlink()
        assert "no `tokenizer.model`" in refusal(meta)

    def test_no_weights(self, meta: Path) -> None:
        (meta / PTH).rename(meta / "pytorch_model.bin")
        line = refusal(meta)
        assert "consolidated.NN.pth" in line
        assert "pytorch_model.bin" in line

    @pytest.mark.parametrize("layout", ["meta", "hugging_face"])
    def test_what_is_not_json_is_named_with_its_line(self, tmp_path: Path, layout: str) -> None:
        name = "params.json" if layout == "meta" else "config.json"
        (tmp_path / name).write_text('{\n"dim": 64,\n"n_heads" 4}')
        assert f"{name}, line 3: not JSON" in refusal(tmp_path)

    @pytest.mark.parametrize("content", [b"[1]", b"\xff\xfe", b"[" * 100_000, b"", b"1" * 5000])
    def test_what_is_not_an_object(self, meta: Path, content: bytes) -> None:
        (meta / "params.json").write_bytes(content)
        assert "params.json" in refusal(meta)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"dim": ...}, "`dim` is missing"),
            ({"n_layers": ...}, "`n_layers` is missing"),
            ({"n_heads": 0}, "`n_heads` should be a whole number from 1 to 4096, got 0"),
            ({"n_heads": "4"}, "got '4'"),
            ({"n_heads": True}, "got True"),
            ({"n_layers": 10**9}, "`n_layers` should be a whole number from 1 to 1024, got 1000000000"),
            ({"n_layers": -2}, "got -2"),
            ({"dim": 65}, "dim 65 does not make 4 heads of an even size"),
            ({"dim": 60}, "dim 60 does not make 4 heads of an even size"),
            ({"n_kv_heads": 3}, "4 heads cannot share 3 key-value heads"),
            ({"n_kv_heads": 8}, "4 heads cannot share 8 key-value heads"),
            ({"rope_theta": 0}, "`rope_theta` should be a number above 0, at most 1e+12, got 0"),
            ({"rope_theta": 10**400}, "`rope_theta`"),
            ({"ffn_dim_multiplier": 1e20}, "`ffn_dim_multiplier`"),
            ({"dim": 2**24, "n_heads": 1, "n_kv_heads": 1}, "heads of an even size up to 1024"),
            ({"norm_eps": float("nan")}, "`norm_eps` should be a number above 0, at most 1e+12, got nan"),
            ({"ffn_dim_multiplier": float("inf")}, "got inf"),
            ({"use_scaled_rope": "yes"}, "`use_scaled_rope` should be true or false, got 'yes'"),
            ({"max_seq_len": 0}, "`max_seq_len`"),
            ({"vocab_size": 0}, "`vocab_size`"),
            ({"quantization_args": {"scheme": "int4_weight_int8_dynamic_activation"}}, "`quantization_args`"),
            ({"lora_args": {"rank": 16, "scale": 2.0}}, "`lora_args`"),
            ({"vision_chunk_size": 448}, "read images"),
        ],
        ids=str,
    )
    def test_senseless_params(self, meta: Path, changes: dict[str, Any], said: str) -> None:
        edit_json(meta / "params.json", **changes)
        line = refusal(meta)
        assert said in line
        assert "params.json" in line

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"hidden_size": ...}, "`hidden_size` is missing"),
            ({"intermediate_size": ...}, "`intermediate_size` is missing"),
            ({"num_attention_heads": 0}, "got 0"),
            ({"num_attention_heads": 1000}, "`head_dim`"),
            ({"head_dim": 32}, "`head_dim` should be 64 / 4 (hidden_size / num_attention_heads), got 32"),
            ({"model_type": "mistral"}, "`model_type` should be llama, got 'mistral'"),
            ({"hidden_act": "gelu"}, "`hidden_act` should be silu, got 'gelu'"),
            ({"attention_bias": True}, "`attention_bias` should be false"),
            ({"mlp_bias": True}, "`mlp_bias` should be false"),
            ({"quantization_config": {"quant_method": "awq"}}, "quantised weights (awq)"),
            ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "got 'linear'"),
            ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "got 'yarn'"),
            ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "`low_freq_factor` is missing"),
            ({"rope_scaling": "llama3"}, "`rope_scaling` should be an object"),
            ({"rope_parameters": {"rope_type": "dynamic"}}, "got 'dynamic'"),
            ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "`partial_rotary_factor`"),
            ({"num_key_value_heads": 3}, "4 heads cannot share 3"),
        ],
        ids=str,
    )
    def test_senseless_configs(self, hugging_face: Path, changes: dict[str, Any], said: str) -> None:
        edit_json(hugging_face / "config.json", **changes)
        line = refusal(hugging_face)
        assert said in line
        assert "config.json" in line

    @pytest.mark.parametrize("factors", [(4.0, 4.0), (4.0, 1.0)])
    def test_rope_factors_in_the_wrong_order(self, hugging_face: Path, factors: tuple[float, float]) -> None:
        scaling = {"factor": 8, "low_freq_factor": factors[0], "high_freq_factor": factors[1]}
        scaling |= {"rope_type": "llama3", "original_max_position_embeddings": 8192}
        edit_json(hugging_face / "config.json", rope_scaling=scaling)
        assert "`low_freq_factor` should be below its `high_freq_factor`" in refusal(hugging_face)

    @given(
        key=st.sampled_from(["dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "multiple_of", "rope_theta"]),
        value=st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=5),
            st.lists(st.integers(), max_size=2),
        ),
    )
    def test_whatever_a_description_says_it_loads_or_is_refused(
        self, tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
    ) -> None:
        folder = tmp_path_factory.getbasetemp() / "any-description"
        if not folder.exists():
            tiny.write_meta_checkpoint(folder)
        good = (folder / "params.json").read_text()
        edit_json(folder / "params.json", **{key: value})
        try:
            loaded(folder)
        except CheckpointError:
            refusal(folder)
        finally:
            (folder / "params.json").write_text(good)


class Canary:
    """Unpickling it runs code: the file appears."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


class TestFiles:
    @pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.9, 0.999])
    def test_a_truncated_pth(self, meta: Path, kept: float) -> None:
        content = (meta / PTH).read_bytes()
        (meta / PTH).write_bytes(content[: int(len(content) * kept)])
        line = refusal(meta)
        assert PTH in line
        assert "is empty" in line if kept == 0 else "truncated" in line
        assert f"{int(len(content) * kept):,} bytes" in line

    @pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.9, 0.999])
    def test_a_truncated_safetensors_file(self, hugging_face: Path, kept: float) -> None:
        path = hugging_face / "model.safetensors"
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * kept)])
        line = refusal(hugging_face)
        assert "model.safetensors" in line
        assert "is empty" in line if kept == 0 else "truncated" in line
        if kept >= 0.3:
            assert f"expected {len(content):,} bytes, got {int(len(content) * kept):,}" in line

    @pytest.mark.parametrize("name", [PTH, "consolidated.00.safetensors"])
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"<html>404</html>" * 9, "consolidated"),
            (struct.pack("<Q", 2**60) + b"{}", "consolidated"),
            (struct.pack("<Q", 9) + b'{"a":[1]}', "consolidated"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
            (b"PK\x03\x04" + bytes(100), "consolidated"),
        ],
        ids=["web page", "huge header", "senseless header", "lfs pointer", "start of a zip"],
    )
    def test_files_that_are_something_else(self, meta: Path, name: str, content: bytes, said: str) -> None:
        (meta / PTH).unlink()
        (meta / name).write_bytes(content)
        assert said in refusal(meta)

    @pytest.mark.parametrize("form", ["in an archive", "bare", "as a parameter"])
    def test_code_in_a_pth_is_not_run(self, meta: Path, form: str) -> None:
        trace = meta / "code was run"
        if form == "in an archive":
            torch.save(Canary(trace), meta / PTH)
        elif form == "bare":
            (meta / PTH).write_bytes(pickle.dumps(Canary(trace)))
        else:
            edit_pth(meta / PTH, lambda weights: weights.update({WQ: Canary(trace)}))
        line = refusal(meta)
        assert "code" in line
        assert "was not run" in line
        if form != "bare":
            assert "system" in line
        assert not trace.exists()

    def test_the_canary_sings(self, tmp_path: Path) -> None:
        pickle.loads(pickle.dumps(Canary(tmp_path / "trace")))
        assert (tmp_path / "trace").exists()

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ([torch.ones(1)], "got list"),
            ({"model": {}}, "got 'model' with dict"),
            ({1: torch.ones(1)}, "got 1 with Tensor"),
        ],
        ids=str,
    )
    def test_a_pth_that_holds_something_else(self, meta: Path, content: Any, said: str) -> None:
        torch.save(content, meta / PTH)
        assert said in refusal(meta)

    @pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn, torch.bool, torch.complex64])
    @pytest.mark.parametrize("safetensors", [False, True])
    def test_quantised_weights(self, tmp_path: Path, dtype: torch.dtype, safetensors: bool) -> None:
        tiny.write_meta_checkpoint(tmp_path, safetensors=safetensors)
        file = tmp_path / (PTH if not safetensors else "consolidated.00.safetensors")
        edit = edit_safetensors if safetensors else edit_pth
        edit(file, lambda weights: weights.update({WQ: weights[WQ].to(dtype)}))
        line = refusal(tmp_path)
        assert f"{file}: parameter `{WQ}` should be bfloat16, float16 or float32" in line
        assert f"got {str(dtype).removeprefix('torch.')}" in line

    @pytest.mark.parametrize("kind", ["meta", "sparse"])
    def test_tensors_that_hold_no_values(self, meta: Path, kind: str) -> None:
        edit_pth(meta / PTH, lambda w: w.update({WQ: w[WQ].to("meta") if kind == "meta" else w[WQ].to_sparse()}))
        assert f"`{WQ}` was saved without its values" in refusal(meta)

    def test_a_file_that_cannot_be_read(self, meta: Path) -> None:
        (meta / PTH).unlink()
        (meta / PTH).mkdir()
        assert f"{PTH} cannot be read: Is a directory." in refusal(meta)


class TestParameters:
    @pytest.mark.parametrize("name", [WQ, "norm.weight", EMBEDDING, "layers.1.feed_forward.w2.weight"])
    def test_a_missing_parameter(self, meta: Path, name: str) -> None:
        edit_pth(meta / PTH, without(name))
        assert f"parameter `{name}` is missing" in refusal(meta)

    def test_a_file_without_parameters(self, meta: Path) -> None:
        torch.save({}, meta / PTH)
        assert "parameter `layers.0.attention.wk.weight` (and 19 more) is missing" in refusal(meta)

    def test_several_missing_parameters(self, meta: Path) -> None:
        edit_json(meta / "params.json", n_layers=3)
        assert "parameter `layers.2.attention.wk.weight` (and 8 more) is missing" in refusal(meta)

    def test_an_unexpected_parameter(self, meta: Path) -> None:
        edit_pth(meta / PTH, lambda weights: weights.update({"layers.0.attention.wq.bias": torch.ones(64)}))
        assert f"{PTH}: parameter `layers.0.attention.wq.bias` is unexpected" in refusal(meta)

    def test_more_layers_than_described(self, meta: Path) -> None:
        edit_json(meta / "params.json", n_layers=1)
        assert "(and 8 more) is unexpected" in refusal(meta)

    def test_a_wrong_shape(self, meta: Path) -> None:
        name = "layers.1.feed_forward.w2.weight"
        edit_pth(meta / PTH, lambda weights: weights.update({name: weights[name][:, 1:].clone()}))
        assert f"{PTH}: parameter `{name}` should be (64, 192), got (64, 191)." in refusal(meta)

    @pytest.mark.parametrize("shape", [(), (64,), (64, 64, 1), (0, 64)])
    def test_a_wrong_number_of_dimensions(self, meta: Path, shape: tuple[int, ...]) -> None:
        edit_pth(meta / PTH, lambda weights: weights.update({WQ: torch.ones(shape)}))
        assert f"`{WQ}` should be (64, 64), got {shape}" in refusal(meta)

    def test_hugging_face_parameters_are_called_as_in_the_file(self, hugging_face: Path) -> None:
        file = hugging_face / "model.safetensors"
        edit_safetensors(file, lambda weights: weights.update({Q_PROJ: torch.ones(32, 64)}))
        assert f"`{Q_PROJ}` should be (64, 64), got (32, 64)" in refusal(hugging_face)
        edit_safetensors(file, without(Q_PROJ))
        assert f"`{Q_PROJ}` is missing" in refusal(hugging_face)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    @pytest.mark.parametrize("name", ["norm.weight", "layers.1.ffn_norm.weight", EMBEDDING])
    def test_values_that_are_not_finite(self, meta: Path, name: str, value: float) -> None:
        edit_pth(meta / PTH, with_last(name, value))
        assert f"{PTH}: parameter `{name}` holds values that are not finite" in refusal(meta)

    def test_values_are_all_checked_when_they_are_copied_anyway(self, meta: Path) -> None:
        edit_pth(meta / PTH, with_last(WQ, float("nan")))
        assert f"`{WQ}` holds values that are not finite" in refusal(meta, dtype=torch.bfloat16)

    def test_a_tied_head_that_differs(self, tmp_path: Path) -> None:
        tiny.write_hugging_face_checkpoint(tmp_path, config={"tie_word_embeddings": True})
        assert "`lm_head.weight` differs from the embedding" in refusal(tmp_path)


class TestShards:
    @pytest.fixture
    def sharded(self, tmp_path: Path) -> Path:
        tiny.write_meta_checkpoint(tmp_path, shards=4, n_kv_heads=4)
        return tmp_path

    @pytest.mark.parametrize("number", [0, 1, 2])
    def test_a_gap(self, sharded: Path, number: int) -> None:
        (sharded / f"consolidated.0{number}.pth").unlink()
        line = refusal(sharded)
        assert f"shard consolidated.0{number}.pth is missing" in line
        assert f"consolidated.0{number + 1}.pth" in line

    def test_only_the_first_of_them(self, sharded: Path) -> None:
        for number in (1, 2, 3):
            (sharded / f"consolidated.0{number}.pth").unlink()
        line = refusal(sharded)
        assert f"`{WQ}` should be (64, 64), got (16, 64)" in line
        assert "shards seem to be missing" in line

    def test_the_last_is_missing(self, sharded: Path) -> None:
        (sharded / "consolidated.03.pth").unlink()
        assert "cannot be spread over 3 shards" in refusal(sharded)

    def test_a_stray_one_beside_a_whole_model(self, meta: Path, tmp_path: Path) -> None:
        (meta / "consolidated.01.pth").write_bytes((meta / PTH).read_bytes())
        line = refusal(meta)
        assert f"`{WQ}` should be (32, 64), got (64, 64)" in line
        assert "stray" in line

    def test_shards_of_different_checkpoints(self, sharded: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        tiny.write_meta_checkpoint(other, shards=4, n_kv_heads=4, seed=1)
        (other / "consolidated.02.pth").replace(sharded / "consolidated.02.pth")
        line = refusal(sharded)
        assert "consolidated.02.pth" in line
        assert "the shards belong to different checkpoints" in line

    def test_a_shard_of_another_size(self, sharded: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        tiny.write_meta_checkpoint(other, shards=2, n_kv_heads=4)
        (other / "consolidated.01.pth").replace(sharded / "consolidated.01.pth")
        assert f"consolidated.01.pth: parameter `{WQ}` should be (16, 64), got (32, 64)" in refusal(sharded)

    def test_a_shard_without_one_of_the_parameters(self, sharded: Path) -> None:
        edit_pth(sharded / "consolidated.03.pth", without(WQ))
        assert f"consolidated.03.pth: parameter `{WQ}` is missing" in refusal(sharded)

    def test_an_embedding_divided_along_its_width(self, tmp_path: Path) -> None:
        weights = tiny.write_meta_checkpoint(tmp_path, shards=2)
        for number in range(2):
            part = weights[EMBEDDING].chunk(2, 1)[number].clone()
            edit_pth(tmp_path / f"consolidated.0{number}.pth", lambda shard, part=part: shard.update({EMBEDDING: part}))
        assert torch.equal(parameters(loaded(tmp_path))[EMBEDDING], weights[EMBEDDING])

    def test_a_file_that_the_index_lists_is_missing(self, tmp_path: Path) -> None:
        tiny.write_hugging_face_checkpoint(tmp_path, files=3)
        (tmp_path / "model-00002-of-00003.safetensors").unlink()
        assert "model-00002-of-00003.safetensors is missing, though" in refusal(tmp_path)

    def test_a_numbered_file_is_missing_and_no_index_tells(self, tmp_path: Path) -> None:
        tiny.write_hugging_face_checkpoint(tmp_path, files=3)
        (tmp_path / "model.safetensors.index.json").unlink()
        loaded(tmp_path)
        (tmp_path / "model-00002-of-00003.safetensors").unlink()
        assert "weight file 2 of 3 is missing" in refusal(tmp_path)

    def test_a_parameter_in_two_files(self, tmp_path: Path) -> None:
        tiny.write_hugging_face_checkpoint(tmp_path)
        save_file({Q_PROJ: torch.ones(64, 64)}, tmp_path / "model-copy.safetensors")
        assert f"parameter `{Q_PROJ}` is in model-copy.safetensors too" in refusal(tmp_path)

    @pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "", 3])
    def test_an_index_that_leads_elsewhere(self, hugging_face: Path, name: Any) -> None:
        tiny.write_json(hugging_face / "model.safetensors.index.json", {"weight_map": {Q_PROJ: name}})
        assert "`weight_map` should name the file of each parameter" in refusal(hugging_face)


class TestVocabularies:
    def test_another_vocabulary_than_described(self, meta: Path) -> None:
        edit_json(meta / "params.json", vocab_size=1000)
        assert f"tokenizer has {VOCABULARY}, checkpoint 1000" in refusal(meta)

    @pytest.mark.parametrize("said", [-1, VOCABULARY])
    def test_another_vocabulary_than_the_weights(self, meta: Path, said: int) -> None:
        edit_json(meta / "params.json", vocab_size=said)
        edit_pth(meta / PTH, lambda weights: weights.update({EMBEDDING: torch.ones(500, 64)}))
        assert f"tokenizer has {VOCABULARY}, checkpoint 500" in refusal(meta)

    def test_the_vocabulary_of_another_model(self, meta: Path) -> None:
        tiny.write_tokenizer_model(meta, "llama3")
        assert f"tokenizer has 128256, checkpoint {VOCABULARY}" in refusal(meta)


def write_manifest(folder: Path, algorithm: str = "md5", mark: str = " ") -> None:
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != "checklist.chk")
    lines = [f"{hashlib.new(algorithm, (folder / name).read_bytes()).hexdigest()} {mark}{name}" for name in names]
    (folder / "checklist.chk").write_text("\n".join(lines) + "\n")


class TestChecksums:
    @pytest.mark.parametrize("algorithm", ["md5", "sha256"])
    @pytest.mark.parametrize("mark", [" ", "*"])
    def test_a_whole_checkpoint_passes(self, meta: Path, algorithm: str, mark: str) -> None:
        write_manifest(meta, algorithm, mark)
        loaded(meta)

    @pytest.mark.parametrize("algorithm", ["md5", "sha256"])
    @pytest.mark.parametrize("damage", ["64 flipped bytes", "a hole"])
    def test_damage_that_torch_cannot_see_is_refused(self, meta: Path, algorithm: str, damage: str) -> None:
        write_manifest(meta, algorithm)
        content = bytearray((meta / PTH).read_bytes())
        before = hashlib.new(algorithm, content).hexdigest()
        middle = len(content) // 2
        if damage == "a hole":
            content[middle : middle + 4096] = bytes(4096)
        else:
            content[middle : middle + 64] = bytes(byte ^ 1 for byte in content[middle : middle + 64])
        (meta / PTH).write_bytes(content)
        after = hashlib.new(algorithm, content).hexdigest()
        assert f"expected {before}, got {after}" in refusal(meta)
        (meta / "checklist.chk").unlink()
        loaded(meta)  # the negative control: without the list nobody knows

    def test_a_listed_file_is_missing(self, meta: Path) -> None:
        write_manifest(meta)
        (meta / "tokenizer.model").unlink()
        assert "tokenizer.model is missing, though checklist.chk lists it" in refusal(meta)

    def test_files_beside_the_list_are_no_matter(self, meta: Path) -> None:
        write_manifest(meta)
        (meta / "README.md").write_text("hello")
        loaded(meta)

    def test_checksums_come_before_anything_is_opened(self, meta: Path) -> None:
        write_manifest(meta)
        (meta / PTH).write_bytes(b"")
        assert "is not the file that checklist.chk lists" in refusal(meta)

    @pytest.mark.parametrize("line", ["hello", "0123 consolidated.00.pth", "g" * 32 + "  params.json", "0" * 32])
    def test_a_list_that_is_none(self, meta: Path, line: str) -> None:
        write_manifest(meta)
        with (meta / "checklist.chk").open("a") as file:
            file.write(line + "\n")
        assert "checklist.chk, line 4: expected a digest and a file name" in refusal(meta)

    def test_an_empty_list_and_an_empty_file(self, meta: Path) -> None:
        (meta / "empty").touch()
        (meta / "checklist.chk").write_text("d41d8cd98f00b204e9800998ecf8427e  empty\n\n")
        loaded(meta)
        (meta / "checklist.chk").write_text("")
        loaded(meta)
