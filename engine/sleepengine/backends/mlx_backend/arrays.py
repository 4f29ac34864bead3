"""Between mlx's arrays and the numbers that the engine works with."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import numpy as np

from sleepengine.backends.base import Array, Injection
from sleepengine.backends.mlx_backend.patches import Values


def as_numpy(array: mx.array) -> Array:
    """The numbers of an array, computed now, in single precision."""
    return np.array(array.astype(mx.float32))


def log_softmax(logits: mx.array) -> mx.array:
    """Over the last axis, in single precision."""
    logits = logits.astype(mx.float32)
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def values_of(injections: Sequence[Sequence[Injection]], shifts: Sequence[int] | None = None) -> tuple[Values, ...]:
    """Injections of each row as arrays; `shifts[row]` is added to a row's positions."""
    flat = [
        (i.layer, row, i.position + (shifts[row] if shifts is not None else 0), i.value)
        for row, r in enumerate(injections)
        for i in r
    ]
    found = []
    for layer in sorted({f[0] for f in flat}):
        here = [f for f in flat if f[0] == layer]
        rows, columns = mx.array([f[1] for f in here]), mx.array([f[2] for f in here])
        found.append(Values(layer, rows, columns, mx.array(np.stack([f[3] for f in here]))))
    return tuple(found)
