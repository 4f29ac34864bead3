"""Damage to every class of file: found, set aside, and made good from what is whole."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from sleepengine.errors import EngineError, LedgerCorrupt
from sleepengine.memory import recovery
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import Fact, FactState, Stage, Verified
from sleepengine.memory.guard import Guard
from sleepengine.memory.ledger import Advance, Learned, Ledger, utc_now
from tests.unit.ledger_cases import make_fact

MODEL = "m" * 64
GOOD = Verified(raw=True, chat=True)


def named(fact_id: str, subject: str) -> Fact:
    return msgspec.structs.replace(make_fact("baker", subject=subject), id=fact_id)


class Home:
    """A ledger with two learned facts, one of them in two generations, and their blobs."""

    def __init__(self, root: Path) -> None:
        self.path, self.blobs = root / "ledger.db", root / "blobs"
        store = BlobStore(self.blobs)
        self.edits = [store.put(b"edit one" * 40), store.put(b"edit two" * 40)]
        self.generations = [store.put(b"first" * 900), store.put(b"second" * 900)]
        with closing(Ledger.open(self.path)) as ledger:
            ledger.use_model(MODEL)
            ledger.add_pending([named("f-1", "Idris Larsson"), named("f-2", "Mara Lindqvist")])
            learned = [Learned(fact_id=f"f-{n}", blob=blob, verified=GOOD) for n, blob in enumerate(self.edits, 1)]
            ledger.commit_learned(MODEL, None, learned)
            for generation in self.generations:
                advances = [
                    Advance(fact_id="f-1", stage=Stage.CONSOLIDATING, scale=0.1, blob=self.edits[0], verified=GOOD),
                    Advance(fact_id="f-2", stage=Stage.ACTIVE, scale=1.0, blob=self.edits[1], verified=GOOD),
                ]
                cycle = ledger.begin_cycle("sleep", utc_now())
                ledger.commit_cycle(cycle, MODEL, generation, advances, {}, utc_now())

    def blob(self, sha: str) -> Path:
        return self.blobs / sha[:2] / sha[2:]

    def check(self) -> list[recovery.Finding]:
        return recovery.check(self.path, self.blobs)

    def repair(self) -> list[recovery.Finding]:
        return recovery.repair(self.path, self.blobs)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def flip(path: Path, at: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def test_a_whole_home_has_no_findings(home: Home) -> None:
    assert home.check() == []
    assert home.repair() == []


def test_every_flipped_bit_and_cut_of_the_ledger_is_found(home: Home) -> None:
    whole = home.path.read_bytes()
    places = [*range(100), *random.Random(7).sample(range(100, len(whole)), 250)]
    for at in places:
        flip(home.path, at, at % 8)
        assert home.check(), f"byte {at}"
        with pytest.raises(EngineError):
            Ledger.open(home.path)
        home.path.write_bytes(whole)
    for size in (0, 1, 99, 100, 4095, 4096, len(whole) // 2, len(whole) - 4096, len(whole) - 1):
        home.path.write_bytes(whole[:size])
        assert home.check(), f"cut to {size}"
        with pytest.raises(LedgerCorrupt):
            Ledger.open(home.path)
        home.path.write_bytes(whole)
    assert home.check() == []


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_damaged_edit_is_given_up_and_asked_for_again(home: Home, damage: str, place: int) -> None:
    path = home.blob(home.edits[place])
    {"flip": lambda: flip(path, 11), "cut": lambda: path.write_bytes(path.read_bytes()[:-1]), "remove": path.unlink}[
        damage
    ]()
    assert [(f.part, f.name) for f in home.check()] == [("edit", home.edits[place])]
    assert [f.name for f in home.repair()] == [f"f-{place + 1}"]
    assert home.check() == []
    assert (len(list((home.blobs / "quarantine").glob("*"))) == 1) == (damage != "remove")
    with closing(Ledger.open(home.path)) as ledger:
        assert [f.id for f in ledger.needing_edit(MODEL)] == [f"f-{place + 1}"]
        assert home.edits[place] not in {edit.blob for edit in ledger.live_view(MODEL).edits}


def test_a_damaged_generation_falls_back_to_the_one_before(home: Home) -> None:
    flip(home.blob(home.generations[1]), 2000)
    assert [f.part for f in home.check()] == ["generation"]
    assert "generation 1" in home.repair()[0].remedy
    assert home.check() == []
    with closing(Ledger.open(home.path)) as ledger:
        assert ledger.generation(MODEL) == (1, home.generations[0])
        assert {f.id for f in ledger.facts([FactState.ACTIVE])} == {"f-1", "f-2"}


def test_where_all_generations_are_damaged_the_facts_are_learned_again(home: Home) -> None:
    for generation in home.generations:
        home.blob(generation).write_bytes(b"")
    assert "bare base" in home.repair()[0].remedy
    assert home.check() == []
    with closing(Ledger.open(home.path)) as ledger:
        assert ledger.generation(MODEL) == (0, None)
        assert ledger.live_view(MODEL).generation is None
        missing = {f.id for f in ledger.needing_edit(MODEL)}
        assert missing | {edit.fact_id for edit in ledger.live_view(MODEL).edits} == {"f-1", "f-2"}


def test_a_fall_back_never_tells_what_was_forgotten(home: Home) -> None:
    with closing(Ledger.open(home.path)) as ledger:
        ledger.forget(["f-1"], utc_now())
    home.blob(home.generations[1]).unlink()
    home.repair()
    with closing(Ledger.open(home.path)) as ledger:
        assert ledger.generation(MODEL) == (0, None)
        assert ledger.needing_suppression(MODEL) == []
        assert "f-1" not in {edit.fact_id for edit in ledger.live_view(MODEL).edits}


def test_a_ledger_with_a_flipped_letter_is_rebuilt_whole(home: Home) -> None:
    at = home.path.read_bytes().index(b"f-2")
    flip(home.path, at + 2, 6)
    (finding,) = [f for f in home.repair() if f.part == "ledger"]
    assert "rebuilt" in finding.remedy
    assert home.check() == []
    with closing(Ledger.open(home.path)) as ledger:
        assert "f-1" in {f.id for f in ledger.facts(list(FactState))}
    assert list(home.path.parent.glob("quarantine/ledger-*/ledger.db"))


def test_a_ledger_that_cannot_be_read_is_left_for_a_backup(home: Home) -> None:
    whole = home.path.read_bytes()
    home.path.write_bytes(b"\0" * len(whole))
    with pytest.raises(LedgerCorrupt, match="restore a backup"):
        home.repair()
    assert home.path.read_bytes() == b"\0" * len(whole)


def in_use(home: Home) -> tuple[bytes, bytes]:
    """The ledger's file and log as a kill leaves them after five more commits."""
    with closing(Ledger.open(home.path)) as ledger:
        for number in range(5):
            ledger.set_value("number", str(number))
        return home.path.read_bytes(), home.path.with_name("ledger.db-wal").read_bytes()


def restore(home: Home, file: bytes, log: bytes, commits: int) -> None:
    for name in ("-wal", "-shm"):
        home.path.with_name(f"ledger.db{name}").unlink(missing_ok=True)
    guard = Guard(home.path)
    guard.unseal()
    home.path.write_bytes(file)
    home.path.with_name("ledger.db-wal").write_bytes(log)
    guard.mark(commits)
    guard.close()


CUTS: list[Callable[[bytes], bytes]] = [
    lambda log: log[:-1],
    lambda log: log[: len(log) // 2],
    lambda log: log[:20],
    lambda log: b"",
    lambda log: log[:-100] + bytes([log[-100] ^ 1]) + log[-99:],
    lambda log: log[:40] + bytes([log[40] ^ 128]) + log[41:],
    lambda log: log[: len(log) // 2] + bytes([log[len(log) // 2] ^ 4]) + log[len(log) // 2 + 1 :],
]


@pytest.mark.parametrize("number", range(len(CUTS)))
def test_acknowledged_commits_that_a_damaged_log_lost_are_told(home: Home, number: int) -> None:
    file, log = in_use(home)
    commits = Guard(home.path).marked()
    assert commits is not None
    restore(home, file, log, commits)
    assert home.check() == []
    restore(home, file, CUTS[number](log), commits)
    (finding,) = home.check()
    assert finding.part == "commits"
    assert "missing" in finding.problem
    with closing(Ledger.open(home.path)) as ledger:
        assert 1 <= ledger.lost_commits <= 5
        assert {f.id for f in ledger.facts(list(FactState))} == {"f-1", "f-2"}
    with closing(Ledger.open(home.path)) as ledger:
        assert ledger.lost_commits == 0


def test_a_damaged_mark_or_sum_stops_nothing(home: Home) -> None:
    home.path.with_name("ledger.db.mark").write_bytes(b"12 zz")
    with closing(Ledger.open(home.path)) as ledger:
        assert ledger.lost_commits == 0
    home.path.with_name("ledger.db.sum").unlink()
    with closing(Ledger.open(home.path)):
        pass
    assert home.check() == []


def test_a_ledger_of_the_future_is_only_told_about(home: Home) -> None:
    Guard(home.path).forget()
    with closing(sqlite3.connect(home.path)) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (9999, 'of the future', '')")
        connection.commit()
    before = home.path.read_bytes()
    (finding,) = home.check()
    assert finding.remedy == "update sleepd"
    with pytest.raises(EngineError, match="newer"):
        home.repair()
    assert home.path.read_bytes() == before
