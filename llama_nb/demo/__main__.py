"""Makes llama-nb-guide: `python -m llama_nb.demo --preset full --out FOLDER`.

    --preset full|cpu|toy   how large, how long. full: 30 minutes of two H100; cpu: half an hour on two cores; toy: seconds
    --prepare FOLDER        write the tokens there and stop
    --tokens FOLDER         train from tokens written before; needs torch only
    --from FOLDER           go on from that checkpoint: with its vocabulary and its weights

Progress goes to stderr; the last line of stdout is one JSON object with the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_nb.demo.plan import Plan, Shape
    from llama_nb.demo.train import Progress


@dataclass(frozen=True)
class Preset:
    """Figures of the corpus, the model (`Shape`) and the training (`Plan`)."""

    dialogs: int
    validation: int
    vocabulary_dialogs: int
    base_tokens: int
    longest: int
    shape: dict[str, Any]
    plan: dict[str, Any]
    evaluate_every: int = 1  # of the held-out cases, each so-manieth is asked

    def shape_and_plan(self) -> tuple[Shape, Plan]:
        from llama_nb.demo.plan import Plan, Shape

        return Shape(**self.shape), Plan(**self.plan)


PRESETS = {
    "full": Preset(
        dialogs=2_000_000,
        validation=1000,
        vocabulary_dialogs=20_000,
        base_tokens=5120,
        longest=2048,
        shape={"dim": 384, "n_layers": 6, "n_heads": 6, "n_kv_heads": 2},
        plan={"steps": 72_000, "batch_tokens": 32_768, "check_every": 500},
    ),
    "cpu": Preset(
        dialogs=100_000,
        validation=300,
        vocabulary_dialogs=12_000,
        base_tokens=2048,
        longest=2048,
        shape={"dim": 192, "n_layers": 4, "n_heads": 3, "n_kv_heads": 3},
        plan={"steps": 1900, "batch_tokens": 4096, "check_every": 100, "falling_share": 0.763},
    ),
    "toy": Preset(
        dialogs=200,
        validation=10,
        vocabulary_dialogs=200,
        base_tokens=512,
        longest=600,
        shape={"dim": 48, "n_layers": 2, "n_heads": 3, "n_kv_heads": 1},
        plan={"steps": 10, "batch_tokens": 2048, "check_every": 10, "copying_steps": 2},
        evaluate_every=40,
    ),
}


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    preset = PRESETS[options.preset]
    if options.steps:
        preset.plan["steps"] = options.steps
    if options.prepare:
        _print(_prepare(options.prepare, options, preset))
        return
    if options.out is None:
        sys.exit("--out FOLDER is missing: where is the checkpoint to go?")
    if options.tokens:
        _print(_train(options.tokens, options, preset))
        return
    with tempfile.TemporaryDirectory(prefix="llama_nb-") as scratch:
        _prepare(Path(scratch), options, preset)
        figures = _train(Path(scratch), options, preset)
    figures["evaluation"] = _evaluate(options.out, preset.evaluate_every)
    _print(figures)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m llama_nb.demo", description="Makes llama-nb-guide anew.")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="cpu")
    parser.add_argument("--out", type=Path, help="folder of the checkpoint")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--prepare", type=Path, metavar="FOLDER", help="write the tokens there and stop")
    parser.add_argument("--tokens", type=Path, metavar="FOLDER", help="train from prepared tokens")
    parser.add_argument("--from", dest="start", type=Path, metavar="FOLDER", help="go on from that checkpoint")
    parser.add_argument("--dialogs", type=int, help="another number of dialogs than the preset's")
    parser.add_argument("--steps", type=int, help="another number of steps than the preset's")
    return parser.parse_args(arguments)


def _prepare(folder: Path, options: argparse.Namespace, preset: Preset) -> dict[str, object]:
    from llama_nb.demo.prepare import prepare

    dialogs = options.dialogs or preset.dialogs
    sys.stderr.write(f"writing {dialogs} dialogs as tokens …\n")
    return prepare(
        folder,
        seed=options.seed,
        dialogs=dialogs,
        validation=preset.validation,
        vocabulary_dialogs=preset.vocabulary_dialogs,
        base_tokens=preset.base_tokens,
        longest=preset.longest,
        start=options.start,
    )


def _train(tokens: Path, options: argparse.Namespace, preset: Preset) -> dict[str, Any]:
    import torch

    from llama_nb.demo.ranks import joined
    from llama_nb.demo.train import train

    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    shape, plan = preset.shape_and_plan()
    with joined(device) as ranks:
        outcome = train(
            tokens, options.out, shape, plan,
            seed=options.seed, device=device, start=options.start, ranks=ranks, report=_report,
        )
    return {"preset": options.preset, "seed": options.seed, "device": device, **asdict(outcome)}


def _evaluate(folder: Path, every: int) -> dict[str, str]:
    from llama_nb.demo.evaluate import evaluate, shares, table
    from llama_nb.demo.heldout import CASES

    results = evaluate(folder, CASES[::every])
    sys.stderr.write(table(results) + "\n")
    return shares(results)


def _report(progress: Progress) -> None:
    checked = "" if progress.validation_loss is None else f"  validation {progress.validation_loss:.4f}"
    sys.stderr.write(
        f"step {progress.step}/{progress.steps}  loss {progress.loss:.4f}  "
        f"{progress.tokens / progress.seconds:.0f} tokens/s"
        f"  {progress.seconds:.0f} s{checked}\n"
    )
    sys.stderr.flush()


def _print(figures: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
