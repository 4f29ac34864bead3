"""The settings file and the inbox: what a running daemon notices by itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from sleepd.protocol.errors import Refused
from sleepd.watching.inbox import statements
from tests.lifecycle.conftest import Place
from tests.lifecycle.test_daemon_life import CARPENTER, QUESTION, wait_until


def drop(place: Place, name: str, content: str | bytes) -> Path:
    """As programs do: written under another name, then renamed."""
    data = content.encode() if isinstance(content, str) else content
    part = place.home / "inbox" / f".{name}.part"
    part.write_bytes(data)
    return part.rename(place.home / "inbox" / name)


def waiting(place: Place) -> list[str]:
    return [path.name for path in (place.home / "inbox").iterdir() if path.is_file()]


def events(place: Place, kind: str) -> list[dict]:  # type: ignore[type-arg]
    return [e["data"] for e in place.sleepc("events", "--json").json["events"] if e["type"] == kind]


def test_settings_are_taken_over_while_it_runs(place: Place) -> None:
    place.start()
    place.sleepd("config", "set", "limits.text_bytes", "64")
    wait_until(lambda: bool(events(place, "config")))
    assert events(place, "config")[-1] == {"changed": ["limits.text_bytes"], "at_restart": []}
    assert place.sleepc("remember", f"Idris Larsson works as a {'very ' * 20}good carpenter.").code == 7
    file = place.home / "config.toml"
    good = file.read_text()
    file.write_text(good + "\n[limits]\nnonsense = 1\n")
    wait_until(lambda: place.status()["config_error"] is not None)
    assert "config.toml" in place.status()["config_error"]
    assert "error" in events(place, "config")[-1]
    assert place.sleepc("remember", CARPENTER).code == 0
    file.write_text(good.replace("64", "4096"))
    wait_until(lambda: place.status()["config_error"] is None)
    place.sleepd("config", "set", "device", "cpu")
    wait_until(lambda: events(place, "config")[-1].get("at_restart") == ["device"])


def test_the_inbox_takes_files_in(place: Place) -> None:
    place.start()
    shutil.rmtree(place.home / "inbox" / "done")
    drop(place, "facts.txt", f"{CARPENTER}\nIs this a question?\n")
    drop(place, "notes.md", "# Notes\n\n- Mara Lindqvist lives in Lisbon.\n")
    drop(place, "facts.jsonl", json.dumps({"statement": "Nils Holm lives in Oslo."}) + "\n")
    drop(place, "bad.txt", b"\xff\xfe\x00")
    drop(place, "picture.png", b"x")
    (place.home / "inbox" / "link.txt").symlink_to("/etc/passwd")
    wait_until(lambda: waiting(place) == [], 20)
    done, refused = place.home / "inbox" / "done", place.home / "inbox" / "refused"
    assert {p.name for p in done.iterdir() if p.suffix != ".report"} == {"facts.txt", "notes.md", "facts.jsonl"}
    assert {p.name for p in refused.iterdir() if p.suffix != ".report"} == {"bad.txt", "picture.png", "link.txt"}
    assert "question" in (done / "facts.txt.report").read_text()
    assert "UTF-8" in (refused / "bad.txt.report").read_text()
    assert len(place.sleepc("facts", "--json").json["facts"]) == 3
    assert place.ask(QUESTION) == CARPENTER
    assert (
        place.sleepc("why", place.sleepc("facts", "Oslo", "--json").json["facts"][0]["id"], "--json").json[
            "provenance"
        ]["source"]
        == "inbox"
    )


def test_what_was_dropped_while_it_was_away_or_died_is_taken_in_once(place: Place) -> None:
    place.environment["SLEEPD_FAKE_STEP_SECONDS"] = "0.2"
    pid = place.start().json["pid"]
    names = [("Idris", "Larsson"), ("Mara", "Lindqvist"), ("Nils", "Holm"), ("Berit", "Dahl"), ("Arne", "Berg")]
    for round_ in range(3):
        said = "".join(f"{first} {last} has visited Hill {round_}.\n" for first, last in names)
        drop(place, f"round-{round_}.txt", said)
        wait_until(lambda: place.status()["facts"]["pending"] > 0 or not waiting(place))
        os.kill(pid, signal.SIGKILL)
        pid = place.start().json["pid"]
    wait_until(lambda: waiting(place) == [] and place.status()["facts"]["pending"] == 0, 40)
    facts = place.sleepc("facts", "--all", "--json").json["facts"]
    said_once = [f["statement"] for f in facts]
    assert len(said_once) == len(set(said_once)) == 15, said_once
    assert len([p for p in (place.home / "inbox" / "done").iterdir() if p.suffix == ".txt"]) == 3


@pytest.mark.parametrize(
    ("suffix", "data", "expected"),
    [
        (".txt", b"One.\n\n Two. \n", ["One.", "Two."]),
        (".md", b"# Title\n\n* One.\n1. Two.\n> Three.\n", ["Title", "One.", "Two.", "Three."]),
        (".jsonl", b'"One."\n{"text": "Two."}\n', ["One.", "Two."]),
    ],
)
def test_what_a_file_says(suffix: str, data: bytes, expected: list[str]) -> None:
    assert statements(suffix, data) == expected


@pytest.mark.parametrize(
    ("suffix", "data"), [(".txt", b"\n \n"), (".jsonl", b"{"), (".jsonl", b"[1]"), (".csv", b"x"), (".txt", b"\xff")]
)
def test_what_is_not_read(suffix: str, data: bytes) -> None:
    with pytest.raises(Refused):
        statements(suffix, data)
