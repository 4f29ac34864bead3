"""Content-addressed storage of what the model learned: edit factors, adapter generations, calibration profiles.

A blob's name is the sha256 of its bytes; it lies in `<first two digits>/<the other 62>`. Blobs are never changed, so
a name in the ledger is a promise about every byte, checked at each read. Writing a blob changes nothing that counts:
it is garbage until a ledger transaction names it, which is why a crash between the two loses nothing.

Bytes that do not match their name are moved to `quarantine/` and never served.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from sleepengine.errors import BlobCorrupt, BlobMissing, StorageFailed, StorageFull
from sleepengine.memory import files

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SHARD: Final = "[0-9a-f][0-9a-f]"
_SITE: Final = "blob"


class BlobStore:
    """The blobs under one folder. Several processes may use it at once; deletion belongs to the ledger's owner."""

    def __init__(self, root: Path) -> None:
        """Open or create the store and sweep what dead writers left. Raises StorageFull, StorageFailed."""
        self._root = root
        self._quarantine = root / "quarantine"
        self._sync_failure: str | None = None
        files.make_private_dir(root)
        with files.translated(root):
            shards = list(root.glob(_SHARD))
        for shard in shards:
            files.remove_orphans(shard)

    def put(self, data: bytes | memoryview) -> str:
        """Store bytes durably and return their sha256 in hex. Storing what is there already writes nothing.

        Raises StorageFull or StorageFailed, the store then being as it was. After a failed fsync the store refuses
        every further put until it is opened anew.
        """
        if self._sync_failure is not None:
            raise StorageFailed(f"read-only since an earlier failure: {self._sync_failure}")
        sha = hashlib.sha256(data).hexdigest()
        try:
            self._put(sha, data)
        except files.SyncFailed as error:
            self._sync_failure = str(error)
            raise
        return sha

    def _put(self, sha: str, data: bytes | memoryview) -> None:
        path = self.path(sha)
        files.make_private_dir(path.parent)
        if self._present(path, sha, memoryview(data).nbytes):
            files.fsync_dir(path.parent)  # its writer may have died between the rename and this
            return
        try:
            files.write_atomic(path, data, site=_SITE)
        except (StorageFull, StorageFailed):
            with suppress(OSError):  # renamed but not durably; if it stays, it is unreferenced and whole
                path.unlink(missing_ok=True)
            raise

    def _present(self, path: Path, sha: str, size: int) -> bool:
        """Whether the blob is there at its full size; a torn one is set aside. Renews the age of a present one."""
        with files.translated(path):
            try:
                stored = os.stat(path).st_size
            except FileNotFoundError:
                return False
            if stored == size:
                os.utime(path)
                return True
        self._set_aside(path, sha)
        return False

    def get(self, sha: str) -> bytes:
        """The bytes of a blob, verified. Raises BlobMissing, BlobCorrupt (and quarantines it), StorageFailed."""
        path = self.path(sha)
        try:
            with files.translated(path):
                data = path.read_bytes()
        except StorageFailed as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise BlobMissing(f"blob {sha} is not in {self._root}") from error
            raise
        if hashlib.sha256(data).hexdigest() != sha:
            raise BlobCorrupt(f"blob {sha} does not match its checksum; {self._set_aside(path, sha)}")
        return data

    def path(self, sha: str) -> Path:
        """Where a blob lies or would lie. Raises ValueError for a name that is not a sha256 in hex."""
        if not _SHA256.fullmatch(sha):
            raise ValueError(f"not a sha256 in hex: {sha!r}")
        return self._root / sha[:2] / sha[2:]

    def has(self, sha: str) -> bool:
        """Whether a blob is stored; says nothing of its bytes."""
        return self.path(sha).is_file()

    def __iter__(self) -> Iterator[str]:
        """The names of all stored blobs, in order."""
        for path in sorted(self._root.glob(f"{_SHARD}/*")):
            sha = path.parent.name + path.name
            if _SHA256.fullmatch(sha):
                yield sha

    def delete_unreferenced(self, keep: Collection[str], *, older_than: float = 0.0) -> int:
        """Delete the blobs that `keep` does not name and that nobody put for `older_than` seconds; returns how many.

        A blob is unreferenced between its put and the transaction that names it, so either nothing may be in flight
        or `older_than` must exceed the longest such interval.
        """
        kept = frozenset(keep)
        newest = time.time() - older_than
        deleted = 0
        for sha in self:
            path = self.path(sha)
            if sha not in kept and (older_than <= 0 or path.stat().st_mtime < newest):
                deleted += files.remove(path)
        return deleted

    def remove(self, sha: str) -> bool:
        """Delete one blob that nothing names any more; False where there is none."""
        return files.remove(self.path(sha))

    def _set_aside(self, path: Path, sha: str) -> str:
        """Move a bad file to quarantine; says in words what became of it."""
        target = self._quarantine / f"{sha}.{time.time_ns()}"
        try:
            files.make_private_dir(self._quarantine)
            files.move(path, target)
        except (StorageFull, StorageFailed) as error:
            return f"it could not be quarantined ({error})"
        return f"it was moved to {target}"
