"""Llama's written language: messages and tools → token ids, and the pieces of an answer → events.

`render` lays a dialog out as text, `encode` turns that into token ids, `tokenizer` reads vocabularies; on the way
back `answer` turns pieces into events, and `calls` reads tool calls. Knows no torch, no IPython, no process.
"""
