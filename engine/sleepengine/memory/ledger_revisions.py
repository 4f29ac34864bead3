"""The ledger's changes of mind: correcting a fact, taking one back, forgetting, and blanking what is unlearned.

A forgotten fact leaves every view at once. Its words stay, unseen by anyone, only while an adapter that a view can
reach may still know them: they are what a suppressing edit is made from. Then `redact` blanks them, and a tombstone
remains that recognises the fact without telling it, so that an old export cannot bring it back.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from sleepengine.memory.facts import Fact, FactState
from sleepengine.memory.ledger_facts import FactRecords

_TOMBSTONE_KEY: Final = "ledger.tombstone_key"
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
        key = self._tombstone_key()
        if key is None:
            return None
        row = self._db.row("SELECT at FROM tombstones WHERE digest = ?", (_digest(key, fact),))
        return None if row is None else row[0]

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
        key = self._tombstone_key()
        if key is None:
            key = secrets.token_hex(32)
            self._db.write("INSERT INTO small_values (key, value) VALUES (?, ?)", (_TOMBSTONE_KEY, key))
        self._db.write("INSERT OR REPLACE INTO tombstones (digest, at) VALUES (?, ?)", (_digest(key, fact), at))

    def _require_held(self, fact_id: str) -> Fact:
        fact = self._require(fact_id)
        if fact.state not in _HELD:
            raise ValueError(f"{fact_id} is {fact.state}, not held")
        return fact

    def _tombstone_key(self) -> str | None:
        row = self._db.row("SELECT value FROM small_values WHERE key = ?", (_TOMBSTONE_KEY,))
        return None if row is None else row[0]


def _digest(key: str, fact: Fact) -> str:
    """A keyed hash: the tombstone alone does not tell what was forgotten."""
    said = f"{fact.slot}\n{fact.object.casefold()}".encode()
    return hmac.new(bytes.fromhex(key), said, hashlib.sha256).hexdigest()
