"""What was measured, as a table for people. Knows the result; knows nothing of where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llama_nb.bench.figures import MEASURED, OURS

OTHERS = ("load_s", "peak_memory_bytes", "bytes_per_token", "copy_bytes_per_s", "fraction_of_bandwidth")


def table(result: dict[str, Any]) -> str:
    """All figures with their units, those of the others beside ours, and why one is missing."""
    return "\n".join([*_head(result), "", *_aligned(list(_rows(result))), *_notes(result)])


def _head(result: dict[str, Any]) -> Iterator[str]:
    weights = "random weights, " if result["random_weights"] else ""
    kind = result["quantization"] or result["dtype"]
    yield f"{result['model']}: {weights}{result['parameters']:,} parameters, {kind}, {result['device']}"
    yield f"{result['device_name']}, {result['threads']} threads, torch {result['torch']}"
    yield (
        f"{result['prompt_tokens']} tokens of prompt, {result['new_tokens']} of answer, "
        f"batch {result['batch']}; medians of {result['repeat']} (least – most)"
    )


def _rows(result: dict[str, Any]) -> Iterator[list[str]]:
    rivals = {name: figures for name, figures in result["compare"].items() if figures is not None}
    yield ["", OURS, "", *(title for name in rivals for title in (name, "ratio"))]
    for name in MEASURED:
        beside = [
            text
            for figures in rivals.values()
            for text in (_figure(name, figures[name]), _ratio(figures["ratio"][name]))
        ]
        yield [name, _figure(name, result[name]), _range(name, result["range"][name]), *beside]
    for name in OTHERS:
        yield [name, _figure(name, result[name])]
    if rivals:
        same = [text for figures in rivals.values() for text in (str(figures["same_tokens"]), "")]
        yield ["tokens as ours, at least", "", "", *same]


def _aligned(rows: list[list[str]]) -> Iterator[str]:
    columns = max(map(len, rows))
    rows = [row + [""] * (columns - len(row)) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(columns)]
    for row in rows:
        first, *others = zip(row, widths, strict=True)
        name, width = first
        yield "  ".join([name.ljust(width), *(text.rjust(width) for text, width in others)]).rstrip()


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name.endswith("_tokens_per_s"):
        return f"{value:,.1f}"
    if name.endswith("bytes_per_s"):
        return f"{value / 1e9:,.1f} GB/s"
    if "bytes" in name:
        return f"{value / 1e9:,.3f} GB"
    if name.startswith("fraction"):
        return f"{value:.0%}"
    return f"{value:,.3f} s"


def _range(name: str, values: list[float] | None) -> str:
    return f"({_figure(name, values[0])} – {_figure(name, values[1])})" if values is not None else ""


def _ratio(value: float | None) -> str:
    return f"{value:.2f} ×" if value is not None else ""


def _notes(result: dict[str, Any]) -> Iterator[str]:
    if result["notes"]:
        yield ""
        yield from (f"{name}: {reason}" for name, reason in result["notes"].items())
