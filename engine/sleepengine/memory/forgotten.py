"""The record of what was forgotten: keyed hashes that recognise a fact without telling it.

It lies in the ledger, and a restore carries it from the ledger that is replaced into the one that comes back: an old
backup does not bring back what was forgotten after it was taken. Hashes are made with a key of the ledger that forgot;
a ledger that took over another's record holds several keys.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from typing import Final

import msgspec

KEYS: Final = "ledger.tombstone_key"
"""The small value with the keys, in hex, parted by spaces; new hashes are made with the first."""


class ForgottenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The keys, and when what was forgotten last, by hash."""

    keys: tuple[str, ...] = ()
    times: dict[str, str] = {}


def digest(key: str, slot: str, value: str) -> str:
    """The hash of a fact by its slot and object."""
    return hmac.new(bytes.fromhex(key), f"{slot}\n{value.casefold()}".encode(), hashlib.sha256).hexdigest()


def read_record(connection: sqlite3.Connection) -> ForgottenRecord:
    """The record of a ledger of any schema, without what was said anew since and is held. Raises sqlite3.Error."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'tombstones'").fetchone() is None:
        return ForgottenRecord()
    row = connection.execute("SELECT value FROM small_values WHERE key = ?", (KEYS,)).fetchone()
    keys = tuple(row[0].split()) if row else ()
    times = dict(connection.execute("SELECT digest, at FROM tombstones").fetchall())
    for slot, value in connection.execute("SELECT slot, object FROM facts WHERE state IN ('active', 'pending')"):
        for key in keys:
            times.pop(digest(key, slot, value), None)
    return ForgottenRecord(keys=keys, times=times)
