"""Triton kernels for one step of one sequence on a GPU: five a layer. They know tensors; nothing of models or graphs.

What a step of one row costs is to read the weights and to start kernels. So the norms, the rotation, the writing of
keys and values, SwiGLU and the residual sums lie in the kernels that read the weights. Sums are float32; where the
model rounds between operations, so do these, except within a norm. Positions are read on the device: what is captured
once serves all lengths.

Shapes: N outputs, K inputs, H query heads, G of them for each key-value head, D the size of a head, S splits.
"""
