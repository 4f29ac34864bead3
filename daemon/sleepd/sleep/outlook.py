"""When the next cycle is likely: what has to pass, or to be learned, until one is wanted. Pure, for `status`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sleepd.sleep.bedtime import Decision, Kind, ScheduleSettings, Situation
from sleepengine.sleep.pressure import EXPONENT, WEIGHTS


@dataclass(frozen=True)
class Outlook:
    """The next cycle, should things go on as they do.

    `seconds` until it begins if nobody says anything; None: time alone does not bring it. `facts`: how many more would
    bring it about; 0: none are needed.
    """

    kind: Kind
    seconds: float | None
    facts: int


def outlook(
    s: Situation, decision: Decision, settings: ScheduleSettings, *, max_edits: int, full_after: float
) -> Outlook | None:
    """What follows from a decision; None where no cycle begins of its own accord.

    `max_edits` and `full_after` (seconds) are the bounds that the pressure was measured against.
    """
    if not settings.automatic:
        return None
    if decision.drowsy:
        kind: Kind = "sleep" if s.pressure.value >= settings.sleep_at or not settings.nap else "nap"
        return Outlook(decision.begin or kind, 0.0 if decision.begin else decision.wait, 0)
    nap_by_time = settings.nap and s.fresh > 0
    seconds = _seconds(s, settings.nap_at if nap_by_time else settings.sleep_at, full_after)
    facts = _facts(s, settings.nap_at if settings.nap else settings.sleep_at, max_edits)
    kind = "nap" if settings.nap and (nap_by_time or seconds is None) else "sleep"
    return Outlook(kind, seconds, facts)


def _seconds(s: Situation, threshold: float, full_after: float) -> float | None:
    """How long time awake takes to lift the pressure to a threshold by itself."""
    edits, time, drift = WEIGHTS
    wanted = (threshold - edits * s.pressure.edits - drift * s.pressure.drift) / time
    return max(0.0, wanted - s.pressure.time) * full_after if wanted <= 1.0 else None


def _facts(s: Situation, threshold: float, max_edits: int) -> int:
    """How many more facts lift the pressure to a threshold, at least one."""
    edits, time, drift = WEIGHTS
    beside = time * s.pressure.time + drift * s.pressure.drift
    wanted = min(threshold, (threshold - beside) / edits)
    have: int = round(max_edits * s.pressure.edits ** (1 / EXPONENT))
    need: int = math.ceil(max_edits * max(0.0, min(1.0, wanted)) ** (1 / EXPONENT) - 1e-9)
    return max(1, need - have)
