"""A kernel as a test may kill it: `python kernel.py CHECKPOINT MODE`. Says on its standard output how far it is.

A script, not a test. Its children carry the mark of its environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import llama_nb

QUESTION = "What do you see?"


def say(*words: object) -> None:
    print(*words, flush=True)


def wait_until_it_speaks(reply: llama_nb.Reply) -> None:
    while not reply.text and not reply.ended:
        time.sleep(0.001)


def answers_without_end(chat: llama_nb.Chat) -> None:
    """A model without an end token stops only where its context does; then it is asked anew."""
    reply = chat.start(QUESTION)
    say("asked")
    wait_until_it_speaks(reply)
    say("answering")
    while True:
        chat.reset()
        chat.start(QUESTION).wait()


def has_forked(chat: llama_nb.Chat) -> None:
    """A child that lives on with copies of all that is open."""
    chat.ask(QUESTION, max_tokens=4)
    if os.fork() == 0:
        signal.pause()
    say("answering")
    signal.pause()


def has_a_child_that_asks(chat: llama_nb.Chat) -> None:
    """A forked child gets a generator of its own; it neither reads from its parent's nor ends it."""
    first = chat.ask(QUESTION, max_tokens=10)
    generator = chat.status.detail
    child = os.fork()
    if child == 0:
        chat.reset()
        mine = chat.ask(QUESTION, max_tokens=10)
        chat.stack.close()
        os._exit(0 if mine.text == first.text else 1)
    _, status = os.waitpid(child, 0)
    chat.reset()
    second = chat.ask(QUESTION, max_tokens=10)
    assert chat.status.detail == generator
    assert second.usage is not None
    cached = second.usage.cached_tokens == second.usage.prompt_tokens - 1
    say(f"child={status} same={second.text == first.text} cached={cached}")


def unloads(chat: llama_nb.Chat) -> None:
    """While a forked child holds copies of the pipes: the kernel must not spin over what it has closed itself."""
    chat.ask(QUESTION, max_tokens=4)
    if os.fork() == 0:
        signal.pause()
    chat.stack.unload(chat.model)
    while chat.status.phase != "idle":
        time.sleep(0.001)
    before = time.process_time()
    time.sleep(1)
    spent = time.process_time() - before
    say(f"busy={spent > 0.3} answers={bool(chat.ask(QUESTION, max_tokens=4).text)}")


def starts_a_plain_child() -> None:
    """The negative control: a process of its own session that nothing ties to the kernel."""
    subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
    say("answering")
    signal.pause()


def is_interrupted(chat: llama_nb.Chat) -> None:
    """SIGINTs to the whole group: some are only counted, some end a call that waits."""
    child = subprocess.Popen([sys.executable, "-c", "import signal; print(flush=True); signal.pause()"], stdout=-1)
    assert child.stdout is not None
    child.stdout.readline()
    first = chat.ask(QUESTION, max_tokens=30)
    counted: list[int] = []
    signal.signal(signal.SIGINT, lambda *_: counted.append(1))
    wanted = int(sys.argv[3])
    for _ in range(wanted):
        before = len(counted)
        reply = chat.start(QUESTION)
        wait_until_it_speaks(reply)
        say("answering")
        while len(counted) == before:
            time.sleep(0.001)
        reply.stop()
        reply.wait()
        chat.reset()  # else what was said would outgrow the context
    signal.signal(signal.SIGINT, signal.default_int_handler)
    partial = 0
    for _ in range(5):
        chat.reset()
        try:
            reply = chat.start(QUESTION)
            wait_until_it_speaks(reply)
            # A moment later, so that the interrupt finds the main thread in `wait`.
            threading.Timer(0.1, say, ["answering"]).start()
            reply.wait()
        except KeyboardInterrupt:
            partial += chat.messages[-1].content == reply.text != ""
    chat.reset()
    second = chat.ask(QUESTION, max_tokens=30)
    say(f"counted={len(counted)} partial={partial} same={second.text == first.text} plain_child={child.poll()}")


def main() -> None:
    mode = sys.argv[2]
    if mode == "plain child":
        return starts_a_plain_child()
    chat = llama_nb.Chat(sys.argv[1])
    modes = {
        "answering": answers_without_end,
        "forked": has_forked,
        "unloads": unloads,
        "child asks": has_a_child_that_asks,
        "interrupted": is_interrupted,
    }
    return modes[mode](chat)


if __name__ == "__main__":
    main()
