"""The embedded model `llama-nb-guide`, and the recipe that makes it: corpus → vocabulary → tokens → weights.

`llama-nb-guide/` is the checkpoint, in Meta's own layout; `python -m llama_nb.demo` makes it anew. Only `train` and
`evaluate` import torch. Nothing of this room but the checkpoint is used when llama_nb runs.
"""

from pathlib import Path

CHECKPOINT = Path(__file__).parent / "llama-nb-guide"
