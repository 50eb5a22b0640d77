"""The name of a shape → a folder that describes it: random weights, and a vocabulary of the right size.

The names are llama-models' own, and a few small ones. Knows no torch: the weights are drawn by who loads the folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llama_nb.errors import BadRequest, did_you_mean

CONTROL_TOKENS = 256
LONGEST = 131_072
FAMILIES = ("llama3", "llama3_1", "llama3_2", "llama3_3")
TIED = ("15m", "llama3.2-1b", "llama3.2-3b")  # the list of models does not say it; their weights do


def _small(
    dim: int, n_layers: int, n_heads: int, n_kv_heads: int, vocab_size: int, multiplier: float
) -> dict[str, Any]:
    return {
        "dim": dim,
        "n_layers": n_layers,
        "n_heads": n_heads,
        "n_kv_heads": n_kv_heads,
        "vocab_size": vocab_size,
        "multiple_of": 32,
        "ffn_dim_multiplier": multiplier,
        "norm_eps": 1e-5,
        "rope_theta": 500_000.0,
        "use_scaled_rope": False,
    }


SMALL = {
    "tiny": _small(64, 2, 4, 2, 512, 1.0),
    "15m": _small(288, 6, 6, 6, 32_000, 1.0),  # karpathy/tinyllamas: stories15M
    "160m": _small(768, 12, 12, 12, 32_000, 1.5),  # JackFram/llama-160m
}


def shapes() -> dict[str, dict[str, Any]]:
    """What `params.json` says of each shape, by its name in small letters."""
    from llama_models.sku_list import all_registered_models

    known = dict(SMALL)
    for model in all_registered_models():
        text_only = "vision_chunk_size" not in model.arch_args
        if model.model_family.value in FAMILIES and not model.variant and text_only:
            known[_plain(model.descriptor())] = model.arch_args
    return known


def resolve(name: str) -> str:
    """The shape that `name` means; an Instruct model has that of its base.

    Raises:
        BadRequest: there is no such shape.
    """
    known = shapes()
    if _plain(name) not in known:
        raise BadRequest(f"There is no shape `{name}`. {did_you_mean(_plain(name), known)}")
    return _plain(name)


def _plain(name: str) -> str:
    return name.lower().removesuffix("-instruct")


def write(shape: str, folder: Path, seed: int = 1) -> None:
    """Describes `shape` in `folder`: `params.json`, which asks for random weights, and `tokenizer.model`."""
    params = shapes()[shape]
    random = {"seed": seed, "tied_head": shape in TIED}
    described = params | {"max_seq_len": LONGEST, "random_weights": random}
    (folder / "params.json").write_text(json.dumps(described), "utf-8")
    (folder / "tokenizer.model").write_bytes(_vocabulary(params["vocab_size"]))


def _vocabulary(size: int) -> bytes:
    """Llama 3's own, cut off where it becomes too long: what is left still merges to what is left."""
    from llama_models.llama3 import tokenizer

    lines = (Path(tokenizer.__file__).parent / "tokenizer.model").read_bytes().splitlines(keepends=True)
    return b"".join(lines[: size - CONTROL_TOKENS])
