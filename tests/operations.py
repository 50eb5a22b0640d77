"""The operations on the wire, applied as the page applies them."""

from __future__ import annotations

from typing import Any


def applied(turns: list[Any], ops: list[dict[str, Any]]) -> list[Any]:
    """What js/src/state.ts does with operations."""
    for op in ops:
        own = next((turn for turn in turns if turn["id"] == op.get("turn")), {})
        match op:
            case {"op": "turns", "turns": all_turns}:
                turns = all_turns
            case {"op": "turn", "turn": turn}:
                known = [other["id"] for other in turns]
                turns = [turn if other["id"] == turn["id"] else other for other in turns]
                turns += [turn] * (turn["id"] not in known)
            case {"op": "mark", "fields": fields}:
                own.update(fields)
            case {"op": "part", "part": index, "value": value}:
                own["parts"][index : index + 1] = [value]
            case {"op": "step", "part": index, "fields": fields}:
                own["parts"][index].update(fields)
            case {"op": "piece", "part": index, "text": text}:
                own["parts"][index]["text"] += text
    return turns
