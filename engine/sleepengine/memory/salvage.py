"""Building a ledger anew from a damaged one: every row that can still be read and still makes sense."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sleepengine.errors import LedgerCorrupt
from sleepengine.memory import files, migrations
from sleepengine.memory.guard import Guard

_log = logging.getLogger(__name__)
_OWN = frozenset({"schema_migrations", "sqlite_sequence"})


def rebuild(path: Path, aside: Path) -> tuple[int, int]:
    """Replace a damaged ledger by what can be read of it; the damaged files go to the folder `aside`.

    Returns how many rows were kept, and how many tables' ends could not be read. Raises LedgerCorrupt where not even
    the schema can be read: the ledger is then left as it is.
    """
    young = path.with_name(f".{path.name}.rebuilt")
    for leftover in _family(young):
        files.remove(leftover)
    files.create_private_file(young)
    with closing(sqlite3.connect(young, isolation_level=None)) as target:
        migrations.migrate(target, lambda: "")
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as source:
            try:
                kept, unread = _copy(source, target)
            except sqlite3.DatabaseError as error:
                raise LedgerCorrupt(f"nothing of {path} can be read ({error}); restore a backup") from error
        _drop_dangling(target)
    files.make_private_dir(aside)
    for damaged in _family(path):
        if damaged.exists():
            files.move(damaged, aside / damaged.name)
    Guard(path).forget()
    files.move(young, path)
    return kept, unread


def _family(path: Path) -> list[Path]:
    """A database's files, its log first: without its log a database is merely older, a log without its file is lost."""
    return [path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm"), path]


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> tuple[int, int]:
    there = {name for (name,) in source.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    names = [name for (name,) in target.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    kept = unread = 0
    target.execute("PRAGMA foreign_keys = OFF")
    target.execute("BEGIN")
    for table in names:
        if table in _OWN or table not in there:
            continue
        held = {row[1] for row in source.execute(f"PRAGMA table_info({table})")}  # an older schema has fewer columns
        columns = [row[1] for row in target.execute(f"PRAGMA table_info({table})") if row[1] in held]
        marks = ", ".join("?" * len(columns))
        insert = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        for order in ("", " DESC"):
            whole = True
            for row in _rows(source, f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1{order}"):
                if row is None:
                    whole = False
                else:
                    kept += _insert(target, insert, row)
            if whole:
                break
            unread += 1
    target.execute("COMMIT")
    if not kept:
        raise sqlite3.DatabaseError("no row is readable")
    return kept, unread


def _rows(source: sqlite3.Connection, query: str) -> Iterator[tuple[object, ...] | None]:
    """The rows up to the first that cannot be read; None then."""
    try:
        yield from source.execute(query)
    except sqlite3.DatabaseError as error:
        _log.warning("rows are unreadable: %s", error)
        yield None


def _insert(target: sqlite3.Connection, insert: str, row: tuple[object, ...]) -> int:
    try:
        return target.execute(insert, row).rowcount
    except sqlite3.Error as error:  # a value of the wrong type, or one that no column takes
        _log.warning("a row makes no sense any more: %s", error)
        return 0


def _drop_dangling(target: sqlite3.Connection) -> None:
    """Remove rows whose fact, cycle or session did not survive; once for each level of reference."""
    while dangling := target.execute("PRAGMA foreign_key_check").fetchall():
        for table, rowid, parent, _ in dangling:
            if rowid is not None:
                target.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))
            else:  # WITHOUT ROWID: named by what it points to
                column, key = next(
                    (row[3], row[4]) for row in target.execute(f"PRAGMA foreign_key_list({table})") if row[2] == parent
                )
                target.execute(f"DELETE FROM {table} WHERE {column} NOT IN (SELECT {key} FROM {parent})")
