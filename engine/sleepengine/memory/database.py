"""The ledger's SQLite connection: how it is opened, checked, written in transactions, and how its errors are told.

WAL with synchronous=FULL: a commit that returned survives a power loss. An existing file is first looked at through a
read-only connection, so a ledger that is damaged or too new is refused without a byte of it being changed. A new
ledger is built under a temporary name and renamed: a ledger file is never empty, and an empty one is damage.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from sleepengine.errors import EngineError, LedgerCorrupt, LedgerTooNew, StorageFailed, StorageFull
from sleepengine.memory import failpoints, files, migrations

_SITE: Final = "ledger"
_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # macOS: through the drive's cache; no effect elsewhere
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA foreign_keys = ON",
)
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FSYNC_FAILED: Final = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})

Row = tuple[Any, ...]


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
        self._sync_failure: str | None = None
        with self._translated():
            _create_if_missing(path, clock)
            _examine(path)
            self._connection = _connect(path)
            try:
                migrations.migrate(self._connection, clock)
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it. Twice is fine."""
        with self._translated():
            self._connection.close()

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
                failpoints.hit(_SITE, "before_commit")
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        failpoints.hit(_SITE, "after_commit")

    def write(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one changing statement inside a transaction; returns the rows changed."""
        return self._connection.execute(sql, values).rowcount

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

    def scrub_log(self) -> None:
        """Empty the write-ahead log, so that deleted text is left in no file."""
        with self._translated():
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

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


def _examine(path: Path) -> None:
    """Refuse a ledger that is too new, damaged or not one, through a connection that cannot write."""
    if path.stat().st_size == 0:
        raise LedgerCorrupt(f"{path} is empty")
    uri = f"{path.resolve().as_uri()}?mode=ro"
    if not _log(path).exists():
        uri += "&immutable=1"  # else SQLite leaves an empty log behind
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        number = migrations.schema_number(connection)
        if number is None:
            raise LedgerCorrupt(f"{path} is not a ledger")
        if number > migrations.NEWEST:
            raise LedgerTooNew(
                f"{path} has schema {number}, newer than the {migrations.NEWEST} known here; update sleepd"
            )
        complaint = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if complaint != "ok":
            raise LedgerCorrupt(f"{path}: {complaint}")
