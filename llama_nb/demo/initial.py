"""The weights before the training: small and random, but for one circuit that can copy."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from llama_nb.engine.model import Transformer, rotary_frequencies


def initialize(model: Transformer) -> None:
    """Small random weights; what is added to the residual stream starts at zero, but for one circuit that can copy."""
    for name, parameter in model.named_parameters():
        if name.endswith(("wo.weight", "w2.weight")):
            nn.init.zeros_(parameter)
        elif parameter.dim() == 2:
            nn.init.normal_(parameter, std=0.02 if "embeddings" in name else parameter.shape[1] ** -0.5)
    build_copying_circuit(model)


@torch.no_grad()
def build_copying_circuit(model: Transformer) -> None:
    """An induction head by hand: what once followed this token may follow it again.

    Such heads arise by themselves after some fifty million tokens; a training on a CPU is shorter than that. The
    residual stream begins with [which token (D) | which token before (D) | 1 | free]. In layer 0 head 0 looks one
    position back and writes which token stands there; in layer 1 head 0 looks for places whose token before is this
    one, and adds the token that it finds there. All of it is trained on like any other weight.
    """
    args, size = model.args, model.args.head_dim
    token, before, one = slice(0, size), slice(size, 2 * size), 2 * size
    embeddings = model.tok_embeddings.weight
    # All of one length: the norm must leave the 1 equally large for every token, since positions are told by it alone.
    embeddings[:, token] = 0.8 * F.normalize(torch.randn(args.vocab_size, size))
    embeddings[:, before] = 0.0
    embeddings[:, one] = 0.5
    eye = torch.eye(size)
    angles = rotary_frequencies(size, args.rope_theta, None)  # (D/2,), fast pairs first
    fast, slow = int((angles > 0.02).sum()), 2 * int((angles > 0.004).sum())

    back = model.layers[0].attention
    back.wq.weight[:size] = 0.0
    back.wk.weight[:size] = 0.0
    back.wq.weight[0 : 2 * fast : 2, one] = 1.0
    back.wk.weight[0 : 2 * fast : 2, one] = angles[:fast].cos()
    back.wk.weight[1 : 2 * fast : 2, one] = angles[:fast].sin()
    back.wv.weight[:size] = 0.0
    back.wv.weight[:size, token] = 0.27 * eye
    back.wo.weight[before, :size] = 0.27 * eye

    # Only pairs that hardly turn within a dialog can compare tokens over a distance.
    again = model.layers[1].attention
    compared = torch.linalg.qr(torch.randn(size, size - slow))[0].T  # (D - slow, D)
    again.wq.weight[:size] = 0.0
    again.wk.weight[:size] = 0.0
    again.wq.weight[slow:size, token] = 1.6 * compared
    again.wk.weight[slow:size, before] = 1.6 * compared
    for block in list(model.layers)[1:]:
        block.attention.wv.weight[:size] = 0.0
        block.attention.wv.weight[:size, token] = 0.4 * eye
        block.attention.wo.weight[token, :size] = 0.4 * eye if block.attention is again else 0.1 * eye
