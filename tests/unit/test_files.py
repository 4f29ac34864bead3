from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sleepengine.errors import StorageFailed, StorageFull
from sleepengine.memory import failpoints, files

FAILING = [step for step in files.STEPS if not step.startswith("after_")]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o277], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_write_replaces_the_content_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file"
    files.write_atomic(target, b"old")
    files.write_atomic(target, memoryview(b"new"))
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_write_takes_content_larger_than_a_chunk(tmp_path: Path) -> None:
    data = os.urandom((3 << 20) + 17)
    files.write_atomic(tmp_path / "file", data)
    assert (tmp_path / "file").read_bytes() == data


def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    files.make_private_dir(tmp_path / "a" / "b")
    files.write_atomic(tmp_path / "a" / "b" / "file", b"x")
    files.create_private_file(tmp_path / "a" / "empty")
    assert [mode(tmp_path / p) for p in ("a", "a/b", "a/b/file", "a/empty")] == [0o700, 0o700, 0o600, 0o600]


def test_loose_folder_is_tightened_and_a_loose_file_replaced_by_a_private_one(tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    loose.chmod(0o755)
    (loose / "file").write_bytes(b"old")
    (loose / "file").chmod(0o644)
    files.make_private_dir(loose)
    files.write_atomic(loose / "file", b"new")
    assert (mode(loose), mode(loose / "file")) == (0o700, 0o600)


@pytest.mark.parametrize("step", FAILING)
@pytest.mark.parametrize(("action", "error"), [("enospc", StorageFull), ("eio", StorageFailed)])
def test_failure_at_each_step_is_told_and_leaves_the_target(
    tmp_path: Path, step: str, action: str, error: type[Exception]
) -> None:
    target = tmp_path / "file"
    files.write_atomic(target, b"old")
    with failpoints.armed(f"file.{step}={action}"), pytest.raises(error, match="file: ") as caught:
        files.write_atomic(target, b"new")
    assert "\n" not in str(caught.value)
    assert type(caught.value) is error or isinstance(caught.value, files.SyncFailed)
    assert target.read_bytes() == (b"new" if step == "before_dirsync" else b"old")
    assert os.listdir(tmp_path) == ["file"]


def test_failure_in_a_later_chunk_leaves_the_target(tmp_path: Path) -> None:
    target = tmp_path / "file"
    files.write_atomic(target, b"old")
    with failpoints.armed("file.before_write:3=enospc"), pytest.raises(StorageFull):
        files.write_atomic(target, bytes(3 << 20))
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_quota_counts_as_full(tmp_path: Path) -> None:
    assert type(files.storage_error(OSError(errno.EDQUOT, "Disk quota exceeded"), tmp_path)) is StorageFull


def test_missing_folder_and_a_file_in_the_way_are_named(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="gone/file: No such file or directory"):
        files.write_atomic(tmp_path / "gone" / "file", b"x")
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match="file"):
        files.make_private_dir(tmp_path / "file" / "folder")


def test_failed_fsync_is_never_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def failing(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files, "_fsync", failing)
    with pytest.raises(files.SyncFailed, match="fsync failed"):
        files.write_atomic(tmp_path / "file", b"x")
    assert len(calls) == 1
    assert os.listdir(tmp_path) == []


def test_operations_reach_the_disk_in_the_promised_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every crash window of the module's docstring follows from this order."""
    trace: list[str] = []
    names = {}
    open_, write, replace, fsync = os.open, os.write, os.replace, files._fsync

    def traced_open(path: Path, *rest: int) -> int:
        descriptor = open_(path, *rest)
        names[descriptor] = "folder" if Path(path) == tmp_path else "temporary"
        return descriptor

    monkeypatch.setattr(os, "open", traced_open)
    monkeypatch.setattr(os, "write", lambda d, data: trace.append(f"write {names[d]}") or write(d, data))
    monkeypatch.setattr(os, "replace", lambda a, b: trace.append("rename") or replace(a, b))
    monkeypatch.setattr(files, "_fsync", lambda d: trace.append(f"fsync {names[d]}") or fsync(d))
    files.write_atomic(tmp_path / "file", b"x")
    assert trace == ["write temporary", "fsync temporary", "rename", "fsync folder"]


def test_existing_folder_is_synced_again_for_a_creator_that_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    synced = []
    monkeypatch.setattr(files, "_fsync_dir", synced.append)
    files.make_private_dir(tmp_path / "folder")
    assert synced == [tmp_path]


def test_orphans_go_but_a_living_writers_file_stays(tmp_path: Path) -> None:
    (tmp_path / ".dead.12345678.tmp").write_bytes(b"half")
    (tmp_path / "file").write_bytes(b"whole")
    script = (
        "import sys; from pathlib import Path; from sleepengine.memory import files\n"
        "files.failpoints.hit = lambda site, step: step == 'before_rename' and (print('here', flush=True), input())\n"
        "files.write_atomic(Path(sys.argv[1]), b'living')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "other")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"here\n"
        assert files.remove_orphans(tmp_path) == 1
        writer.communicate(b"\n", timeout=20)
    assert writer.returncode == 0
    assert sorted(os.listdir(tmp_path)) == ["file", "other"]


def test_move_and_remove(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    files.move(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"x"
    assert files.remove(tmp_path / "b")
    assert not files.remove(tmp_path / "b")
    with pytest.raises(StorageFailed):
        files.move(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("bad", ["x.y=burn", "x.after_sync=eio", "x.y:0", "x.y:many"])
def test_bad_failpoints_are_refused(bad: str) -> None:
    with pytest.raises(ValueError), failpoints.armed(bad):
        pass


def test_failpoint_fires_once_at_the_hit_it_names() -> None:
    with failpoints.armed("a.b:2=eio, c.d=enospc"):
        failpoints.hit("a", "b")
        with pytest.raises(OSError, match="Input/output"):
            failpoints.hit("a", "b")
        failpoints.hit("a", "b")
        with pytest.raises(OSError, match="No space"):
            failpoints.hit("c", "d")
    failpoints.hit("c", "d")


def test_storage_loads_no_torch() -> None:
    script = "import sys, sleepengine.memory.ledger, sleepengine.memory.blobs; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", script], env=environment, check=False).returncode == 0
