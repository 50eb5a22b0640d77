"""The door of the generator's process: frames in, frames out. `python -m llama_nb.engine.worker PIPE SUPERVISOR`.

Of several ranks each is such a process, with RANK COUNT FOLDER behind, and rank 0 with its pipes to the others as well.
Everything that a request can provoke is caught here and becomes that request's one final event. Standard output and
error are a log file. torch is imported only once the first command says what to load.
"""

from __future__ import annotations

import logging
import math
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from llama_nb.engine.protocol import (
    Cancel,
    Command,
    Count,
    Counted,
    Embed,
    Embedded,
    Event,
    Failed,
    FrameReader,
    Loading,
    Prefilled,
    Queued,
    Ready,
    Start,
    Submit,
    frame,
)
from llama_nb.errors import BadRequest, ContextOverflow, LlamaError

if TYPE_CHECKING:
    import torch

    from llama_nb.engine.ranks import Place
    from llama_nb.engine.runner import Chosen, Runner
    from llama_nb.engine.scheduler import Sequence, Texts, Work
    from llama_nb.prompt_format.encode import DialogEncoder

log = logging.getLogger("llama_nb.worker")

FEW_PARAMETERS = 30_000_000
STOP_REASONS = {"<|eot_id|>": "end_of_turn", "<|eom_id|>": "end_of_message", "<|end_of_text|>": "end_of_turn"}


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt of the kernel is not meant for us
    pipe, supervisor = int(sys.argv[1]), int(sys.argv[2])
    _die_with_parent(supervisor)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    if sys.argv[3:] and int(sys.argv[3]) > 0:
        _follow(socket.socket(fileno=pipe))
        return
    connection = Connection(socket.socket(fileno=pipe))
    try:
        start = connection.wait()
        assert isinstance(start, Start), "the first command says what to load"
        generator = _load(start, connection)
        generator.serve()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        log.info("the kernel has closed the pipe")


def _die_with_parent(supervisor: int) -> None:
    """The supervisor's death is ours: by a signal on Linux, and by looking at our parent everywhere."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == supervisor:
            time.sleep(0.5)
        os._exit(1)

    if os.getppid() != supervisor:  # it died before we asked for the signal
        os._exit(1)
    threading.Thread(target=watch, name="parent watch", daemon=True).start()


class Connection:
    """Our end of the pipe: commands as they come, events as frames."""

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._reader = FrameReader()
        self._commands: list[Command] = []
        self._poll = select.poll()  # not select(), which knows no descriptor above 1023
        self._poll.register(pipe, select.POLLIN)

    def wait(self) -> Command:
        """The next command, however long it takes. EOFError: there will be none."""
        while not self._commands:
            self._receive()
        return self._commands.pop(0)

    def poll(self) -> Command | None:
        """The next command if one is there."""
        while not self._commands and self._poll.poll(0):
            self._receive()
        return self._commands.pop(0) if self._commands else None

    def send(self, events: list[Event]) -> None:
        if events:
            self._pipe.sendall(frame(events))

    def _receive(self) -> None:
        data = self._pipe.recv(1 << 20)
        if not data:
            raise EOFError
        self._commands += self._reader.commands(data)


def cores() -> int:
    """How many threads compute: one for each physical core that is ours. Two on one core are slower than one."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    ours = os.sched_getaffinity(0)
    siblings = {_read(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") or str(cpu) for cpu in ours}
    share, _, period = _read("/sys/fs/cgroup/cpu.max").partition(" ")  # of a container that may use only a part
    quota = math.ceil(int(share) / int(period)) if share.isdigit() and period.isdigit() else len(siblings)
    return max(1, min(len(siblings), quota))


def _read(path: str) -> str:
    try:
        return Path(path).read_text("ascii").strip()
    except OSError:
        return ""


def _load(start: Start, connection: Connection) -> Generator:
    """The generator for what `start` names. A failure is told to the kernel, and is the end of this process."""
    began = time.monotonic()

    def progress(stage: str, fraction: float) -> None:
        connection.send([Loading(stage, fraction)])

    try:
        progress("starting torch", 0.0)
        _set_threads()
        import torch

        from llama_nb.engine import checkpoint
        from llama_nb.engine.decoder import decoder_of
        from llama_nb.engine.quantize import pack_linears, stored_bytes
        from llama_nb.engine.runner import Runner, default_batch_size
        from llama_nb.prompt_format.encode import DialogEncoder

        device = _device(start.device)
        place = lead = None
        if start.ranks > 1:
            from llama_nb.engine.ranks import Lead, add_up

            place, lead = _place(), Lead([socket.socket(fileno=int(pipe)) for pipe in sys.argv[6:]])
            device = place.device(device)
            lead.tell(start)
        dtype = None if start.dtype == "auto" else getattr(torch, start.dtype)
        model, tokenizer = checkpoint.load(
            Path(start.checkpoint),
            device=device,
            dtype=dtype,
            max_seq_len=start.max_seq_len,
            progress=progress,
            quantization=start.quantization,
            share=checkpoint.Share(0, start.ranks),
        )
        pack_linears(model)
        weight_bytes = stored_bytes(model)
        if place is not None and lead is not None:
            weight_bytes += lead.loaded_bytes()
            place.join(device)
            add_up(model)
            lead.take(model)
        dtype = model.norm.weight.dtype
        parameters = model.args.parameters
        _compute_alone_if_small(device, parameters)
        rows = start.max_batch_size or default_batch_size(device)
        decoder = decoder_of(model, rows, progress)
        runner = Runner(model, device, dtype, max_batch_size=rows, prompt_lookup=start.prompt_lookup, decoder=decoder)
        ready = Ready(
            device=str(device),
            dtype=str(dtype).removeprefix("torch."),
            parameters=parameters,
            max_seq_len=model.args.max_seq_len,
            load_s=time.monotonic() - began,
            control=tokenizer.special_tokens,
            max_batch_size=runner.max_batch_size,
            cache_bytes=runner.slots.budget * start.ranks,
            quantization=start.quantization,
            weight_bytes=weight_bytes,
            ranks=start.ranks,
        )
    except Exception as error:
        log.exception("the checkpoint could not be loaded")
        connection.send([_failure(None, error)])
        _exit_quietly()
    connection.send([ready])
    return Generator(connection, runner, DialogEncoder(tokenizer), ready.max_seq_len)


def _set_threads() -> None:
    """Before torch is loaded: it is read then, and never again."""
    ranks = int(sys.argv[4]) if sys.argv[4:] else 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // ranks)))


def _compute_alone_if_small(device: torch.device, parameters: int) -> None:
    import torch

    if device.type == "cpu" and parameters < FEW_PARAMETERS:
        # Handing a small product to a second thread costs more than it saves: half the speed, measured on 5 M.
        torch.set_num_threads(1)


def _place() -> Place:
    from llama_nb.engine.ranks import Place

    rank, count, folder = sys.argv[3:6]
    return Place(int(rank), int(count), Path(folder))


def _follow(pipe: socket.socket) -> None:
    """What another rank than the first does. A checkpoint that cannot be loaded is rank 0's to tell."""
    _set_threads()
    import torch

    from llama_nb.engine import checkpoint
    from llama_nb.engine.quantize import pack_linears, stored_bytes
    from llama_nb.engine.ranks import Loaded, add_up, follow, start_and_commands

    place = _place()
    try:
        start, commands = start_and_commands(pipe)
        device = place.device(_device(start.device))
        model, _ = checkpoint.load(
            Path(start.checkpoint),
            device=device,
            dtype=None if start.dtype == "auto" else getattr(torch, start.dtype),
            max_seq_len=start.max_seq_len,
            progress=lambda stage, fraction: None,
            quantization=start.quantization,
            share=checkpoint.Share(place.rank, place.count),
        )
        pack_linears(model)
        pipe.sendall(frame(Loaded(stored_bytes(model))))
    except EOFError:
        return
    except Exception as error:
        log.exception("rank %d could not load its share", place.rank)
        pipe.sendall(frame(_failure(None, error)))
        pipe.recv(1)  # rank 0 tells it on, and ends; were we gone before, we should be taken for the cause
        return
    place.join(device)
    add_up(model)
    _compute_alone_if_small(device, model.args.parameters)
    follow(model, commands, place.rank)


def _device(wanted: str) -> torch.device:
    import torch

    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise BadRequest(f"device `{wanted}` was asked for, but torch {torch.__version__} sees no CUDA device here.")
    return torch.device(wanted)


def _exit_quietly() -> NoReturn:
    # The kernel has the reason; the interpreter's own farewell would take a second with torch loaded.
    sys.stderr.flush()
    os._exit(0)


class Generator:
    """Serves requests: one step for all who run, then a look at the pipe."""

    def __init__(self, connection: Connection, runner: Runner, encoder: DialogEncoder, max_seq_len: int) -> None:
        from llama_nb.engine.grammar import Vocabulary
        from llama_nb.engine.scheduler import Scheduler

        self._connection = connection
        self._runner = runner
        self._encoder = encoder
        self._max_seq_len = max_seq_len
        self._scheduler = Scheduler(runner.max_batch_size, runner.cache_tokens)
        self._vocabulary = Vocabulary(encoder.tokenizer)

    def serve(self) -> NoReturn:
        """Until the pipe ends, which raises EOFError."""
        while True:
            command = self._connection.wait() if self._scheduler.idle else self._connection.poll()
            if command is not None:
                self._connection.send(self._obey(command))
            elif not self._scheduler.idle:
                self._connection.send(self._step())

    def _obey(self, command: Command) -> list[Event]:
        if isinstance(command, Submit | Embed | Count):
            try:
                return self._begin(command)
            except Exception as error:
                return [_failure(command.id, error)]
        if isinstance(command, Cancel):
            work = self._scheduler.find(command.id)
            if work is not None:
                return self._finish(work, "out_of_tokens")
        return []

    def _begin(self, request: Submit | Embed | Count) -> list[Event]:
        if isinstance(request, Count):
            return [Counted(request.id, len(self._encoder.encode(request.dialog)), self._max_seq_len)]
        self._scheduler.add(self._sequence(request) if isinstance(request, Submit) else self._texts(request))
        return []

    def _sequence(self, request: Submit) -> Sequence:
        from llama_nb.engine.grammar import Opening
        from llama_nb.engine.scheduler import Sequence
        from llama_nb.prompt_format.detokenize import Detokenizer

        of_text = request.prompt is not None
        prompt = (
            self._encoder.encode_text(request.prompt)
            if request.prompt is not None
            else self._encoder.encode(request.dialog)
        )
        prefill = self._encoder.encode_text(request.prefill)[1:]
        room = self._max_seq_len - len(prompt) - len(prefill)
        if room < 1:
            raise ContextOverflow(
                f"The prompt has {len(prompt) + len(prefill):,} tokens, the context of this model holds "
                f"{self._max_seq_len:,} (prompt and answer together). Shorten the prompt, or begin a new conversation."
            )
        constraint = None
        if request.grammar is not None:
            constraint = self._vocabulary.constraint(request.grammar, prefill, of_text=of_text)
        opening = None
        if request.guide is not None and constraint is None and not prefill:
            opening = Opening(request.guide, self._vocabulary, self._encoder.tokenizer)
        sequence = Sequence(
            request=request,
            prompt=prompt + prefill,
            room=min(request.max_tokens or room, room),
            detokenizer=Detokenizer(self._encoder.tokenizer, request.stop),
            constraint=constraint,
            opening=opening,
        )
        if prefill:
            sequence.answer.append(prefill, request.prefill)
        return sequence

    def _texts(self, request: Embed) -> Texts:
        from llama_nb.engine.scheduler import Texts

        if not request.texts:
            raise BadRequest("There are no texts. Give at least one.")
        texts = [self._encoder.encode_text(text) for text in request.texts]
        for place, text in enumerate(texts):
            if len(text) == 1:
                raise BadRequest(f"Text {place} is empty, and nothing has no vector. Leave it out.")
            if len(text) > self._max_seq_len:
                raise ContextOverflow(
                    f"Text {place} has {len(text):,} tokens, the context of this model holds {self._max_seq_len:,}. "
                    "Cut it into parts."
                )
        return Texts(request, texts, list(range(len(texts))))

    def _step(self) -> list[Event]:
        step = self._scheduler.next()
        events: list[Event] = [Queued(work.request.id, work.position) for work in self._scheduler.moved()]
        if step.sequences:
            for sequence, read in self._runner.step(step.sequences).items():
                if isinstance(read, Exception):
                    events += self._fail(sequence, read)
                else:
                    events += self._safely(self._go_on, sequence, read)
        if step.texts is not None:
            events += self._safely(self._embed, step.texts, not step.sequences)
        return events

    def _safely(self, act: Callable[..., list[Event]], work: Work, *args: object) -> list[Event]:
        """What `act` makes of `work`. A request that fails ends; the others and the process go on."""
        try:
            return act(work, *args)
        except Exception as error:
            return self._fail(work, error)

    def _fail(self, work: Work, error: Exception) -> list[Event]:
        log.error("request %d failed", work.request.id, exc_info=error)
        self._leave(work, keep=False)
        return [_failure(work.request.id, error)]

    def _go_on(self, sequence: Sequence, read: list[Chosen]) -> list[Event]:
        if sequence.in_prefill:
            return [Prefilled(sequence.request.id, sequence.read, len(sequence.prompt))]
        return self._take(sequence, read)

    def _embed(self, texts: Texts, alone: bool) -> list[Event]:
        batch = self._runner.read_texts(texts, alone=alone)
        if not batch.whole:
            return [Prefilled(texts.request.id, batch.read, max(len(texts.texts[place]) for place in batch.places))]
        embedded = Embedded(texts.request.id, batch.places, batch.vectors())
        return [embedded] if texts.waiting else [embedded, *self._finish(texts, "end_of_turn")]

    def _take(self, sequence: Sequence, chosen: list[Chosen]) -> list[Event]:
        """The tokens join the answer: what can be shown of it now, and the end if there is one."""
        pieces: list[Event] = []
        for token, logprobs in chosen:
            sequence.generated.append(token)
            sequence.first_token = sequence.first_token or time.monotonic()
            sequence.note_logprobs(self._named(logprobs))
            pieces += sequence.pieces(sequence.detokenizer.feed(token))
            if sequence.detokenizer.stopped:
                return [*pieces, *self._finish(sequence, "end_of_turn")]
            reason = self._stop_reason(token)
            if reason or len(sequence.generated) >= sequence.room:
                return [*pieces, *self._finish(sequence, reason or "out_of_tokens")]
        return pieces

    def _named(self, logprobs: dict[int, float] | None) -> dict[str, float] | None:
        from llama_nb.prompt_format.detokenize import token_text

        if logprobs is None:
            return None
        return {token_text(self._encoder.tokenizer, token): value for token, value in logprobs.items()}

    def _stop_reason(self, token: int) -> str | None:
        special = self._encoder.tokenizer.special_tokens
        return next((reason for name, reason in STOP_REASONS.items() if special[name] == token), None)

    def _finish(self, work: Work, stop_reason: str) -> list[Event]:
        from llama_nb.engine.scheduler import Texts

        self._leave(work, keep=True)
        if isinstance(work, Texts):
            return [work.done(stop_reason)]
        rest: list[Event] = []
        if not work.detokenizer.stopped:  # what a stop string cut off is not part of the answer
            rest += work.pieces(work.detokenizer.flush())
            self._keep(work)
        return [*rest, work.done(stop_reason)]

    def _leave(self, work: Work, *, keep: bool) -> None:
        """Takes `work` out, wherever it stands; what was read for it is kept for others, or not."""
        from llama_nb.engine.scheduler import Sequence

        self._scheduler.remove(work)
        if isinstance(work, Sequence):
            self._runner.release(work, keep=keep)

    def _keep(self, sequence: Sequence) -> None:
        """Remembers the answer to a dialog, with the beginning that was given, for the turns that will follow it."""
        if sequence.request.prompt is None:
            given = len(self._encoder.encode_text(sequence.request.prefill)) - 1
            self._encoder.keep(sequence.prompt[: len(sequence.prompt) - given], sequence.answer)


def _failure(request: int | None, error: Exception) -> Failed:
    if isinstance(error, LlamaError):
        return Failed(request, type(error).__name__, str(error))
    return Failed(request, "EngineError", f"{type(error).__name__}: {error}".strip())


if __name__ == "__main__":
    main()
