"""Whether the files of a checkpoint are those that were published, as far as a `checklist.chk` tells.

Knows names, digests and bytes; knows nothing of what the files hold.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from llama_nb.errors import CheckpointError


def verify_checksums(folder: Path, progress: Callable[[str, float], None]) -> None:
    """Compares every file that `checklist.chk` lists with its MD5 or SHA-256; without that list nothing is done.

    `progress` is told ("checksums", 0 … 1).

    Raises:
        CheckpointError: a listed file is missing, or its digest is another.
    """
    manifest = folder / "checklist.chk"
    if not manifest.is_file():
        return
    listed = list(_listed(manifest))
    for path, _ in listed:
        if not path.is_file():
            raise CheckpointError(f"{path} is missing, though {manifest.name} lists it.")
    total, done = sum(path.stat().st_size for path, _ in listed), 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        progress("checksums", done / max(1, total))

    told(0)
    for path, expected in listed:
        got = _digest(path, len(expected), told)
        if got != expected:
            raise CheckpointError(
                f"{path} is not the file that {manifest.name} lists: expected {expected}, got {got}. Download it again."
            )


def _listed(manifest: Path) -> Iterator[tuple[Path, str]]:
    """The files, each with its digest."""
    for number, line in enumerate(manifest.read_text("utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        match = re.fullmatch(r"([0-9a-fA-F]{64}|[0-9a-fA-F]{32})\s+\*?(.+)", line.strip())
        if match is None:
            raise CheckpointError(f"{manifest}, line {number}: expected a digest and a file name, got {line[:80]!r}.")
        yield manifest.parent / match[2], match[1].lower()


def _digest(path: Path, digits: int, told: Callable[[int], None]) -> str:
    # MD5 is what Meta publishes. It guards against damage, not against malice: those files hold only tensors anyway.
    new_hash = hashlib.sha256 if digits == 64 else lambda: hashlib.md5(usedforsecurity=False)
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(_Counted(file, told), new_hash).hexdigest()


class _Counted(io.RawIOBase):
    """A file that tells how many bytes are read from it."""

    def __init__(self, file: io.FileIO, told: Callable[[int], None]) -> None:
        self._file, self._told = file, told

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer)
        self._told(count)
        return count
