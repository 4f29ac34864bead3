"""AlphaEdit's constraint (Fang et al. 2025): an update that cannot touch what the reference text uses.

With P the projection onto the directions in which the reference keys have next to no energy,

    dW = R^T (K P K^T + L I)^-1 K P,

which is the ridge solve of `solving` with P in the place of C^-1. So the editor stays as it is, and only its metric is
exchanged. The bench compares it; the daemon does not use it.
"""

from __future__ import annotations

import numpy as np

from sleepengine.backends.base import Array
from sleepengine.wake.covariance import Covariance

ENERGY = 0.02  # share of the reference keys' energy that the null space may hold: it is never exactly empty
RIDGE = 0.01  # L, relative to the reference keys' mean squared norm


def null_space(covariance: Covariance, energy: float = ENERGY) -> Covariance:
    """For each layer P divided by the keys' mean squared norm, so that one ridge serves models of any scale."""
    return Covariance(
        {layer: _scaled(inverse, energy) for layer, inverse in covariance.inverse.items()}, covariance.tokens
    )


def projection(inverse: Array, energy: float) -> tuple[Array, float]:
    """P (d, d) and the trace of C. P spans the weakest directions of C that together hold at most `energy` of it."""
    reciprocal, vectors = np.linalg.eigh(inverse.astype(np.float64))  # ascending: C's strongest directions first
    values = 1.0 / reciprocal
    weakest_first = np.cumsum(values[::-1]) / values.sum()
    rank = int((weakest_first <= energy).sum())
    kept = vectors[:, len(values) - rank :]
    return (kept @ kept.T).astype(np.float32), float(values.sum())


def _scaled(inverse: Array, energy: float) -> Array:
    matrix, norm = projection(inverse, energy)
    return matrix / np.float32(norm)
