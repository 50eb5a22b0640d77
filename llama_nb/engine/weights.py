"""The files of a checkpoint → its tensors by name, or one line that says which file is not what it should be.

Weights are mapped, not read. Knows `.pth` and `.safetensors`, how the files and the parameters in them are called, and
what may lie there in their stead: code, a web page, the first half of a download. Knows nothing of the model: neither
which parameters it needs nor how large they are.
"""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from llama_nb.engine.description import Description
from llama_nb.errors import CheckpointError

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
        """What the files call the parameter that Meta calls `name`."""
        if not self.is_hugging_face:
            return name
        if not name.startswith("layers."):
            return HUGGING_FACE_NAMES[name]
        _, layer, rest = name.split(".", 2)
        return f"model.layers.{layer}.{HUGGING_FACE_NAMES[rest]}"

    def parts(self, name: str) -> list[Part]:
        """The parts of the parameter that Meta calls `name`; none when it is missing."""
        return self.parameters.get(self.name_in_file(name), [])


def open_weights(description: Description) -> Weights:
    """The weights beside `description`, in its layout.

    Raises:
        CheckpointError: a file is missing, stray, damaged, or holds something else than plain tensors.
    """
    folder, is_hugging_face = description.folder, description.is_hugging_face
    shards = [] if is_hugging_face else _shard_files(folder)
    parameters: dict[str, list[Part]] = {}
    for file in shards or _safetensors_files(folder, "model*" if is_hugging_face else "*"):
        for name, tensor in _read(file).items():
            if _is_rope_constant(name):
                continue
            parts = parameters.setdefault(name, [])
            if parts and not shards:
                raise CheckpointError(f"{file}: parameter `{name}` is in {parts[0].file.name} too: one file is stray.")
            _check_kind(file, name, tensor)
            parts.append(Part(file, tensor))
    _check_same_names(parameters, shards)
    return Weights(folder, parameters, len(shards) or 1, is_hugging_face)


def _is_rope_constant(name: str) -> bool:
    """Some checkpoints hold the rotary frequencies; they follow from the description."""
    return name == "rope.freqs" or name.endswith(".inv_freq")


def _check_kind(file: Path, name: str, tensor: Tensor) -> None:
    if tensor.is_quantized or tensor.dtype not in WEIGHT_DTYPES:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise CheckpointError(
            f"{file}: parameter `{name}` should be bfloat16, float16 or float32, got {kind}. "
            "Weights that are already quantised cannot be loaded: take the bfloat16 ones, and set `quantization: fp8`, "
            "int8 or int4 in the config of the provider."
        )
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise CheckpointError(f"{file}: parameter `{name}` was saved without its values, or as a sparse tensor.")


def _check_same_names(parameters: dict[str, list[Part]], shards: list[Path]) -> None:
    """Every shard holds a part of every parameter."""
    for name, parts in parameters.items():
        holders = [part.file for part in parts]
        if lacking := [file for file in shards if file not in holders]:
            raise CheckpointError(
                f"{lacking[0]}: parameter `{name}` is missing, though {holders[0].name} holds a part of it."
            )


# Which files ----------------------------------------------------------------------------------------------------------


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
    names = set(Description.read(index).table("weight_map").values.values())
    if not names or not all(isinstance(name, str) and name and Path(name).name == name for name in names):
        raise CheckpointError(f"{index}: `weight_map` should name the file of each parameter, in this folder.")
    for name in sorted(names):
        if not (index.parent / name).is_file():
            raise CheckpointError(f"{index.parent / name} is missing, though {index.name} lists it.")
    return [index.parent / name for name in sorted(names)]


# What is in them ------------------------------------------------------------------------------------------------------


def _read(file: Path) -> dict[str, Tensor]:
    _refuse_pointer_or_empty(file)
    return _read_pth(file) if file.suffix == ".pth" else _read_safetensors(file)


def _refuse_pointer_or_empty(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        raise CheckpointError(f"{path} is empty: expected weights, got 0 bytes. Download it again.")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is only a pointer to the file, left by git: fetch it with `git lfs pull`.")


def _read_pth(path: Path) -> dict[str, Tensor]:
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
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > 100_000_000:
            return None
        try:
            header = json.loads(file.read(length))
            ends: list[int] = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            return 8 + length + max(ends, default=0)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            return 8 + length


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".") + "."
