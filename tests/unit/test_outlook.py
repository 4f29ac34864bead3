"""When the next cycle is likely: consistent with the decision that will be taken then."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, settings, strategies as st

from sleepd.sleep.bedtime import ScheduleSettings, Situation, decide
from sleepd.sleep.outlook import Outlook, outlook
from sleepengine.sleep.pressure import pressure

MAX_EDITS, FULL_AFTER, FULL_DRIFT = 50, 72 * 3600.0, 0.1
SETTINGS = ScheduleSettings(idle_after=0.0)


def situation(edits: int, awake: float, drift: float = 0.0, fresh: int = 1, **changes: object) -> Situation:
    need = pressure(
        edits=edits,
        max_edits=MAX_EDITS,
        seconds=awake,
        full_after=FULL_AFTER,
        drift=drift,
        full_drift=FULL_DRIFT,
    )
    plain = Situation(need, fresh, 1e6, None, False, None, datetime(2026, 1, 1, 12, 0))
    return replace(plain, **changes)  # type: ignore[arg-type]


def expect(s: Situation, settings: ScheduleSettings = SETTINGS) -> Outlook | None:
    return outlook(s, decide(s, settings), settings, max_edits=MAX_EDITS, full_after=FULL_AFTER)


numbers = st.tuples(st.integers(0, 60), st.floats(0, 80 * 3600.0), st.floats(0, 0.12), st.booleans())


@settings(deadline=None, max_examples=60)
@given(numbers)
def test_so_many_more_facts_bring_it_about_and_one_fewer_does_not(
    given_numbers: tuple[int, float, float, bool],
) -> None:
    edits, awake, drift, nap = given_numbers
    settings = ScheduleSettings(idle_after=0.0, nap=nap)
    expected = expect(situation(edits, awake, drift), settings)
    assert expected is not None
    if expected.facts:
        assert decide(situation(edits + expected.facts, awake, drift), settings).begin is not None
        assert decide(situation(edits + expected.facts - 1, awake, drift), settings).begin is None


@settings(deadline=None, max_examples=60)
@given(numbers, st.booleans())
def test_when_that_time_has_passed_it_begins_and_a_moment_before_it_does_not(
    given_numbers: tuple[int, float, float, bool], fresh: bool
) -> None:
    edits, awake, drift, nap = given_numbers
    settings = ScheduleSettings(idle_after=0.0, nap=nap)
    expected = expect(situation(edits, awake, drift, int(fresh)), settings)
    assert expected is not None
    if expected.seconds:
        after = situation(edits, awake + expected.seconds + 1.0, drift, int(fresh))
        assert decide(after, settings).begin == expected.kind
        before = situation(edits, awake + max(0.0, expected.seconds - 60.0), drift, int(fresh))
        assert expected.seconds < 60.0 or decide(before, settings).begin is None


def test_time_alone_brings_no_cycle_to_an_empty_memory() -> None:
    assert expect(situation(0, 0.0, fresh=0)) == Outlook("nap", None, 28)


def test_a_drowsy_one_waits_for_what_it_waits_for() -> None:
    waiting = expect(situation(40, 0.0, idle=100.0), ScheduleSettings(idle_after=300.0))
    assert waiting == Outlook("nap", pytest.approx(200.0), 0)
    now = expect(situation(50, 0.0))
    assert now == Outlook("sleep", 0.0, 0)
    battery = expect(situation(50, 0.0, on_battery=True))
    assert battery == Outlook("sleep", None, 0)


def test_none_is_expected_where_none_begins_by_itself() -> None:
    assert expect(situation(50, 0.0), ScheduleSettings(automatic=False)) is None
