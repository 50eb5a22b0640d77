"""A live kernel, asked as a front end does."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client import BlockingKernelClient, KernelManager
from nbformat import NotebookNode

from tests.stacks import WAIT_S


@dataclass
class Ran:
    """What a cell left behind, as a saved notebook would have it, and how its displays grew."""

    outputs: list[NotebookNode] = field(default_factory=list)
    updates: list[str] = field(default_factory=list)
    reply: dict[str, Any] = field(default_factory=dict)

    @property
    def markdown(self) -> list[str]:
        return [output.data["text/markdown"] for output in self.outputs if "text/markdown" in output.get("data", {})]

    @property
    def text(self) -> list[str]:
        return [output.data["text/plain"] for output in self.outputs if "text/plain" in output.get("data", {})]

    @property
    def printed(self) -> str:
        return "".join(output.text for output in self.outputs if output.output_type == "stream")

    @property
    def error(self) -> str:
        return "".join("\n".join(output.traceback) for output in self.outputs if output.output_type == "error")

    @property
    def status(self) -> str:
        return str(self.reply["status"])


class Kernel:
    def __init__(self, client: BlockingKernelClient, manager: KernelManager) -> None:
        self.client, self.manager = client, manager
        self._displays: dict[str, NotebookNode] = {}  # of all cells: an earlier one's may still grow

    def run(self, code: str, when: Callable[[Ran], bool] | None = None, then: Callable[[], None] | None = None) -> Ran:
        """Runs a cell to its end. `then` is called once, as soon as `when` holds of what has come so far."""
        ran = Ran()
        request = self.client.execute(code, store_history=True)
        until = time.monotonic() + WAIT_S
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.1, until - time.monotonic()))
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            if kind in ("display_data", "execute_result", "stream", "error"):
                output = nbformat.v4.output_from_msg(message)
                ran.outputs.append(output)
                if name := content.get("transient", {}).get("display_id"):
                    self._displays[name] = output
            if kind == "update_display_data":
                output = self._displays[content["transient"]["display_id"]]
                output.data, output.metadata = NotebookNode(content["data"]), NotebookNode(content["metadata"])
                if any(output is own for own in ran.outputs):
                    ran.updates.append(content["data"].get("text/markdown", ""))
            if when is not None and then is not None and when(ran):
                when = None
                then()
        assert when is None, f"it never came to this: {ran}"
        ran.reply = self._reply_to(request)
        return ran

    def value(self, expression: str) -> Any:
        """What `expression` is in the kernel; it must be built of literals."""
        request = self.client.execute("", silent=True, user_expressions={"value": expression})
        found = self._reply_to(request)["user_expressions"]["value"]
        assert found["status"] == "ok", found
        return ast.literal_eval(found["data"]["text/plain"])

    def _reply_to(self, request: str) -> dict[str, Any]:
        while True:
            message = self.client.get_shell_msg(timeout=WAIT_S)
            if message["parent_header"]["msg_id"] == request:
                content: dict[str, Any] = message["content"]
                return content

    def interrupt(self) -> None:
        """■"""
        self.manager.interrupt_kernel()


@contextmanager
def live_kernel(folder: Path, environment: dict[str, str]) -> Iterator[Kernel]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder), env=environment)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=WAIT_S)
        yield Kernel(client, manager)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
