"""The frames on the pipe between the kernel and the generator: commands go down, events come up.

A frame is its length (four bytes, little endian) and then msgpack, read back into strict types; nothing is pickled.
Each command and event carries the id of its request. A frame up holds all events of one step. Knows no process.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from llama_nb.prompt_format.encode import Turn

MAX_FRAME_BYTES = 64 * 1024 * 1024
_LENGTH = struct.Struct("<I")


class Sampling(msgspec.Struct, frozen=True):
    """How tokens are chosen: temperature 0 is greedy; `top_k` 0 and `top_p` 1 leave the distribution whole."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None


class Start(msgspec.Struct, tag=True, frozen=True):
    """Load this checkpoint; `device` and `dtype` may be "auto". The first command, sent once."""

    checkpoint: str
    device: str = "auto"
    dtype: str = "auto"
    max_seq_len: int | None = None


class Submit(msgspec.Struct, tag=True, frozen=True):
    """Answer this dialog. `max_tokens` 0: as many as the context holds. `logprobs`: how many alternatives, or None."""

    id: int
    dialog: list[Turn]
    sampling: Sampling = Sampling()
    max_tokens: int = 0
    stop: list[str] = []
    logprobs: int | None = None


class Cancel(msgspec.Struct, tag=True, frozen=True):
    """End that request, in whatever phase it is. Of an unknown or finished request: nothing happens."""

    id: int


class Loading(msgspec.Struct, tag=True, frozen=True):
    stage: str
    fraction: float


class Ready(msgspec.Struct, tag=True, frozen=True):
    """The model is loaded. `control` gives the ids of the tokens that steer a dialog, by name."""

    device: str
    dtype: str
    parameters: int
    max_seq_len: int
    load_s: float
    control: dict[str, int]


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


class Done(msgspec.Struct, tag=True, frozen=True):
    """The answer is complete: the one final event, unless it is `Failed`."""

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


Command = Start | Submit | Cancel
Event = Loading | Ready | Prefilled | Piece | Done | Failed

_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(Command)
_events = msgspec.msgpack.Decoder(list[Event])

T = TypeVar("T")


class FrameError(Exception):
    """What came over the pipe is no frame of ours."""


def frame(content: Command | list[Event]) -> bytes:
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
        return self._read(data, _commands)

    def events(self, data: bytes) -> Iterator[list[Event]]:
        """The frames of events that `data` completes; raises as `commands` does."""
        return self._read(data, _events)

    def _read(self, data: bytes, decoder: msgspec.msgpack.Decoder[T]) -> Iterator[T]:
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
