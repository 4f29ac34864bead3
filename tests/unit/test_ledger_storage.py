"""How the ledger's file is created, checked, migrated, and what its failures are called."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sleepengine.errors import LedgerCorrupt, LedgerTooNew, StorageFailed, StorageFull
from sleepengine.memory import database, failpoints, files, migrations
from sleepengine.memory.facts import FactState
from sleepengine.memory.ledger import Ledger, Turn
from tests.unit.ledger_cases import AT, MODEL, advance, blob, learned, make_fact


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(path)
    yield opened
    opened.close()


def filled(path: Path, facts: int = 60) -> None:
    ledger = Ledger.open(path)
    ledger.add_pending([make_fact(f"trade {n}", subject=f"Person {n}") for n in range(facts)])
    ledger.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def setting(ledger: Ledger, name: str) -> object:
    found = ledger._db.row(f"PRAGMA {name}")
    assert found is not None
    return found[0]


def test_settings_that_durability_rests_on(ledger: Ledger) -> None:
    names = ("journal_mode", "synchronous", "fullfsync", "checkpoint_fullfsync", "secure_delete", "foreign_keys")
    assert [setting(ledger, name) for name in names] == ["wal", 2, 1, 1, 1, 1]


def test_new_ledger_has_every_migration_recorded(ledger: Ledger, path: Path) -> None:
    recorded = rows(path, "SELECT number, name FROM schema_migrations ORDER BY number")
    assert recorded == [(m.number, m.name) for m in migrations.MIGRATIONS]
    assert [m.number for m in migrations.MIGRATIONS] == list(range(1, migrations.NEWEST + 1))


def test_every_file_is_private_and_creation_leaves_no_other(ledger: Ledger, path: Path) -> None:
    ledger.set_value("a", "b")
    assert sorted(contents(path.parent)) == [
        "ledger.db",
        "ledger.db-shm",
        "ledger.db-wal",
        "ledger.db.mark",
        "ledger.db.sum",
    ]
    assert {p.stat().st_mode & 0o777 for p in path.parent.iterdir()} == {0o600}


def test_older_ledger_is_migrated_and_keeps_its_rows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, 3)
    extra = migrations.Migration(migrations.NEWEST + 1, "extra", ("ALTER TABLE refusals ADD COLUMN extra TEXT",))
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, extra))
    monkeypatch.setattr(migrations, "NEWEST", extra.number)
    with closing(Ledger.open(path)) as ledger:
        assert ledger.pending_count() == 3
    assert rows(path, "SELECT max(number) FROM schema_migrations") == [(extra.number,)]
    assert rows(path, "SELECT extra FROM refusals") == []


def test_failed_migration_leaves_the_older_schema(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, 3)
    statements = ("ALTER TABLE refusals ADD COLUMN extra TEXT", "ALTER TABLE nothing ADD COLUMN extra TEXT")
    broken = migrations.Migration(migrations.NEWEST + 1, "broken", statements)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, broken))
        with pytest.raises(sqlite3.OperationalError):
            Ledger.open(path)
    with closing(Ledger.open(path)) as ledger:
        assert ledger.pending_count() == 3
    assert "extra" not in str(rows(path, "SELECT sql FROM sqlite_schema WHERE name = 'refusals'"))


@pytest.mark.parametrize("clean", [True, False], ids=["closed", "killed"])
def test_ledger_of_a_newer_version_is_refused_untouched(path: Path, tmp_path: Path, clean: bool) -> None:
    filled(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("INSERT INTO schema_migrations VALUES (999, 'from the future', '')")
    if clean:
        connection.close()
    before = contents(path.parent)
    with pytest.raises(LedgerTooNew, match="999"):
        Ledger.open(path)
    assert {name: before[name] for name in before if not name.endswith("-shm")} == {
        name: data for name, data in contents(path.parent).items() if not name.endswith("-shm")
    }
    connection.close()


def overwrite_pages(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        for at in range(4096, size, 4096):
            file.seek(at)
            file.write(b"\xa5" * 512)


def overwrite_one_leaf(path: Path) -> None:
    """Spoil the header of one page of facts; the schema can still be read."""
    leaf = path.read_bytes().index(b"trade 30") // 4096 * 4096
    with path.open("r+b") as file:
        file.seek(leaf)
        file.write(b"\xa5" * 16)


def truncate_to_half(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace_by_text(path: Path) -> None:
    path.write_text("this is no database " * 500)


def replace_by_another_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")


@pytest.mark.parametrize(
    "damage",
    [overwrite_pages, overwrite_one_leaf, truncate_to_half, empty, replace_by_text, replace_by_another_database],
)
def test_damaged_ledger_is_refused_untouched(path: Path, damage: Callable[[Path], None]) -> None:
    filled(path)
    damage(path)
    before = path.read_bytes()
    with pytest.raises(LedgerCorrupt, match=r"ledger\.db"):
        Ledger.open(path)
    assert path.read_bytes() == before


def test_log_without_its_ledger_is_no_reason_to_begin_anew(path: Path) -> None:
    ledger = Ledger.open(path)
    ledger.set_value("a", "b")
    path.unlink()
    with pytest.raises(LedgerCorrupt, match="missing"):
        Ledger.open(path)
    assert not path.exists()
    ledger.close()


def test_creation_that_was_interrupted_is_begun_anew(path: Path) -> None:
    with failpoints.armed("ledger.before_create=enospc"), pytest.raises(StorageFull):
        Ledger.open(path)
    assert not path.exists()
    filled(path, 1)
    assert sorted(contents(path.parent)) == ["ledger.db", "ledger.db.mark", "ledger.db.sum"]


def test_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="No such file"):
        Ledger.open(tmp_path / "gone" / "ledger.db")


CHANGES: dict[str, Callable[[Ledger], object]] = {
    "add_pending": lambda ledger: ledger.add_pending([make_fact("sailor")]),
    "commit_learned": lambda ledger: ledger.commit_learned(MODEL, blob("night"), [learned(PENDING)]),
    "forget": lambda ledger: ledger.forget([ACTIVE.id], AT),
    "refuse": lambda ledger: ledger.refuse("maybe", "no statement", AT),
    "begin_cycle": lambda ledger: ledger.begin_cycle("nap", AT),
    "commit_cycle": lambda ledger: ledger.commit_cycle(2, MODEL, blob("next"), [advance(ACTIVE, 2, 0.1)], {}, AT),
    "end_cycle": lambda ledger: ledger.end_cycle(2, "aborted", {}, AT),
    "undo": lambda ledger: ledger.undo(MODEL, AT),
    "open_session": lambda ledger: ledger.open_session(AT, "Be brief."),
    "add_turns": lambda ledger: ledger.add_turns(str(ledger.latest_session()), [Turn("user", "hi", AT)]),
    "set_value": lambda ledger: ledger.set_value("a", "c"),
}
ACTIVE, PENDING = make_fact("carpenter"), make_fact("baker", subject="Mona Reyes")


def prepare(ledger: Ledger, change: str) -> None:
    ledger.add_pending([ACTIVE])
    ledger.commit_learned(MODEL, None, [learned(ACTIVE)])
    ledger.commit_cycle(ledger.begin_cycle("nap", AT), MODEL, blob("night"), [advance(ACTIVE, 1, 0.1)], {}, AT)
    ledger.add_pending([PENDING])
    ledger.open_session(AT, None)
    ledger.set_value("a", "b")
    if change in ("commit_cycle", "end_cycle"):
        ledger.begin_cycle("sleep", AT)


def dump(ledger: Ledger) -> list[str]:
    return list(ledger._db._connection.iterdump())


@contextmanager
def disk_full(ledger: Ledger) -> Iterator[None]:
    """The next page that the database wants is one too many."""
    pages = setting(ledger, "page_count")
    ledger._db.row(f"PRAGMA max_page_count = {pages}")
    yield
    ledger._db.row("PRAGMA max_page_count = 1073741823")


@contextmanager
def writes_fail(ledger: Ledger) -> Iterator[None]:
    """The kernel refuses every write to a file beyond its first byte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only(ledger: Ledger) -> Iterator[None]:
    ledger._db.row("PRAGMA query_only = ON")
    yield
    ledger._db.row("PRAGMA query_only = OFF")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("step", ["before_begin", "before_commit"])
@pytest.mark.parametrize(("action", "error"), [("enospc", StorageFull), ("eio", StorageFailed)])
def test_failure_at_each_failpoint_changes_nothing(
    ledger: Ledger, change: str, step: str, action: str, error: type[Exception]
) -> None:
    prepare(ledger, change)
    before = dump(ledger)
    with failpoints.armed(f"ledger.{step}={action}"), pytest.raises(error, match=r"ledger\.db: "):
        CHANGES[change](ledger)
    assert dump(ledger) == before
    CHANGES[change](ledger)
    assert dump(ledger) != before


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("trouble", "error"), [(writes_fail, StorageFailed), (read_only, StorageFailed)])
def test_real_write_failures_change_nothing(
    ledger: Ledger, change: str, trouble: Callable[[Ledger], Iterator[None]], error: type[Exception]
) -> None:
    prepare(ledger, change)
    before = dump(ledger)
    with trouble(ledger), pytest.raises(error, match=r"ledger\.db: "):  # type: ignore[attr-defined]
        CHANGES[change](ledger)
    assert dump(ledger) == before
    CHANGES[change](ledger)
    assert dump(ledger) != before


def test_full_disk_refuses_facts_but_lets_one_forget(ledger: Ledger) -> None:
    prepare(ledger, "")
    before = dump(ledger)
    with disk_full(ledger):
        many = [make_fact(f"trade {n}", subject=f"Person {n}") for n in range(100)]
        with pytest.raises(StorageFull, match="full"):
            ledger.add_pending(many)
        assert dump(ledger) == before
        ledger.forget([ACTIVE.id], AT)
    assert [fact.id for fact in ledger.facts([FactState.FORGOTTEN])] == [ACTIVE.id]


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (sqlite3.SQLITE_FULL, StorageFull),
        (sqlite3.SQLITE_IOERR_WRITE, StorageFailed),
        (sqlite3.SQLITE_READONLY, StorageFailed),
        (sqlite3.SQLITE_CANTOPEN, StorageFailed),
        (sqlite3.SQLITE_BUSY, StorageFailed),
        (sqlite3.SQLITE_IOERR_FSYNC, files.SyncFailed),
        (sqlite3.SQLITE_IOERR_DIR_FSYNC, files.SyncFailed),
        (sqlite3.SQLITE_CORRUPT, LedgerCorrupt),
        (sqlite3.SQLITE_NOTADB, LedgerCorrupt),
        (sqlite3.SQLITE_CONSTRAINT_CHECK, ValueError),
        (sqlite3.SQLITE_ERROR, type(None)),
    ],
)
def test_meaning_of_sqlite_errors(path: Path, code: int, meaning: type) -> None:
    assert type(database.translate(sqlite_error(code), path)) is meaning


def test_after_a_failed_fsync_the_ledger_is_read_only_until_opened_anew(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.set_value("a", "b")

    def fail(site: str, step: str) -> None:
        if step == "before_commit":
            raise sqlite_error(sqlite3.SQLITE_IOERR_FSYNC)

    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "hit", fail)
        with pytest.raises(StorageFailed, match="fsync failed"):
            ledger.set_value("a", "c")
    with pytest.raises(StorageFailed, match="read-only since"):
        ledger.set_value("a", "d")
    assert ledger.get_value("a") == "b"
    ledger.close()
    with closing(Ledger.open(path)) as again:
        again.set_value("a", "e")
        assert again.get_value("a") == "e"


def test_schema_itself_refuses_two_active_values_of_one_exclusive_slot(ledger: Ledger) -> None:
    one, two = make_fact("carpenter"), make_fact("baker")
    ledger.add_pending([one, two])
    ledger.commit_learned(MODEL, None, [learned(two)])
    with pytest.raises(ValueError, match="UNIQUE"), ledger._db.transaction():
        ledger._db.write("UPDATE facts SET state = 'active', superseded_by = NULL WHERE id = ?", (one.id,))
