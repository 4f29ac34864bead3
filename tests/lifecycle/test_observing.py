"""Logs, metrics and crash reports: enough to see what happened, and nothing of what was said."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sleepc import Client
from sleepd.observing import crashes
from tests.lifecycle.conftest import Place
from tests.lifecycle.test_daemon_life import CARPENTER, QUESTION, kill_host, wait_until


def test_the_log_is_structured_names_requests_and_holds_no_text(place: Place) -> None:
    place.sleepd("config", "set", "log_level", "debug")
    place.start()
    place.remember(CARPENTER)
    place.ask(QUESTION)
    place.sleepc("why", "f-none")
    kill_host(place)
    wait_until(lambda: place.status()["host"]["restarts"] == 1)
    shown = place.sleepd("logs", "--json", "-n", "1000").json["records"]
    assert {"at", "level", "logger", "message"} <= shown[0].keys()
    host_log = (place.home / "logs" / "host.log").read_text()
    named = [line.rsplit("-", 1)[-1] for line in host_log.splitlines() if "Learn" in line or "Generate" in line]
    assert named, host_log
    for path in (place.home / "logs").iterdir():
        text = path.read_text()
        for word in ("Idris", "Larsson", "carpenter"):
            assert word not in text, f"{path.name} quotes the user"
    human = place.sleepd("logs", "-n", "3")
    assert len(human.out.splitlines()) == 3
    assert human.out.startswith("20")
    assert place.sleepd("logs", "-n", "0").out == ""


def test_the_log_is_followed_as_it_grows(place: Place) -> None:
    place.start()
    following = place.popen("sleepd", "logs", "-f", "--json", "-n", "1")
    assert following.stdout is not None
    try:
        assert json.loads(following.stdout.readline())["message"]
        place.sleepd("config", "set", "limits.text_bytes", "99")
        told = [json.loads(following.stdout.readline())]
        while "settings changed" not in told[-1]["message"]:
            told.append(json.loads(following.stdout.readline()))
    finally:
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=10)
    assert following.returncode == 130


def test_metrics_are_what_prometheus_reads(place: Place) -> None:
    assert place.sleepd("metrics").code == 3
    place.start()
    place.remember(CARPENTER)
    place.ask(QUESTION)
    place.sleepc("why", "f-none")
    text = place.sleepd("metrics").out
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["sleepd_requests_total", "ask", "done"] == 1
    assert samples["sleepd_requests_total", "not_found", "why"] == 1
    assert samples["sleepd_request_seconds_count", "remember"] == 1
    assert samples["sleepd_facts", "active"] == 1
    assert samples["sleepd_resident_bytes", "daemon"] > 10e6
    assert samples["sleepd_disk_bytes", "total"] > 0
    assert CARPENTER not in text


def test_a_crash_of_the_host_leaves_a_report(place: Place) -> None:
    place.start()
    kill_host(place)
    wait_until(lambda: bool(list((place.home / "logs").glob("crash-*.json"))))
    (report,) = (place.home / "logs").glob("crash-*.json")
    told = json.loads(report.read_text())
    assert told["what"] == "the model process ended"
    assert "signal 9" in told["how"]
    assert report.stat().st_mode & 0o077 == 0


def test_a_report_tells_where_and_not_what(tmp_path: Path) -> None:
    def deep() -> None:
        try:
            raise KeyError("my secret diary")
        except KeyError as error:
            raise RuntimeError("about my secret diary") from error

    with pytest.raises(RuntimeError) as caught:
        deep()
    for _ in range(crashes.KEPT + 3):
        crashes.report(tmp_path, "a test", caught.value, request="r1")
    reports = list(tmp_path.iterdir())
    assert len(reports) == crashes.KEPT
    text = reports[0].read_text()
    assert "diary" not in text
    assert json.loads(text)["places"][-1] == "RuntimeError"
    assert any(place.endswith(" deep") for place in json.loads(text)["places"])


def test_unload_frees_the_model_and_the_next_question_loads_it(place: Place) -> None:
    place.start()
    place.remember(CARPENTER)
    host = place.status()["host"]["pid"]
    assert place.sleepc("unload", "--json").json["unloaded"] is True
    assert place.status()["state"] == "unloaded"
    assert not Path(f"/proc/{host}").exists()
    assert place.sleepc("unload", "--json").json["unloaded"] is False
    assert place.sleepc("ask", "--no-wait", QUESTION).code in (0, 5)
    assert place.ask(QUESTION) == CARPENTER
    assert place.status()["host"]["restarts"] == 0
    place.sleepd("config", "set", "limits.unload_after", "0.5")
    place.sleepd("config", "set", "limits.beat_seconds", "0.2")
    place.sleepd("restart")
    wait_until(lambda: place.status()["state"] == "unloaded")
    assert place.ask(QUESTION) == CARPENTER


def test_the_daemon_is_small_and_quick(place: Place) -> None:
    place.start()
    place.remember(CARPENTER)
    assert place.status()["resident_bytes"] < 60e6
    with Client(place.home) as client:
        assert client.ping().pid == place.status()["pid"]


def idle_share(place: Place, seconds: float) -> float:
    """The share of one core that daemon and model process take while nobody wants anything."""
    place.start()
    place.remember(CARPENTER)
    wait_until(lambda: place.status()["host"]["pid"] is not None)
    status = place.status()
    processes = [psutil.Process(pid) for pid in (status["pid"], status["host"]["pid"])]
    time.sleep(2)  # what was asked for last settles

    def spent() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    before = spent()
    time.sleep(seconds)
    share = (spent() - before) / seconds
    print(f"idle: {share:.3%} of a core in {seconds:.0f} s")
    return share


def test_idle_costs_nothing(place: Place) -> None:
    assert idle_share(place, 4) < 0.02  # a hundredth of a second is one tick


def test_the_model_process_lets_others_go_first(place: Place) -> None:
    place.sleepd("config", "set", "nice", "5")
    place.start()
    wait_until(lambda: place.status()["host"]["pid"] is not None)
    status = place.status()
    daemon, host = psutil.Process(status["pid"]).nice(), psutil.Process(status["host"]["pid"]).nice()
    assert host == min(19, daemon + 5)


@pytest.mark.slow
def test_a_minute_of_idleness(place: Place) -> None:
    assert idle_share(place, 60) < 0.001
