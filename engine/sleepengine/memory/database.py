"""The ledger's SQLite connection: how it is opened, checked, written in transactions, and how its errors are told.

WAL with synchronous=FULL: a commit that returned survives a power loss. An existing file is first looked at through a
read-only connection, so a ledger that is damaged or too new is refused without a byte of it being changed. A new
ledger is built under a temporary name and renamed: a ledger file is never empty, and an empty one is damage.

Checkpoints happen here and nowhere else, never by themselves, so that `guard` can vouch for the file between them.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from sleepengine.errors import EngineError, LedgerCorrupt, LedgerTooNew, StorageFailed, StorageFull
from sleepengine.memory import failpoints, files, migrations
from sleepengine.memory.guard import Guard

_SITE: Final = "ledger"
_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # macOS: through the drive's cache; no effect elsewhere
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA foreign_keys = ON",
)
_LOG_BYTES: Final = 4 << 20  # size of the write-ahead log at which it is folded into the file
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FSYNC_FAILED: Final = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})

Row = tuple[Any, ...]
_logger = logging.getLogger(__name__)


def translate(error: sqlite3.Error, path: Path) -> EngineError | ValueError | None:
    """What a SQLite error means to a caller; None for one that only a fault in our own code can cause."""
    extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    primary = extended & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return StorageFull(f"{path}: {error}")
    if extended in _FSYNC_FAILED:
        return files.SyncFailed(f"{path}: fsync failed: {error}")
    if primary in _CORRUPT:
        return LedgerCorrupt(f"{path}: {error}")
    if primary == sqlite3.SQLITE_CONSTRAINT:
        return ValueError(str(error))
    if primary in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_RANGE, sqlite3.SQLITE_MISMATCH):
        return None
    return StorageFailed(f"{path}: {error}")


class Database:
    """One connection, used from the thread that opened it. Only the holder of the home's lock may open it."""

    def __init__(self, path: Path, clock: Callable[[], str]) -> None:
        """Open or create. Raises LedgerTooNew, LedgerCorrupt, StorageFull, StorageFailed."""
        self._path = path
        self._guard = Guard(path)
        self._sync_failure: str | None = None
        self._open = True
        with self._translated():
            _create_if_missing(path, clock)
            self._commits = examine(path, self._guard)
            self.lost_commits = max(0, (self._guard.marked() or 0) - self._commits)
            if self.lost_commits:
                _keep_copy(_log(path))
            self._connection = _connect(path)
            try:
                migrations.migrate(self._connection, clock)
                self._guard.mark(self._commits)
                if _size(_log(path)) or not self._guard.sealed:
                    self.checkpoint()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it. Twice is fine."""
        if not self._open:
            return
        self._open = False
        with self._translated():
            try:
                if self._sync_failure is not None:
                    self._guard.unseal()  # SQLite folds the log in by itself when it closes
                elif _size(_log(self._path)):
                    self.checkpoint()
            finally:
                self._connection.close()
                self._guard.close()

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file and empty it, so that deleted text is left in no file."""
        with self._translated():
            self._guard.unseal()
            busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:  # else somebody reads it, for a backup: the next checkpoint will do
                self._guard.seal()

    def copy_to(self, target: Path) -> None:
        """Write a consistent copy of the whole database to a new private file. Other writers are not kept waiting."""
        with self._translated():
            copy(self._connection, target)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written in the block becomes durable together at its end, or nothing does."""
        if self._sync_failure is not None:
            raise StorageFailed(f"read-only since an earlier failure: {self._sync_failure}")
        with self._translated():
            failpoints.hit(_SITE, "before_begin")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute(f"PRAGMA user_version = {self._commits + 1}")
                failpoints.hit(_SITE, "before_commit")
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        self._commits += 1
        self._guard.mark(self._commits)
        failpoints.hit(_SITE, "after_commit")
        self._fold_when_long()

    def write(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one changing statement inside a transaction; returns the rows changed."""
        return self._connection.execute(sql, values).rowcount

    def write_all(self, sql: str, values: Sequence[Sequence[Any]]) -> None:
        """Run one changing statement for each row of values, inside a transaction."""
        self._connection.executemany(sql, values)

    def insert(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one INSERT inside a transaction; returns the new row's number."""
        number = self._connection.execute(sql, values).lastrowid
        assert number is not None, "an INSERT into a rowid table has a row number"
        return number

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        with self._translated():
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row of a query."""
        with self._translated():
            row: Row | None = self._connection.execute(sql, values).fetchone()
            return row

    def _fold_when_long(self) -> None:
        """The transaction is committed, so nothing that fails here may deny it; the log then only stays long."""
        if _size(_log(self._path)) < _LOG_BYTES:
            return
        try:
            self.checkpoint()
        except (StorageFull, StorageFailed) as error:
            _logger.warning("the write-ahead log stays long: %s", error)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with files.translated(self._path):
                yield
        except sqlite3.Error as error:
            meaning = translate(error, self._path)
            if meaning is None:
                raise
            if isinstance(meaning, files.SyncFailed):
                self._sync_failure = str(meaning)
            raise meaning from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma).fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _create_if_missing(path: Path, clock: Callable[[], str]) -> None:
    if path.exists():
        return
    log = _log(path)
    if log.exists() and log.stat().st_size:
        raise LedgerCorrupt(f"{path} is missing beside its write-ahead log")
    young = path.with_name(f".{path.name}.new")
    for leftover in (young, _log(young), young.with_name(young.name + "-shm")):
        files.remove(leftover)
    files.create_private_file(young)
    with closing(_connect(young)) as connection:
        migrations.migrate(connection, clock)
    failpoints.hit(_SITE, "before_create")
    files.move(young, path)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _keep_copy(log: Path) -> None:
    """Set aside a log that SQLite will cut short, for whoever wants to look for what is missing."""
    if _size(log):
        folder = log.parent / "quarantine"
        files.make_private_dir(folder)
        shutil.copyfile(log, folder / f"{log.name}.{time.time_ns()}")


def copy(connection: sqlite3.Connection, target: Path) -> None:
    """Copy a whole database, as it is now, to a new private file that needs no write-ahead log."""
    files.create_private_file(target)
    with closing(sqlite3.connect(target)) as copied:
        connection.backup(copied)
        copied.execute("PRAGMA journal_mode = DELETE").fetchone()


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, also beside a writer. The file exists."""
    uri = f"{path.resolve().as_uri()}?mode=ro"
    if not _log(path).exists():
        uri += "&immutable=1"  # else SQLite leaves an empty log behind
    return sqlite3.connect(uri, uri=True)


def examine(path: Path, guard: Guard) -> int:
    """Refuse a ledger that is too new, damaged or not one, without writing; returns how many commits it has had."""
    if path.stat().st_size == 0:
        raise LedgerCorrupt(f"{path} is empty")
    try:
        return _examine(path, guard)
    except sqlite3.Error as error:
        if translate(error, path) is None:  # our statements are right, so the file is wrong
            raise LedgerCorrupt(f"{path}: {error}") from error
        raise


def _examine(path: Path, guard: Guard) -> int:
    with closing(read_only(path)) as connection:
        number = migrations.schema_number(connection)
        if number is None:
            raise LedgerCorrupt(f"{path} is not a ledger")
        if number > migrations.NEWEST:
            raise LedgerTooNew(
                f"{path} has schema {number}, newer than the {migrations.NEWEST} known here; update sleepd"
            )
        complaint = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if complaint != "ok":
            raise LedgerCorrupt(f"{path}: {complaint}")
        guard.verify()
        commits: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return commits
