"""Prepared tokens → weights. Needs torch and the engine's model, nothing else of llama_nb.

A dialog starts at position 0 and is padded on the right. The marked tokens are learned, and, counting less, the rest:
what people ask in view of which tools tells what the words mean. Matrices are trained by
Muon (momentum, orthogonalized), embeddings and norms by AdamW; the learning rate is constant, then falls to zero.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import math
import os
import shutil
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llama_nb.engine.model import ModelArgs, Transformer, rotary_frequencies

log = logging.getLogger("llama_nb")

LEARN = 0x8000  # see prepare.py
PAD = 0  # the id of a byte that no text holds
WIDTH_STEP = 64  # tokens; few different shapes, so that a GPU can keep what it does for each
CPU_THREADS = 2  # their number decides the order of sums, and so the last bits of the weights


@dataclass(frozen=True)
class Shape:
    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    multiple_of: int = 64
    ffn_dim_multiplier: float = 1.0
    rope_theta: float = 500_000.0
    norm_eps: float = 1e-5
    max_seq_len: int = 2048

    @property
    def hidden_dim(self) -> int:
        """The rule of llama-models' `FeedForward`."""
        hidden = int(int(2 * 4 * self.dim / 3) * self.ffn_dim_multiplier)
        return self.multiple_of * math.ceil(hidden / self.multiple_of)

    def params(self, vocab_size: int) -> dict[str, int | float | bool]:
        """`params.json`, as Meta writes it."""
        return {
            "dim": self.dim,
            "n_layers": self.n_layers,
            "n_heads": self.n_heads,
            "n_kv_heads": self.n_kv_heads,
            "vocab_size": vocab_size,
            "multiple_of": self.multiple_of,
            "ffn_dim_multiplier": self.ffn_dim_multiplier,
            "norm_eps": self.norm_eps,
            "rope_theta": self.rope_theta,
            "use_scaled_rope": False,
            "max_seq_len": self.max_seq_len,
        }

    def args(self, vocab_size: int) -> ModelArgs:
        return ModelArgs(
            dim=self.dim,
            n_layers=self.n_layers,
            n_heads=self.n_heads,
            n_kv_heads=self.n_kv_heads,
            hidden_dim=self.hidden_dim,
            vocab_size=vocab_size,
            max_seq_len=self.max_seq_len,
            norm_eps=self.norm_eps,
            rope_theta=self.rope_theta,
            tied_head=True,
        )


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn. `batch_tokens` counts padding too; `heard` is how much all that others say counts.

    The first `copying_steps`, and later one step in `copying_every`, read spans of random tokens to be repeated, so
    that the circuit that copies is kept while the answers are learned by heart.
    """

    steps: int
    batch_tokens: int
    matrix_rate: float = 0.01
    vector_rate: float = 0.002
    warmup_steps: int = 30
    falling_share: float = 0.7
    check_every: int = 200
    copying_steps: int = 20
    copying_every: int = 10
    heard: float = 0.2


@dataclass(frozen=True)
class Progress:
    step: int
    steps: int
    loss: float
    tokens: int
    seconds: float
    validation_loss: float | None = None


@dataclass(frozen=True)
class Outcome:
    steps: int
    tokens: int
    seconds: float
    loss: float
    validation_loss: float
    parameters: int


def train(
    tokens_folder: Path,
    out: Path,
    shape: Shape,
    plan: Plan,
    *,
    seed: int,
    device: str,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Trains a model and leaves the checkpoint in `out`; it is replaced whenever the validation loss is lower."""
    metadata = json.loads((tokens_folder / "metadata.json").read_text("utf-8"))
    vocab_size, bos = metadata["vocab_size"], metadata["bos_id"]
    dialogs = read_dialogs(tokens_folder / "train.bin", bos)
    validation = read_dialogs(tokens_folder / "validation.bin", bos)
    make_repeatable(device)
    torch.manual_seed(seed)
    model = Transformer(shape.args(vocab_size))
    initialize(model)
    model.to(device)
    learn = Learner(model, plan, torch.device(device))
    chance = torch.Generator().manual_seed(seed)
    batches = with_copying(endless_batches(dialogs, plan, chance), bos, plan, chance)
    started, tokens, lowest = time.monotonic(), 0, math.inf
    smooth = torch.zeros((), device=device)
    for step in range(1, plan.steps + 1):
        batch = next(batches)
        loss = learn(batch, share_of_rate(step, plan))
        tokens += batch.ids.numel()
        smooth = torch.lerp(smooth, loss, 1 / min(step, 20))
        if step % 20 == 0:
            report(Progress(step, plan.steps, float(smooth), tokens, time.monotonic() - started))
        if step % plan.check_every == 0 or step == plan.steps:
            lost = validation_loss(model, validation, plan.batch_tokens, device)
            report(Progress(step, plan.steps, float(smooth), tokens, time.monotonic() - started, lost))
            if lost < lowest:
                lowest = lost
                write_checkpoint(model, shape, tokens_folder / "tokenizer.model", out)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Outcome(plan.steps, tokens, time.monotonic() - started, float(smooth), lowest, parameters)


def make_repeatable(device: str) -> None:
    """The same weights from the same tokens, on the same kind of device and the same versions."""
    torch.set_num_threads(CPU_THREADS)  # beside a GPU, too: to share a batch of 32,768 tokens costs more than to fill it
    if device == "cpu":
        return
    # cuBLAS reads this when its first handle is made; without it torch refuses to be deterministic.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # an aid that costs time


# Data ----------------------------------------------------------------------------------------------------------------


def read_dialogs(path: Path, bos: int) -> list[Tensor]:
    """One int32 tensor for each dialog, the mark `LEARN` still in it."""
    numbers = array("H", path.read_bytes())
    if sys.byteorder == "big":
        numbers.byteswap()
    whole = torch.tensor(numbers, dtype=torch.int32)
    starts = (whole == bos).nonzero().flatten().tolist()
    return list(whole.tensor_split(starts[1:]))


class Batch(NamedTuple):
    """Token ids, the token that follows each, and how much each of those counts: (rows, width) all."""

    ids: Tensor
    targets: Tensor
    weights: Tensor


def endless_batches(dialogs: list[Tensor], plan: Plan, chance: torch.Generator) -> Iterator[Batch]:
    """Batches of dialogs of like length, each dialog once in each pass, in random order."""
    lengths, batch_tokens = [len(dialog) for dialog in dialogs], plan.batch_tokens
    while True:
        order = torch.randperm(len(dialogs), generator=chance).tolist()
        groups: list[list[int]] = []
        for start in range(0, len(order), 8192):
            groups += _groups(sorted(order[start : start + 8192], key=lengths.__getitem__), lengths, batch_tokens)
        for place in torch.randperm(len(groups), generator=chance).tolist():
            yield padded([dialogs[index] for index in groups[place]], batch_tokens, plan.heard)


def _groups(indices: list[int], lengths: list[int], batch_tokens: int) -> list[list[int]]:
    groups: list[list[int]] = [[]]
    for index in indices:  # the shortest first, so that the newest decides the width of its group
        if groups[-1] and len(groups[-1]) >= _rows(lengths[index], batch_tokens):
            groups.append([])
        groups[-1].append(index)
    return groups


def _width(length: int) -> int:
    """How wide a batch is whose longest dialog has `length` tokens: the last one is a target only."""
    return WIDTH_STEP * math.ceil(max(1, length - 1) / WIDTH_STEP)


def _rows(length: int, batch_tokens: int) -> int:
    return max(1, batch_tokens // _width(length))


def padded(dialogs: list[Tensor], batch_tokens: int, heard: float = 0.0) -> Batch:
    """A batch in which the marked tokens together count 1, and the others, without padding, `heard`."""
    longest = max(len(dialog) for dialog in dialogs)
    marked = torch.full((_rows(longest, batch_tokens), _width(longest) + 1), PAD)
    for row, dialog in zip(marked, dialogs, strict=False):
        row[: len(dialog)] = dialog
    ids = marked & (LEARN - 1)
    learned = (marked & LEARN) > 0
    others = (ids != PAD) & ~learned
    weights = learned / learned[:, 1:].sum().clamp(min=1) + heard * others / others[:, 1:].sum().clamp(min=1)
    return Batch(ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), weights[:, 1:].contiguous())


def with_copying(batches: Iterator[Batch], bos: int, plan: Plan, chance: torch.Generator) -> Iterator[Batch]:
    """`batches`, with those of random spans before and between them."""
    for step in itertools.count(1):
        if step <= plan.copying_steps or step % plan.copying_every == 0:
            yield spans_to_copy(bos, plan.batch_tokens, chance)
        else:
            yield next(batches)


def spans_to_copy(bos: int, batch_tokens: int, chance: torch.Generator) -> Batch:
    """Rows of random tokens, then spans out of them: a span's beginning says how it goes on.

    Few different tokens in a row, as in numbers, force the model to look at more than the last one.
    """

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=chance))

    width = (64, 128, 192)[draw(0, 2)]
    rows = []
    for _ in range(max(1, batch_tokens // width)):
        kinds = (10, 40, bos, bos)[draw(0, 3)]  # the ids below <|begin_of_text|> are plain text
        hint = 3 if kinds <= 40 else 1
        letters = torch.randint(0, bos, (kinds,), generator=chance)
        source = letters[torch.randint(0, kinds, (draw(width // 4, width // 2),), generator=chance)].tolist()
        row = [bos, *source]
        while len(row) <= width:
            length = draw(hint + 1, 16)
            begin = draw(0, max(0, len(source) - length))
            span = source[begin : begin + length]
            row += span[:hint] + [token | LEARN for token in span[hint:]]
        rows.append(torch.tensor(row[: width + 1], dtype=torch.int32))
    return padded(rows, batch_tokens)


# Learning ------------------------------------------------------------------------------------------------------------


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


def hidden_states(model: Transformer, ids: Tensor) -> Tensor:
    """What the head would read: (rows, width, dim)."""
    x = model.tok_embeddings(ids)
    for index, block in enumerate(model.layers):
        x = block(x, model.rotations[: ids.shape[1]], index, None)
    return model.norm(x)


def loss_of(model: Transformer, batch: Batch) -> Tensor:
    """Cross-entropy of the tokens, as far as each counts."""
    with torch.autocast(batch.ids.device.type, torch.bfloat16, enabled=batch.ids.is_cuda):
        logits = model.output(hidden_states(model, batch.ids))
    losses = F.cross_entropy(logits.flatten(0, 1).float(), batch.targets.flatten(), reduction="none")
    return (losses * batch.weights.flatten()).sum()


@torch.no_grad()
def validation_loss(model: Transformer, dialogs: list[Tensor], batch_tokens: int, device: str) -> float:
    """Mean cross-entropy of the marked tokens."""
    indices = sorted(range(len(dialogs)), key=lambda index: len(dialogs[index]))
    total, count = 0.0, 0
    for group in _groups(indices, [len(dialog) for dialog in dialogs], batch_tokens):
        batch = Batch(*(part.to(device) for part in padded([dialogs[index] for index in group], batch_tokens)))
        learned = int(batch.weights.count_nonzero())
        total += float(loss_of(model, batch)) * learned
        count += learned
    return total / max(count, 1)


def share_of_rate(step: int, plan: Plan) -> float:
    """Rises, stays at 1, falls in a straight line."""
    rise = step / max(1, plan.warmup_steps)
    fall = (plan.steps - step + 1) / (plan.falling_share * plan.steps)
    return min(1.0, rise, fall)


class Learner:
    """Batches in, losses out, and the model has learned from each.

    On a GPU the work for each shape of batch is captured once and replayed: its thousand small kernels take far longer
    to launch one by one than to run.
    """

    def __init__(self, model: Transformer, plan: Plan, device: torch.device) -> None:
        self._model, self._plan, self._device = model, plan, device
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        self._gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        self._optimizers = Optimizers(model, plan)
        # One pool for all graphs: they run one after another, and each alone would keep gigabytes.
        self._pool = torch.cuda.graph_pool_handle() if device.type == "cuda" else None
        self._captured: dict[torch.Size, tuple[torch.cuda.CUDAGraph, Batch, Tensor]] = {}

    def __call__(self, batch: Batch, share: float) -> Tensor:
        """The loss of `batch`, learned from at a `share` of the planned rates; on the device."""
        self._optimizers.set_share(share)
        if self._device.type != "cuda":
            loss = self._slopes(batch)
            self._optimizers.step()
            return loss
        shape = batch.ids.shape
        if shape not in self._captured:
            self._captured[shape] = self._capture(Batch(*(part.to(self._device) for part in batch)))
        graph, its_batch, loss = self._captured[shape]
        for its_part, part in zip(its_batch, batch, strict=True):
            its_part.copy_(part.pin_memory(), non_blocking=True)
        graph.replay()
        self._optimizers.step()
        return loss

    def _slopes(self, batch: Batch) -> Tensor:
        torch._foreach_zero_(self._gradients)
        loss = loss_of(self._model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _capture(self, batch: Batch) -> tuple[torch.cuda.CUDAGraph, Batch, Tensor]:
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # once for real, so that nothing is prepared for the first time in the capture
            self._slopes(batch)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            loss = self._slopes(batch)
        return graph, batch, loss


class Optimizers:
    """One step for all parameters, at a share of the planned rates."""

    def __init__(self, model: Transformer, plan: Plan) -> None:
        self._plan = plan
        matrices: list[Tensor] = []
        rest: list[Tensor] = []
        for name, parameter in model.named_parameters():
            (matrices if parameter.dim() == 2 and "layers" in name else rest).append(parameter)
        self._muon = Muon(matrices)
        self._adam = torch.optim.AdamW(rest, lr=plan.vector_rate, betas=(0.9, 0.98), weight_decay=0.0)

    def set_share(self, share: float) -> None:
        self._muon.rate = self._plan.matrix_rate * share
        for group in self._adam.param_groups:
            group["lr"] = self._plan.vector_rate * share

    def step(self) -> None:
        self._adam.step()
        self._muon.step()


class Muon:
    """Momentum, made orthogonal by Newton-Schulz steps (Jordan et al. 2024): every direction learns equally fast."""

    def __init__(self, matrices: list[Tensor], momentum: float = 0.95, decay: float = 0.01) -> None:
        self.rate = 0.0
        self._momentum, self._decay = momentum, decay
        self._by_shape: dict[torch.Size, list[Tensor]] = {}
        for matrix in matrices:
            self._by_shape.setdefault(matrix.shape, []).append(matrix)
        self._averages: dict[torch.Size, Tensor] = {}

    @torch.no_grad()
    def step(self) -> None:
        for shape, matrices in self._by_shape.items():
            slopes = torch.stack([matrix.grad for matrix in matrices if matrix.grad is not None])
            average = self._averages.setdefault(shape, torch.zeros_like(slopes))
            average.lerp_(slopes, 1 - self._momentum)
            change = orthogonal(slopes.lerp(average, self._momentum)) * max(1.0, shape[0] / shape[1]) ** 0.5
            torch._foreach_mul_(matrices, 1 - self.rate * self._decay)
            torch._foreach_sub_(matrices, list(change.to(matrices[0].dtype)), alpha=self.rate)


def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """The nearest matrices whose singular values are about 1: (n, rows, columns)."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    # On a CPU without bfloat16 units that type is slower than float32.
    x = x.bfloat16() if x.is_cuda else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(rounds):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.mT if tall else x


# The checkpoint ------------------------------------------------------------------------------------------------------


def write_checkpoint(model: Transformer, shape: Shape, tokenizer: Path, out: Path) -> None:
    """Meta's layout; the head is tied to the embeddings and therefore absent. Files are replaced one by one."""
    out.mkdir(parents=True, exist_ok=True)
    state = {
        name: tensor.detach().to("cpu", torch.bfloat16).clone()
        for name, tensor in model.state_dict().items()
        if name != "output.weight"
    }
    params = json.dumps(shape.params(model.args.vocab_size), indent=2) + "\n"
    with tempfile.TemporaryDirectory(prefix=".new-", dir=out) as scratch:
        new = Path(scratch)
        torch.save(state, new / "consolidated.00.pth")
        (new / "params.json").write_text(params, "utf-8")
        shutil.copyfile(tokenizer, new / "tokenizer.model")
        names = ("consolidated.00.pth", "params.json", "tokenizer.model")
        checklist = "".join(f"{_md5(new / name)}  {name}\n" for name in names)
        (new / "checklist.chk").write_text(checklist, "utf-8")
        for name in (*names, "checklist.chk"):
            os.replace(new / name, out / name)
    log.info("wrote %s (%s)", out, asdict(shape))


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
