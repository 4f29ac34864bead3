"""The ledger's schema, as numbered steps. Each runs once, in its own transaction, recorded in `schema_migrations`.

A released migration is never edited; a change of the schema is a new one at the end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Migration:
    """One step from schema `number - 1` to schema `number`."""

    number: int
    name: str
    statements: tuple[str, ...]


_FACTS = """
CREATE TABLE facts (
    position      INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    subject       TEXT NOT NULL,
    relation      TEXT NOT NULL,
    object        TEXT NOT NULL,
    statement     TEXT NOT NULL,
    person        TEXT NOT NULL CHECK (person IN ('first', 'third')),
    slot          TEXT NOT NULL,
    exclusive     INTEGER NOT NULL CHECK (exclusive IN (0, 1)),
    prompts       TEXT NOT NULL CHECK (json_valid(prompts)),
    source        TEXT NOT NULL,
    said          TEXT NOT NULL,
    session       TEXT,
    turn          INTEGER,
    said_at       TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('pending', 'active', 'superseded', 'forgotten')),
    valid_from    TEXT NOT NULL,
    superseded_by TEXT REFERENCES facts (id),
    CHECK (superseded_by IS NULL OR state IN ('superseded', 'forgotten'))
) STRICT
"""

# How a fact is held by one model; facts outlive a change of model, their editing does not.
_STANDINGS = """
CREATE TABLE standings (
    fact_id       TEXT NOT NULL REFERENCES facts (id),
    model         TEXT NOT NULL,
    stage         INTEGER NOT NULL CHECK (stage BETWEEN 0 AND 2),
    scale         REAL NOT NULL CHECK (scale BETWEEN 0.0 AND 1.0),
    verified_raw  INTEGER NOT NULL CHECK (verified_raw IN (0, 1)),
    verified_chat INTEGER NOT NULL CHECK (verified_chat IN (0, 1)),
    PRIMARY KEY (fact_id, model)
) STRICT, WITHOUT ROWID
"""

# `generation` is the adapter blob that the edit was solved and verified under; '' is the bare base.
_EDITS = """
CREATE TABLE edits (
    fact_id    TEXT NOT NULL REFERENCES facts (id),
    model      TEXT NOT NULL,
    generation TEXT NOT NULL,
    blob       TEXT NOT NULL CHECK (length(blob) = 64),
    suppresses INTEGER NOT NULL CHECK (suppresses IN (0, 1)),
    at         TEXT NOT NULL,
    PRIMARY KEY (fact_id, model, generation)
) STRICT, WITHOUT ROWID
"""

# `kept` is 0 once no undo can reach the generation any more; its blob may then go.
_GENERATIONS = """
CREATE TABLE generations (
    model  TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    parent INTEGER NOT NULL CHECK (parent >= 0 AND parent < number),
    blob   TEXT NOT NULL CHECK (length(blob) IN (0, 64)),
    cycle  INTEGER NOT NULL REFERENCES cycles (number),
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    kept   INTEGER NOT NULL CHECK (kept IN (0, 1) AND kept >= active),
    at     TEXT NOT NULL,
    PRIMARY KEY (model, number)
) STRICT, WITHOUT ROWID
"""

_CYCLES = """
CREATE TABLE cycles (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    TEXT NOT NULL,
    started TEXT NOT NULL,
    ended   TEXT,
    outcome TEXT,
    report  TEXT CHECK (report IS NULL OR json_valid(report)),
    CHECK ((ended IS NULL) = (outcome IS NULL) AND (ended IS NULL) = (report IS NULL))
) STRICT
"""

# What a committed cycle found for each fact that it touched, so that an undo can put it back.
_CYCLE_EFFECTS = """
CREATE TABLE cycle_effects (
    cycle         INTEGER NOT NULL REFERENCES cycles (number),
    fact_id       TEXT NOT NULL REFERENCES facts (id),
    state         TEXT NOT NULL,
    stage         INTEGER NOT NULL CHECK (stage BETWEEN 0 AND 2),
    scale         REAL NOT NULL CHECK (scale BETWEEN 0.0 AND 1.0),
    verified_raw  INTEGER NOT NULL CHECK (verified_raw IN (0, 1)),
    verified_chat INTEGER NOT NULL CHECK (verified_chat IN (0, 1)),
    PRIMARY KEY (cycle, fact_id)
) STRICT, WITHOUT ROWID
"""

MIGRATIONS: Final[tuple[Migration, ...]] = (
    Migration(
        1,
        "facts, edits, generations, cycles and conversations",
        (
            _FACTS,
            "CREATE UNIQUE INDEX one_active_value ON facts (slot) WHERE state = 'active' AND exclusive = 1",
            "CREATE INDEX facts_by_slot ON facts (slot, state)",
            "CREATE INDEX facts_by_state ON facts (state)",
            _STANDINGS,
            _EDITS,
            _CYCLES,
            "CREATE UNIQUE INDEX one_open_cycle ON cycles (ended IS NULL) WHERE ended IS NULL",
            """CREATE TABLE cycle_phases (
                   position INTEGER PRIMARY KEY AUTOINCREMENT,
                   cycle    INTEGER NOT NULL REFERENCES cycles (number),
                   phase    TEXT NOT NULL,
                   at       TEXT NOT NULL
               ) STRICT""",
            _CYCLE_EFFECTS,
            _GENERATIONS,
            "CREATE UNIQUE INDEX one_active_generation ON generations (model) WHERE active = 1",
            """CREATE TABLE history (
                   position INTEGER PRIMARY KEY AUTOINCREMENT,
                   fact_id  TEXT NOT NULL REFERENCES facts (id),
                   at       TEXT NOT NULL,
                   event    TEXT NOT NULL,
                   detail   TEXT NOT NULL
               ) STRICT""",
            "CREATE INDEX history_by_fact ON history (fact_id)",
            """CREATE TABLE refusals (
                   position INTEGER PRIMARY KEY AUTOINCREMENT,
                   text     TEXT NOT NULL,
                   reason   TEXT NOT NULL,
                   at       TEXT NOT NULL
               ) STRICT""",
            """CREATE TABLE sessions (
                   position INTEGER PRIMARY KEY AUTOINCREMENT,
                   id       TEXT NOT NULL UNIQUE,
                   at       TEXT NOT NULL
               ) STRICT""",
            """CREATE TABLE turns (
                   session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
                   number  INTEGER NOT NULL,
                   role    TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
                   text    TEXT NOT NULL,
                   at      TEXT NOT NULL,
                   PRIMARY KEY (session, number)
               ) STRICT""",
            "CREATE TABLE small_values (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
        ),
    ),
    Migration(
        2,
        "until when a fact was valid, and tombstones of what was forgotten",
        (
            "ALTER TABLE facts ADD COLUMN valid_until TEXT",
            """CREATE TABLE tombstones (
                   digest TEXT PRIMARY KEY,
                   at     TEXT NOT NULL
               ) STRICT, WITHOUT ROWID""",
        ),
    ),
)

NEWEST: Final = MIGRATIONS[-1].number

_RECORD = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL,
    at     TEXT NOT NULL
) STRICT
"""


def schema_number(connection: sqlite3.Connection) -> int | None:
    """The number of the newest migration that the database has had; None when it is no ledger at all."""
    known = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'").fetchone()
    if known is None:
        return None
    number: int = connection.execute("SELECT coalesce(max(number), 0) FROM schema_migrations").fetchone()[0]
    return number


def migrate(connection: sqlite3.Connection, clock: Callable[[], str]) -> None:
    """Bring a database in autocommit mode to the newest schema; does nothing when it is there already."""
    have = schema_number(connection) or 0
    for migration in MIGRATIONS:
        if migration.number > have:
            _apply(connection, migration, clock())


def _apply(connection: sqlite3.Connection, migration: Migration, at: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_RECORD)
        for statement in migration.statements:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_migrations (number, name, at) VALUES (?, ?, ?)",
            (migration.number, migration.name, at),
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
