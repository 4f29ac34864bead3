"""How sure a share is that was counted in few trials."""

from __future__ import annotations

from math import sqrt

TWO_SIDED_95 = 1.959963984540054  # standard errors


def wilson(hits: int, n: int, errors: float = TWO_SIDED_95) -> tuple[float, float]:
    """The Wilson score interval of a share, `errors` standard errors to each side; (0, 1) where nothing was asked."""
    if n == 0:
        return 0.0, 1.0
    p, square = hits / n, errors * errors
    middle = (p + square / (2 * n)) / (1 + square / n)
    half = errors / (1 + square / n) * sqrt(p * (1 - p) / n + square / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
