"""What SQLite cannot see: bytes of a database file that changed at rest, and commits that went missing.

SQLite checks the structure of its pages and the frames of its write-ahead log, but not the content of the rows, and it
takes a log whose end is damaged for one that simply ended earlier. Two small files beside the database tell both:

    NAME.sum    sha256 of the database file as the last checkpoint left it. The file changes in checkpoints only,
                so the sum is removed before each and written after it; without one, only the structure is checked.
    NAME.mark   how many transactions were committed. Written after each commit; a database that knows of fewer
                has lost some that were acknowledged.
"""

from __future__ import annotations

import hashlib
import logging
import os
import zlib
from pathlib import Path
from typing import Final

from sleepengine.errors import LedgerCorrupt, StorageFailed, StorageFull
from sleepengine.memory import files

_MARK_BYTES: Final = 32
_log = logging.getLogger(__name__)


class Guard:
    """The two files of one database. Used by whoever has the database open for writing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sum = path.with_name(f"{path.name}.sum")
        self._mark = path.with_name(f"{path.name}.mark")
        self._descriptor: int | None = None

    def verify(self) -> bool:
        """Whether the file was proven unchanged; False where no sum is there. Raises LedgerCorrupt."""
        if not self.sealed:
            return False
        with files.translated(self._sum):
            expected = self._sum.read_bytes()
        with files.translated(self._path):
            found = _sha256(self._path)
        if found.encode() != expected.strip():
            raise LedgerCorrupt(f"{self._path} is not as it was left: its checksum differs; see `sleepd fsck`")
        return True

    @property
    def sealed(self) -> bool:
        return self._sum.exists()

    def unseal(self) -> None:
        """The file is about to change."""
        if files.remove(self._sum):
            files.fsync_dir(self._sum.parent)

    def seal(self) -> None:
        """The file will not change until `unseal`. Where the sum cannot be written, the file stays unsealed."""
        try:
            with files.translated(self._path):
                found = _sha256(self._path)
            files.write_atomic(self._sum, found.encode() + b"\n", site="seal")
        except (StorageFull, StorageFailed) as error:
            _log.warning("the ledger is not sealed: %s", error)

    def marked(self) -> int | None:
        """The number of commits that were acknowledged; None where that is not known."""
        try:
            fields = self._mark.read_bytes().split()
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("%s cannot be read: %s", self._mark, error.strerror)
            return None
        if len(fields) != 2 or not fields[0].isdigit() or fields[1] != _check(fields[0]):
            _log.warning("%s is damaged; lost commits cannot be told this time", self._mark)
            return None
        return int(fields[0])

    def mark(self, commits: int) -> None:
        """Note a commit. It is durable already, so a failure here must not deny it: the mark then goes away."""
        number = b"%d" % commits
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            os.pwrite(self._descriptor, (number + b" " + _check(number)).ljust(_MARK_BYTES) + b"\n", 0)
            os.fsync(self._descriptor)
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._mark, error.strerror)
            self.close()
            self._mark.unlink(missing_ok=True)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def forget(self) -> None:
        """Another database takes this one's place: what is noted here says nothing of it."""
        self.close()
        files.remove(self._sum)
        files.remove(self._mark)
        files.fsync_dir(self._sum.parent)


def _check(number: bytes) -> bytes:
    return b"%08x" % zlib.crc32(number)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
