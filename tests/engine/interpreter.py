"""What Triton's interpreter lacks: with `TRITON_INTERPRET=1` it runs kernels on the CPU, but not quite all that it should.

Seen in Triton 3.6. Nothing of this concerns a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def mend(patch: pytest.MonkeyPatch) -> None:
    import triton.language as tl
    from triton.runtime import interpreter

    prepare, dot = interpreter._patch_lang_tensor, interpreter.InterpreterBuilder.create_dot

    def prepare_indices(tensor: Any, scope: Any) -> None:
        """numpy 2.4 no longer makes an int of an array of one element, which every bound of a loop is."""
        prepare(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    def widen(handle: Any) -> Any:
        """numpy has no bfloat16: it is kept as whole numbers, which `dot` multiplies as such."""
        if handle.dtype.scalar != tl.bfloat16:
            return handle
        return interpreter.TensorHandle((handle.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    patch.setattr(interpreter, "_patch_lang_tensor", prepare_indices)
    patch.setattr(
        interpreter.InterpreterBuilder, "create_dot", lambda self, a, b, *rest: dot(self, widen(a), widen(b), *rest)
    )
