"""The ledger's answer to lost blobs: what was held by them is given up, and learned again from the facts."""

from __future__ import annotations

from collections.abc import Collection

from sleepengine.memory.facts import Stage
from sleepengine.memory.ledger_cycles import CycleRecords
from sleepengine.memory.ledger_facts import Standing


class RepairRecords(CycleRecords):
    """Giving up blobs. No fact is lost by it: an edit and an adapter hold what the facts say."""

    def models(self) -> list[str]:
        """Every model that something was learned on."""
        return [name for (name,) in self._db.rows("SELECT model FROM generations UNION SELECT model FROM edits")]

    def give_up(self, blobs: Collection[str], at: str) -> tuple[list[str], list[tuple[str, int, int]]]:
        """Name none of `blobs` any more, in one transaction.

        A fact whose edit is among them is listed by `needing_edit` then. A model whose active generation is among
        them returns to the newest whole one before it; to the bare base where that one would tell what was forgotten
        since. Returns the facts that lost an edit, and (model, generation left, generation now) for each fall-back.
        """
        lost = frozenset(blobs)
        with self._db.transaction():
            facts = self._give_up_edits(lost, at)
            moved = [
                (model, number, self._fall_back(model, lost, at))
                for model, number, blob in self._db.rows("SELECT model, number, blob FROM generations WHERE active = 1")
                if blob in lost
            ]
            for model, number, blob in self._db.rows("SELECT model, number, blob FROM generations WHERE kept = 1"):
                if blob in lost:
                    self._db.write("UPDATE generations SET kept = 0 WHERE model = ? AND number = ?", (model, number))
                    self._drop_edits(model, blob, ())
        return facts, moved

    def _give_up_edits(self, lost: frozenset[str], at: str) -> list[str]:
        rows = self._db.rows("SELECT DISTINCT fact_id, blob FROM edits")
        facts = sorted({fact_id for fact_id, blob in rows if blob in lost})
        for blob in lost:
            self._db.write("DELETE FROM edits WHERE blob = ?", (blob,))
        for fact_id in facts:
            self._write_history(fact_id, at, "edit lost", "its file was damaged; it is learned again")
        return facts

    def _fall_back(self, model: str, lost: frozenset[str], at: str) -> int:
        number, blob = self.generation(model)
        while blob in lost:
            target = self.undo_target(model)
            self._restore(model, at)
            self._db.write("UPDATE generations SET active = 0, kept = 0 WHERE model = ? AND active = 1", (model,))
            number, blob = target if target is not None else (0, None)
            self._db.write("UPDATE generations SET active = 1 WHERE model = ? AND number = ?", (model, number))
        if blob is None or self.needing_suppression(model):
            self._to_the_base(model)
            return 0
        return number

    def _to_the_base(self, model: str) -> None:
        """Without an adapter nothing is consolidated; every active fact is learned again."""
        self._db.write("UPDATE generations SET active = 0 WHERE model = ? AND active = 1", (model,))
        for (fact_id,) in self._db.rows("SELECT fact_id FROM standings WHERE model = ? AND stage > 0", (model,)):
            self._set_standing(fact_id, model, Standing(stage=Stage.ACTIVE))
