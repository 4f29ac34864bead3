"""Round numbers for axes. No Qt."""

from __future__ import annotations

import math

_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


def ticks(seconds: float, most: int) -> list[float]:
    """Places of time's ticks from 0 on: as many as fit, `most` at most, at steps that clocks have."""
    if seconds <= 0 or most < 1:
        return [0.0]
    fitting = (step for step in _SECONDS if seconds / step <= most)
    step = next(fitting, _SECONDS[-1] * math.ceil(seconds / _SECONDS[-1] / most))
    return [float(step * at) for at in range(math.floor(seconds / step) + 1)]


def bounds(low: float, high: float, rows: int = 4) -> tuple[float, float, float]:
    """A round lower and upper end that hold two values, and the step between lines: about `rows` of them."""
    spread = max(high - low, 1e-6)
    raw = spread / rows
    scale = 10 ** math.floor(math.log10(raw))
    step = next(scale * m for m in (1, 2, 2.5, 5, 10) if scale * m >= raw * 0.999)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step
