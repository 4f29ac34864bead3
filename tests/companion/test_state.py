"""The state reducer: whatever happens, nothing old is shown as present. No Qt, no socket."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec
import pytest
from hypothesis import given, strategies as st

from sleepc.companion import views
from sleepc.companion.state import (
    Foreign,
    Link,
    News,
    NightOver,
    State,
    StorageTrouble,
    WakeAsked,
    announcements,
    reduce,
)
from sleepc.companion.views import Shape, health_view, state_view
from sleepc.live import KEPT, Lost
from sleepd.protocol import messages
from sleepd.protocol.messages import DaemonState, Event, SnapshotReply, StatusReply
from tests.companion.cases import quick
from tests.unit.client_fake import STATUS

PHASES = ("begin", "curate", "sws train", "sws gate", "dream", "rem train", "rem gate", "commit", "nap train", "end")


def status(**changes: Any) -> StatusReply:
    return msgspec.structs.replace(STATUS, **changes)


def event(type: str, seq: int = 1, epoch: str = "e1", **data: Any) -> Event:
    return Event(epoch=epoch, seq=seq, type=type, at="2026-01-01T00:00:00Z", data=data)


def snapshot(epoch: str = "e1", **changes: Any) -> SnapshotReply:
    return SnapshotReply(epoch=epoch, seq=0, status=status(epoch=epoch, **changes))


def after(*news: News, state: State | None = None) -> State:
    state = state or State()
    for item in news:
        state = reduce(state, item)
    return state


epochs = st.sampled_from(["e1", "e2", "e3"])
statuses = st.builds(
    lambda state, epoch, cycle, learning, pressure, why: status(
        state=state, epoch=epoch, cycle=cycle, learning=learning, pressure=pressure, why=why
    ),
    st.sampled_from(get_args(DaemonState)),
    epochs,
    st.none() | st.integers(1, 9),
    st.integers(0, 3),
    st.floats(0, 1),
    st.text(max_size=20),
)
events = st.builds(
    lambda type, epoch, seq, phase, extra: event(type, seq, epoch, phase=phase, **extra),
    st.sampled_from(["state", "model", "fact", "sleep", "host", "storage", "config", "inbox", "welcome", "news"]),
    epochs,
    st.integers(0, 1000),
    st.sampled_from(PHASES),
    st.dictionaries(
        st.sampled_from(["cycle", "kind", "outcome", "notice", "id", "change"]), st.text(max_size=8) | st.integers(1, 9)
    ),
)
snapshots = st.builds(lambda s: SnapshotReply(epoch=s.epoch, seq=0, status=s), statuses)
losses = st.builds(Lost, st.text(min_size=1, max_size=10)) | st.builds(Foreign, st.text(min_size=1, max_size=10))
news = st.one_of(statuses, events, snapshots, losses, st.builds(WakeAsked))


@quick
@given(st.lists(news, max_size=40))
def test_only_a_snapshot_makes_the_daemon_present_and_only_its_own_run_changes_it(items: list[News]) -> None:
    state = State()
    present: str | None = None  # the epoch of the run that is heard
    for item in items:
        if isinstance(item, SnapshotReply):
            present = item.epoch
        elif isinstance(item, Lost | Foreign):
            present = None
        state = reduce(state, item)
        assert (state.current is not None) == (present is not None)
        if state.current is not None:
            assert state.current.epoch == present
        else:
            assert state.phase is None
            assert state_view(state).shape is Shape.UNREACHABLE
            assert not state_view(state).present
            assert health_view(state).pressure is None
            assert health_view(state).memory == health_view(state).disk == health_view(state).device == ()


@quick
@given(st.lists(news, max_size=40))
def test_nothing_may_be_asked_of_a_daemon_that_is_not_heard_nor_sleep_of_one_that_sleeps(items: list[News]) -> None:
    view = state_view(after(*items))
    if not view.present:
        assert not any((view.can_sleep, view.can_wake, view.can_undo, view.can_report, view.can_learn))
    assert not (view.can_sleep and view.can_wake)
    assert view.title


@quick
@given(st.lists(news, max_size=30), news)
def test_versions_only_grow_and_announcements_belong_to_what_was_taken_in(items: list[News], last: News) -> None:
    before = after(*items)
    now = reduce(before, last)
    assert now.facts_version >= before.facts_version
    assert now.nights_version >= before.nights_version
    assert now.settings_version >= before.settings_version
    told = announcements(before, now, last)
    if isinstance(last, Event) and last.epoch != before.epoch:
        assert now == before
        assert told == ()
    if isinstance(last, Lost | Foreign | StatusReply | WakeAsked):
        assert told == ()


@quick
@given(news, st.lists(news, max_size=20))
def test_reducing_changes_no_state_that_was_given(first: News, items: list[News]) -> None:
    state = after(snapshot(), first)
    kept = (state.link, state.picture, state.epoch, state.facts_version, state.nights_version)
    after(*items, state=state)
    assert (state.link, state.picture, state.epoch, state.facts_version, state.nights_version) == kept


def test_ten_thousand_events_leave_no_more_than_is_kept() -> None:
    state = after(snapshot())
    for seq in range(10_000):
        state = reduce(state, event("fact", seq, id=f"f-{seq}", change="learned"))
    assert len(state.picture.recent) == KEPT
    assert state.facts_version == 10_001


@pytest.mark.parametrize(
    ("changes", "happened", "shape"),
    [
        ({}, (), Shape.AWAKE),
        ({"learning": 2}, (), Shape.LEARNING),
        ({"state": "drowsy"}, (), Shape.DROWSY),
        ({"state": "drowsy", "learning": 1}, (), Shape.LEARNING),
        ({"state": "sleep", "cycle": 1}, (), Shape.SWS),
        ({"state": "sleep", "cycle": 1, "phase": "rem train"}, (), Shape.REM),
        ({"state": "nap", "cycle": 1, "phase": "nap train"}, (), Shape.NAPPING),
        ({"state": "unloaded"}, (), Shape.RESTING),
        ({"state": "loading"}, (), Shape.LOADING),
        ({"state": "degraded"}, (), Shape.TROUBLE),
        ({}, (event("sleep", cycle=1, kind="sleep", phase="begin"),), Shape.SWS),
        ({}, (event("sleep", cycle=1, kind="sleep", phase="dream"),), Shape.REM),
        ({}, (event("sleep", cycle=1, kind="nap", phase="nap train"),), Shape.NAPPING),
        ({}, (event("sleep", cycle=1, kind="sleep", phase="dream"), Lost("gone")), Shape.UNREACHABLE),
    ],
)
def test_the_icon_tells_the_state(changes: dict[str, Any], happened: tuple[News, ...], shape: Shape) -> None:
    assert state_view(after(snapshot(**changes), *happened)).shape is shape


def test_an_answer_that_comes_after_the_loss_makes_nothing_present() -> None:
    state = after(snapshot(), Lost("gone"), status(pressure=0.9))
    assert state.current is None
    assert state.link is Link.LOST
    assert after(Lost("gone"), snapshot("e2"), status(epoch="e1", pressure=0.9)).current == status(epoch="e2")


def test_what_deserves_a_notification() -> None:
    awake = after(snapshot())
    end = event("sleep", cycle=4, kind="sleep", phase="end", outcome="committed")
    assert announcements(awake, reduce(awake, end), end) == (NightOver(4),)
    asked = reduce(awake, WakeAsked())
    assert announcements(asked, reduce(asked, end), end) == (NightOver(4, expected=True),)
    nap = event("sleep", cycle=4, kind="nap", phase="end", outcome="committed")
    assert announcements(awake, reduce(awake, nap), nap) == ()
    trouble = event("storage", notice="the disk is full")
    assert announcements(awake, reduce(awake, trouble), trouble) == (StorageTrouble("the disk is full"),)
    for quiet in (event("fact", id="f-1", change="learned"), event("host", phase="up"), event("state", state="drowsy")):
        assert announcements(awake, reduce(awake, quiet), quiet) == ()


def test_a_night_that_ended_while_the_daemon_was_gone_is_told_of_when_it_is_back() -> None:
    asleep = after(snapshot(state="sleep", cycle=4), Lost("gone"))
    back = snapshot("e2")
    assert announcements(asleep, reduce(asleep, back), back) == (NightOver(4),)
    still = snapshot("e2", state="sleep", cycle=4)
    assert announcements(asleep, reduce(asleep, still), still) == ()


def test_storage_problems_that_were_told_are_not_told_again() -> None:
    first = snapshot(storage=messages.StorageStatus(notices=("one",)))
    state = State()
    assert announcements(state, reduce(state, first), first) == (StorageTrouble("one"),)
    state = reduce(state, first)
    again = snapshot(storage=messages.StorageStatus(notices=("one", "two")))
    assert announcements(state, reduce(state, again), again) == (StorageTrouble("two"),)


@pytest.mark.parametrize(
    ("coming", "words"),
    [
        (messages.NextCycle(kind="nap", seconds=3600.0 * 5, facts=3), "Likely a nap in 5 h, or after 3 more facts."),
        (messages.NextCycle(kind="sleep", seconds=None, facts=1), "Likely a sleep after one more fact."),
        (messages.NextCycle(kind="sleep", seconds=120.0), "Likely a sleep in 2 min."),
        (messages.NextCycle(kind="nap", seconds=0.0), "Likely a nap as soon as it is left in peace."),
        (None, "It sleeps when it is told to."),
    ],
)
def test_the_next_sleep_in_words(coming: messages.NextCycle | None, words: str) -> None:
    assert health_view(after(snapshot(next=coming))).next == words


def test_health_names_every_problem() -> None:
    host = messages.HostStatus(error="out of memory", restarts=3)
    state = after(
        snapshot(host=host, config_error="line 3", storage=messages.StorageStatus(notices=("a blob is gone",)))
    )
    view = health_view(state)
    assert view.problems == ("out of memory", "line 3", "a blob is gone")
    assert any(row.name == "Restarts" and row.value == "3" for row in view.device)


def test_pausing_is_seen() -> None:
    def paused(learn: Literal["auto", "ask", "off"]) -> bool:
        return state_view(after(snapshot(learn=learn))).paused

    assert [paused("auto"), paused("ask"), paused("off")] == [False, False, True]
    assert views.known(STATUS.facts) == 4
