"""`params.json` or `config.json` → `ModelArgs`, or one line that says what is wrong with it.

Knows the keys of Meta and of Hugging Face, their defaults, and which models are not Llama 3. Knows nothing of weights,
and nothing of vocabularies but that the caller can tell the size of one.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from llama_nb.engine.model import ModelArgs, RopeScaling
from llama_nb.errors import CheckpointError

DEFAULT_MAX_SEQ_LEN = 4096
MOST_HEAD_DIM = 1024


@dataclass(frozen=True)
class Description:
    """A JSON object, read with care: a missing key has the default, a senseless value is a CheckpointError."""

    path: Path
    values: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Description:
        """What the file at `path` says."""
        try:
            values = json.loads(path.read_text("utf-8"))
        except json.JSONDecodeError as error:
            raise CheckpointError(f"{path}, line {error.lineno}: not JSON ({error.msg}).") from error
        except (ValueError, RecursionError) as error:  # bytes that are no text, numbers of 5,000 digits
            raise CheckpointError(f"{path}: not JSON ({error}).") from error
        if not isinstance(values, dict):
            raise CheckpointError(f"{path}: expected a JSON object, got {type(values).__name__}.")
        return cls(path, values)

    @property
    def folder(self) -> Path:
        return self.path.parent

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
        """A number above 0, and at most `most`."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
            self.refuse(f"`{key}` should be a number above 0, at most {most:g}, got {reprlib.repr(value)}")
        return float(value)

    def flag(self, key: str) -> bool:
        """True or false; false when nothing is said."""
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
        """Raises a CheckpointError with the file and `why`, which goes without a full stop."""
        raise CheckpointError(f"{self.path}: {why}.")


def find_description(folder: Path) -> Description:
    """What the checkpoint in `folder` says of itself, in whichever of the two layouts.

    Raises:
        CheckpointError: there is no folder, no description in it, or one that is not a JSON object.
    """
    if folder.is_file():
        raise CheckpointError(f"{folder} is a file: give the folder that it lies in.")
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder.")
    meta, hugging_face = folder / "params.json", folder / "config.json"
    # Both: Meta's description goes with Meta's weights.
    if meta.is_file() and (not hugging_face.is_file() or any(folder.glob("consolidated*"))):
        return Description.read(meta)
    if hugging_face.is_file():
        return Description.read(hugging_face)
    raise CheckpointError(
        f"{folder} holds no checkpoint: neither `params.json` (Meta's layout) nor `config.json` (Hugging Face's)."
    )


def model_args(description: Description, max_seq_len: int | None, vocabulary: Callable[[], int]) -> ModelArgs:
    """The model that `description` describes, with a context of `max_seq_len`; None: its own, at most 4096.

    `vocabulary` counts the tokens: it is asked when the description leaves that open, as some of Meta's do.

    Raises:
        CheckpointError: the description makes no sense, or is not of Llama 3; or `max_seq_len` is more than it allows.
    """
    args = _hugging_face_args(description) if description.is_hugging_face else _meta_args(description, vocabulary)
    if args.dim % args.n_heads or args.head_dim % 2 or args.head_dim > MOST_HEAD_DIM:
        description.refuse(f"dim {args.dim} does not make {args.n_heads} heads of an even size up to {MOST_HEAD_DIM}")
    if args.n_heads % args.n_kv_heads:
        description.refuse(f"{args.n_heads} heads cannot share {args.n_kv_heads} key-value heads")
    if max_seq_len is not None and not 1 <= max_seq_len <= args.max_seq_len:
        raise CheckpointError(
            f"{description.folder}: a max_seq_len of {max_seq_len} was asked for, it allows 1 to {args.max_seq_len}."
        )
    return replace(args, max_seq_len=max_seq_len or min(args.max_seq_len, DEFAULT_MAX_SEQ_LEN))


def _meta_args(params: Description, vocabulary: Callable[[], int]) -> ModelArgs:
    for key in ("quantization_args", "lora_args"):  # Meta's int4 models: QLoRA and SpinQuant
        if params.values.get(key) is not None:
            params.refuse(
                f"`{key}`: checkpoints that are already quantised cannot be loaded. Take the bfloat16 one of the same "
                "model, and set `quantization: int4` in the config of its provider"
            )
    for key in ("vision_model", "moe_args"):
        if params.values.get(key) is not None:
            params.refuse(f"`{key}`: only plain text models of Llama 3 can be loaded")
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
