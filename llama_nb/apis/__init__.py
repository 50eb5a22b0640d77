"""The words of the house, one file for each API. Knows nothing else of llama_nb.

Field names, enum values, defaults and method signatures are Llama Stack's, so that its users know them.
"""
