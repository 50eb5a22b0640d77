"""How often a test tries: a few times in every run, as often as the claim says under `LLAMA_NB_FULL=1` (make soak)."""

from __future__ import annotations

import os


def full(small: int, full: int) -> int:
    """`small` in every run, `full` when the long counts are asked for."""
    return full if os.environ.get("LLAMA_NB_FULL") == "1" else small
