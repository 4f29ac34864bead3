"""The ledger: one SQLite database, the only truth about what is remembered.

Blobs hold numbers, the ledger holds names: a blob is written and synced first, then one transaction here names it.
That transaction is the only commit; a crash before it leaves garbage that `BlobStore.delete_unreferenced` takes away.
Everything is synchronous and used from the thread that opened it. Whoever opens it must hold the home's lock.

Every method may raise StorageFull or StorageFailed, having changed nothing, and LedgerCorrupt.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sleepengine.memory.database import Database
from sleepengine.memory.ledger_conversations import ConversationRecords
from sleepengine.memory.ledger_repair import RepairRecords
from sleepengine.memory.records import Advance, CycleRow, HistoryEntry, Learned, Refusal, SessionRow, Turn

__all__ = ["Advance", "CycleRow", "HistoryEntry", "Learned", "Ledger", "Refusal", "SessionRow", "Turn", "utc_now"]


def utc_now() -> str:
    """The time as the ledger writes it: UTC, ISO 8601, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Ledger(RepairRecords, ConversationRecords):
    """Facts, edits, generations, cycles, conversations and small values."""

    @classmethod
    def open(cls, path: Path, *, clock: Callable[[], str] = utc_now) -> Self:
        """Open, create or migrate the ledger. Raises LedgerTooNew and LedgerCorrupt, leaving the file untouched."""
        return cls(Database(path, clock), clock)

    def close(self) -> None:
        """Close the ledger; twice is fine."""
        self._db.close()

    @property
    def lost_commits(self) -> int:
        """How many acknowledged changes were missing when the ledger was opened; see `guard`."""
        return self._db.lost_commits

    def copy_to(self, target: Path) -> None:
        """Write a consistent copy of the whole ledger to a new private file."""
        self._db.copy_to(target)

    def get_value(self, key: str) -> str | None:
        """A small value of the daemon's, such as the last event's number."""
        row = self._db.row("SELECT value FROM small_values WHERE key = ?", (key,))
        return None if row is None else row[0]

    def remove_value(self, key: str) -> None:
        """Forget a small value; nothing happens where there is none."""
        with self._db.transaction():
            self._db.write("DELETE FROM small_values WHERE key = ?", (key,))

    def set_value(self, key: str, value: str) -> None:
        """Store a small value."""
        with self._db.transaction():
            self._db.write("INSERT OR REPLACE INTO small_values (key, value) VALUES (?, ?)", (key, value))
