"""How much memory is free, and how a lack of it shows. Knows the machine; knows nothing of what memory is for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch

CGROUP = Path("/sys/fs/cgroup")
# What torch says on a CPU, where a lack of memory is a RuntimeError like any other.
WORDS = ("can't allocate memory", "not enough memory", "out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in WORDS)


def free_bytes(device: torch.device) -> int:
    """What may still be taken on `device`; on a CPU, what is available, and no more than a container may take."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    return min([_available(), *_left_of_container()])


def _available() -> int:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # not Linux: half of all there is
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _left_of_container() -> Iterator[int]:
    """Under version 2 of control groups, then under 1; nothing where there is no limit."""
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, taken = (int((CGROUP / name).read_text("ascii")) for name in (limit, used))
            statistics = (CGROUP / limit).with_name("memory.stat").read_text("ascii").splitlines()
            files = next((int(line.split()[1]) for line in statistics if line.startswith(f"{cached} ")), 0)
        except (OSError, ValueError):  # no such file, or the word `max`
            continue
        yield max(most - taken + files, 0)
