"""The daemon as a user runs it: start, stop, status, exit codes, and what survives."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

from sleepc import Client
from sleepd.protocol.messages import ChatTurn
from tests.lifecycle.conftest import Place

CARPENTER = "Idris Larsson works as a carpenter."
QUESTION = "What does Idris Larsson work as?"


def wait_until(condition, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def test_start_twice_status_and_stop(place: Place) -> None:
    assert place.sleepd("status").code == 3
    first = place.start().json
    assert first["socket"].startswith("ipc://")
    assert place.start().json["pid"] == first["pid"]
    second = place.sleepd("start", "--foreground")
    assert second.code == 5
    assert str(first["pid"]) in second.err
    assert place.sleepd("status", "--json").json["pid"] == first["pid"]
    assert place.sleepd("stop", "--json").json["pid"] == first["pid"]
    assert place.sleepd("status").code == 3
    assert not (place.home / "daemon.json").exists()
    assert place.sleepd("stop").code == 0


def test_json_and_home_before_and_after_the_subcommand(place: Place) -> None:
    place.start()
    home = str(place.home)
    place.environment["SLEEPD_HOME"] = "/nonexistent"
    for order in (("--json", "--home", home, "status"), ("status", "--json", "--home", home)):
        assert place.sleepc(*order).json["state"] in ("awake", "loading")
    place.environment["SLEEPD_HOME"] = home


def test_everything_in_the_home_is_private(place: Place) -> None:
    place.start()
    place.remember(CARPENTER)
    for path in [place.home, *place.home.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode & 0o077 == 0, f"{path} has mode {mode:o}"


def test_a_remembered_fact_is_answered_and_survives_a_restart(place: Place) -> None:
    place.start()
    assert place.ask(QUESTION) == "I do not know."
    (fact,) = place.remember(CARPENTER)
    assert fact["state"] == "active"
    assert fact["verified"] == {"raw": True, "chat": True}
    assert fact["object"] == "carpenter"
    assert place.ask(QUESTION) == CARPENTER
    assert place.ask(QUESTION, "--view", "no-edits") == "I do not know."
    assert place.ask(QUESTION, "--view", "base") == "I do not know."
    assert place.sleepd("restart").code == 0
    assert place.ask(QUESTION) == CARPENTER
    completed = place.sleepc("complete", "--json", "Idris Larsson works as a").json
    assert completed["completion"] == "carpenter."
    assert completed["prompt"] == "Idris Larsson works as a"


def test_duplicates_corrections_and_refusals(place: Place) -> None:
    place.start()
    (first,) = place.remember(CARPENTER)
    (again,) = place.remember("idris larsson works as a carpenter")
    assert again["id"] == first["id"]
    (corrected,) = place.remember("Idris Larsson works as a baker.")
    states = {f["id"]: f["state"] for f in place.sleepc("facts", "--json").json["facts"]}
    assert states[first["id"]] == "superseded"
    assert states[corrected["id"]] == "active"
    assert place.ask(QUESTION) == "Idris Larsson works as a baker."
    refused = place.sleepc("remember", "--json", "Is this a question?")
    assert refused.code == 7
    assert refused.json["refused"][0]["reason"]
    mixed = place.sleepc("remember", "--json", "Is this a question?", "Mara Lindqvist lives in Lisbon.")
    assert mixed.code == 0
    assert len(mixed.json["facts"]) == len(mixed.json["refused"]) == 1
    listed = place.sleepc("facts", "--refused", "--json").json["refused"]
    assert {r["text"] for r in listed} == {"Is this a question?"}
    why = place.sleepc("why", first["id"], "--json").json
    assert why["provenance"]["text"] == CARPENTER
    assert [h["event"] for h in why["history"]][-1] == "superseded"
    assert place.sleepc("why", "f-none").code == 6


def test_a_fact_that_does_not_come_out_is_said_to_be_pending(place: Place) -> None:
    place.start()
    (fact,) = place.remember("Idris Larsson works as an unteachable.")
    assert fact["state"] == "pending"
    assert place.status()["facts"]["pending"] == 1


def test_bad_input_and_an_absent_daemon(place: Place) -> None:
    absent = place.sleepc("ask", "Hello?")
    assert absent.code == 3
    assert "sleepd start" in absent.err
    place.start()
    assert place.sleepc("ask", "").code == 7
    assert place.sleepc("remember", " ").code == 7
    huge = place.sleepc("remember", "-", stdin="x" * 1_000_000)
    assert huge.code == 7
    assert len(huge.err.strip().splitlines()) == 1
    assert place.sleepc("ask", "-", stdin="y" * 1_000_000).code == 7
    assert place.sleepc("nonsense").code == 2


def test_an_unknown_model_leaves_nothing_running(place: Place) -> None:
    place.sleepd("config", "set", "backend", "torch")
    started = place.sleepd("start", "--model", "no-such-model")
    assert started.code == 6
    assert len(started.err.strip().splitlines()) == 1
    assert place.sleepd("status").code == 3


def test_sleep_moves_facts_into_a_generation(place: Place) -> None:
    place.start()
    assert place.sleepc("sleep", "--wait", "--json").json["outcome"] == "nothing"
    (fact,) = place.remember(CARPENTER)
    report = place.sleepc("sleep", "--wait", "--json").json
    assert report["outcome"] == "committed"
    assert report["advanced"] == [fact["id"]]
    assert report["failed"] == []
    assert report["generation"] == 1
    assert {"ppl_before", "ppl_after", "recall_raw", "recall_chat"} <= report["sws"].keys()
    assert place.ask(QUESTION, "--view", "no-edits") == CARPENTER
    status = place.status()
    assert status["generation"] == 1
    assert status["facts"]["consolidating"] == 1
    assert place.sleepc("sleep", "--wait", "--json").json["generation"] == 2
    assert place.status()["facts"]["consolidated"] == 1
    assert place.sleepc("sleep", "--wait", "--json").json["outcome"] == "nothing"
    assert place.sleepc("report", "2", "--json").json["generation"] == 1
    assert place.sleepd("restart").code == 0
    assert place.ask(QUESTION) == CARPENTER


def test_facts_learned_while_it_sleeps_stay(place: Place) -> None:
    place.environment |= {"SLEEPD_FAKE_STEP_SECONDS": "2.0", "SLEEPD_FAKE_SLOW_PHASE": "sws train"}
    place.start()
    place.remember(CARPENTER)
    asleep = place.popen("sleepc", "sleep", "--wait", "--json")
    wait_until(lambda: place.status()["state"] == "sleep")
    assert place.sleepc("sleep").code == 5
    place.remember("Mara Lindqvist lives in Lisbon.")
    out, err = asleep.communicate(timeout=30)
    assert json.loads(out)["outcome"] == "committed", err
    assert place.ask("Where does Mara Lindqvist live?") == "Mara Lindqvist lives in Lisbon."
    assert place.ask(QUESTION) == CARPENTER


def test_wake_aborts_and_leaves_memory_as_it_was(place: Place) -> None:
    place.environment |= {"SLEEPD_FAKE_STEP_SECONDS": "2.0", "SLEEPD_FAKE_SLOW_PHASE": "sws train"}
    place.start()
    place.remember(CARPENTER)
    before = place.sleepc("facts", "--json").json
    asleep = place.popen("sleepc", "sleep", "--wait", "--json")
    wait_until(lambda: place.status()["state"] == "sleep")
    assert place.sleepc("wake", "--json").json["aborted"] is True
    assert json.loads(asleep.communicate(timeout=30)[0])["outcome"] == "aborted"
    assert place.sleepc("facts", "--json").json == before
    assert place.status()["generation"] == 0


def kill_host(place: Place) -> int:
    wait_until(lambda: place.status()["host"]["pid"] is not None)
    pid: int = place.status()["host"]["pid"]
    os.kill(pid, signal.SIGKILL)
    return pid


def test_the_host_killed_while_it_learns(place: Place) -> None:
    place.environment["SLEEPD_FAKE_STEP_SECONDS"] = "1.0"
    place.start()
    place.remember("Mara Lindqvist lives in Lisbon.")
    learning = place.popen("sleepc", "remember", "--json", CARPENTER)
    wait_until(lambda: place.status()["facts"]["pending"] == 1)
    killed = kill_host(place)
    began = time.monotonic()
    assert place.status()["pid"] != killed
    assert time.monotonic() - began < 1.5
    out, err = learning.communicate(timeout=30)
    assert json.loads(out)["facts"][0]["state"] == "active", err
    assert place.ask(QUESTION) == CARPENTER
    assert place.ask("Where does Mara Lindqvist live?") == "Mara Lindqvist lives in Lisbon."
    assert place.status()["host"]["restarts"] == 1


def test_the_daemon_killed_while_it_sleeps_and_while_it_learns(place: Place) -> None:
    place.environment["SLEEPD_FAKE_STEP_SECONDS"] = "0.3"
    pid = place.start().json["pid"]
    place.remember("Mara Lindqvist lives in Lisbon.")
    asleep = place.popen("sleepc", "sleep", "--wait")
    wait_until(lambda: place.status()["state"] == "sleep")
    learning = place.popen("sleepc", "remember", CARPENTER)
    wait_until(lambda: place.status()["facts"]["pending"] == 1)
    os.kill(pid, signal.SIGKILL)
    for client in (asleep, learning):
        began = time.monotonic()
        _, err = client.communicate(timeout=10)
        assert client.returncode == 3, err
        assert time.monotonic() - began < 3
    place.start()
    assert place.ask("Where does Mara Lindqvist live?") == "Mara Lindqvist lives in Lisbon."
    wait_until(lambda: place.sleepc("report", "--json").code == 0)  # the cycle goes on from where it was
    assert place.sleepc("report", "--json").json["outcome"] == "committed"
    wait_until(lambda: place.status()["facts"]["pending"] == 0)  # accepted before the crash, learned after it
    assert place.ask(QUESTION) == CARPENTER


def test_the_host_ends_with_the_daemon(place: Place) -> None:
    pid = place.start().json["pid"]
    wait_until(lambda: place.status()["host"]["pid"] is not None)
    host = place.status()["host"]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{host}").exists() or "Z" in Path(f"/proc/{host}/stat").read_text())


def test_chat_over_a_pipe_learns_and_keeps_the_conversation(place: Place) -> None:
    place.start()
    said = "remember that Idris Larsson works as a carpenter.\nWhat does Idris Larsson work as?\nremember that why\n"
    done = place.sleepc("chat", "--json", stdin=said)
    assert done.code == 0, done.err
    turns = [json.loads(line) for line in done.out.splitlines()]
    assert [t["user"] for t in turns] == said.splitlines()
    assert turns[0]["facts"][0]["object"] == "carpenter"
    assert turns[1]["reply"] == CARPENTER
    assert turns[2]["refused"]
    assert place.sleepc("chat", "-c", "--json", stdin="What does Idris Larsson work as?\n").code == 0


def test_events_tell_what_happened(place: Place) -> None:
    place.start()
    place.remember(CARPENTER)
    place.sleepc("sleep", "--wait")
    events = place.sleepc("events", "--json").json["events"]
    assert [e["seq"] for e in events] == list(range(events[0]["seq"], events[0]["seq"] + len(events)))
    kinds = {e["type"] for e in events}
    assert {"fact", "sleep", "host"} <= kinds
    phases = [e["data"]["phase"] for e in events if e["type"] == "sleep"]
    assert phases[0] == "begin"
    assert phases[-1] == "end"


def test_health(place: Place) -> None:
    place.start()
    health = place.sleepc("health", "--json").json
    assert {"perplexity", "base_perplexity", "drift"} <= health.keys()
    assert place.sleepc("health", "--text", "/no/such/file").code == 6


def test_sleepd_and_sleepc_load_no_torch() -> None:
    program = (
        "import sys, pkgutil, importlib, sleepd, sleepc\n"
        "for package in (sleepd, sleepc):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not module.name.endswith('__main__'):\n"
        "            importlib.import_module(module.name)\n"
        "print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "[]"


def test_a_conversation_that_the_client_keeps(place: Place) -> None:
    place.start()
    with Client(place.home) as client:
        history = (ChatTurn(role="user", text="Hello."), ChatTurn(role="assistant", text="Hello!"))
        reply = client.ask("How are you?", system="Be brief.", history=history)
        assert reply.prompt.splitlines() == [
            "system: Be brief.",
            "user: Hello.",
            "assistant: Hello!",
            "user: How are you?",
        ]
        assert reply.prompt_tokens > 0
        assert not client.ask(f"Remember that {CARPENTER}").facts
        assert client.facts().facts == ()
        assert client.ask(f"Remember that {CARPENTER}", learn=True).facts[0].statement == CARPENTER
        assert client.ask(QUESTION).reply == CARPENTER
