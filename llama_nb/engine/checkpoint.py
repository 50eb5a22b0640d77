"""A checkpoint folder → a model in memory, or one line that says what is wrong with it.

Knows two layouts: Meta's (`params.json`, `tokenizer.model`, `consolidated.NN.pth`) and Hugging Face's (`config.json`,
`model*.safetensors`). Knows nothing of requests, caches or sampling. Weights are mapped, not read: what already has
the wished dtype on the CPU stays the file's own pages, everything else is copied once, parameter by parameter.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import pickle
import re
import reprlib
import struct
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from llama_nb.engine.model import ModelArgs, RopeScaling, Transformer
from llama_nb.errors import CheckpointError
from llama_nb.prompt_format.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from llama_models.llama3.tokenizer import Tokenizer

Progress = Callable[[str, float], None]

DEFAULT_MAX_SEQ_LEN = 4096
FLOAT32_LIMIT_BYTES = 2_000_000_000
MOST_HEAD_DIM = 1024
WEIGHT_DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
EMBEDDING, HEAD = "tok_embeddings.weight", "output.weight"
# What each parameter of Meta's is called by Hugging Face; in the layers, behind `model.layers.N.`.
HUGGING_FACE_NAMES = {
    EMBEDDING: "model.embed_tokens.weight",
    HEAD: "lm_head.weight",
    "norm.weight": "model.norm.weight",
    "attention.wq.weight": "self_attn.q_proj.weight",
    "attention.wk.weight": "self_attn.k_proj.weight",
    "attention.wv.weight": "self_attn.v_proj.weight",
    "attention.wo.weight": "self_attn.o_proj.weight",
    "feed_forward.w1.weight": "mlp.gate_proj.weight",
    "feed_forward.w2.weight": "mlp.down_proj.weight",
    "feed_forward.w3.weight": "mlp.up_proj.weight",
    "attention_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
}


def load(
    folder: Path, *, device: torch.device, dtype: torch.dtype | None, max_seq_len: int | None, progress: Progress
) -> tuple[Transformer, Tokenizer]:
    """The model and the vocabulary of the checkpoint in `folder`, ready to answer.

    `dtype` None: float32 on the CPU as long as that stays below 2 GB, else bfloat16. `max_seq_len` None: what the
    checkpoint was made for, at most 4096. `progress` is told (stage, 0 … 1), with the stages "checksums" (only when
    the folder has a `checklist.chk`) and "weights".

    Raises:
        CheckpointError: whatever is wrong, with file, parameter, expected and got.
    """
    try:
        return _load(Path(folder), device, dtype, max_seq_len, progress)
    except OSError as error:
        raise CheckpointError(f"{error.filename or folder} cannot be read: {error.strerror or error}.") from error


def _load(
    folder: Path, device: torch.device, dtype: torch.dtype | None, max_seq_len: int | None, progress: Progress
) -> tuple[Transformer, Tokenizer]:
    description = _description(folder)
    verify_checksums(folder, progress)
    tokenizer = load_tokenizer(folder)
    args = _args(description, max_seq_len, lambda: tokenizer.n_words)
    if args.vocab_size != tokenizer.n_words:
        _refuse_vocabulary(folder, tokenizer.n_words, args.vocab_size)
    weights = _open_weights(description)
    args = replace(args, tied_head=_head_is_tied(description, weights))
    model = empty_transformer(args)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    _check_names(weights, shapes)
    _check_tensors(weights, shapes)
    dtype = dtype or automatic_dtype(device, sum(math.prod(shape) for shape in shapes.values()))
    state = _take_over(weights, shapes, args, device, dtype, progress)
    if args.tied_head:
        state[HEAD] = state[EMBEDDING]
    model.load_state_dict(state, assign=True)
    model.rotations = model.rotations.to(device)
    return model, tokenizer


def read_args(folder: Path, max_seq_len: int | None = None) -> ModelArgs:
    """What `params.json` or `config.json` says, without a look at the weights.

    Only the weights know for certain whether the head is tied: here it is what Hugging Face's config says.

    Raises:
        CheckpointError: the description is missing, or makes no sense; or `max_seq_len` is more than it allows.
    """
    return _args(_description(Path(folder)), max_seq_len, lambda: load_tokenizer(Path(folder)).n_words)


def empty_transformer(args: ModelArgs) -> Transformer:
    """The model on the meta device: shapes without values, to be given its parameters."""
    with torch.device("meta"), _WithoutDrawing():
        return Transformer(args).requires_grad_(False).eval()


class _WithoutDrawing(TorchFunctionMode):
    """Leaves new parameters as they are. On the meta device, drawing them would import sympy and dynamo: 2 s."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.__name__ in ("normal_", "uniform_", "kaiming_uniform_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def automatic_dtype(device: torch.device, parameters: int) -> torch.dtype:
    """float32 for a small model on the CPU, else bfloat16."""
    return torch.float32 if device.type == "cpu" and 4 * parameters < FLOAT32_LIMIT_BYTES else torch.bfloat16


# What the checkpoint says of itself -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Description:
    """`params.json` or `config.json`, read with care: a missing key has the default, a senseless value is an error."""

    path: Path
    values: dict[str, Any]

    @property
    def is_hugging_face(self) -> bool:
        return self.path.name == "config.json"

    def whole(self, key: str, default: int | None = None, most: int = 2**24) -> int:
        """A whole number from 1 to `most`: beyond it, making the model would never end."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            self.refuse(f"`{key}` should be a whole number from 1 to {most}, got {reprlib.repr(value)}")
        return value

    def number(self, key: str, default: float | None = None, most: float = 1e12) -> float:
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
            self.refuse(f"`{key}` should be a number above 0, at most {most:g}, got {reprlib.repr(value)}")
        return float(value)

    def flag(self, key: str) -> bool:
        value = self._value(key, False)
        if not isinstance(value, bool):
            self.refuse(f"`{key}` should be true or false, got {reprlib.repr(value)}")
        return value

    def table(self, key: str) -> Description:
        """The object below `key`, empty when there is none."""
        value = self._value(key, {})
        if not isinstance(value, dict):
            self.refuse(f"`{key}` should be an object, got {reprlib.repr(value)}")
        return Description(self.path, value)

    def _value(self, key: str, default: Any) -> Any:
        value = self.values.get(key)
        if value is None:
            value = default
        if value is None:
            self.refuse(f"`{key}` is missing")
        return value

    def refuse(self, why: str) -> NoReturn:
        raise CheckpointError(f"{self.path}: {why}.")


def _description(folder: Path) -> Description:
    if folder.is_file():
        raise CheckpointError(f"{folder} is a file: give the folder that it lies in.")
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder.")
    has_meta, has_hugging_face = (folder / "params.json").is_file(), (folder / "config.json").is_file()
    if not has_meta and not has_hugging_face:
        raise CheckpointError(
            f"{folder} holds no checkpoint: neither `params.json` (Meta's layout) nor `config.json` (Hugging Face's)."
        )
    # Both: Meta's description goes with Meta's weights.
    meta = has_meta and (not has_hugging_face or any(folder.glob("consolidated*")))
    path = folder / ("params.json" if meta else "config.json")
    return Description(path, _json_object(path))


def _json_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path}, line {error.lineno}: not JSON ({error.msg}).") from error
    except (ValueError, RecursionError) as error:  # bytes that are no text, numbers of 5,000 digits
        raise CheckpointError(f"{path}: not JSON ({error}).") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a JSON object, got {type(content).__name__}.")
    return content


def _args(description: Description, wish: int | None, vocabulary: Callable[[], int]) -> ModelArgs:
    args = _hugging_face_args(description) if description.is_hugging_face else _meta_args(description, vocabulary)
    if args.dim % args.n_heads or args.head_dim % 2 or args.head_dim > MOST_HEAD_DIM:
        description.refuse(f"dim {args.dim} does not make {args.n_heads} heads of an even size up to {MOST_HEAD_DIM}")
    if args.n_heads % args.n_kv_heads:
        description.refuse(f"{args.n_heads} heads cannot share {args.n_kv_heads} key-value heads")
    if wish is not None and not 1 <= wish <= args.max_seq_len:
        raise CheckpointError(
            f"{description.path.parent}: a max_seq_len of {wish} was asked for, it allows 1 to {args.max_seq_len}."
        )
    return replace(args, max_seq_len=wish or min(args.max_seq_len, DEFAULT_MAX_SEQ_LEN))


def _meta_args(params: Description, vocabulary: Callable[[], int]) -> ModelArgs:
    for key in ("quantization_args", "lora_args", "vision_model", "moe_args"):
        if params.values.get(key) is not None:
            params.refuse(f"`{key}`: only plain text models of Llama 3 can be loaded, neither quantised nor adapted")
    if params.values.get("vision_chunk_size", -1) not in (None, -1):
        params.refuse("`vision_chunk_size`: models that read images cannot be loaded")
    dim, n_heads, scaled = params.whole("dim"), params.whole("n_heads", most=4096), params.flag("use_scaled_rope")
    multiple_of, multiplier = params.whole("multiple_of", 256), params.number("ffn_dim_multiplier", 1.0, most=100)
    unknown_size = params.values.get("vocab_size", -1) in (None, -1)
    return ModelArgs(
        dim=dim,
        n_layers=params.whole("n_layers", most=1024),
        n_heads=n_heads,
        n_kv_heads=params.whole("n_kv_heads", n_heads, most=4096),
        hidden_dim=meta_hidden_dim(dim, multiple_of, multiplier),
        vocab_size=vocabulary() if unknown_size else params.whole("vocab_size"),
        max_seq_len=params.whole("max_seq_len", 131_072 if scaled else 8192),
        norm_eps=params.number("norm_eps", 1e-5),
        rope_theta=params.number("rope_theta", 500_000.0),
        rope_scaling=RopeScaling() if scaled else None,  # llama-models knows no other factor than 8
    )


def meta_hidden_dim(dim: int, multiple_of: int, ffn_dim_multiplier: float) -> int:
    """The size of SwiGLU's hidden layer, which `params.json` does not hold: llama-models' rule."""
    hidden_dim = int(ffn_dim_multiplier * int(2 * (4 * dim) / 3))
    return multiple_of * math.ceil(hidden_dim / multiple_of)


def _hugging_face_args(config: Description) -> ModelArgs:
    _refuse_other_models(config)
    dim, n_heads = config.whole("hidden_size"), config.whole("num_attention_heads", most=4096)
    if (head_dim := config.whole("head_dim", dim // n_heads or 1)) * n_heads != dim:
        config.refuse(f"`head_dim` should be {dim} / {n_heads} (hidden_size / num_attention_heads), got {head_dim}")
    # transformers 5 keeps all of RoPE in `rope_parameters`, 4 only the scaling in `rope_scaling`.
    rope = config.table("rope_parameters" if config.values.get("rope_parameters") else "rope_scaling")
    return ModelArgs(
        dim=dim,
        n_layers=config.whole("num_hidden_layers", most=1024),
        n_heads=n_heads,
        n_kv_heads=config.whole("num_key_value_heads", n_heads, most=4096),
        hidden_dim=config.whole("intermediate_size"),
        vocab_size=config.whole("vocab_size"),
        max_seq_len=config.whole("max_position_embeddings", 2048),
        norm_eps=config.number("rms_norm_eps", 1e-6),
        rope_theta=rope.number("rope_theta", config.number("rope_theta", 10_000.0)),
        rope_scaling=_rope_scaling(rope),
        tied_head=config.flag("tie_word_embeddings"),
    )


def _refuse_other_models(config: Description) -> None:
    if (kind := config.values.get("model_type", "llama")) != "llama":
        config.refuse(f"`model_type` should be llama, got {kind!r}: other models cannot be loaded")
    if (quantized := config.table("quantization_config")).values:
        method = quantized.values.get("quant_method", "unknown")
        config.refuse(f"`quantization_config`: quantised weights ({method}) cannot be loaded, take the bfloat16 ones")
    for key in ("attention_bias", "mlp_bias"):
        if config.flag(key):
            config.refuse(f"`{key}` should be false: Llama 3 has no biases")
    if (activation := config.values.get("hidden_act", "silu")) != "silu":
        config.refuse(f"`hidden_act` should be silu, got {activation!r}")


def _rope_scaling(rope: Description) -> RopeScaling | None:
    kind = rope.values.get("rope_type", rope.values.get("type", "default"))
    if rope.values.get("partial_rotary_factor", 1.0) != 1.0:
        rope.refuse("RoPE's `partial_rotary_factor` should be 1, as in every Llama")
    if kind == "default":
        return None
    if kind != "llama3":
        rope.refuse(f"RoPE scaling should be of the type llama3 or default, got {kind!r}")
    scaling = RopeScaling(
        factor=rope.number("factor"),
        low_freq_factor=rope.number("low_freq_factor"),
        high_freq_factor=rope.number("high_freq_factor"),
        original_max_position_embeddings=rope.whole("original_max_position_embeddings"),
    )
    if scaling.low_freq_factor >= scaling.high_freq_factor:
        rope.refuse("RoPE's `low_freq_factor` should be below its `high_freq_factor`")
    return scaling


# Checksums ------------------------------------------------------------------------------------------------------------


def verify_checksums(folder: Path, progress: Progress) -> None:
    """Compares every file that `checklist.chk` lists with its MD5 or SHA-256; without that list nothing is done.

    Raises:
        CheckpointError: a listed file is missing, or its digest is another.
    """
    manifest = folder / "checklist.chk"
    if not manifest.is_file():
        return
    listed = [(folder / name, digest) for name, digest in _manifest_lines(manifest)]
    for path, _ in listed:
        if not path.is_file():
            raise CheckpointError(f"{path} is missing, though {manifest.name} lists it.")
    total, done = sum(path.stat().st_size for path, _ in listed), 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        progress("checksums", done / max(1, total))

    told(0)
    for path, expected in listed:
        got = _digest(path, len(expected), told)
        if got != expected:
            raise CheckpointError(
                f"{path} is not the file that {manifest.name} lists: expected {expected}, got {got}. Download it again."
            )


def _manifest_lines(manifest: Path) -> Iterable[tuple[str, str]]:
    for number, line in enumerate(manifest.read_text("utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        match = re.fullmatch(r"([0-9a-fA-F]{64}|[0-9a-fA-F]{32})\s+\*?(.+)", line.strip())
        if match is None:
            raise CheckpointError(f"{manifest}, line {number}: expected a digest and a file name, got {line[:80]!r}.")
        yield match[2], match[1].lower()


def _digest(path: Path, digits: int, told: Callable[[int], None]) -> str:
    # MD5 is what Meta publishes. It guards against damage, not against malice: those files hold only tensors anyway.
    new_hash = hashlib.sha256 if digits == 64 else lambda: hashlib.md5(usedforsecurity=False)
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(_Counted(file, told), new_hash).hexdigest()


class _Counted(io.RawIOBase):
    """A file that tells how many bytes are read from it."""

    def __init__(self, file: io.FileIO, told: Callable[[int], None]) -> None:
        self._file, self._told = file, told

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer)
        self._told(count)
        return count


# The weights, mapped but not yet read ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """What one file holds of one parameter."""

    file: Path
    tensor: Tensor


@dataclass(frozen=True)
class Weights:
    """All parameters under their names in the files: one part for each model-parallel shard."""

    folder: Path
    parameters: dict[str, list[Part]]
    shards: int
    is_hugging_face: bool

    def name_in_file(self, name: str) -> str:
        if not self.is_hugging_face:
            return name
        if not name.startswith("layers."):
            return HUGGING_FACE_NAMES[name]
        _, layer, rest = name.split(".", 2)
        return f"model.layers.{layer}.{HUGGING_FACE_NAMES[rest]}"

    def parts(self, name: str) -> list[Part]:
        """The parts of the parameter that Meta calls `name`; none when it is missing."""
        return self.parameters.get(self.name_in_file(name), [])


def _open_weights(description: Description) -> Weights:
    folder, is_hugging_face = description.path.parent, description.is_hugging_face
    shards = [] if is_hugging_face else _shard_files(folder)
    parameters: dict[str, list[Part]] = {}
    for file in shards or _safetensors_files(folder, "model*" if is_hugging_face else "*"):
        for name, tensor in (_read_pth if file.suffix == ".pth" else _read_safetensors)(file).items():
            if _is_rope_constant(name):
                continue
            parts = parameters.setdefault(name, [])
            if parts and not shards:
                raise CheckpointError(f"{file}: parameter `{name}` is in {parts[0].file.name} too: one file is stray.")
            _check_kind(file, name, tensor)
            parts.append(Part(file, tensor))
    weights = Weights(folder, parameters, len(shards) or 1, is_hugging_face)
    _check_same_names(weights, shards)
    return weights


def _is_rope_constant(name: str) -> bool:
    """Some checkpoints hold the rotary frequencies; they follow from the description."""
    return name == "rope.freqs" or name.endswith(".inv_freq")


def _shard_files(folder: Path) -> list[Path]:
    """Meta's `consolidated.NN` files in their order; none when the folder has no file of that name."""
    for suffix in ("safetensors", "pth"):
        if (single := folder / f"consolidated.{suffix}").is_file():
            return [single]
        numbered = sorted(
            (int(match[1]), path)
            for path in folder.glob(f"consolidated.*.{suffix}")
            if (match := re.fullmatch(rf"consolidated\.(\d+)\.{suffix}", path.name))
        )
        for expected, (number, path) in enumerate(numbered):
            if number != expected:
                raise CheckpointError(
                    f"{folder}: shard consolidated.{expected:02}.{suffix} is missing, the next one is {path.name}."
                )
        if numbered:
            return [path for _, path in numbered]
    return []


def _safetensors_files(folder: Path, pattern: str) -> list[Path]:
    if (index := folder / "model.safetensors.index.json").is_file():
        return _indexed_files(index)
    files = sorted(folder.glob(f"{pattern}.safetensors"))
    if not files:
        others = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".gguf", ".pt", ".pth"))
        expected = "`model*.safetensors`" if pattern == "model*" else "`consolidated.NN.pth` or `*.safetensors`"
        got = f"{others[0]}, which is of another format" if others else "nothing of the kind"
        raise CheckpointError(f"{folder} holds no weights: expected {expected}, got {got}.")
    _check_count(folder, files)
    return files


def _check_count(folder: Path, files: list[Path]) -> None:
    """Files without an index still say in their names how many they are: `model-00002-of-00004.safetensors`."""
    numbered = [match for file in files if (match := re.search(r"-(\d+)-of-(\d+)\.safetensors$", file.name))]
    for count in {int(match[2]) for match in numbered}:
        there = {int(match[1]) for match in numbered if int(match[2]) == count}
        missing = next((number for number in range(1, count + 1) if number not in there), None)
        if missing is not None:
            raise CheckpointError(f"{folder}: weight file {missing} of {count} is missing.")


def _indexed_files(index: Path) -> list[Path]:
    names = set(Description(index, _json_object(index)).table("weight_map").values.values())
    if not names or not all(isinstance(name, str) and name and Path(name).name == name for name in names):
        raise CheckpointError(f"{index}: `weight_map` should name the file of each parameter, in this folder.")
    for name in sorted(names):
        if not (index.parent / name).is_file():
            raise CheckpointError(f"{index.parent / name} is missing, though {index.name} lists it.")
    return [index.parent / name for name in sorted(names)]


def _read_pth(path: Path) -> dict[str, Tensor]:
    _refuse_pointer_or_empty(path)
    if not zipfile.is_zipfile(path):
        _refuse_unzippable(path)
    try:
        content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError as error:
        # Not torch's own words: they go on to say how to run it nevertheless.
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        code = f"code (`{found[1]}`), not only tensors" if found else "something else than tensors"
        raise CheckpointError(f"{path} holds {code}: it was not run. Do not trust this file.") from error
    except OSError:
        raise
    except Exception as error:  # torch raises RuntimeError, KeyError, EOFError …
        raise CheckpointError(f"{path} is damaged or not a checkpoint: {_first_line(error)}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected names and tensors, got {type(content).__name__}.")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: expected names and tensors, got {name!r} with {type(value).__name__}.")
    return content


def _refuse_pointer_or_empty(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        raise CheckpointError(f"{path} is empty: expected weights, got 0 bytes. Download it again.")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is only a pointer to the file, left by git: fetch it with `git lfs pull`.")


def _refuse_unzippable(path: Path) -> NoReturn:
    size = f"{path.stat().st_size:,} bytes"
    with path.open("rb") as file:
        start = file.read(2)
    if start == b"PK":
        raise CheckpointError(f"{path} is truncated: its end is missing after {size}. Download it again.")
    if start[:1] == b"\x80":
        raise CheckpointError(f"{path} ({size}) is a bare pickle, which can hold code: it was not run.")
    raise CheckpointError(f"{path} ({size}) is not a checkpoint: expected an archive of torch.save, got {start!r} ….")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import safe_open

    _refuse_pointer_or_empty(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except OSError:
        raise
    except Exception as error:  # SafetensorError, and whatever torch says of an unknown dtype
        size, expected = path.stat().st_size, _safetensors_size(path)
        if expected is not None and size < expected:
            raise CheckpointError(f"{path} is truncated: expected {expected:,} bytes, got {size:,}.") from error
        raise CheckpointError(f"{path} is damaged or not a safetensors file: {_first_line(error)}") from error


def _safetensors_size(path: Path) -> int | None:
    """How long the file says it is; None when not even its header can be read."""
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            return None
        (length,) = struct.unpack("<Q", start)
        if length > 100_000_000:
            return None
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            return 8 + length + max(ends, default=0)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return 8 + length


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".") + "."


def _check_kind(file: Path, name: str, tensor: Tensor) -> None:
    if tensor.is_quantized or tensor.dtype not in WEIGHT_DTYPES:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise CheckpointError(
            f"{file}: parameter `{name}` should be bfloat16, float16 or float32, got {kind}. "
            "Quantised weights cannot be loaded: take the original ones."
        )
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise CheckpointError(f"{file}: parameter `{name}` was saved without its values, or as a sparse tensor.")


# Whether they fit -----------------------------------------------------------------------------------------------------


def _head_is_tied(description: Description, weights: Weights) -> bool:
    """Whether the head is the embedding, by what lies in the files."""
    head, embedding = weights.parts(HEAD), weights.parts(EMBEDDING)
    said = description.values.get("tie_word_embeddings") if description.is_hugging_face else None
    if not head:
        return said is not False  # said to be untied: then the head is a missing parameter
    if len(head) != len(embedding):
        return False
    pairs = [(ours.tensor, theirs.tensor) for ours, theirs in zip(head, embedding, strict=True)]
    if said:
        if not all(ours.shape == theirs.shape and torch.equal(ours, theirs) for ours, theirs in pairs):
            description.refuse(
                f"`tie_word_embeddings` is true, yet `{weights.name_in_file(HEAD)}` differs from the embedding. "
                "Set it to false to use both, or remove the parameter"
            )
        return True
    # torch.save keeps a shared tensor shared.
    return all(ours.data_ptr() == theirs.data_ptr() and ours.shape == theirs.shape for ours, theirs in pairs)


def _check_same_names(weights: Weights, shards: list[Path]) -> None:
    for name, parts in weights.parameters.items():
        if len(parts) != weights.shards:
            lacking = next(file for file in shards if file not in {part.file for part in parts})
            there = parts[0].file.name
            raise CheckpointError(f"{lacking}: parameter `{name}` is missing, though {there} holds a part of it.")


def _check_names(weights: Weights, shapes: dict[str, tuple[int, ...]]) -> None:
    needed = {weights.name_in_file(name) for name in shapes}
    if missing := [name for name in needed if name not in weights.parameters]:
        raise CheckpointError(f"{weights.folder}: parameter {_first_of(missing)} is missing from the weights.")
    known = needed | {weights.name_in_file(HEAD)}  # of a tied head, already compared with the embedding
    if extra := [name for name in weights.parameters if name not in known]:
        file = weights.parameters[min(extra)][0].file
        raise CheckpointError(f"{file}: parameter {_first_of(extra)} is unexpected: the model has no place for it.")


def _first_of(names: list[str]) -> str:
    return f"`{min(names)}`" + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")


def _check_tensors(weights: Weights, shapes: dict[str, tuple[int, ...]]) -> None:
    # The embedding and the head last: when all others fit, a wrong size there is a matter of the vocabulary.
    for name in sorted(shapes, key=lambda name: name in (EMBEDDING, HEAD)):
        _check_shape(weights, name, shapes[name])


def _check_shape(weights: Weights, name: str, whole: tuple[int, ...]) -> None:
    parts = weights.parts(name)
    dim = _split_dim(name, tuple(parts[0].tensor.shape), whole, weights.shards)
    expected = list(whole)
    if dim is not None:
        if whole[dim] % weights.shards:
            raise CheckpointError(
                f"{weights.folder}: parameter `{name}` {whole} cannot be spread over {weights.shards} shards: "
                "one is stray or missing."
            )
        expected[dim] //= weights.shards
    for part in parts:
        if list(part.tensor.shape) != expected:
            _refuse_shape(weights, name, part, tuple(expected), whole)
    for part in parts[1:]:
        if dim is None and not torch.equal(part.tensor, parts[0].tensor):
            raise CheckpointError(
                f"{part.file}: parameter `{name}` differs from that of {parts[0].file.name}: "
                "the shards belong to different checkpoints."
            )


def _split_dim(name: str, part: tuple[int, ...], whole: tuple[int, ...], shards: int) -> int | None:
    """Along which dimension model-parallel shards divide this parameter: llama-models' reshard map."""
    if shards == 1 or len(whole) == 1:
        return None  # norms are in every shard
    if name.endswith(("attention.wo.weight", "feed_forward.w2.weight")):
        return 1
    if name == EMBEDDING and part[:1] == whole[:1]:
        return 1  # before Llama 3
    return 0


def _refuse_shape(
    weights: Weights, name: str, part: Part, expected: tuple[int, ...], whole: tuple[int, ...]
) -> NoReturn:
    got = tuple(part.tensor.shape)
    if name in (EMBEDDING, HEAD) and weights.shards == 1 and got[1:] == whole[1:]:
        _refuse_vocabulary(weights.folder, whole[0], got[0])
    said = f"{part.file}: parameter `{weights.name_in_file(name)}` should be {expected}, got {got}."
    if weights.shards > 1 and got == whole:
        said += f" That is all of it: of the {weights.shards} shards some are stray."
    elif name.endswith("attention.wq.weight") and got[1:] == whole[1:] and whole[0] % max(1, got[0]) == 0:
        said += " That is a part of it: shards seem to be missing."
    raise CheckpointError(said)


def _refuse_vocabulary(folder: Path, tokenizer: int, checkpoint: int) -> NoReturn:
    raise CheckpointError(
        f"{folder}: the vocabularies differ: tokenizer has {tokenizer}, checkpoint {checkpoint} tokens. "
        "Put the tokenizer that belongs to the weights beside them."
    )


# Taking them over -----------------------------------------------------------------------------------------------------


def _take_over(
    weights: Weights,
    shapes: dict[str, tuple[int, ...]],
    args: ModelArgs,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress,
) -> dict[str, nn.Parameter]:
    """Every parameter of the model, on its device."""
    total, done = sum(part.tensor.nbytes for name in shapes for part in weights.parts(name)), 0
    state: dict[str, nn.Parameter] = {}
    progress("weights", 0.0)
    for name, shape in shapes.items():
        parts = weights.parts(name)
        tensor = _joined(name, shape, parts, device, dtype)
        copied = tensor.data_ptr() != parts[0].tensor.data_ptr()
        # What is only mapped stays unread, but for the norms and the embedding.
        if copied or len(shape) == 1 or name == EMBEDDING:
            _check_finite(weights.name_in_file(name), tensor, parts[0].file)
        if weights.is_hugging_face and name.endswith(("wq.weight", "wk.weight")):
            tensor = _interleaved(tensor, args.head_dim)
        state[name] = nn.Parameter(tensor, requires_grad=False)
        done += sum(part.tensor.nbytes for part in parts)
        progress("weights", done / total)
    return state


def _joined(name: str, shape: tuple[int, ...], parts: list[Part], device: torch.device, dtype: torch.dtype) -> Tensor:
    """The whole parameter; the file's own pages when nothing has to change."""
    first = parts[0].tensor.detach()
    dim = _split_dim(name, tuple(first.shape), shape, len(parts))
    if dim is None:
        return first.to(device=device, dtype=dtype).contiguous()
    whole = torch.empty(shape, dtype=dtype, device=device)
    for part, room in zip(parts, whole.chunk(len(parts), dim), strict=True):
        room.copy_(part.tensor)
    return whole


def _interleaved(weight: Tensor, head_dim: int) -> Tensor:
    """Hugging Face has the first members of all rotary pairs before the second; Meta has pair by pair."""
    rows, dim = weight.shape
    return weight.view(rows // head_dim, 2, head_dim // 2, dim).transpose(1, 2).reshape(rows, dim)


def _check_finite(name: str, tensor: Tensor, file: Path) -> None:
    low, high = tensor.aminmax()  # needs no second copy, and lets NaN through
    if not (math.isfinite(low.item()) and math.isfinite(high.item())):
        raise CheckpointError(f"{file}: parameter `{name}` holds values that are not finite (NaN or infinite).")
