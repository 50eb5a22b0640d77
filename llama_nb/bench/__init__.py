"""`llama-nb bench`: what a model costs here, measured through the generator's own process, alone or beside others.

`measure.py` is the way through; `probe.py` and `rivals.py` are processes of their own, the only ones with torch.
"""
