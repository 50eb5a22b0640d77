"""A checkpoint folder → a model in memory, or one line that says what is wrong with it.

Knows the order of things: what the checkpoint says of itself, its checksums, its vocabulary, its weights; whether these
fit together; and how they become the parameters of the model. What already has the wished dtype on the CPU stays the
file's own pages, everything else is copied once, parameter by parameter; weights that are to be small are made so on
their way in. Knows nothing of files and their formats (`description.py`, `weights.py`), and nothing of requests, caches
or sampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from llama_nb.engine.checksums import verify_checksums
from llama_nb.engine.description import Description, find_description, model_args
from llama_nb.engine.model import ModelArgs, Transformer
from llama_nb.engine.protocol import Quantization
from llama_nb.engine.quantize import small_linear
from llama_nb.engine.random_weights import KEY as RANDOM
from llama_nb.engine.random_weights import random_weights
from llama_nb.engine.weights import EMBEDDING, HEAD, Part, Weights, open_weights
from llama_nb.errors import BadRequest, CheckpointError
from llama_nb.prompt_format.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from llama_models.llama3.tokenizer import Tokenizer

Progress = Callable[[str, float], None]
Shapes = dict[str, tuple[int, ...]]

FLOAT32_FEW, FLOAT32_MANY = 30_000_000, 500_000_000  # so many parameters
BY_INPUTS = ("attention.wo.weight", "feed_forward.w2.weight")  # divided by columns, all others by rows


@dataclass(frozen=True)
class Share:
    """What rank `rank` of `count` holds of a model: of every layer's matrices one part, of all else the whole."""

    rank: int = 0
    count: int = 1

    def check(self, args: ModelArgs) -> None:
        """Raises BadRequest where the model cannot be shared evenly."""
        most = math.gcd(args.n_heads, args.n_kv_heads, args.hidden_dim)
        if most % self.count:
            possible = ", ".join(str(count) for count in range(1, most + 1) if most % count == 0)
            raise BadRequest(
                f"`ranks` is {self.count}: so many cannot share {args.n_heads} heads, {args.n_kv_heads} key-value "
                f"heads and {args.hidden_dim} hidden units evenly. For this model it can be {possible}."
            )

    def dim(self, name: str) -> int | None:
        """Along which dimension the parameter `name` is shared; None: all ranks have all of it."""
        if self.count == 1 or not name.startswith("layers.") or name.endswith("norm.weight"):
            return None
        return 1 if name.endswith(BY_INPUTS) else 0

    def bounds(self, size: int) -> tuple[int, int]:
        return size * self.rank // self.count, size * (self.rank + 1) // self.count


WHOLE = Share()


def load(
    folder: Path,
    *,
    device: torch.device,
    dtype: torch.dtype | None,
    max_seq_len: int | None,
    progress: Progress,
    quantization: Quantization | None = None,
    share: Share = WHOLE,
) -> tuple[Transformer, Tokenizer]:
    """The model and the vocabulary of the checkpoint in `folder`, ready to answer.

    `dtype` None: float32 on the CPU as long as that stays below 2 GB, else bfloat16. `max_seq_len` None: what the
    checkpoint was made for, at most 4096. `progress` is told (stage, 0 … 1), with the stages "checksums" (only when
    the folder has a `checklist.chk`) and "weights". `quantization`: the linear layers keep their weights small.
    `share`: of each layer only that is read; the head is read by the first rank.

    Raises:
        BadRequest: so many ranks cannot share this model.
        CheckpointError: whatever is wrong, with file, parameter, expected and got.
    """
    try:
        return _load(folder, device, dtype, max_seq_len, progress, quantization, share)
    except OSError as error:
        raise CheckpointError(f"{error.filename or folder} cannot be read: {error.strerror or error}.") from error


def _load(
    folder: Path,
    device: torch.device,
    dtype: torch.dtype | None,
    max_seq_len: int | None,
    progress: Progress,
    quantization: Quantization | None,
    share: Share,
) -> tuple[Transformer, Tokenizer]:
    description = find_description(folder)
    if share.rank == 0:
        verify_checksums(folder, progress)
    tokenizer = load_tokenizer(folder)
    args = model_args(description, max_seq_len, lambda: tokenizer.n_words)
    if args.vocab_size != tokenizer.n_words:
        _refuse_vocabulary(folder, tokenizer.n_words, args.vocab_size)
    share.check(args)
    drawn = RANDOM in description.values
    weights = random_weights(description, args, tokenizer.stop_tokens) if drawn else open_weights(description)
    args = replace(args, tied_head=_head_is_tied(description, weights))
    whole = empty_transformer(args)
    shapes = {name: tuple(parameter.shape) for name, parameter in whole.named_parameters()}
    _check_names(weights, shapes)
    _check_shapes(weights, shapes)
    dtype = dtype or automatic_dtype(device, sum(math.prod(shape) for shape in shapes.values()))
    model = whole if share.count == 1 else empty_transformer(replace(args, ranks=share.count))
    if share.rank > 0:
        model.set_submodule("output", nn.Identity())  # the head is rank 0's
        shapes.pop(HEAD, None)
    for name, parameter in _taken_over(weights, shapes, args.head_dim, device, dtype, progress, share):
        place(model, name, parameter, quantization)
        if args.tied_head and name == EMBEDDING and share.rank == 0:
            place(model, HEAD, parameter, quantization)
    model.rotations = model.rotations.to(device)
    return model, tokenizer


def read_args(folder: Path, max_seq_len: int | None = None) -> ModelArgs:
    """What `params.json` or `config.json` says, without a look at the weights.

    Only the weights know for certain whether the head is tied: here it is what Hugging Face's config says.

    Raises:
        CheckpointError: the description is missing, or makes no sense; or `max_seq_len` is more than it allows.
    """
    return model_args(find_description(folder), max_seq_len, lambda: load_tokenizer(folder).n_words)


def empty_transformer(args: ModelArgs) -> Transformer:
    """The model on the meta device: shapes without values, to be given its parameters."""
    with torch.device("meta"), _WithoutDrawing():
        return Transformer(args).requires_grad_(False).eval()


class _WithoutDrawing(TorchFunctionMode):
    """Leaves new parameters as they are. On the meta device, drawing them would import sympy and dynamo: 2 s."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.__name__ in ("normal_", "uniform_", "kaiming_uniform_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def automatic_dtype(device: torch.device, parameters: int) -> torch.dtype:
    """float32 for a small model on the CPU, else bfloat16: its half of the bytes counts where weights are many.

    A CPU that multiplies bfloat16 by itself gains from it already where weights leave the cache.
    """
    few = FLOAT32_FEW if _multiplies_bfloat16() else FLOAT32_MANY
    return torch.float32 if device.type == "cpu" and parameters < few else torch.bfloat16


def _multiplies_bfloat16() -> bool:
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


# Whether they fit -----------------------------------------------------------------------------------------------------


def _head_is_tied(description: Description, weights: Weights) -> bool:
    """Whether the head is the embedding, by what lies in the files."""
    head, embedding = weights.parts(HEAD), weights.parts(EMBEDDING)
    said = description.values.get("tie_word_embeddings") if description.is_hugging_face else None
    if not head:
        return said is not False  # said to be untied: then the head is a missing parameter
    if len(head) != len(embedding):
        return False
    pairs = [(ours.tensor, theirs.tensor) for ours, theirs in zip(head, embedding, strict=True)]
    if said:
        if not all(ours.shape == theirs.shape and torch.equal(ours, theirs) for ours, theirs in pairs):
            description.refuse(
                f"`tie_word_embeddings` is true, yet `{weights.name_in_file(HEAD)}` differs from the embedding. "
                "Set it to false to use both, or remove the parameter"
            )
        return True
    # torch.save keeps a shared tensor shared.
    return all(ours.data_ptr() == theirs.data_ptr() and ours.shape == theirs.shape for ours, theirs in pairs)


def _check_names(weights: Weights, shapes: Shapes) -> None:
    needed = {weights.name_in_file(name) for name in shapes}
    if missing := [name for name in needed if name not in weights.parameters]:
        raise CheckpointError(f"{weights.folder}: parameter {_first_of(missing)} is missing from the weights.")
    known = needed | {weights.name_in_file(HEAD)}  # of a tied head, already compared with the embedding
    if extra := [name for name in weights.parameters if name not in known]:
        file = weights.parameters[min(extra)][0].file
        raise CheckpointError(f"{file}: parameter {_first_of(extra)} is unexpected: the model has no place for it.")


def _first_of(names: list[str]) -> str:
    return f"`{min(names)}`" + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")


def _check_shapes(weights: Weights, shapes: Shapes) -> None:
    # The embedding and the head last: when all others fit, a wrong size there is a matter of the vocabulary.
    for name in sorted(shapes, key=lambda name: name in (EMBEDDING, HEAD)):
        _check_shape(weights, name, shapes[name])


def _check_shape(weights: Weights, name: str, whole: tuple[int, ...]) -> None:
    parts = weights.parts(name)
    dim = _split_dim(name, tuple(parts[0].tensor.shape), whole, weights.shards)
    expected = list(whole)
    if dim is not None:
        if whole[dim] % weights.shards:
            raise CheckpointError(
                f"{weights.folder}: parameter `{name}` {whole} cannot be spread over {weights.shards} shards: "
                "one is stray or missing."
            )
        expected[dim] //= weights.shards
    for part in parts:
        if list(part.tensor.shape) != expected:
            _refuse_shape(weights, name, part, tuple(expected), whole)
    for part in parts[1:]:
        if dim is None and not torch.equal(part.tensor, parts[0].tensor):
            raise CheckpointError(
                f"{part.file}: parameter `{name}` differs from that of {parts[0].file.name}: "
                "the shards belong to different checkpoints."
            )


def _split_dim(name: str, part: tuple[int, ...], whole: tuple[int, ...], shards: int) -> int | None:
    """Along which dimension model-parallel shards divide this parameter: llama-models' reshard map."""
    if shards == 1 or len(whole) == 1:
        return None  # norms are in every shard
    if name.endswith(BY_INPUTS):
        return 1
    if name == EMBEDDING and part[:1] == whole[:1]:
        return 1  # before Llama 3
    return 0


def _refuse_shape(
    weights: Weights, name: str, part: Part, expected: tuple[int, ...], whole: tuple[int, ...]
) -> NoReturn:
    got = tuple(part.tensor.shape)
    if name in (EMBEDDING, HEAD) and weights.shards == 1 and got[1:] == whole[1:]:
        _refuse_vocabulary(weights.folder, whole[0], got[0])
    said = f"{part.file}: parameter `{weights.name_in_file(name)}` should be {expected}, got {got}."
    if weights.shards > 1 and got == whole:
        said += f" That is all of it: of the {weights.shards} shards some are stray."
    elif name.endswith("attention.wq.weight") and got[1:] == whole[1:] and whole[0] % max(1, got[0]) == 0:
        said += " That is a part of it: shards seem to be missing."
    raise CheckpointError(said)


def _refuse_vocabulary(folder: Path, tokenizer: int, checkpoint: int) -> NoReturn:
    raise CheckpointError(
        f"{folder}: the vocabularies differ: tokenizer has {tokenizer}, checkpoint {checkpoint} tokens. "
        "Put the tokenizer that belongs to the weights beside them."
    )


# Taking them over -----------------------------------------------------------------------------------------------------


def _taken_over(
    weights: Weights,
    shapes: Shapes,
    head_dim: int,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress,
    share: Share,
) -> Iterator[tuple[str, nn.Parameter]]:
    """Our share of every parameter of the model with its name, on its device."""
    total, done = sum(part.tensor.nbytes for name in shapes for part in weights.parts(name)), 0
    progress("weights", 0.0)
    for name, shape in shapes.items():
        parts = weights.parts(name)
        tensor = _joined(name, shape, parts, device, dtype, share)
        copied = all(_pages(tensor) != _pages(part.tensor) for part in parts)
        # What is only mapped stays unread, but for the norms and the embedding.
        if copied or len(shape) == 1 or name == EMBEDDING:
            _check_finite(weights.name_in_file(name), tensor, parts[0].file)
        if weights.is_hugging_face and name.endswith(("wq.weight", "wk.weight")):
            tensor = _interleaved(tensor, head_dim)
        yield name, nn.Parameter(tensor, requires_grad=False)
        done += sum(part.tensor.nbytes for part in parts)
        progress("weights", done / total)


def place(model: Transformer, name: str, parameter: nn.Parameter, quantization: Quantization | None) -> None:
    """Gives the model one of its parameters, made small where it belongs to a linear layer and that is wished."""
    path = name.removesuffix(".weight")
    module = model.get_submodule(path)
    if quantization is not None and isinstance(module, nn.Linear):
        model.set_submodule(path, small_linear(parameter.detach(), quantization, head=name == HEAD))
    else:
        module.weight = parameter


def _joined(
    name: str, shape: tuple[int, ...], parts: list[Part], device: torch.device, dtype: torch.dtype, share: Share
) -> Tensor:
    """Our share of the parameter; the file's own pages when nothing has to change."""
    first = parts[0].tensor.detach()
    of_files, of_ranks = _split_dim(name, tuple(first.shape), shape, len(parts)), share.dim(name)
    dim = of_files if of_ranks is None else of_ranks
    if dim is None:
        return first.to(device=device, dtype=dtype).contiguous()
    start, end = (0, shape[dim]) if of_ranks is None else share.bounds(shape[dim])
    width, cuts = first.shape[dim], []
    for number, part in enumerate(parts):
        low, high = max(start - number * width, 0), min(end - number * width, width)
        if low < high:
            cuts.append(part.tensor.detach().narrow(dim, low, high - low))
    if len(cuts) == 1:
        return cuts[0].to(device=device, dtype=dtype).contiguous()
    joined = torch.empty(
        [end - start if at == dim else size for at, size in enumerate(shape)], dtype=dtype, device=device
    )
    for cut, room in zip(cuts, joined.split([cut.shape[dim] for cut in cuts], dim), strict=True):
        room.copy_(cut)
    return joined


def _pages(tensor: Tensor) -> int:
    """Where the memory begins that `tensor` lies in."""
    return tensor.untyped_storage().data_ptr()


def _interleaved(weight: Tensor, head_dim: int) -> Tensor:
    """Hugging Face has the first members of all rotary pairs before the second; Meta has pair by pair."""
    rows, dim = weight.shape
    return weight.view(rows // head_dim, 2, head_dim // 2, dim).transpose(1, 2).reshape(rows, dim)


def _check_finite(name: str, tensor: Tensor, file: Path) -> None:
    low, high = tensor.aminmax()  # needs no second copy, and lets NaN through
    if not (math.isfinite(low.item()) and math.isfinite(high.item())):
        raise CheckpointError(f"{file}: parameter `{name}` holds values that are not finite (NaN or infinite).")
