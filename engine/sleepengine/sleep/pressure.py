"""How much sleep is needed (paper, Eq. 4 and Table 1). Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

EXPONENT = 1.5  # Eq. 4
WEIGHTS = (0.6, 0.3, 0.1)  # edits, time, drift


@dataclass(frozen=True)
class Pressure:
    """The need for sleep and its three parts, each in [0, 1]."""

    edits: float
    time: float
    drift: float

    @property
    def value(self) -> float:
        """max(p_edit, .6 p_edit + .3 p_time + .1 p_drift): with the weights alone, edits could never fill it."""
        edits, time, drift = WEIGHTS
        return max(self.edits, edits * self.edits + time * self.time + drift * self.drift)

    @property
    def reason(self) -> str:
        """The part that weighs most, for a person."""
        parts = {"new facts": self.edits, "time awake": WEIGHTS[1] * self.time, "drift": WEIGHTS[2] * self.drift}
        return max(parts, key=lambda name: parts[name])


def pressure(
    *, edits: int, max_edits: int, seconds: float, full_after: float, drift: float, full_drift: float
) -> Pressure:
    """`edits` counts stage-0 facts against `max_edits` (n_max); `seconds` since the last sleep against `full_after`;
    `drift` (nats a token) against `full_drift`. Raises ValueError where a bound is not positive."""
    if max_edits <= 0 or full_after <= 0 or full_drift <= 0:
        raise ValueError("the bounds of sleep pressure must be positive")
    return Pressure(
        edits=min(1.0, (max(0, edits) / max_edits) ** EXPONENT),
        time=min(1.0, max(0.0, seconds) / full_after),
        drift=min(1.0, max(0.0, drift) / full_drift),
    )
