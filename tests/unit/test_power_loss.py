"""Power loss: every state of the disk that the order of writes and fsyncs allows, after every step.

SIGKILL keeps the page cache; a power cut does not. Here the operations of `files` are recorded and replayed under the
rules that a file system gives: what was fsynced is there; of what was not, any part may be missing; a rename is durable
after the fsync of its folder and may have happened before.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sleepengine.errors import BlobCorrupt, BlobMissing
from sleepengine.memory import files
from sleepengine.memory.blobs import BlobStore


@dataclass
class Disk:
    """What is durable, what is only cached, and the renames whose folder was not synced yet."""

    durable: dict[str, bytes] = field(default_factory=dict)  # by name, as after a power cut
    cached: dict[str, bytes] = field(default_factory=dict)  # contents that were fsynced or may be lost in part
    synced: dict[str, bytes] = field(default_factory=dict)
    renames: list[tuple[str, str]] = field(default_factory=list)

    def states(self) -> Iterator[dict[str, bytes]]:
        """Every set of files that a power cut may leave now."""
        for done in range(len(self.renames) + 1):
            after = dict(self.durable)
            for source, target in self.renames[:done]:
                after[target] = self.synced.get(source, b"")
            yield after
        for name, data in self.cached.items():
            if name not in self.synced:
                for size in {0, 1, len(data) // 2, len(data)}:
                    yield {**self.durable, name: data[:size]}


class Recorder:
    """Stands in for the system calls of `files`, does them, and keeps the states that a power cut might leave."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.disk, self.names, self.states = Disk(), {}, []
        open_, write, replace, fsync = os.open, os.write, os.replace, files._fsync

        def opened(path: Path, flags: int, *rest: int) -> int:
            descriptor = open_(path, flags, *rest)
            self.names[descriptor] = str(path)
            if flags & os.O_CREAT:
                self.disk.cached[str(path)] = b""
            return descriptor

        def written(descriptor: int, data: bytes) -> int:
            count = write(descriptor, data)
            self.disk.cached[self.names[descriptor]] += bytes(data[:count])
            self._note()
            return count

        def replaced(source: Path, target: Path) -> None:
            replace(source, target)
            self.disk.renames.append((str(source), str(target)))
            self._note()

        def synced(descriptor: int) -> None:
            fsync(descriptor)
            name = self.names[descriptor]
            if name in self.disk.cached:
                self.disk.synced[name] = self.disk.cached[name]
            else:  # a folder: the renames in it are durable now
                for source, target in self.disk.renames:
                    if str(Path(target).parent) == name:
                        self.disk.durable[target] = self.disk.synced.get(source, b"")
                self.disk.renames = [r for r in self.disk.renames if str(Path(r[1]).parent) != name]
            self._note()

        monkeypatch.setattr(os, "open", opened)
        monkeypatch.setattr(os, "write", written)
        monkeypatch.setattr(os, "replace", replaced)
        monkeypatch.setattr(files, "_fsync", synced)

    def _note(self) -> None:
        self.states += list(self.disk.states())


def test_a_file_is_old_or_new_after_a_power_cut_at_any_moment(tmp_path: Path) -> None:
    target = tmp_path / "file"
    old, new = b"old" * 900_000, b"new" * 900_000
    with pytest.MonkeyPatch.context() as patch:
        files.write_atomic(target, old)
        recorder = Recorder(patch)
        recorder.disk.durable[str(target)] = old
        files.write_atomic(target, new)
        assert recorder.disk.durable[str(target)] == new, "a write that returned survives"
    assert len(recorder.states) > 10
    assert {state[str(target)] for state in recorder.states} == {old, new}


def test_a_blob_that_was_put_survives_and_a_torn_one_is_never_served(tmp_path: Path) -> None:
    data = [os.urandom(1_500_000), os.urandom(10)]
    with pytest.MonkeyPatch.context() as patch:
        store = BlobStore(tmp_path / "blobs")
        recorder = Recorder(patch)
        names, durable_from = [], []
        for one in data:
            names.append(store.put(one))
            durable_from.append(len(recorder.states))
    tried = 0
    for number, state in enumerate(recorder.states):
        replayed = BlobStore(tmp_path / f"replay-{number % 7}")
        for (name, one), since in itertools.zip_longest(zip(names, data, strict=True), durable_from):
            path = replayed.path(name)
            path.unlink(missing_ok=True)
            here = state.get(str(store.path(name)))
            if here is not None:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(here)
            try:
                assert replayed.get(name) == one
            except (BlobMissing, BlobCorrupt):
                assert number < since, "a blob that was acknowledged is gone"
                tried += 1
    assert tried > 5
