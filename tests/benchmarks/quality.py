"""What small weights cost: `python tests/benchmarks/quality.py`.

For each scheme the mean Kullback-Leibler divergence from the whole model, over all words of the vocabulary, and how
often both would choose the same next token. Of the embedded model, over its own answers to fixed questions; and of a
random one of a larger shape, over random tokens. The last line of output is one JSON object.
"""

from __future__ import annotations

import json
import sys
from typing import NamedTuple, get_args

import torch
from torch import nn

from llama_nb.demo import CHECKPOINT
from llama_nb.engine import checkpoint
from llama_nb.engine.checkpoint import empty_transformer, place
from llama_nb.engine.model import ModelArgs, Transformer
from llama_nb.engine.protocol import Quantization
from llama_nb.prompt_format.encode import DialogEncoder, Turn
from llama_nb.prompt_format.tokenizer import load_tokenizer

QUESTIONS = [
    "hello",
    "What is llama_nb?",
    "How do I open the chat panel?",
    "Which options does %llama take?",
    "How do I stop an answer?",
    "Who are you?",
    "How do I give the model a tool?",
    "thanks, bye",
]
ANSWER_TOKENS = 48
LARGER = ModelArgs(1024, 8, 16, 4, 4096, 32_000, 1024)
SHARPNESS = 3.0  # standard deviation of a random model's logits: the best word has some percent, as in a trained one


class Compared(NamedTuple):
    divergence: float  # mean, in nats
    agreement: float  # share of places where both choose the same token


def compared(whole: Transformer, small: Transformer, texts: list[list[int]]) -> Compared:
    """`small` against `whole`, over `texts`."""
    divergences, agreements = [], []
    for tokens in texts:
        log_p, log_q = (_log_probabilities(model, tokens) for model in (whole, small))
        divergences.append((log_p.exp() * (log_p - log_q)).sum(-1))
        agreements.append(log_p.argmax(-1) == log_q.argmax(-1))
    return Compared(float(torch.cat(divergences).mean()), float(torch.cat(agreements).float().mean()))


@torch.inference_mode()
def _log_probabilities(model: Transformer, tokens: list[int]) -> torch.Tensor:
    return torch.log_softmax(model(torch.tensor([tokens]))[0], -1)


@torch.inference_mode()
def own_answers(model: Transformer) -> list[list[int]]:
    """The questions in the form of a dialog, each with what the embedded `model` answers, greedily."""
    encoder = DialogEncoder(load_tokenizer(CHECKPOINT))
    texts = []
    for question in QUESTIONS:
        tokens = encoder.encode([Turn("user", question)])
        for _ in range(ANSWER_TOKENS):
            tokens.append(int(model(torch.tensor([tokens]), last_only=True)[0, -1].argmax()))
            if tokens[-1] in encoder.tokenizer.stop_tokens:
                break
        texts.append(tokens)
    return texts


def random_texts(vocabulary: int) -> list[list[int]]:
    return torch.randint(0, vocabulary, (2, 64), generator=torch.Generator().manual_seed(0)).tolist()


def embedded(quantization: Quantization | None, dtype: torch.dtype = torch.float32) -> Transformer:
    return checkpoint.load(
        CHECKPOINT,
        device=torch.device("cpu"),
        dtype=dtype,
        max_seq_len=None,
        progress=lambda stage, share: None,
        quantization=quantization,
    )[0]


def random(quantization: Quantization | None, dtype: torch.dtype = torch.float32) -> Transformer:
    model = empty_transformer(LARGER)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in list(model.named_parameters()):
        if parameter.dim() == 1:
            values = torch.ones(parameter.shape)
        else:
            spread = SHARPNESS if name == "output.weight" else 1.0
            values = torch.randn(parameter.shape, generator=generator) * spread * parameter.shape[1] ** -0.5
        place(model, name, nn.Parameter(values.to(dtype), requires_grad=False), quantization)
    return model


def main() -> None:
    figures: dict[str, dict[str, float]] = {}
    for name, make in (("embedded", embedded), ("random", random)):
        whole = make(None)
        texts = own_answers(whole) if make is embedded else random_texts(whole.args.vocab_size)
        for scheme in (None, *get_args(Quantization)):
            small = make(scheme) if scheme else make(None, torch.bfloat16)
            found = compared(whole, small, texts)
            figures[f"{name} {scheme or 'bfloat16'}"] = found._asdict()
            sys.stdout.write(f"{name:9} {scheme or 'bf16'}  KL {found.divergence:.2e}  top-1 {found.agreement:.1%}\n")
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
