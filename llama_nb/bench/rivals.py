"""Others who run a Llama, with the weights that ours has, each in a process of its own: `… rivals reference`.

The weights come through our own loading, so random ones are the same too. Knows the models; knows nothing of who asks.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from llama_nb.bench.beside import Answer, serve
from llama_nb.engine import checkpoint
from llama_nb.engine.model import ModelArgs, Transformer
from llama_nb.engine.weights import HEAD, HUGGING_FACE_NAMES
from llama_nb.engine.worker import FEW_PARAMETERS
from llama_nb.prompt_format.encode import DialogEncoder

# (tokens (rows, T), new, told when the first token is there) → (rows, new), greedy
Generate = Callable[[Tensor, int, Callable[[], None]], Tensor]


class Rival:
    """Answers questions of one rival, which is loaded by the first of them."""

    def __init__(self, name: str) -> None:
        self._make = {"reference": reference, "transformers": transformers}[name]

    def load(self, folder: str, device: str, dtype: str, rows: int, length: int) -> Answer:
        """Makes ready for up to `rows` prompts, each of which takes up to `length` tokens with its answer."""
        torch.set_grad_enabled(False)
        self._device, kind = torch.device(device), getattr(torch, dtype)
        ours, tokenizer = checkpoint.load(
            Path(folder), device=self._device, dtype=kind, max_seq_len=None, progress=lambda stage, fraction: None
        )
        if device == "cpu" and sum(parameter.numel() for parameter in ours.parameters()) < FEW_PARAMETERS:
            torch.set_num_threads(1)  # as ours does
        self._encoder = DialogEncoder(tokenizer)
        torch.set_default_dtype(kind)
        self._generate = self._make(ours, rows, length)
        return {}

    def answer(self, texts: list[str], new: int) -> Answer:
        """Reads the prompts, which are of one length, and goes on with each for `new` tokens."""
        prompts = torch.tensor([self._encoder.encode_text(text) for text in texts], device=self._device)
        times: list[float] = []

        def mark() -> None:
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            times.append(time.perf_counter())

        mark()
        tokens = self._generate(prompts, new, mark)
        mark()
        began, first, ended = times
        return {"read": prompts.shape[1], "first_s": first - began, "total_s": ended - began, "tokens": tokens.tolist()}


def reference(ours: Transformer, rows: int, length: int) -> Generate:
    """llama-models' `Transformer`, as it is: no graph, no compiling."""
    import fairscale.nn.model_parallel.initialize as fs_init
    from llama_models.llama3.args import ModelArgs as ReferenceArgs
    from llama_models.llama3.model import Transformer as Reference

    # Its layers ask for their group even when there is one rank; a store in memory opens no port.
    store = torch.distributed.HashStore()  # type: ignore[attr-defined]
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    fs_init.initialize_model_parallel(1)
    args = ours.args
    model = Reference(
        ReferenceArgs(
            dim=args.dim,
            n_layers=args.n_layers,
            n_heads=args.n_heads,
            n_kv_heads=args.n_kv_heads,
            vocab_size=args.vocab_size,
            # Its rule for the hidden size rounds up to a multiple: of just the size that is wanted.
            multiple_of=args.hidden_dim,
            ffn_dim_multiplier=args.hidden_dim / int(8 * args.dim / 3),
            norm_eps=args.norm_eps,
            rope_theta=args.rope_theta,
            use_scaled_rope=args.rope_scaling is not None,
            max_batch_size=rows,
            max_seq_len=length,
        )
    )
    model.load_state_dict(_state(ours), assign=True)
    model.eval()

    def generate(prompts: Tensor, new: int, first: Callable[[], None]) -> Tensor:
        token = model(prompts, 0)[:, -1:].argmax(-1)
        first()
        tokens = [token]
        for position in range(prompts.shape[1], prompts.shape[1] + new - 1):
            token = model(token, position)[:, -1:].argmax(-1)
            tokens.append(token)
        return torch.cat(tokens, dim=1)

    return generate


def _state(ours: Transformer) -> dict[str, Tensor]:
    """Every parameter under Meta's name, a tied head as well."""
    return dict(ours.named_parameters()) | {HEAD: ours.output.weight}


def transformers(ours: Transformer, rows: int, length: int) -> Generate:
    """Hugging Face's `LlamaForCausalLM`, by its own `generate`, with its own choice of cache and attention."""
    from transformers import LlamaForCausalLM
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    config = _hugging_face_config(ours.args)
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model.load_state_dict(_hugging_face_state(ours), assign=True)
    # No checkpoint holds them: on the meta device they have no values yet.
    with torch.device(ours.norm.weight.device):
        model.model.rotary_emb = LlamaRotaryEmbedding(config)
    model.eval()
    settings = model.generation_config
    settings.do_sample, settings.pad_token_id, settings.eos_token_id = False, 0, None

    def generate(prompts: Tensor, new: int, first: Callable[[], None]) -> Tensor:
        settings.max_new_tokens = new
        tokens = model.generate(prompts, attention_mask=torch.ones_like(prompts), streamer=_First(first))
        return tokens[:, prompts.shape[1] :]

    return generate


class _First:
    """Is given the prompt and then each token; tells of the first one."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._given, self._tell = 0, tell

    def put(self, tokens: Tensor) -> None:
        self._given += 1
        if self._given == 2:
            self._tell()

    def end(self) -> None:
        pass


def _hugging_face_config(args: ModelArgs) -> Any:
    import transformers

    rope: dict[str, Any] = {"rope_type": "default"}
    if args.rope_scaling is not None:
        rope = {"rope_type": "llama3", **vars(args.rope_scaling)}
    if int(transformers.__version__.split(".")[0]) >= 5:
        positions: dict[str, Any] = {"rope_parameters": rope | {"rope_theta": args.rope_theta}}
    else:
        positions = {"rope_theta": args.rope_theta, "rope_scaling": rope if args.rope_scaling else None}
    return transformers.LlamaConfig(
        hidden_size=args.dim,
        intermediate_size=args.hidden_dim,
        num_hidden_layers=args.n_layers,
        num_attention_heads=args.n_heads,
        num_key_value_heads=args.n_kv_heads,
        vocab_size=args.vocab_size,
        max_position_embeddings=args.max_seq_len,
        rms_norm_eps=args.norm_eps,
        tie_word_embeddings=args.tied_head,
        dtype=torch.get_default_dtype(),
        **positions,
    )


def _hugging_face_state(ours: Transformer) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, parameter in _state(ours).items():
        turned = name.endswith(("wq.weight", "wk.weight"))
        state[_hugging_face_name(name)] = _halves(parameter, ours.args.head_dim) if turned else parameter
    return state


def _hugging_face_name(name: str) -> str:
    if not name.startswith("layers."):
        return HUGGING_FACE_NAMES[name]
    _, layer, rest = name.split(".", 2)
    return f"model.layers.{layer}.{HUGGING_FACE_NAMES[rest]}"


def _halves(weight: Tensor, head_dim: int) -> Tensor:
    """Meta has the members of a rotary pair side by side; Hugging Face has all first ones before all second ones."""
    rows, dim = weight.shape
    return weight.view(rows // head_dim, head_dim // 2, 2, dim).transpose(1, 2).reshape(rows, dim)


if __name__ == "__main__":
    rival = Rival(sys.argv[1])
    serve({"load": rival.load, "answer": rival.answer})
