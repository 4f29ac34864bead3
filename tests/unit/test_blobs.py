from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from sleepengine.errors import BlobCorrupt, BlobMissing, StorageFailed, StorageFull
from sleepengine.memory import failpoints, files
from sleepengine.memory.blobs import BlobStore

FAILING = [step for step in files.STEPS if not step.startswith("after_")]


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def test_put_and_get(store: BlobStore, tmp_path: Path) -> None:
    data = os.urandom(1000)
    sha = store.put(data)
    assert sha == hashlib.sha256(data).hexdigest()
    assert store.path(sha) == tmp_path / "blobs" / sha[:2] / sha[2:]
    assert store.has(sha)
    assert store.get(sha) == data
    assert list(store) == [sha]
    assert store.put(b"") == hashlib.sha256(b"").hexdigest()


def test_everything_is_private(store: BlobStore, tmp_path: Path) -> None:
    store.put(b"secret")
    for path in [tmp_path / "blobs", *(tmp_path / "blobs").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_second_put_writes_nothing_but_makes_the_name_durable(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = store.put(b"x")
    inode = store.path(sha).stat().st_ino
    synced = []
    monkeypatch.setattr(files, "_fsync_dir", synced.append)
    assert store.put(b"x") == sha
    assert store.path(sha).stat().st_ino == inode
    assert store.path(sha).parent in synced


def test_array_memory_is_taken_by_its_bytes(store: BlobStore) -> None:
    words = memoryview(bytes(range(64))).cast("d")
    sha = store.put(words)
    assert store.put(words) == sha
    assert store.get(sha) == bytes(range(64))


@pytest.mark.parametrize("name", ["", "ab", "../" * 21 + "x", "A" * 64, "g" * 64, "a" * 65, "a" * 63 + "\n"])
def test_name_that_is_no_sha256_is_refused(store: BlobStore, name: str) -> None:
    with pytest.raises(ValueError, match="sha256"):
        store.get(name)


def test_missing_blob(store: BlobStore) -> None:
    with pytest.raises(BlobMissing):
        store.get("a" * 64)
    assert not store.has("a" * 64)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=200), where=st.integers(min_value=0), bit=st.integers(0, 7))
def test_every_flipped_bit_and_truncation_is_found(store: BlobStore, data: bytes, where: int, bit: int) -> None:
    at = where % len(data)
    flipped = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
    for damaged in (flipped, data[:at], data + b"\0"):
        sha = store.put(data)
        store.path(sha).write_bytes(damaged)
        with pytest.raises(BlobCorrupt, match=sha):
            store.get(sha)
        assert not store.has(sha)
        assert store.put(data) == sha
        assert store.get(sha) == data


def test_corrupt_blob_is_kept_in_quarantine(store: BlobStore, tmp_path: Path) -> None:
    sha = store.put(b"good")
    store.path(sha).write_bytes(b"evil")
    with pytest.raises(BlobCorrupt, match="quarantine"):
        store.get(sha)
    (kept,) = (tmp_path / "blobs" / "quarantine").iterdir()
    assert kept.name.startswith(sha)
    assert kept.read_bytes() == b"evil"
    assert list(store) == []


def test_corrupt_blob_is_not_served_where_it_cannot_be_moved(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    sha = store.put(b"good")
    store.path(sha).write_bytes(b"evil")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(BlobCorrupt, match="could not be quarantined"):
        store.get(sha)


def test_put_heals_a_torn_blob(store: BlobStore) -> None:
    sha = store.put(b"whole")
    store.path(sha).write_bytes(b"who")
    store.put(b"whole")
    assert store.get(sha) == b"whole"


@pytest.mark.parametrize("step", FAILING)
@pytest.mark.parametrize(("action", "error"), [("enospc", StorageFull), ("eio", StorageFailed)])
def test_failed_put_leaves_the_store_as_it_was(
    store: BlobStore, tmp_path: Path, step: str, action: str, error: type[Exception]
) -> None:
    old = store.put(b"old")
    with failpoints.armed(f"blob.{step}={action}"), pytest.raises(error):
        store.put(b"new")
    assert list(store) == [old]
    assert [p for p in (tmp_path / "blobs").rglob("*") if p.is_file()] == [store.path(old)]


def test_full_disk_may_be_tried_again_but_a_failed_fsync_may_not(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "blobs")
    with failpoints.armed("blob.before_fsync=enospc"), pytest.raises(StorageFull):
        store.put(b"x")
    sha = store.put(b"x")
    with failpoints.armed("blob.before_fsync=eio"), pytest.raises(StorageFailed):
        store.put(b"y")
    with pytest.raises(StorageFailed, match="read-only since"):
        store.put(b"z")
    assert store.get(sha) == b"x"
    assert BlobStore(tmp_path / "blobs").put(b"z")


def test_opening_sweeps_orphans(store: BlobStore, tmp_path: Path) -> None:
    sha = store.put(b"x")
    orphan = store.path(sha).with_name(f".{sha[2:]}.0badcafe.tmp")
    orphan.write_bytes(b"ha")
    assert list(store) == [sha]
    BlobStore(tmp_path / "blobs")
    assert not orphan.exists()
    assert store.get(sha) == b"x"


def test_only_unreferenced_blobs_are_deleted(store: BlobStore) -> None:
    kept, dropped = store.put(b"kept"), store.put(b"dropped")
    assert store.delete_unreferenced({kept}) == 1
    assert list(store) == [kept]
    assert not store.has(dropped)


def test_recent_blobs_can_be_spared(store: BlobStore) -> None:
    old, again, recent = store.put(b"old"), store.put(b"again"), store.put(b"recent")
    for sha in (old, again):
        os.utime(store.path(sha), (1, 1))
    store.put(b"again")  # a proposal in flight names it
    assert store.delete_unreferenced(set(), older_than=60) == 1
    assert set(store) == {again, recent}
