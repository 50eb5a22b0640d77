"""Makers of tiny random checkpoints, in both layouts and with every oddity that a test may want.

All makers give the weights back under Meta's names, as they were before sharding, permuting or tying.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

DIM, N_LAYERS, N_HEADS, MULTIPLE_OF, HIDDEN_DIM = 64, 2, 4, 32, 192  # 192: llama-models' rule for these
HEAD_DIM = DIM // N_HEADS
WORDS = "the and ing er on ion tion al ent ed is it at or en th re an in es ar st it te et ou as is ha hi to".split()
CONTROL_TOKENS = 256
# As Hugging Face's files name them; all others of the 256 are reserved.
NAMED_TOKENS = {
    0: "<|begin_of_text|>",
    1: "<|end_of_text|>",
    4: "<|finetune_right_pad_id|>",
    6: "<|start_header_id|>",
    7: "<|end_header_id|>",
    8: "<|eom_id|>",
    9: "<|eot_id|>",
    10: "<|python_tag|>",
}


def write_meta_checkpoint(
    folder: Path,
    *,
    seed: int = 0,
    n_kv_heads: int = 2,
    n_layers: int = N_LAYERS,
    scaled_rope: bool = False,
    shards: int = 1,
    tied: bool = False,
    safetensors: bool = False,
    vocabulary: str = "tiny",
    dtype: torch.dtype = torch.float32,
    params: dict[str, Any] | None = None,
    weights: dict[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Meta's layout: `params.json`, `tokenizer.model`, `consolidated.NN.pth` (or `.safetensors`).

    `vocabulary` is "tiny" (bytes and a few words) or "llama3" (the real one, 128,256 tokens). `params` overrides keys
    of `params.json`, and removes those that it gives as None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = write_tokenizer_model(folder, vocabulary)
    weights = weights or random_weights(
        seed=seed, n_kv_heads=n_kv_heads, n_layers=n_layers, vocab_size=size, tied=tied, dtype=dtype
    )
    written = {
        "dim": DIM,
        "n_layers": n_layers,
        "n_heads": N_HEADS,
        "n_kv_heads": n_kv_heads,
        "vocab_size": size,
        "multiple_of": MULTIPLE_OF,
        "norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "use_scaled_rope": scaled_rope,
    } | (params or {})
    write_json(folder / "params.json", {key: value for key, value in written.items() if value is not None})
    stored = {name: tensor for name, tensor in weights.items() if not (tied and name == "output.weight")}
    for number in range(shards):
        part = {name: shard_of(name, tensor, number, shards) for name, tensor in stored.items()}
        if safetensors:
            save_file(part, folder / f"consolidated.{number:02}.safetensors")
        else:
            torch.save(part, folder / f"consolidated.{number:02}.pth")
    return weights


def write_hugging_face_checkpoint(
    folder: Path,
    *,
    seed: int = 0,
    n_kv_heads: int = 2,
    n_layers: int = N_LAYERS,
    rope_scaling: dict[str, Any] | None = None,
    files: int = 1,
    tied: bool = False,
    vocabulary: str = "tiny",
    dtype: torch.dtype = torch.float32,
    config: dict[str, Any] | None = None,
    weights: dict[str, Tensor] | None = None,
    permute: bool = True,
) -> dict[str, Tensor]:
    """Hugging Face's layout: `config.json`, `tokenizer.json`, `model*.safetensors` (with an index when several).

    `config` overrides keys of `config.json`, and removes those that it gives as None. `permute=False` leaves the rows
    of q and k as Meta has them, which no real checkpoint does: a negative control.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = write_tokenizer_json(folder, vocabulary)
    weights = weights or random_weights(
        seed=seed, n_kv_heads=n_kv_heads, n_layers=n_layers, vocab_size=size, tied=tied, dtype=dtype
    )
    written = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": DIM,
        "intermediate_size": HIDDEN_DIM,
        "num_hidden_layers": n_layers,
        "num_attention_heads": N_HEADS,
        "num_key_value_heads": n_kv_heads,
        "head_dim": HEAD_DIM,
        "vocab_size": size,
        "max_position_embeddings": 131072 if rope_scaling else 8192,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "rope_scaling": rope_scaling,
        "tie_word_embeddings": tied,
        "attention_bias": False,
        "mlp_bias": False,
        "torch_dtype": "bfloat16",
    } | (config or {})
    dropped = {key for key, value in (config or {}).items() if value is None}
    write_json(folder / "config.json", {key: value for key, value in written.items() if key not in dropped})
    stored = {
        hugging_face_name(name): permuted(tensor) if permute and name.endswith(("wq.weight", "wk.weight")) else tensor
        for name, tensor in weights.items()
        if not (tied and name == "output.weight")
    }
    _save_hugging_face(folder, stored, files)
    return weights


def _save_hugging_face(folder: Path, stored: dict[str, Tensor], files: int) -> None:
    if files == 1:
        save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
        return
    weight_map = {}
    for number in range(files):
        name = f"model-{number + 1:05}-of-{files:05}.safetensors"
        part = {key: stored[key] for key in sorted(stored)[number::files]}
        save_file(part, folder / name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, name)
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})


def random_weights(
    *,
    seed: int = 0,
    n_kv_heads: int = 2,
    n_layers: int = N_LAYERS,
    vocab_size: int,
    tied: bool = False,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """Random weights under Meta's names, so large that positions and attention matter to the logits."""
    generator = torch.Generator().manual_seed(seed)

    def normal(rows: int, columns: int, std: float) -> Tensor:
        return (torch.randn(rows, columns, generator=generator) * std).to(dtype)

    def norm() -> Tensor:
        return (1 + 0.1 * torch.randn(DIM, generator=generator)).to(dtype)

    weights = {"tok_embeddings.weight": normal(vocab_size, DIM, 0.1)}
    for layer in range(n_layers):
        prefix = f"layers.{layer}."
        weights |= {
            prefix + "attention.wq.weight": normal(DIM, DIM, 0.25),
            prefix + "attention.wk.weight": normal(n_kv_heads * HEAD_DIM, DIM, 0.25),
            prefix + "attention.wv.weight": normal(n_kv_heads * HEAD_DIM, DIM, 0.1),
            prefix + "attention.wo.weight": normal(DIM, DIM, 0.1),
            prefix + "feed_forward.w1.weight": normal(HIDDEN_DIM, DIM, 0.1),
            prefix + "feed_forward.w2.weight": normal(DIM, HIDDEN_DIM, 0.1),
            prefix + "feed_forward.w3.weight": normal(HIDDEN_DIM, DIM, 0.1),
            prefix + "attention_norm.weight": norm(),
            prefix + "ffn_norm.weight": norm(),
        }
    weights["norm.weight"] = norm()
    weights["output.weight"] = weights["tok_embeddings.weight"] if tied else normal(vocab_size, DIM, 0.1)
    return weights


def shard_of(name: str, tensor: Tensor, number: int, shards: int) -> Tensor:
    """What model-parallel rank `number` of `shards` holds of a parameter; norms are in every shard."""
    if tensor.dim() == 1:
        return tensor.clone()
    dim = 1 if name.endswith(("wo.weight", "w2.weight")) else 0
    return tensor.chunk(shards, dim)[number].clone()


def permuted(weight: Tensor) -> Tensor:
    """transformers' `permute` of convert_llama_weights_to_hf.py: from pairs side by side to halves."""
    rows, columns = weight.shape
    return weight.view(rows // HEAD_DIM, HEAD_DIM // 2, 2, columns).transpose(1, 2).reshape(rows, columns).contiguous()


def hugging_face_name(name: str) -> str:
    for ours, theirs in (
        ("tok_embeddings", "model.embed_tokens"),
        ("attention.wq", "self_attn.q_proj"),
        ("attention.wk", "self_attn.k_proj"),
        ("attention.wv", "self_attn.v_proj"),
        ("attention.wo", "self_attn.o_proj"),
        ("feed_forward.w1", "mlp.gate_proj"),
        ("feed_forward.w2", "mlp.down_proj"),
        ("feed_forward.w3", "mlp.up_proj"),
        ("attention_norm", "input_layernorm"),
        ("ffn_norm", "post_attention_layernorm"),
        ("output", "lm_head"),
    ):
        name = name.replace(ours, theirs)
    return f"model.{name}" if name.startswith(("layers.", "norm.")) else name


def tiny_ranks() -> dict[bytes, int]:
    """Bytes, and the words of WORDS with all that leads up to them: 288, so that 8 shards can divide them."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    for word in WORDS:
        for end in range(2, len(word) + 1):
            ranks.setdefault(word[:end].encode(), len(ranks))
    assert len(ranks) % 8 == 0
    return ranks


def llama3_tokenizer_path() -> Path:
    import llama_models.llama3.tokenizer

    return Path(llama_models.llama3.tokenizer.__file__).parent / "tokenizer.model"


def llama3_ranks() -> dict[bytes, int]:
    lines = llama3_tokenizer_path().read_bytes().splitlines()
    return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}


def write_tokenizer_model(folder: Path, vocabulary: str = "tiny") -> int:
    """Writes `tokenizer.model`; gives the number of tokens, control tokens included."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tokenizer.model"
    if vocabulary == "llama3":
        shutil.copyfile(llama3_tokenizer_path(), path)
        return 128_256
    ranks = tiny_ranks()
    path.write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items()))
    return len(ranks) + CONTROL_TOKENS


def write_tokenizer_json(folder: Path, vocabulary: str = "tiny") -> int:
    """Writes Hugging Face's `tokenizer.json`; gives the number of tokens, control tokens included."""
    folder.mkdir(parents=True, exist_ok=True)
    ranks = llama3_ranks() if vocabulary == "llama3" else tiny_ranks()
    write_json(folder / "tokenizer.json", tokenizer_json(ranks))
    return len(ranks) + CONTROL_TOKENS


def tokenizer_json(ranks: dict[bytes, int]) -> dict[str, Any]:
    """What transformers' converter makes of a tiktoken vocabulary: each pair that gives a token is a merge."""
    from llama_models.llama3.tokenizer import Tokenizer

    letters = byte_letters()

    def spelled(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = [
        f"{spelled(left)} {spelled(right)}"
        for token in sorted(ranks, key=ranks.__getitem__)
        for left, right in splits(token, ranks)
    ]
    pieces = {"type": "Split", "pattern": {"Regex": Tokenizer.pat_str}, "behavior": "Isolated", "invert": False}
    bytewise = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0",
        "added_tokens": [added_token(len(ranks) + place, name) for place, name in enumerate(control_token_names())],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [pieces, bytewise]},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "byte_fallback": False,
            "ignore_merges": True,
            "vocab": {spelled(token): rank for token, rank in ranks.items()},
            "merges": merges,
        },
    }


def splits(token: bytes, ranks: dict[bytes, int]) -> Iterable[tuple[bytes, bytes]]:
    pairs = [(token[:cut], token[cut:]) for cut in range(1, len(token))]
    return sorted((pair for pair in pairs if pair[0] in ranks and pair[1] in ranks), key=lambda pair: ranks[pair[0]])


def control_token_names() -> list[str]:
    """The 256 control tokens of Llama 3.1 as Hugging Face's files name them."""
    reserved = iter(range(CONTROL_TOKENS))
    return [
        NAMED_TOKENS.get(place) or f"<|reserved_special_token_{next(reserved)}|>" for place in range(CONTROL_TOKENS)
    ]


def added_token(token_id: int, content: str) -> dict[str, Any]:
    return {
        "id": token_id,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def byte_letters() -> dict[int, str]:
    """GPT-2's `bytes_to_unicode`, written out anew so that tests do not lean on what they test."""
    kept = {byte for byte in range(256) if 33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte <= 255}
    letters, extra = {}, 0
    for byte in range(256):
        letters[byte] = chr(byte) if byte in kept else chr(256 + extra)
        extra += byte not in kept
    return letters


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2), "utf-8")
