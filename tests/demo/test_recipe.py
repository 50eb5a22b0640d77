"""The whole recipe with something tiny: dialogs, vocabulary, tokens, a few steps, a checkpoint, its evaluation."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from llama_nb.demo import batches, initial, learner, prepare, train
from llama_nb.demo.__main__ import PRESETS, main
from llama_nb.demo.plan import Plan
from llama_nb.demo.ranks import Ranks
from llama_nb.prompt_format.tokenizer import load_tokenizer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens")
    main(["--preset", "toy", "--prepare", str(folder)])
    return folder


def test_the_toy_recipe_makes_a_checkpoint_in_metas_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from llama_models.llama3.args import ModelArgs
    from llama_models.llama3.tokenizer import Tokenizer

    main(["--preset", "toy", "--out", str(tmp_path), "--device", "cpu"])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["tokens"] > 0 and figures["loss"] > 0 and "evaluation" in figures
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checklist.chk", "consolidated.00.pth", "params.json", "tokenizer.model",
    ]  # fmt: skip
    params = json.loads((tmp_path / "params.json").read_text("utf-8"))
    assert Tokenizer(tmp_path / "tokenizer.model").n_words == params["vocab_size"] == ModelArgs(**params).vocab_size


def test_training_needs_torch_alone(tokens: Path, tmp_path: Path) -> None:
    forbidden = "llama_models pydantic msgspec tiktoken regex".split()
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({forbidden!r}))\n"
        "from llama_nb.demo.__main__ import main\n"
        f"main(['--preset', 'toy', '--steps', '2', '--device', 'cpu', '--tokens', {str(tokens)!r}, '--out', {str(tmp_path)!r}])"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert (tmp_path / "checklist.chk").is_file()


def test_the_same_seed_gives_the_same_weights(tokens: Path, tmp_path: Path) -> None:
    shape, plan = PRESETS["toy"].shape_and_plan()
    weights = []
    for name in ("one", "two"):
        train.train(tokens, tmp_path / name, shape, plan, seed=1, device="cpu")
        weights.append(torch.load(tmp_path / name / "consolidated.00.pth", weights_only=True))
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_training_goes_on_from_a_checkpoint_of_the_same_vocabulary(tokens: Path, tmp_path: Path) -> None:
    toy = ["--preset", "toy", "--device", "cpu"]
    first, further, other = tmp_path / "first", tmp_path / "further", tmp_path / "other"
    main([*toy, "--tokens", str(tokens), "--out", str(first)])
    main([*toy, "--from", str(first), "--seed", "7", "--dialogs", "20", "--prepare", str(other)])
    assert (other / "tokenizer.model").read_bytes() == (first / "tokenizer.model").read_bytes()
    assert (other / "train.bin").read_bytes() != (tokens / "train.bin").read_bytes()
    main([*toy, "--from", str(first), "--tokens", str(other), "--steps", "1", "--out", str(further)])
    before, after = (torch.load(one / "consolidated.00.pth", weights_only=True) for one in (first, further))
    changes = [float((before[name].float() - after[name].float()).abs().max()) for name in before]
    assert 0 < max(changes) < 0.05
    (first / "tokenizer.model").write_bytes(b"other words")
    with pytest.raises(ValueError, match="Write them anew"):
        main([*toy, "--from", str(first), "--tokens", str(other), "--steps", "1", "--out", str(further)])


def test_learning_lowers_the_loss(tokens: Path, tmp_path: Path) -> None:
    shape, plan = PRESETS["toy"].shape_and_plan()
    checks: list[float] = []

    def note(progress: train.Progress) -> None:
        if progress.validation_loss is not None:
            checks.append(progress.validation_loss)

    plan = Plan(steps=40, batch_tokens=plan.batch_tokens, check_every=4, copying_steps=0)
    train.train(tokens, tmp_path, shape, plan, seed=1, device="cpu", report=note)
    assert checks[-1] < checks[0] - 0.5


RANK = """
import sys, torch
from pathlib import Path
from llama_nb.demo import learner
from llama_nb.demo.batches import spans_to_copy
from llama_nb.demo.ranks import joined
from tests.demo.test_recipe import learned_from

with joined("cpu") as ranks:
    spans = spans_to_copy(280, 1024, torch.Generator().manual_seed(ranks.rank))
    torch.save(learned_from(spans, ranks), Path(sys.argv[1]) / f"{ranks.rank}.pt")
"""


def learned_from(batch: batches.Batch, ranks: Ranks) -> dict[str, torch.Tensor]:
    """The weights after one step."""
    shape, plan = PRESETS["toy"].shape_and_plan()
    torch.manual_seed(0)
    model = learner.Transformer(shape.args(300))
    initial.initialize(model)
    learner.Learner(model, plan, torch.device("cpu"), ranks)(batch, 1.0)
    return model.state_dict()


def test_ranks_take_the_step_that_one_would_take_with_what_all_of_them_read(tmp_path: Path) -> None:
    (tmp_path / "rank.py").write_text(RANK, "utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run = subprocess.run(
        [*torchrun, str(tmp_path / "rank.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    read = [batches.spans_to_copy(280, 1024, torch.Generator().manual_seed(seed)) for seed in range(2)]
    both = learned_from(batches.Batch(*map(side_by_side, *read)), Ranks())
    for name, weights in both.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], weights, atol=1e-3, rtol=0)


def side_by_side(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Rows of both, filled up to one width; weights are halved, for together they are to count 1."""
    width = max(one.shape[1], other.shape[1])
    rows = torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1])) for part in (one, other)])
    return rows / 2 if rows.is_floating_point() else rows


def test_only_answers_are_learned_and_their_last_token_too(tokens: Path) -> None:
    tokenizer = load_tokenizer(tokens)
    metadata = json.loads((tokens / "metadata.json").read_text("utf-8"))
    dialogs = batches.read_dialogs(tokens / "validation.bin", metadata["bos_id"])
    assert len(dialogs) > 1
    for dialog in dialogs:
        learned = [token & (prepare.LEARN - 1) for token in dialog.tolist() if token & prepare.LEARN]
        assert learned[-1] in (tokenizer.eot_id, tokenizer.eom_id)
        header = tokenizer.special_tokens["<|start_header_id|>"]
        assert header not in learned and tokenizer.bos_id not in learned


def test_marked_tokens_are_learned_others_count_less_and_padding_never() -> None:
    long, short = torch.tensor([1, 2, 3 | batches.LEARN, 5 | batches.LEARN]), torch.tensor([1, 4])
    ids, targets, weights = batches.padded([long.int(), short.int()], 3 * batches.WIDTH_STEP, heard=0.5)
    assert ids.shape == targets.shape == weights.shape == (3, batches.WIDTH_STEP), "as many rows as there is room for"
    assert ids[:, :3].tolist() == [[1, 2, 3], [1, 4, 0], [0, 0, 0]]
    assert targets[:, :3].tolist() == [[2, 3, 5], [4, 0, 0], [0, 0, 0]]
    assert weights[:, :3].tolist() == [[0.25, 0.5, 0.5], [0.25, 0, 0], [0, 0, 0]]
    assert float(weights.sum()) == 1.5


def test_every_dialog_comes_once_in_a_pass() -> None:
    dialogs = [torch.full((length,), length, dtype=torch.int32) for length in range(2, 30)]
    groups = batches.endless_groups(dialogs, 5 * batches.WIDTH_STEP, torch.Generator().manual_seed(0))
    seen: list[int] = []
    while len(seen) < len(dialogs):
        seen += [len(dialog) for dialog in next(groups)]
    assert sorted(seen) == list(range(2, 30))


def test_what_others_say_counts_less_and_less() -> None:
    plan = Plan(
        steps=10, batch_tokens=batches.WIDTH_STEP, copying_steps=0, copying_every=100, warmup_steps=0, heard=0.5
    )
    dialogs = [torch.tensor([1, 2, 3 | batches.LEARN], dtype=torch.int32)]
    made = batches.batches(dialogs, 1, plan, torch.Generator().manual_seed(0))
    heard = [float(next(made).weights.sum()) - 1 for _ in range(10)]
    assert heard[0] == 0.5 and heard[-1] == pytest.approx(0.5 / 7) and heard == sorted(heard, reverse=True)


def test_the_model_in_training_is_the_engines() -> None:
    shape, _ = PRESETS["toy"].shape_and_plan()
    model = learner.Transformer(shape.args(300))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(0))
    ids = torch.randint(1, 300, (3, 40), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(learner.hidden_states(model, ids), model.norm(model.hidden(ids)))


def test_a_new_model_can_copy_by_its_circuit(monkeypatch: pytest.MonkeyPatch) -> None:
    shape, _ = PRESETS["cpu"].shape_and_plan()
    spans = batches.spans_to_copy(600, 2048, torch.Generator().manual_seed(0))

    def loss_of_a_new_model() -> float:
        torch.manual_seed(0)
        model = learner.Transformer(shape.args(700))
        initial.initialize(model)
        with torch.no_grad():
            return float(learner.loss_of(model, spans))

    with_circuit = loss_of_a_new_model()
    monkeypatch.setattr(initial, "build_copying_circuit", lambda model: None)
    assert with_circuit < 0.6 * loss_of_a_new_model()


def test_spans_to_copy_can_be_known_from_what_stands_before() -> None:
    bos = 300
    spans = batches.spans_to_copy(bos, 1024, torch.Generator().manual_seed(1))
    assert int(spans.weights.count_nonzero()) > 100
    for row, wanted, weights in zip(*(part.tolist() for part in spans), strict=True):
        for place in (place for place, weight in enumerate(weights) if weight):
            pairs = list(itertools.pairwise(row[:place]))
            assert (row[place], wanted[place]) in pairs


def test_orthogonal_matrices_have_like_singular_values() -> None:
    matrices = torch.randn(3, 24, 64, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(learner.orthogonal(matrices))
    assert float(values.min()) > 0.5 and float(values.max()) < 1.5
