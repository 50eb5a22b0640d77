"""What can go wrong. Each error says what came, what is known, and what to do.

    LlamaError
    ├── ConfigError (ValueError)           a run config that cannot be meant so; carries its address
    ├── ModelNotFound (ValueError)         no provider serves this name
    ├── CheckpointError (ValueError)       a checkpoint that cannot be loaded: file, parameter, expected, got
    ├── ContextOverflow (ValueError)       a prompt longer than the context
    ├── BadRequest (ValueError)            a request that no model could answer
    ├── NotSupported (NotImplementedError) known, but not to be had here
    ├── ToolArgumentsInvalid (ValueError)  a call's arguments do not fit its tool
    ├── AnswerInvalid (ValueError)         an answer is not what its schema asks for, or was cut off before it could be
    └── EngineError (RuntimeError)         the generator failed or died

Each is also a child of the built-in error that Llama Stack raises at that place.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class LlamaError(Exception):
    """Anything that llama_nb raises on purpose."""


class ConfigError(LlamaError, ValueError):
    pass


class ModelNotFound(LlamaError, ValueError):
    pass


class CheckpointError(LlamaError, ValueError):
    pass


class ContextOverflow(LlamaError, ValueError):
    pass


class BadRequest(LlamaError, ValueError):
    pass


class NotSupported(LlamaError, NotImplementedError):
    pass


class ToolArgumentsInvalid(LlamaError, ValueError):
    pass


class AnswerInvalid(LlamaError, ValueError):
    pass


class EngineError(LlamaError, RuntimeError):
    pass


def by_name(name: str) -> type[LlamaError]:
    """The error class of that name, as it crosses a pipe; an unknown name is an `EngineError`."""
    known = {kind.__name__: kind for kind in LlamaError.__subclasses__()}
    return known.get(name, EngineError)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known name, or all of them.

    >>> did_you_mean("chekpoint", ["model", "checkpoint"])
    'Did you mean `checkpoint`? Known: `checkpoint`, `model`.'
    """
    names = sorted(known)
    if not names:
        return "None is known."
    listed = "Known: " + ", ".join(f"`{known_name}`" for known_name in names) + "."
    nearest = get_close_matches(name, names, n=1)
    return f"Did you mean `{nearest[0]}`? {listed}" if nearest else listed
