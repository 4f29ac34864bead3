"""The joint ridge solve: from the stored keys and residuals of all active edits to a view's low-rank factors.

For one layer with keys K (N, mlp_width) and residuals R (N, width), the paper's Eq. 1 with C = mean of k k^T is

    dW = R^T K (K^T K + lambda C)^-1 = R^T (I + K P)^-1 P^T,   P = (lambda C)^-1 K^T,

by the Woodbury identity, so only an N x N system is solved. Every active edit's keys stand in K, each with its own
residual: that is the cross-edit constraint. Removing an edit removes its rows, and the order of edits does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from sleepengine.backends.base import LowRank
from sleepengine.memory.edits import MemitEdit
from sleepengine.wake.covariance import Covariance
from sleepengine.wake.editing import ScaledEdit


def solve_layer(
    keys: Sequence[np.ndarray], residuals: Sequence[np.ndarray], inverse: np.ndarray, ridge: float
) -> LowRank:
    """Factors of dW: `left` is R (N, width), `right` is (I + K P)^-1 P^T (N, mlp_width). Solved in double precision."""
    k = np.concatenate(keys).astype(np.float64)
    r = np.concatenate(residuals).astype(np.float32)
    p_t = (k @ inverse.astype(np.float64)) / ridge  # C is symmetric, so P^T = K C^-1 / lambda
    right = np.linalg.solve(np.eye(len(k)) + p_t @ k.T, p_t)
    return LowRank(right.astype(np.float32), r)


def solve(edits: Iterable[ScaledEdit], covariance: Covariance, ridge: float) -> dict[int, LowRank]:
    """The view's factors for every edited layer; {} without linear edits. The order is that of their fact ids."""
    linear = [(e.edit, e.scale) for e in edits if isinstance(e.edit, MemitEdit)]
    ordered = sorted(linear, key=lambda pair: pair[0].header.fact_id)
    layers = sorted({layer for edit, _ in ordered for layer in edit.header.layers})
    solved: dict[int, LowRank] = {}
    for layer in layers:
        here = [(edit, scale) for edit, scale in ordered if layer in edit.keys]
        solved[layer] = solve_layer(
            [edit.keys[layer] for edit, _ in here],
            [edit.residuals[layer] * np.float32(scale) for edit, scale in here],
            covariance.inverse[layer],
            ridge,
        )
    return solved
