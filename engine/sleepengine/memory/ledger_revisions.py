"""The ledger's changes of mind: correcting a fact, taking one back, forgetting, and blanking what is unlearned.

A forgotten fact leaves every view at once. Its words stay, unseen by anyone, only while an adapter that a view can
reach may still know them: they are what a suppressing edit is made from. Then `redact` blanks them, and a tombstone
remains that recognises the fact without telling it, so that an old export or backup cannot bring it back.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sleepengine.memory.facts import Fact, FactState
from sleepengine.memory.forgotten import KEYS, ForgottenRecord, digest
from sleepengine.memory.ledger_facts import FactRecords

_HELD: Final = (FactState.ACTIVE, FactState.PENDING)


class RevisionRecords(FactRecords):
    """Facts whose truth or whose keeping the user revised."""

    def correct(self, fact_ids: Sequence[str], fact: Fact, at: str) -> None:
        """Store `fact` as pending in place of older ones, which leave every view in the same transaction.

        The slots may differ: what is corrected are the named facts. Raises ValueError where one is not held any more.
        """
        with self._db.transaction():
            for fact_id in fact_ids:
                self._require_held(fact_id)
            self._add(fact)
            for fact_id in fact_ids:
                self._retire(fact_id, FactState.SUPERSEDED, fact.id, at)

    def take_back(self, fact_id: str, at: str) -> str | None:
        """Forget a fact and let the value that it superseded hold again, as pending; returns that one's id.

        None where it superseded nothing, or where a newer value holds the slot. Raises ValueError for a fact that is
        not held.
        """
        with self._db.transaction():
            fact = self._require_held(fact_id)
            self._forget(fact, at)
            row = self._db.row(
                """SELECT id FROM facts f WHERE superseded_by = ? AND state = 'superseded'
                   AND NOT (exclusive = 1 AND EXISTS (
                       SELECT 1 FROM facts n WHERE n.slot = f.slot AND n.exclusive = 1
                       AND n.state IN ('active', 'pending')))
                   ORDER BY position DESC LIMIT 1""",
                (fact_id,),
            )
            if row is None:
                return None
            self._db.write(
                "UPDATE facts SET state = 'pending', superseded_by = NULL, valid_until = NULL WHERE id = ?", row
            )
            self._write_history(row[0], at, "restored", f"{fact_id} was taken back")
            restored: str = row[0]
            return restored

    def forget(self, fact_ids: Sequence[str], at: str) -> None:
        """Take facts out of every view for good; `redact` blanks their text. Raises ValueError for an unknown id."""
        with self._db.transaction():
            for fact_id in fact_ids:
                fact = self._require(fact_id)
                if fact.state is not FactState.FORGOTTEN:
                    self._forget(fact, at)

    def was_forgotten(self, fact: Fact) -> str | None:
        """When this very fact, by slot and object, was forgotten; None where it never was."""
        times = [
            row[0]
            for key in self._tombstone_keys()
            if (row := self._db.row("SELECT at FROM tombstones WHERE digest = ?", (_digest(key, fact),)))
        ]
        return max(times, default=None)

    def honour(self, record: ForgottenRecord, at: str) -> list[str]:
        """Take over another ledger's record, and forget what it names and this one still holds; returns those ids.

        What was said after it had been forgotten stays: it was said anew.
        """
        forgotten: list[str] = []
        with self._db.transaction():
            keys = tuple(dict.fromkeys((*self._tombstone_keys(), *record.keys)))
            if keys:
                self._set_tombstone_keys(keys)
            self._db.write_all(
                "INSERT INTO tombstones (digest, at) VALUES (?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
                list(record.times.items()),
            )
            for fact in self._select("f.state <> 'forgotten'"):
                times = [record.times[name] for key in record.keys if (name := _digest(key, fact)) in record.times]
                if any(datetime.fromisoformat(fact.provenance.at) <= datetime.fromisoformat(time) for time in times):
                    self._retire(fact.id, FactState.FORGOTTEN, None, at)
                    forgotten.append(fact.id)
        return forgotten

    def redactable(self) -> list[str]:
        """Forgotten facts that have words still and that nothing within reach can know any more.

        No open cycle may be learning it, no standing has a stage, and no generation kept for an undo lies between the
        first and the last cycle that touched it.
        """
        rows = self._db.rows(
            """SELECT f.id FROM facts f WHERE f.state = 'forgotten' AND f.statement <> ''
               AND NOT EXISTS (SELECT 1 FROM cycles WHERE ended IS NULL)
               AND NOT EXISTS (SELECT 1 FROM standings s WHERE s.fact_id = f.id AND s.stage > 0)
               AND NOT EXISTS (SELECT 1 FROM generations g WHERE g.kept = 1
                   AND g.cycle >= (SELECT min(e.cycle) FROM cycle_effects e WHERE e.fact_id = f.id)
                   AND g.cycle < (SELECT max(e.cycle) FROM cycle_effects e WHERE e.fact_id = f.id))
               ORDER BY f.position"""
        )
        return [fact_id for (fact_id,) in rows]

    def redact(self, fact_ids: Sequence[str], at: str) -> None:
        """Blank every word of forgotten facts; the id, the state and the times stay. ValueError: not forgotten."""
        with self._db.transaction():
            for fact_id in fact_ids:
                if self._require(fact_id).state is not FactState.FORGOTTEN:
                    raise ValueError(f"{fact_id} is not forgotten")
                self._db.write(
                    """UPDATE facts SET subject = '', relation = '', object = '', statement = '', slot = '',
                       prompts = '[]', said = '' WHERE id = ?""",
                    (fact_id,),
                )
                self._db.write("UPDATE history SET detail = '' WHERE fact_id = ?", (fact_id,))
                self._write_history(fact_id, at, "redacted")
        self._db.checkpoint()

    def _forget(self, fact: Fact, at: str) -> None:
        self._retire(fact.id, FactState.FORGOTTEN, None, at)
        keys = self._tombstone_keys()
        if not keys:
            keys = (secrets.token_hex(32),)
            self._set_tombstone_keys(keys)
        self._db.write("INSERT OR REPLACE INTO tombstones (digest, at) VALUES (?, ?)", (_digest(keys[0], fact), at))

    def _require_held(self, fact_id: str) -> Fact:
        fact = self._require(fact_id)
        if fact.state not in _HELD:
            raise ValueError(f"{fact_id} is {fact.state}, not held")
        return fact

    def _tombstone_keys(self) -> tuple[str, ...]:
        row = self._db.row("SELECT value FROM small_values WHERE key = ?", (KEYS,))
        return tuple(row[0].split()) if row else ()

    def _set_tombstone_keys(self, keys: Sequence[str]) -> None:
        self._db.write("INSERT OR REPLACE INTO small_values (key, value) VALUES (?, ?)", (KEYS, " ".join(keys)))


def _digest(key: str, fact: Fact) -> str:
    return digest(key, fact.slot, fact.object)
