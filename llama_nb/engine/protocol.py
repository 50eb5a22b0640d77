"""The frames on the pipe between the kernel and the generator: commands go down, events come up.

A frame is its length (four bytes, little endian) and then msgpack, read back into strict types; nothing is pickled.
Each command and event carries the id of its request. A frame up holds all events of one step. Knows no process.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal, TypeVar

import msgspec

from llama_nb.prompt_format.encode import Turn
from llama_nb.prompt_format.grammar import Grammar, Guide

MAX_FRAME_BYTES = 64 * 1024 * 1024
_LENGTH = struct.Struct("<I")

Quantization = Literal["int8", "int4", "fp8"]


class Sampling(msgspec.Struct, frozen=True):
    """How tokens are chosen: temperature 0 is greedy; `top_k` 0 and `top_p` 1 leave the distribution whole.

    `repetition_penalty` p makes every token that prompt or answer holds less likely: a positive logit is divided by
    p, a negative one multiplied. 1 changes nothing.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    repetition_penalty: float = 1.0


class Start(msgspec.Struct, tag=True, frozen=True):
    """Load this checkpoint; `device` and `dtype` may be "auto". The first command, sent once.

    `max_batch_size`: how many requests may run at once; None leaves it to the device.
    `quantization`: how small the weights of the linear layers are made; None leaves them as they are.
    `prompt_lookup`: whether to guess tokens from what went before, and read several at once where that pays.
    `ranks`: over how many processes the model is spread.
    """

    checkpoint: str
    device: str = "auto"
    dtype: str = "auto"
    max_seq_len: int | None = None
    max_batch_size: int | None = None
    quantization: Quantization | None = None
    prompt_lookup: bool = True
    ranks: int = 1


class Submit(msgspec.Struct, tag=True, frozen=True):
    """Answer this dialog, or, where `prompt` is given, go on with that text: no dialog, no control tokens.

    `max_tokens` 0: as many as the context holds. `logprobs`: how many alternatives, or None. The answer goes on from
    `prefill`, which is encoded as text, and both together are a sentence of `grammar`. Without a grammar, an answer
    that begins a call is held to what `guide` says.
    """

    id: int
    dialog: list[Turn]
    sampling: Sampling = Sampling()
    max_tokens: int = 0
    stop: list[str] = []
    logprobs: int | None = None
    grammar: Grammar | None = None
    guide: Guide | None = None
    prefill: str = ""
    prompt: str | None = None


class Embed(msgspec.Struct, tag=True, frozen=True):
    """Give a vector for each of these texts."""

    id: int
    texts: list[str]


class Count(msgspec.Struct, tag=True, frozen=True):
    """Say how many tokens the prompt of this dialog has. Answered at once, whoever else is being answered."""

    id: int
    dialog: list[Turn]


class Cancel(msgspec.Struct, tag=True, frozen=True):
    """End that request, in whatever phase it is. Of an unknown or finished request: nothing happens."""

    id: int


class Loading(msgspec.Struct, tag=True, frozen=True):
    stage: str
    fraction: float


class Ready(msgspec.Struct, tag=True, frozen=True):
    """The model is loaded. `control` gives the ids of the tokens that steer a dialog, by name.

    `cache_bytes` is what keys and values of all conversations may take, those that are only kept included.
    `weight_bytes` is what its parameters take as they are kept. Both are of all ranks together.
    """

    device: str
    dtype: str
    parameters: int
    max_seq_len: int
    load_s: float
    control: dict[str, int]
    max_batch_size: int
    cache_bytes: int
    quantization: Quantization | None = None
    weight_bytes: int = 0
    ranks: int = 1


class Queued(msgspec.Struct, tag=True, frozen=True):
    """The request waits, and is the `position`-th to get its turn. Any other event of it means that it has waited."""

    id: int
    position: int


class Prefilled(msgspec.Struct, tag=True, frozen=True):
    """So many tokens of a prompt are read."""

    id: int
    done: int
    total: int


class Piece(msgspec.Struct, tag=True, frozen=True):
    """One or more tokens and their text: whole characters, "" for a control token; `logprobs` has one dict a token."""

    id: int
    tokens: list[int]
    text: str
    logprobs: list[dict[str, float]] | None = None


class Embedded(msgspec.Struct, tag=True, frozen=True):
    """The vectors of some texts, which are `places` in the request. `Done` follows the last of them."""

    id: int
    places: list[int]
    vectors: list[list[float]]


class Counted(msgspec.Struct, tag=True, frozen=True):
    """What was counted: the one final event of a `Count`, unless it is `Failed`."""

    id: int
    prompt_tokens: int
    max_seq_len: int


class Done(msgspec.Struct, tag=True, frozen=True):
    """The answer is complete: the one final event of a `Submit` or `Embed`, unless it is `Failed`."""

    id: int
    stop_reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    queue_s: float
    time_to_first_token_s: float
    tokens_per_s: float


class Failed(msgspec.Struct, tag=True, frozen=True):
    """The request failed; without an id the start did. `kind` is the name of an error class of `llama_nb.errors`."""

    id: int | None
    kind: str
    message: str


Request = Submit | Embed | Count
Command = Start | Request | Cancel
Event = Loading | Ready | Queued | Prefilled | Piece | Embedded | Counted | Done | Failed

_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(Command)
_events = msgspec.msgpack.Decoder(list[Event])

T = TypeVar("T")


class FrameError(Exception):
    """What came over the pipe is no frame of ours."""


def frame(content: msgspec.Struct | list[Event]) -> bytes:
    """`content` as the bytes of one frame.

    Raises:
        FrameError: it is larger than is allowed, or holds what msgpack cannot write.
    """
    try:
        payload = _encoder.encode(content)
    except (UnicodeEncodeError, OverflowError) as error:  # half a character, or a number beyond 64 bits
        raise FrameError(f"a frame could not be written: {error}") from error
    if len(payload) > MAX_FRAME_BYTES:
        raise FrameError(f"a frame of {len(payload):,} bytes is larger than the {MAX_FRAME_BYTES:,} that are allowed")
    return _LENGTH.pack(len(payload)) + payload


class FrameReader:
    """Cuts a stream of bytes into frames, however the bytes arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def commands(self, data: bytes) -> Iterator[Command]:
        """The commands that `data` completes.

        Raises:
            FrameError: the bytes are no command, or announce a frame larger than is allowed.
        """
        return self.read(data, _commands)

    def events(self, data: bytes) -> Iterator[list[Event]]:
        """The frames of events that `data` completes; raises as `commands` does."""
        return self.read(data, _events)

    def read(self, data: bytes, decoder: msgspec.msgpack.Decoder[T]) -> Iterator[T]:
        """What `data` completes, in the types of `decoder`; raises as `commands` does."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {length:,} bytes was announced; {MAX_FRAME_BYTES:,} are allowed")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            try:
                yield decoder.decode(payload)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise FrameError(f"a frame could not be read: {error}") from error
