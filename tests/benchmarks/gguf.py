"""One of our models as a GGUF file, so that llama.cpp runs the same weights. Version 3 of the format, little-endian.

Source: the format's description, `docs/gguf.md` of ggml; block layouts of Q8_0 and Q4_0 as ggml's `block_q8_0` and
`block_q4_0` have them. No vocabulary goes along: prompts are token ids.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor

from llama_nb.engine.model import ModelArgs

ALIGNMENT = 32
BLOCK = 32  # weights that share a scale
STEPS_DOWN, STEPS_UP = 8, 7  # of int4: from -8 to 7
UINT32, FLOAT32, STRING = 4, 6, 8  # types of metadata
NAMES = {
    "attention_norm": "attn_norm",
    "attention.wq": "attn_q",
    "attention.wk": "attn_k",
    "attention.wv": "attn_v",
    "attention.wo": "attn_output",
    "ffn_norm": "ffn_norm",
    "feed_forward.w1": "ffn_gate",
    "feed_forward.w2": "ffn_down",
    "feed_forward.w3": "ffn_up",
    "tok_embeddings": "token_embd",
    "norm": "output_norm",
    "output": "output",
}


class Kind(NamedTuple):
    """How ggml calls a type of tensor, and the bytes of a matrix in it."""

    number: int
    encode: Callable[[Tensor], bytes]


def _float32(weight: Tensor) -> bytes:
    return weight.float().numpy().tobytes()


def _bfloat16(weight: Tensor) -> bytes:
    return weight.bfloat16().view(torch.int16).numpy().tobytes()


def _q8_0(weight: Tensor) -> bytes:
    """Of each 32 weights a float16 scale, then their int8 steps."""
    blocks = weight.float().reshape(-1, BLOCK)
    scales = blocks.abs().amax(1, keepdim=True) / 127
    steps = (blocks / scales.clamp(min=1e-30)).round().to(torch.int8)
    return _joined(scales, steps.view(torch.uint8))


def _q4_0(weight: Tensor) -> bytes:
    """Of each 32 weights a float16 scale, then 16 bytes: the first half in the low bits, the second in the high ones."""
    blocks = weight.float().reshape(-1, BLOCK)
    extreme = blocks.gather(1, blocks.abs().argmax(1, keepdim=True))
    scales = extreme / -STEPS_DOWN
    steps = (blocks / torch.where(scales == 0, 1.0, scales)).round().clamp(-STEPS_DOWN, STEPS_UP) + STEPS_DOWN
    low, high = steps.to(torch.uint8).chunk(2, 1)
    return _joined(scales, low | high << 4)


def _joined(scales: Tensor, octets: Tensor) -> bytes:
    return torch.cat([scales.half().view(torch.uint8), octets], 1).numpy().tobytes()


KINDS = {
    "float32": Kind(0, _float32),
    "q4_0": Kind(2, _q4_0),
    "q8_0": Kind(8, _q8_0),
    "bf16": Kind(30, _bfloat16),
}
SIZES = {"float32": (4, 1), "q4_0": (18, BLOCK), "q8_0": (34, BLOCK), "bf16": (2, 1)}  # bytes, for so many weights


def write(path: Path, args: ModelArgs, tensors: Iterator[tuple[str, Tensor]], kind: str) -> None:
    """`tensors` under Meta's names; a head that is tied is left out. Norms stay float32, as llama.cpp wants them."""
    kept = [(_name(name), tensor, kind if tensor.dim() == 2 else "float32") for name, tensor in tensors]
    with path.open("wb") as file:
        metadata = list(_metadata(args))
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(kept), len(metadata)))
        for entry in metadata:
            file.write(entry)
        offset = 0
        for name, tensor, its_kind in kept:
            shape = tensor.shape[::-1]  # ggml names the inner dimension first
            file.write(
                _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, KINDS[its_kind].number, offset)
            )
            octets, weights = SIZES[its_kind]
            offset += _aligned(tensor.numel() * octets // weights)
        _pad(file)
        for _, tensor, its_kind in kept:
            file.write(KINDS[its_kind].encode(tensor))
            _pad(file)


def _metadata(args: ModelArgs) -> Iterator[bytes]:
    assert args.rope_scaling is None, "how llama.cpp stretches frequencies is not written here"
    yield _entry("general.architecture", "llama")
    yield _entry("tokenizer.ggml.model", "none")
    for name, value in {
        "vocab_size": args.vocab_size,
        "context_length": args.max_seq_len,
        "embedding_length": args.dim,
        "block_count": args.n_layers,
        "feed_forward_length": args.hidden_dim,
        "rope.dimension_count": args.head_dim,
        "rope.freq_base": float(args.rope_theta),
        "attention.head_count": args.n_heads,
        "attention.head_count_kv": args.n_kv_heads,
        "attention.layer_norm_rms_epsilon": float(args.norm_eps),
    }.items():
        yield _entry(f"llama.{name}", value)


def _entry(key: str, value: str | float) -> bytes:
    if isinstance(value, str):
        return _string(key) + struct.pack("<I", STRING) + _string(value)
    code, number = ("<If", FLOAT32) if isinstance(value, float) else ("<II", UINT32)
    return _string(key) + struct.pack(code, number, value)


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _name(name: str) -> str:
    parts = name.removesuffix(".weight").split(".")
    if parts[0] == "layers":
        return f"blk.{parts[1]}.{NAMES['.'.join(parts[2:])]}.weight"
    return f"{NAMES['.'.join(parts)]}.weight"


def _aligned(length: int) -> int:
    return -(-length // ALIGNMENT) * ALIGNMENT


def _pad(file: BinaryIO) -> None:
    file.write(bytes(_aligned(file.tell()) - file.tell()))
