"""What is to be measured, as it was asked for → the folder, and what the generator is told. Refuses what cannot be yet.

Knows where models come from; knows nothing of how they are measured.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from llama_nb import loop
from llama_nb.bench import shapes
from llama_nb.engine.protocol import Start
from llama_nb.errors import BadRequest, NotSupported, did_you_mean

RIVALS = ("reference", "transformers")
DEFAULT_CONTEXT = 4096


@dataclass(frozen=True)
class Options:
    """`model` is a name that is served here, `checkpoint` a folder, `shape` one of `shapes`; else it is the default."""

    model: str | None = None
    checkpoint: Path | None = None
    shape: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    quantization: str | None = None
    ranks: int = 1
    batch: int = 1
    prompt: int = 128
    new: int = 64
    repeat: int = 5
    compare: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("ranks", "batch", "prompt", "new", "repeat"):
            if (number := getattr(self, name)) < 1:
                raise BadRequest(f"`{name}` should be 1 or more, got {number}.")
        for rival in self.compare:
            if rival not in RIVALS:
                raise BadRequest(f"There is nothing called `{rival}` to compare with. {did_you_mean(rival, RIVALS)}")
        if sum(given is not None for given in (self.model, self.checkpoint, self.shape)) > 1:
            raise BadRequest("`model`, `checkpoint` and `shape` exclude each other: give one of them.")


@dataclass(frozen=True)
class Subject:
    """What is measured: its name, and the folder that it is loaded from."""

    name: str
    folder: Path
    drawn: bool = False  # its weights are random


@contextmanager
def subject(options: Options) -> Iterator[Subject]:
    """The folder of what was asked for. That of a shape describes it, holds no weights, and is gone afterwards."""
    if options.shape is not None:
        shape = shapes.resolve(options.shape)
        with tempfile.TemporaryDirectory(prefix="llama_nb-") as scratch:
            shapes.write(shape, Path(scratch))
            yield Subject(shape, Path(scratch), drawn=True)
    elif options.checkpoint is not None:
        folder = options.checkpoint.expanduser().absolute()
        yield Subject(folder.name, folder)
    else:
        yield _served(options.model)


def _served(model: str | None) -> Subject:
    """The checkpoint of a model that is served here; of None, of the default one."""
    from llama_nb.stack import Stack

    stack = Stack.from_config(None)
    try:
        name = stack.resolve(model or os.environ.get("LLAMA_NB_MODEL"))
        served = loop.run(stack.models.get_model(name))
    finally:
        stack.close()
    folder = served.metadata.get("checkpoint") if served is not None else None
    if folder is None:
        raise NotSupported(f"{name} is not a checkpoint here, and only our own generator can be measured.")
    return Subject(name, Path(folder))


def start_of(options: Options, folder: Path) -> Start:
    """The command that loads `folder` as `options` say.

    Raises:
        NotSupported: the generator does not know one of them.
        BadRequest: it knows it, but not this value.
    """
    length = options.prompt + options.new
    told: dict[str, Any] = {
        "checkpoint": str(folder),
        "device": options.device,
        "dtype": options.dtype,
        "max_seq_len": length if length > DEFAULT_CONTEXT else None,
        "prompt_lookup": False,  # a token is to cost a pass, however often the text repeats itself
    }
    if "max_batch_size" in Start.__struct_fields__ and options.batch > 1:
        told["max_batch_size"] = options.batch
    # What the generator does not take yet. As soon as it does, there is nothing to change here.
    asked = {"quantization": options.quantization, "ranks": options.ranks if options.ranks > 1 else None}
    for name, value in asked.items():
        if value is not None and name not in Start.__struct_fields__:
            raise NotSupported(f"`{name}` {value}: the generator of this version cannot do that yet; leave it out.")
        if value is not None:
            told[name] = value
    try:
        return msgspec.convert(told, Start)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The generator does not take this: {error}.") from error
