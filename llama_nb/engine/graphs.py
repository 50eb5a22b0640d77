"""The graphs of a model: one for a single row, and one for each of some numbers of rows."""

from __future__ import annotations

import torch

from llama_nb.engine.decoder import Graph
from llama_nb.engine.model import Transformer
from llama_nb.engine.row_graph import RowGraph
from llama_nb.engine.rows_graph import RowsGraph


def graphs_of(model: Transformer, rows: int) -> list[Graph]:
    """For 1, 2, 4, 8 … up to `rows`. What each needs beyond its own buffers, they share: only one runs at a time."""
    one = RowGraph(model)
    pool = torch.cuda.graph_pool_handle() if torch.cuda.is_available() else None
    numbers = [2**power for power in range(1, (rows - 1).bit_length() + 1)]
    return [one, *(RowsGraph(model, number, one.turns, pool) for number in numbers)]
