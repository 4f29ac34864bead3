"""The daemon killed, started again, stopped by the kernel, upgraded: the companion recovers, and shows nothing old as
present meanwhile."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from sleepd.protocol.messages import MetricsReply
from tests.companion.conftest import Until
from tests.companion.scripted import FULL, Script, handlers, scripted_daemon
from tests.lifecycle.conftest import Place
from tests.unit.client_fake import Exchange, FakeDaemon

if TYPE_CHECKING:
    from sleepc.companion.app import Companion

pytestmark = pytest.mark.companion

_AT_ONCE = 500
Open = Callable[..., "Companion"]


def present(companion: Companion) -> bool:
    return companion.state.current is not None


def shows_nothing_as_present(companion: Companion) -> None:
    """No figure, no state, no offer of the daemon that was heard before."""
    assert companion.actions.line.text().startswith(("Not running", "Another version"))
    assert not any(
        action.isEnabled()
        for action in (companion.actions.sleep, companion.actions.wake, companion.actions.undo, companion.actions.pause)
    )
    assert companion.health.gauge.accessibleDescription() == "Not known."
    assert not companion.health.measure.isEnabled()
    assert not companion.facts.list.isEnabled()
    assert companion.window.absent.isVisibleTo(companion.window)


def test_a_daemon_that_is_killed_in_mid_reply_and_started_again(
    own_place: Place, open_companion: Open, until: Until
) -> None:
    own_place.environment["SLEEPD_FAKE_STEP_SECONDS"] = "0.02"
    companion = open_companion(own_place.home)
    until(lambda: companion.state.link.value == "lost")
    shows_nothing_as_present(companion)
    pid = own_place.start().json["pid"]
    until(lambda: present(companion))  # by itself, for the file appeared
    own_place.remember("Idris Larsson works as a carpenter.")
    companion.window.turn_to("facts")
    until(lambda: bool(companion.facts.list.rows.rows))
    companion.window.turn_to("health")
    companion.chat.input.setPlainText("count to 200")
    companion.chat.send()
    until(lambda: any(message.text.startswith("1 2") for message in companion.chat.conversation.messages))
    os.kill(pid, signal.SIGKILL)
    until(lambda: not present(companion))
    shows_nothing_as_present(companion)
    until(lambda: not companion.chat.conversation.busy)
    assert companion.chat.conversation.messages[1].delivery.value == "failed"
    own_place.start()
    until(lambda: present(companion))
    assert companion.facts.list.isEnabled()
    companion.chat.input.setPlainText("count to 3")
    companion.chat.send()
    until(lambda: any(message.text == "1 2 3" for message in companion.chat.conversation.messages))


def test_a_daemon_is_started_from_the_window(own_place: Place, open_companion: Open, until: Until) -> None:
    before = dict(os.environ)
    os.environ.update({"PYTHONPATH": own_place.environment["PYTHONPATH"]})
    try:
        companion = open_companion(own_place.home, tray=False)
        until(lambda: companion.window.absent.start.isVisible())
        os.environ["PATH"] = ""  # no service manager is found then
        companion.window.absent.install.click()
        until(lambda: "no systemd and no launchd" in companion.window.complaint)
        companion.window.absent.start.click()
        assert not companion.window.absent.start.isEnabled()
        until(lambda: present(companion))
        assert not companion.window.absent.isVisible()
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_a_daemon_that_is_stopped_by_the_kernel_is_not_shown_as_awake(
    own_place: Place, open_companion: Open, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sleepc import channel
    from sleepc.companion import feed

    monkeypatch.setattr(channel, "HEARTBEAT", 0.5)
    monkeypatch.setattr(feed, "RAREST_LOOK", 1.0)
    pid = own_place.start().json["pid"]
    companion = open_companion(own_place.home)
    until(lambda: present(companion))
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: not present(companion))
        shows_nothing_as_present(companion)
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: present(companion))


def test_a_defect_of_our_own_leaves_nothing_standing(
    tmp_path: Path, open_companion: Open, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = scripted_daemon(tmp_path, FULL)
    companion = open_companion(tmp_path)
    until(lambda: present(companion))
    seen: list[BaseException | None] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: seen.append(error))

    def broken(*_: object) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr("sleepc.async_events.Tape.judge", broken)
    monkeypatch.setitem(server.handlers, "ping", lambda e: server.publish(1, "fact", id="f-1", change="learned"))
    companion.services.bridge.do(lambda client: client.ping())
    until(lambda: not present(companion))
    shows_nothing_as_present(companion)
    until(lambda: [str(error) for error in seen] == ["a defect"])
    server.kill()


def test_another_version_of_the_protocol_and_then_the_right_one(
    tmp_path: Path, open_companion: Open, until: Until
) -> None:
    newer = FakeDaemon(tmp_path, handlers(FULL), protocol=99)
    companion = open_companion(tmp_path)
    until(lambda: companion.state.link.value == "foreign")
    shows_nothing_as_present(companion)
    assert not companion.window.absent.start.isVisible()
    newer.kill()
    (tmp_path / "r.sock").unlink()
    (tmp_path / "e.sock").unlink()
    right = scripted_daemon(tmp_path, FULL)
    until(lambda: present(companion))
    right.kill()


def test_an_upgraded_daemon_is_shown_as_what_it_is(tmp_path: Path, open_companion: Open, until: Until) -> None:
    old = scripted_daemon(tmp_path, FULL)
    companion = open_companion(tmp_path)
    until(lambda: present(companion))
    old.kill()
    until(lambda: not present(companion))
    (tmp_path / "r.sock").unlink()
    (tmp_path / "e.sock").unlink()
    status = msgspec.structs.replace(FULL.status, version="9.9.9", epoch="e9", generation=0)
    new = scripted_daemon(tmp_path, Script(status=status))
    until(lambda: present(companion))
    assert companion.state.current is not None
    assert (companion.state.current.version, companion.state.current.generation) == ("9.9.9", 0)
    companion.window.turn_to("facts")
    until(lambda: "facts" in new.kinds())
    until(lambda: companion.facts.list.rows.rows == ())
    new.kill()


def test_ten_thousand_events_cost_few_questions_and_no_memory(
    tmp_path: Path, open_companion: Open, until: Until
) -> None:
    import gc

    import psutil

    told = 0

    def tell(exchange: Exchange) -> None:
        nonlocal told
        for _ in range(_AT_ONCE):
            told += 1
            server.publish(told, "fact", id=f"f-{told}", change="learned")
        exchange.done(MetricsReply(text=""))

    server = FakeDaemon(tmp_path, {**handlers(FULL), "metrics": tell})
    companion = open_companion(tmp_path)
    companion.window.turn_to("health")
    until(lambda: present(companion))

    def more(count: int) -> None:
        while told < count:
            wanted = told + _AT_ONCE
            companion.services.bridge.do(lambda client: client.metrics())
            until(lambda wanted=wanted: companion.state.facts_version >= wanted)

    more(2_000)
    gc.collect()
    process = psutil.Process()
    before, asked = process.memory_info().rss, server.kinds().count("status")
    more(12_000)
    gc.collect()
    assert process.memory_info().rss - before < 6_000_000
    assert server.kinds().count("status") - asked < 2_000
    assert len(companion.state.picture.recent) <= 200
    server.kill()


def test_nothing_is_asked_while_nothing_happens(tmp_path: Path, open_companion: Open, until: Until) -> None:
    server = scripted_daemon(tmp_path, FULL)
    companion = open_companion(tmp_path)
    until(lambda: present(companion))
    end = time.monotonic() + 1.0
    until(lambda: time.monotonic() > end)
    asked = len(server.seen)
    end = time.monotonic() + 4.0
    until(lambda: time.monotonic() > end)
    assert len(server.seen) == asked
    server.kill()
