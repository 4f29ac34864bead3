"""The disk as the daemon lives on it: damage, a full disk, backups."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.lifecycle.conftest import Place, fake_place
from tests.lifecycle.test_daemon_life import CARPENTER, QUESTION, wait_until

LISBON = "Mara Lindqvist lives in Lisbon."
WHERE = "Where does Mara Lindqvist live?"


def blobs_of(place: Place, query: str) -> list[Path]:
    with closing(sqlite3.connect(f"file:{place.home / 'ledger.db'}?mode=ro", uri=True)) as connection:
        return [place.home / "blobs" / sha[:2] / sha[2:] for (sha,) in connection.execute(query)]


def test_a_damaged_edit_is_set_aside_told_and_learned_again(place: Place) -> None:
    place.start()
    place.remember(CARPENTER, LISBON)
    assert place.sleepd("fsck").code == 0
    (blob, *_) = blobs_of(place, "SELECT blob FROM edits ORDER BY fact_id")
    data = blob.read_bytes()
    blob.write_bytes(data[:3] + bytes([data[3] ^ 8]) + data[4:])
    found = place.sleepd("fsck", "--json")
    assert (found.code, found.json["ok"], len(found.json["findings"])) == (8, False, 1)
    assert place.sleepd("restart").code == 0
    wait_until(lambda: place.status()["host"]["pid"] is not None)
    assert place.ask(QUESTION) == CARPENTER
    assert place.ask(WHERE) == LISBON
    notices = place.status()["storage"]["notices"]
    assert len(notices) == 1
    assert "learned again" in notices[0]
    assert list((place.home / "blobs" / "quarantine").iterdir())
    assert place.sleepd("fsck", "--json").json["ok"]


def test_a_damaged_generation_falls_back_and_nothing_is_forgotten(place: Place) -> None:
    place.start()
    place.remember(CARPENTER)
    for _ in range(2):
        place.sleepc("sleep", "--wait")
    assert place.status()["generation"] == 2
    place.sleepd("stop")
    (active,) = blobs_of(place, "SELECT blob FROM generations WHERE active = 1")
    active.write_bytes(active.read_bytes()[:-1])
    place.start()
    assert place.ask(QUESTION) == CARPENTER
    status = place.status()
    assert status["generation"] in (0, 1)
    assert any("generation" in notice for notice in status["storage"]["notices"])


def test_a_damaged_ledger_is_refused_and_repaired(place: Place) -> None:
    place.start()
    place.remember(CARPENTER, LISBON)
    place.sleepd("stop")
    ledger = place.home / "ledger.db"
    whole = bytearray(ledger.read_bytes())
    at = whole.rindex(b"Lisbon")
    whole[at] ^= 1
    ledger.write_bytes(whole)
    refused = place.sleepd("start")
    assert refused.code == 8
    assert "fsck" in refused.err
    assert place.sleepd("fsck").code == 8
    repaired = place.sleepd("fsck", "--repair", "--json")
    assert repaired.code == 0, repaired.err
    assert "rebuilt" in repaired.json["findings"][0]["remedy"]
    place.start()
    assert place.ask(QUESTION) == CARPENTER


def test_backup_and_restore_while_it_runs(place: Place, tmp_path: Path) -> None:
    assert place.sleepd("backup", str(tmp_path / "none.tar")).code == 6
    place.start()
    place.remember(CARPENTER)
    place.sleepc("sleep", "--wait")
    file = tmp_path / "memory.tar"
    done = place.sleepd("backup", "--json", str(file))
    assert done.code == 0, done.err
    assert done.json["facts"] == 1
    assert file.stat().st_mode & 0o077 == 0
    assert place.sleepd("backup", str(file)).code == 7
    place.remember("Idris Larsson works as a baker.", LISBON)
    numbers = [e["seq"] for e in place.sleepc("events", "--json").json["events"]]
    restored = place.sleepd("restore", str(file), "--json")
    assert restored.code == 0, restored.err
    assert place.ask(QUESTION) == CARPENTER
    assert place.ask(WHERE) == "I do not know."
    assert place.status()["generation"] == 1
    place.remember(LISBON)
    assert min(e["seq"] for e in place.sleepc("events", "--json").json["events"]) > max(numbers)
    data = file.read_bytes()
    for name, damaged in {
        "cut": data[: len(data) // 2],
        "flipped": data[:4000] + bytes([data[4000] ^ 1]) + data[4001:],
        "empty": b"",
        "other": b"not a tar" * 500,
    }.items():
        (tmp_path / name).write_bytes(damaged)
        refused = place.sleepd("restore", str(tmp_path / name))
        assert refused.code == 8, f"{name}: {refused.err}"
        assert len(refused.err.strip().splitlines()) == 1
    assert place.ask(WHERE) == LISBON


def test_no_backup_brings_back_what_was_forgotten(place: Place, tmp_path: Path) -> None:
    """Neither what an edit held nor what a night had moved into the adapter; saying it anew does."""
    place.start()
    (carpenter,) = place.remember(CARPENTER)
    place.sleepc("sleep", "--wait")
    place.sleepc("sleep", "--wait")
    (lisbon,) = place.remember(LISBON)
    place.remember("Mara Holm works as a baker.")
    assert [f["stage"] for f in place.sleepc("facts", "--json").json["facts"]] == [2, 0, 0]
    file = tmp_path / "memory.tar"
    assert place.sleepd("backup", str(file)).code == 0
    assert place.sleepc("forget", "--yes", carpenter["id"], lisbon["id"]).code == 0
    restored = place.sleepd("restore", str(file), "--json")
    assert restored.code == 0, restored.err
    assert (restored.json["facts"], restored.json["forgotten"]) == (3, 2)
    states = {f["id"]: f["state"] for f in place.sleepc("facts", "--all", "--json").json["facts"]}
    assert states[carpenter["id"]] == states[lisbon["id"]] == "forgotten"
    assert sorted(states.values()) == ["active", "forgotten", "forgotten"]
    wait_until(lambda: place.ask(QUESTION) == place.ask(WHERE) == "I do not know.")
    assert place.sleepc("undo").code == 0
    assert place.ask(QUESTION) == place.ask(WHERE) == "I do not know."
    assert place.sleepd("restore", str(file), "--json").json["forgotten"] == 2, (
        "the record goes on from restore to restore"
    )
    place.remember(LISBON)
    assert place.ask(WHERE) == LISBON
    assert place.sleepd("restore", str(file), "--json").json["forgotten"] == 1
    assert place.ask(WHERE) == LISBON


def test_a_home_can_move_in_a_backup(place: Place, tmp_path: Path) -> None:
    place.start()
    place.remember(CARPENTER)
    place.sleepd("stop")
    assert place.sleepd("backup", str(tmp_path / "m.tar")).code == 0
    there = fake_place(tmp_path / "elsewhere")
    try:
        assert there.sleepd("restore", str(tmp_path / "m.tar")).code == 0
        there.start()
        assert there.ask(QUESTION) == CARPENTER
    finally:
        there.sleepd("stop")


WRITES = [
    *(f"blob.{step}" for step in ("before_create", "before_write", "before_fsync", "before_rename", "before_dirsync")),
    "ledger.before_begin",
    "ledger.before_commit",
]


FIRST_NAMES = ("Nils", "Berit", "Arne", "Sigrid", "Olav", "Ingrid", "Leif", "Astrid", "Knut", "Solveig")
NAMES = ("Holm", "Dahl", "Berg", "Strand", "Lund", "Moen", "Haugen")


@pytest.mark.parametrize("action", ["enospc", pytest.param("eio", marks=pytest.mark.slow)])
def test_a_write_that_fails_is_told_and_nothing_breaks(place: Place, action: str) -> None:
    """Each write of one `remember` fails once; talking goes on, and the fact can be learned afterwards."""
    place.start()
    place.remember(LISBON)
    place.sleepd("stop")
    for point, name in zip(WRITES, NAMES, strict=True):
        hit = 12 if point.startswith("ledger") else 1  # behind the transactions of the start
        place.environment["SLEEPD_FAILPOINT"] = f"{point}:{hit}={action}"
        place.start()
        del place.environment["SLEEPD_FAILPOINT"]
        codes: list[int] = []
        while 8 not in codes and len(codes) < len(FIRST_NAMES):
            first = FIRST_NAMES[len(codes)]
            codes.append(place.sleepc("remember", f"{first} {name} works as a carpenter.").code)
        assert set(codes) <= {0, 8}, f"{point}: {codes}"
        assert 8 in codes, f"{point} never failed"
        assert place.ask(WHERE) == LISBON
        assert place.sleepd("restart").code == 0  # what was not learned is learned now
        wait_until(lambda: place.status()["facts"]["pending"] == 0)
        assert place.sleepd("fsck").code == 0
        place.sleepd("stop")
    place.start()
    facts = place.sleepc("facts", "--json").json["facts"]
    assert {f["state"] for f in facts} == {"active"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "x", folder], check=False).returncode
    ):
        pytest.skip("no small file system can be mounted here")
    try:
        yield folder
    finally:
        # The lock is free a moment before the process that held it, and its log, are gone.
        wait_until(lambda: subprocess.run(["umount", folder], check=False).returncode == 0)


def fill(path: Path) -> None:
    """Take all the room that is left on a disk."""
    filler = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        with contextlib.suppress(OSError):
            while True:
                os.write(filler, bytes(4096))
    finally:
        os.close(filler)


def test_a_full_disk_refuses_to_learn_and_lets_talk_and_forget(small_disk: Path) -> None:
    place = fake_place(small_disk / "home")
    place.environment["SLEEPD_MODELS"] = str(small_disk)
    try:
        place.sleepd("config", "set", "storage.min_free_bytes", "1000000")
        place.start()
        (kept, gone) = place.remember(CARPENTER, LISBON)
        session = json.loads(place.sleepc("chat", "--json", stdin="What does Idris Larsson work as?\n").out)["session"]
        fill(small_disk / "filler")
        refused = place.sleepc("remember", "Nils Holm lives in Oslo.")
        assert refused.code == 8, refused.err
        assert "free on the disk" in refused.err
        assert place.sleepc("sleep").code == 8
        assert place.ask(QUESTION) == CARPENTER
        assert session
        assert place.sleepc("chat", "-c", "--json", stdin="What does Idris Larsson work as?\n").code == 0
        assert place.sleepc("forget", gone["id"]).code == 0
        assert place.ask(WHERE) == "I do not know."
        assert "full" in " ".join(place.status()["storage"]["notices"]) or not (place.home / "ballast").exists()
        (small_disk / "filler").unlink()
        assert place.remember("Nils Holm lives in Oslo.")[0]["state"] == "active"
        assert place.sleepd("restart").code == 0
        assert place.sleepd("fsck").code == 0
        fill(small_disk / "filler")
        assert place.sleepd("restart").code == 0, "the reserve lets it start on a full disk"
        assert place.ask(QUESTION) == CARPENTER
        assert kept["id"] in {f["id"] for f in place.sleepc("facts", "--json").json["facts"]}
    finally:
        place.sleepd("stop")
