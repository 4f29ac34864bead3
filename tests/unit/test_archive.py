"""Backups: whole or refused, whatever becomes of their bytes, and the present memory as it was where one is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sleepengine.errors import LedgerTooNew, StorageFailed
from sleepengine.memory import archive, recovery
from sleepengine.memory.ledger import Ledger
from tests.unit.ledger_cases import AT
from tests.unit.test_recovery import MODEL, Home

STRIDE = 61  # bytes between two flips


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    """A backup's bytes."""
    (tmp_path / "home").mkdir()
    home, target = Home(tmp_path / "home"), tmp_path / "memory.tar"
    archive.backup(home.path, home.blobs, tmp_path / "none.toml", target, AT)
    return target.read_bytes()


def restored(folder: Path, data: bytes) -> int:
    """The facts that a restore of these bytes shows in a fresh place. Raises what it raises."""
    folder.mkdir()
    source = folder / "memory.tar"
    source.write_bytes(data)
    archive.restore(source, folder / "ledger.db", folder / "blobs", folder / "config.toml", AT)
    assert recovery.check(folder / "ledger.db", folder / "blobs") == []
    with closing(Ledger.open(folder / "ledger.db")) as ledger:
        return len(ledger.live_view(MODEL).edits)


def test_no_flipped_bit_comes_through(tmp_path: Path, whole: bytes) -> None:
    """A flip is refused, or it lies where a tar holds nothing that counts and what comes back is whole."""
    refused = 0
    for number, at in enumerate(range(0, len(whole), STRIDE)):
        data = bytearray(whole)
        data[at] ^= 1 << number % 8
        try:
            assert restored(tmp_path / str(at), bytes(data)) == 2
        except (StorageFailed, LedgerTooNew):
            refused += 1
            assert not (tmp_path / str(at) / "ledger.db").exists()
    assert refused > 0.6 * len(whole) / STRIDE


def test_no_cut_comes_through(tmp_path: Path, whole: bytes) -> None:
    content = len(whole.rstrip(b"\0"))
    for size in range(0, content, 3001):
        with pytest.raises(StorageFailed):
            restored(tmp_path / str(size), whole[:size])


def test_a_refused_backup_leaves_the_present_memory(tmp_path: Path, whole: bytes) -> None:
    present = tmp_path / "home"
    before = sqlite3.connect(present / "ledger.db").execute("SELECT count(*) FROM facts").fetchone()
    source = tmp_path / "damaged.tar"
    source.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageFailed):
        archive.restore(source, present / "ledger.db", present / "blobs", tmp_path / "none.toml", AT)
    assert recovery.check(present / "ledger.db", present / "blobs") == []
    assert sqlite3.connect(present / "ledger.db").execute("SELECT count(*) FROM facts").fetchone() == before
    assert not list(present.glob(".ledger.db.restored*"))


def test_a_damaged_present_ledger_is_set_aside_and_its_silence_is_told(tmp_path: Path, whole: bytes) -> None:
    present, source = tmp_path / "home", tmp_path / "good.tar"
    source.write_bytes(whole)
    (present / "ledger.db").write_bytes(b"no database at all" * 400)
    back = archive.restore(source, present / "ledger.db", present / "blobs", tmp_path / "none.toml", AT)
    assert back.forgotten is None
    assert recovery.check(present / "ledger.db", present / "blobs") == []
    assert len(list(present.glob("quarantine/replaced-*/ledger.db"))) == 1
