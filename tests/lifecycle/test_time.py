"""Clocks that jump and machines that are stopped for a while: nothing is lost, hung, or taken for dead."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from sleepc import Client
from tests.lifecycle.conftest import Place
from tests.lifecycle.test_daemon_life import CARPENTER, QUESTION, wait_until
from tests.lifecycle.test_nights import LISBON, LISBON_QUESTION, in_phase, slow

YEAR = 365 * 86_400.0
BAKER = "Mona Reyes works as a baker."


@pytest.fixture
def clock(place: Place, tmp_path: Path) -> Path:
    """A file with the seconds by which the daemon's and its host's wall clocks are wrong."""
    moved = tmp_path / "moved"
    moved.write_text("0")
    folder = Path(__file__).parent / "moved_clock"
    place.environment["PYTHONPATH"] = os.pathsep.join([str(folder), place.environment["PYTHONPATH"]])
    place.environment["MOVED_CLOCK"] = str(moved)
    return moved


def test_a_clock_that_jumps_a_year_ahead_and_two_back(place: Place, clock: Path) -> None:
    pid = place.start().json["pid"]
    (first,) = place.remember(CARPENTER)
    assert place.sleepc("sleep", "--wait", "--json").json["outcome"] == "committed"
    for seconds, text, question in ((YEAR, LISBON, LISBON_QUESTION), (-YEAR, BAKER, "What does Mona Reyes work as?")):
        clock.write_text(str(seconds))
        with Client(place.home) as client:
            status = client.status()
            assert status.uptime < 600
            assert 0.0 <= status.pressure <= 1.0
            assert client.remember(text).facts
            assert client.ask(question, deadline=20).reply == text, "a deadline is no wall time"
            session = client.open_session().session
            assert client.say(session, QUESTION, deadline=20).reply == CARPENTER
            assert client.sleep(wait=True).outcome == "committed"
    with Client(place.home) as client:
        kept = client.snapshot(since=1).events
        assert [event.seq for event in kept] == list(range(kept[0].seq, kept[0].seq + len(kept)))
        years = [event.at[:4] for event in kept if event.type == "sleep"]
        assert len(set(years)) == 3, "the clock did not move"
        status = client.status()
        assert (status.pid, status.host.restarts, status.generation) == (pid, 0, 3)
        taken = client.take_back()
        assert taken.fact.statement == BAKER, "the last that was learned, though others have a later date"
        assert client.why(first["id"]).history[0].event == "added"
    assert place.sleepd("restart").code == 0
    assert place.ask(QUESTION) == CARPENTER
    assert place.ask(LISBON_QUESTION) == LISBON
    assert place.sleepd("fsck").code == 0


def test_a_machine_that_is_stopped_and_goes_on(place: Place) -> None:
    """Daemon and model process stand still in the middle of a night, for longer than a hanging host is borne."""
    for key, value in (("limits.beat_seconds", "0.2"), ("limits.host_patience", "1.5")):
        place.sleepd("config", "set", key, value)
    slow(place, "sws train", seconds=0.6)
    pid = place.start().json["pid"]
    place.remember(CARPENTER)
    asleep = place.popen("sleepc", "sleep", "--wait", "--json")
    host = in_phase(place, "sws train").host.pid
    assert host is not None
    os.kill(host, signal.SIGSTOP)
    time.sleep(0.5)  # so that the host has been asked for a sign of life, and owes it
    os.kill(pid, signal.SIGSTOP)
    time.sleep(3.5)
    for process in (pid, host):
        os.kill(process, signal.SIGCONT)
    out, err = asleep.communicate(timeout=60)
    assert json.loads(out)["outcome"] == "committed", err
    wait_until(lambda: place.status()["state"] == "awake")
    assert (place.status()["pid"], place.status()["host"]["pid"], place.status()["host"]["restarts"]) == (pid, host, 0)
    assert place.ask(QUESTION) == CARPENTER
