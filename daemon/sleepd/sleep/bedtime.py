"""When to nap and when to sleep: one pure decision over what is known, for the scheduler and for `status`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated, Literal

import msgspec

from sleepengine.sleep.pressure import Pressure

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Hour = Annotated[str, msgspec.Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$")]
Kind = Literal["nap", "sleep"]


class ScheduleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When it naps and sleeps of its own accord."""

    automatic: bool = True
    nap: bool = True  # where pressure is above nap_at and below sleep_at
    nap_at: Share = 0.4  # pressure
    sleep_at: Share = 0.8  # pressure
    calm_below: Share = 0.3  # pressure under which a drowsy daemon is awake again
    idle_after: Seconds = 300.0  # without a request for text or for memory
    overdue_after: Seconds = 6 * 3600.0  # of drowsiness, after which the hours and the quiet no longer matter
    cool_down: Seconds = 1800.0  # after a cycle, before the next one begins
    failed_cool_down: Seconds = 4 * 3600.0  # the same after one that was rejected or aborted
    quiet_from: Hour = ""  # local time from which cycles may begin, as "22:00"; empty: at any time
    quiet_until: Hour = ""  # local time until which they may
    on_battery: bool = False  # whether they begin while the machine runs on battery


@dataclass(frozen=True)
class Situation:
    """What a decision needs to know. Times are seconds."""

    pressure: Pressure
    fresh: int  # facts that no cycle has strengthened
    idle: float  # since the last request
    since_cycle: float | None  # since the last cycle ended; None: there was none
    failed: bool  # the last cycle was rejected or aborted
    drowsy_for: float | None  # None: it is awake
    clock: datetime  # local time
    on_battery: bool = False


@dataclass(frozen=True)
class Decision:
    """`begin` is what shall begin now. `drowsy` is whether sleep is wanted at all, `wait` the seconds until it can be
    otherwise (None: that depends on what happens), `why` one line for a person, to stand after the state."""

    begin: Kind | None
    drowsy: bool
    why: str
    wait: float | None = None


def decide(s: Situation, settings: ScheduleSettings) -> Decision:
    """Whether to sleep, and why or why not, and when."""
    need = f"the need for sleep is {s.pressure.value:.0%}, mostly for {s.pressure.reason}"
    kind = _wanted(s, settings)
    if kind is None:
        return Decision(None, False, f"{need}; {_threshold(settings)}")
    if not settings.automatic:
        return Decision(None, True, f"{need}; it waits for `sleepc {kind}` (schedule.automatic is off)")
    if s.since_cycle is not None:
        cool_down = settings.failed_cool_down if s.failed else settings.cool_down
        if (left := cool_down - s.since_cycle) > 0:
            after = "after the last cycle, which failed" if s.failed else "after the last cycle"
            return Decision(None, True, f"{need}; it rests {after} for {_span(left)} more", left)
    if s.on_battery and not settings.on_battery:
        return Decision(None, True, f"{need}; it waits for the mains (schedule.on_battery is off)")
    overdue = s.drowsy_for is not None and s.drowsy_for >= settings.overdue_after
    if not overdue and (left := _until_quiet(s.clock, settings)) > 0:
        return Decision(None, True, f"{need}; a {kind} begins from {settings.quiet_from} on", left)
    if not overdue and (left := settings.idle_after - s.idle) > 0:
        return Decision(None, True, f"{need}; a {kind} begins after {_span(left)} without a request", left)
    return Decision(kind, True, f"{need}; a {kind} begins now")


def _wanted(s: Situation, settings: ScheduleSettings) -> Kind | None:
    """Hysteresis: once it is drowsy it stays so until pressure is below `calm_below`."""
    drowsy = s.drowsy_for is not None
    if s.pressure.value >= settings.sleep_at:
        return "sleep"
    if settings.nap and s.fresh and s.pressure.value >= settings.nap_at:
        return "nap"
    if drowsy and not settings.nap and s.pressure.value >= settings.calm_below:
        return "sleep"
    if drowsy and settings.nap and s.fresh and s.pressure.value >= settings.calm_below:
        return "nap"
    return None


def _threshold(settings: ScheduleSettings) -> str:
    if not settings.automatic:
        return "it sleeps when it is told to (schedule.automatic is off)"
    if settings.nap:
        return f"it naps at {settings.nap_at:.0%} and sleeps at {settings.sleep_at:.0%}"
    return f"it sleeps at {settings.sleep_at:.0%}"


def _until_quiet(clock: datetime, settings: ScheduleSettings) -> float:
    """Seconds until the hours in which cycles may begin; 0 within them."""
    if not settings.quiet_from or not settings.quiet_until or settings.quiet_from == settings.quiet_until:
        return 0.0
    begin, end = time.fromisoformat(settings.quiet_from), time.fromisoformat(settings.quiet_until)
    here = clock.time()
    inside = begin <= here < end if begin < end else here >= begin or here < end
    if inside:
        return 0.0
    now = here.hour * 3600 + here.minute * 60 + here.second
    return float((begin.hour * 3600 + begin.minute * 60 - now) % 86400)


def _span(seconds: float) -> str:
    """A time for a person: "40 s", "5 min", "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
