"""Prepared tokens → a checkpoint. Needs torch and the engine's model, nothing else of llama_nb.

The marked tokens are learned, and, counting less, the rest: what people ask in view of which tools tells what the words
mean. The learning rate is constant, then falls to zero.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from llama_nb.demo.batches import batches, read_dialogs
from llama_nb.demo.initial import initialize
from llama_nb.demo.learner import Learner, validation_loss
from llama_nb.demo.plan import Plan, Shape
from llama_nb.demo.ranks import Ranks
from llama_nb.engine.model import Transformer

log = logging.getLogger("llama_nb")

CPU_THREADS = 2  # their number decides the order of sums, and so the last bits of the weights


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
    start: Path | None = None,
    ranks: Ranks = Ranks(),  # noqa: B008  frozen
    report: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Trains a model and leaves the checkpoint in `out`; it is replaced whenever the validation loss is lower.

    The weights are at first those of the checkpoint `start`, of the same shape and vocabulary; without it, random ones.
    Of several `ranks` the first alone reports, and writes.
    """
    metadata = json.loads((tokens_folder / "metadata.json").read_text("utf-8"))
    vocab_size, bos = metadata["vocab_size"], metadata["bos_id"]
    dialogs = ranks.share_of(read_dialogs(tokens_folder / "train.bin", bos))
    validation = read_dialogs(tokens_folder / "validation.bin", bos)
    make_repeatable(device)
    torch.manual_seed(seed)
    model = Transformer(shape.args(vocab_size))
    if start is None:
        initialize(model)
    else:
        load_weights(model, start, tokens_folder)
    model.to(device)
    learn = Learner(model, plan, torch.device(device), ranks)
    chance = torch.Generator().manual_seed(seed + ranks.rank)
    started, tokens, lowest = time.monotonic(), 0, math.inf
    smooth = torch.zeros((), device=device)
    for step, batch in zip(range(1, plan.steps + 1), batches(dialogs, bos, plan, chance), strict=False):
        loss = learn(batch, plan.share(step))
        tokens += batch.ids.numel() * ranks.count
        smooth = torch.lerp(smooth, loss, 1 / min(step, 20))
        if ranks.rank > 0:
            continue
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


def load_weights(model: Transformer, folder: Path, tokens_folder: Path) -> None:
    """Of a checkpoint that `write_checkpoint` wrote, and that numbers the words as the tokens do."""
    words, wanted = ((place / "tokenizer.model").read_bytes() for place in (folder, tokens_folder))
    if words != wanted:
        raise ValueError(
            f"The tokens of {tokens_folder} are not those of {folder}. Write them anew, with `--from {folder} --prepare`."
        )
    state = torch.load(folder / "consolidated.00.pth", map_location="cpu", weights_only=True)
    model.load_state_dict({**state, "output.weight": state["tok_embeddings.weight"]})


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
