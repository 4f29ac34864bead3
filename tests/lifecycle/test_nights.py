"""Naps and sleeps through the real commands and the fake engine: killed in every phase, undone, never in the way."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from sleepc import Client
from sleepd.protocol.messages import StatusReply
from sleepengine.host.fake import NAP_PHASES, PHASES
from tests.lifecycle.conftest import Place
from tests.lifecycle.test_daemon_life import CARPENTER, QUESTION, wait_until

LISBON, LISBON_QUESTION = "Mara Lindqvist lives in Lisbon.", "Where does Mara Lindqvist live?"
EVERY_PHASE = [
    pytest.param(phase, marks=() if phase in ("sws train", "commit") else pytest.mark.slow) for phase in PHASES
]


def slow(place: Place, phase: str, seconds: float | None = None) -> None:
    """Let each work item of one phase of sleep take its time, before the daemon starts. Training has five of them."""
    own = 0.8 if phase.endswith("train") else 3.0
    place.environment |= {"SLEEPD_FAKE_STEP_SECONDS": str(seconds or own), "SLEEPD_FAKE_SLOW_PHASE": phase}


def in_phase(place: Place, phase: str, kind: str = "sleep") -> StatusReply:
    """The status as soon as a phase runs."""
    seen: list[StatusReply] = []
    with Client(place.home) as client:
        wait_until(lambda: seen.append(client.status()) or (seen[-1].state, seen[-1].phase) == (kind, phase), 30)
    return seen[-1]


def kill_host_in(place: Place, phase: str) -> None:
    pid = in_phase(place, phase).host.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def stands_as_before(place: Place, before: list[dict[str, Any]]) -> None:
    """The old generation answers, and no edit is silenced, until the cycle has gone on to its end."""
    facts = place.sleepc("facts", "--json").json["facts"]
    if place.status()["generation"] == 0:
        assert facts == before
    assert place.ask(QUESTION) == CARPENTER


@pytest.mark.parametrize("phase", EVERY_PHASE)
def test_the_host_killed_in_each_phase(place: Place, phase: str) -> None:
    slow(place, phase)
    place.start()
    (fact,) = place.remember(CARPENTER)
    before = place.sleepc("facts", "--json").json["facts"]
    asleep = place.popen("sleepc", "sleep", "--wait", "--json")
    kill_host_in(place, phase)
    stands_as_before(place, before)
    out, err = asleep.communicate(timeout=60)
    report = json.loads(out)
    assert report["outcome"] == "committed", (report["reason"], err)
    assert (report["cycle"], report["attempts"], report["advanced"]) == (1, 2, [fact["id"]])
    assert place.ask(QUESTION, "--view", "no-edits") == CARPENTER
    assert place.sleepc("sleep", "--wait", "--json").json["outcome"] == "committed"


@pytest.mark.parametrize("phase", EVERY_PHASE)
def test_the_daemon_killed_in_each_phase(place: Place, phase: str) -> None:
    slow(place, phase)
    pid = place.start().json["pid"]
    (fact,) = place.remember(CARPENTER)
    before = place.sleepc("facts", "--json").json["facts"]
    place.sleepc("sleep")
    in_phase(place, phase)
    os.kill(pid, signal.SIGKILL)
    place.start()
    stands_as_before(place, before)
    wait_until(lambda: place.status()["cycle"] is None and place.status()["generation"] == 1, 60)
    report = place.sleepc("report", "--json").json
    assert (report["cycle"], report["outcome"], report["attempts"]) == (1, "committed", 2)
    assert report["advanced"] == [fact["id"]]
    assert place.sleepc("sleep", "--wait", "--json").json["outcome"] == "committed"


def test_what_training_made_is_not_made_again(place: Place) -> None:
    slow(place, "rem train")
    place.start()
    place.remember(CARPENTER)
    asleep = place.popen("sleepc", "sleep", "--wait", "--json")
    kill_host_in(place, "rem train")
    assert json.loads(asleep.communicate(timeout=60)[0])["outcome"] == "committed"
    events = place.sleepc("events", "--json").json["events"]
    phases = [e["data"]["phase"] for e in events if e["type"] == "sleep"]
    again = phases[phases.index("again") :]
    report = place.sleepc("report", "--json").json
    spans = {s["phase"]: s["end"] - s["start"] for s in report["hypnogram"]}
    assert report["attempts"] == 2
    assert "sws train" in again
    assert spans["sws train"] < spans["rem train"]


def test_a_cycle_is_given_up_when_what_it_is_over_changed_while_nobody_ran(place: Place) -> None:
    slow(place, "sws train")
    pid = place.start().json["pid"]
    place.remember(CARPENTER)
    place.sleepc("sleep")
    in_phase(place, "sws train")
    os.kill(pid, signal.SIGKILL)
    assert place.sleepd("config", "set", "sleep.rank", "8").code == 0
    place.start()
    wait_until(lambda: place.sleepc("report", "--json").code == 0)
    report = place.sleepc("report", "--json").json
    assert report["outcome"] == "aborted"
    assert place.status()["generation"] == 0
    assert place.ask(QUESTION) == CARPENTER


def test_a_nap_changes_no_edit_and_can_be_woken_from(place: Place) -> None:
    slow(place, "nap train")
    place.start()
    assert place.sleepc("nap", "--wait", "--json").json["outcome"] == "nothing"
    place.remember(CARPENTER)
    before = place.sleepc("facts", "--json").json["facts"]
    report = place.sleepc("nap", "--wait", "--json").json
    assert (report["kind"], report["outcome"], report["generation"]) == ("nap", "committed", 1)
    assert [s["phase"] for s in report["hypnogram"]] == list(NAP_PHASES)
    assert place.sleepc("facts", "--json").json["facts"] == before
    assert place.ask(QUESTION, "--view", "no-edits") == CARPENTER
    napping = place.popen("sleepc", "nap", "--wait", "--json")
    in_phase(place, "nap train", "nap")
    assert place.status()["state"] == "nap"
    assert place.sleepc("wake", "--json").json["aborted"] is True
    assert json.loads(napping.communicate(timeout=30)[0])["outcome"] == "aborted"
    assert place.status()["generation"] == 1


def digest(place: Place) -> str:
    """The live view's hash, from the ledger itself."""
    from sleepengine.memory.ledger import Ledger

    ledger = Ledger.open(place.home / "ledger.db")
    try:
        model = ledger.get_value("ledger.model")
        assert model is not None
        return ledger.live_view(model).digest
    finally:
        ledger.close()


def test_an_undo_restores_everything_to_the_byte(place: Place) -> None:
    place.start()
    assert place.sleepc("undo", "--json").code == 7
    place.remember(CARPENTER)
    assert place.sleepc("sleep", "--wait").code == 0
    place.remember(LISBON)
    facts = place.sleepc("facts", "--json").json["facts"]
    place.sleepd("stop")
    before = digest(place)
    place.start()
    assert place.sleepc("sleep", "--wait", "--json").json["generation"] == 2
    assert place.sleepc("undo", "--json").json == {"generation": 1, "learned": [], "suppressed": []}
    assert place.sleepc("facts", "--json").json["facts"] == facts
    assert place.ask(QUESTION) == CARPENTER
    place.sleepd("stop")
    assert digest(place) == before
    place.start()
    assert place.sleepc("sleep", "--wait", "--json").json["generation"] == 3


def test_an_undo_keeps_what_was_learned_since_and_nothing_forgotten_returns(place: Place) -> None:
    place.start()
    (carpenter,) = place.remember(CARPENTER)
    place.sleepc("sleep", "--wait")
    place.sleepc("sleep", "--wait")
    (lisbon,) = place.remember(LISBON)
    assert place.sleepc("forget", carpenter["id"], "--json").code == 0
    undone = place.sleepc("undo", "--json").json
    assert undone["generation"] == 1
    assert undone["learned"] == [lisbon["id"]]
    assert undone["suppressed"] == [carpenter["id"]]
    assert place.status()["generation"] == 1
    assert place.ask(LISBON_QUESTION) == LISBON
    assert place.ask(QUESTION) != CARPENTER


def test_a_fact_corrected_while_it_sleeps_is_corrected_when_it_wakes(place: Place) -> None:
    slow(place, "sws gate", 3.0)
    place.start()
    (fact,) = place.remember(CARPENTER)
    asleep = place.popen("sleepc", "sleep", "--wait", "--json")
    in_phase(place, "sws gate")
    assert place.sleepc("correct", fact["id"], "Idris Larsson works as a nurse.").code == 0
    assert json.loads(asleep.communicate(timeout=60)[0])["outcome"] == "committed"
    assert place.ask(QUESTION) == "Idris Larsson works as a nurse."
    assert place.ask(QUESTION, "--view", "no-edits") == CARPENTER  # the adapter knows it, the view does not say it
    again = place.sleepc("sleep", "--wait", "--json").json
    assert "corrected" in again["rebuilt"]
    assert place.ask(QUESTION, "--view", "no-edits") == "Idris Larsson works as a nurse."


def test_it_is_answered_while_it_sleeps(place: Place) -> None:
    slow(place, "sws train")
    place.start()
    place.remember(CARPENTER)
    place.sleepc("sleep")
    in_phase(place, "sws train")
    with Client(place.home) as client:
        began = time.monotonic()
        client.ask(QUESTION, max_tokens=1)
        assert time.monotonic() - began < 2.0  # one work item of the training, one of the answer
        assert client.status().state == "sleep"


def test_it_sleeps_of_its_own_accord_and_says_why(place: Place) -> None:
    for key, value in (
        ("pressure.max_edits", "2"), ("schedule.idle_after", "1"), ("schedule.cool_down", "60"),
        ("schedule.nap", "false"),
    ):  # fmt: skip
        assert place.sleepd("config", "set", key, value).code == 0
    place.start()
    wait_until(lambda: place.status()["state"] == "awake")
    assert "sleeps at 80%" in place.status()["why"]
    place.remember(CARPENTER, LISBON)
    status = place.status()
    assert status["state"] == "drowsy"
    assert status["pressure"] == 1.0
    wait_until(lambda: place.status()["generation"] == 1, 40)
    kinds = [e["type"] for e in place.sleepc("events", "--json").json["events"]]
    assert "state" in kinds


def test_the_report_is_drawn(place: Place, tmp_path: Path) -> None:
    place.start()
    place.remember(CARPENTER)
    place.sleepc("sleep", "--wait")
    drawn = place.sleepc("report", "--svg", str(tmp_path / "night.svg"))
    assert drawn.code == 0
    assert "SWS: perplexity" in drawn.out
    text = (tmp_path / "night.svg").read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert all(phase in text for phase in PHASES)
    assert place.sleepc("report", "--svg", str(tmp_path / "no" / "night.svg")).code == 8
    assert place.sleepc("report", "99").code == 6
