"""When to nap and when to sleep: the decision, without a clock and without a daemon."""

from __future__ import annotations

from datetime import datetime

import pytest

from sleepd.sleep.bedtime import Decision, ScheduleSettings, Situation, decide
from sleepd.sleep.outlook import Outlook
from sleepd.sleep.scheduler import LONGEST, SETTLE, Look, pause_after
from sleepengine.sleep.pressure import Pressure

NOON, NIGHT = datetime(2026, 1, 1, 12, 0), datetime(2026, 1, 1, 23, 30)
PLAIN = ScheduleSettings(idle_after=300, cool_down=600, failed_cool_down=3600)


def situation(pressure: float, **changes: object) -> Situation:
    fields: dict[str, object] = {
        "pressure": Pressure(pressure, 0.0, 0.0), "fresh": 3, "idle": 1000.0, "since_cycle": None, "failed": False,
        "drowsy_for": None, "clock": NOON,
    }  # fmt: skip
    return Situation(**(fields | changes))  # type: ignore[arg-type]


def ask(pressure: float, settings: ScheduleSettings = PLAIN, **changes: object) -> Decision:
    return decide(situation(pressure, **changes), settings)


@pytest.mark.parametrize(("pressure", "kind"), [(0.1, None), (0.39, None), (0.4, "nap"), (0.79, "nap"), (0.8, "sleep")])
def test_pressure_decides_between_nothing_a_nap_and_sleep(pressure: float, kind: str | None) -> None:
    decision = ask(pressure)
    assert decision.begin == kind
    assert decision.drowsy == (kind is not None)
    assert f"{pressure:.0%}" in decision.why


def test_a_nap_needs_something_fresh() -> None:
    assert ask(0.5, fresh=0).begin is None
    assert ask(0.9, fresh=0).begin == "sleep"


def test_it_waits_until_nobody_wants_anything() -> None:
    waiting = ask(0.9, idle=100.0)
    assert waiting.begin is None
    assert waiting.drowsy
    assert waiting.wait == pytest.approx(200.0)
    assert "without a request" in waiting.why
    assert ask(0.9, idle=100.0, drowsy_for=7 * 3600.0).begin == "sleep"


def test_it_rests_after_a_cycle_and_longer_after_a_failed_one() -> None:
    assert ask(0.9, since_cycle=100.0).wait == pytest.approx(500.0)
    assert ask(0.9, since_cycle=700.0).begin == "sleep"
    failed = ask(0.9, since_cycle=700.0, failed=True)
    assert failed.begin is None
    assert "which failed" in failed.why
    assert ask(0.9, since_cycle=700.0, failed=True, drowsy_for=1e6).begin is None


def test_drowsiness_has_a_memory() -> None:
    assert ask(0.35).begin is None
    assert ask(0.35, drowsy_for=10.0).begin == "nap"
    assert ask(0.29, drowsy_for=10.0).drowsy is False
    no_naps = ScheduleSettings(nap=False)
    assert ask(0.5, no_naps).begin is None
    assert ask(0.5, no_naps, drowsy_for=10.0).begin == "sleep"


def test_quiet_hours_may_pass_midnight() -> None:
    nightly = ScheduleSettings(quiet_from="22:00", quiet_until="06:30")
    day = ask(0.9, nightly)
    assert day.begin is None
    assert day.wait == pytest.approx(10 * 3600)
    assert "22:00" in day.why
    assert ask(0.9, nightly, clock=NIGHT).begin == "sleep"
    assert ask(0.9, nightly, clock=datetime(2026, 1, 1, 6, 29)).begin == "sleep"
    assert ask(0.9, nightly, clock=datetime(2026, 1, 1, 6, 30)).begin is None
    assert ask(0.9, nightly, drowsy_for=7 * 3600.0).begin == "sleep"
    siesta = ScheduleSettings(quiet_from="13:00", quiet_until="15:00")
    assert ask(0.9, siesta).wait == pytest.approx(3600)
    assert ask(0.9, siesta, clock=datetime(2026, 1, 1, 14, 0)).begin == "sleep"


def test_what_is_not_automatic_says_so() -> None:
    decision = ask(0.9, ScheduleSettings(automatic=False))
    assert decision.begin is None
    assert decision.drowsy
    assert "sleepc sleep" in decision.why


def test_on_battery_it_waits_for_the_mains_unless_told_otherwise() -> None:
    waiting = ask(0.9, on_battery=True)
    assert waiting.begin is None
    assert waiting.drowsy
    assert "mains" in waiting.why
    assert ask(0.9, ScheduleSettings(on_battery=True), on_battery=True).begin == "sleep"


def test_how_long_nothing_is_looked_at_again() -> None:
    def pause(outlook: Outlook | None) -> float:
        return pause_after(Look(Pressure(0.0, 0.0, 0.0), Decision(None, False, ""), outlook))

    assert pause(None) == LONGEST, "only an event can change that"
    assert pause(Outlook("nap", None, 3)) == LONGEST
    assert pause(Outlook("sleep", 30.0, 0)) == 30.0
    assert pause(Outlook("sleep", 7200.0, 0)) == LONGEST, "clocks may be set and machines suspended meanwhile"
    assert pause(Outlook("sleep", 0.0, 0)) >= SETTLE
