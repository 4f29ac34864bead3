"""The ledger's view of one model: which generation is active, which edits stand beside it, and wake's commits to it.

A fact's standing (stage, scale, verification) and its edits belong to a model, an edit also to the generation that it
was verified under. The invariant that every commit here and in `ledger_cycles` keeps: a standing with a scale above
zero has an edit under the active generation. After an undo it may lack one; `needing_edit` lists such facts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sleepengine.errors import StaleProposal
from sleepengine.memory.facts import Fact, FactState, Stage
from sleepengine.memory.ledger_facts import Standing
from sleepengine.memory.ledger_revisions import RevisionRecords
from sleepengine.memory.records import Learned
from sleepengine.memory.view import EditRef, View

CHECKPOINT: Final = "cycle.checkpoint"  # the small value that says how far an open cycle is
BARE_BASE: Final = ""  # how `edits` and `generations` write "no adapter"; a NULL could not be part of a key
_RETIRED: Final = (FactState.SUPERSEDED, FactState.FORGOTTEN)


class ViewRecords(RevisionRecords):
    """Generations, edits and the live view."""

    def live_view(self, model: str) -> View:
        """The active generation with the edits verified under it whose scale is above zero, oldest fact first."""
        _, generation = self.generation(model)
        rows = self._db.rows(
            """SELECT e.fact_id, e.blob, s.scale
               FROM edits e JOIN standings s USING (fact_id, model) JOIN facts f ON f.id = e.fact_id
               WHERE e.model = ? AND e.generation = ? AND s.scale > 0.0 AND (f.state = 'active') = (e.suppresses = 0)
               ORDER BY f.position""",
            (model, generation or BARE_BASE),
        )
        edits = tuple(EditRef(fact_id=fact_id, blob=blob, scale=scale) for fact_id, blob, scale in rows)
        return View(generation=generation, edits=edits)

    def generation(self, model: str) -> tuple[int, str | None]:
        """The active generation's number (0: none) and its adapter's blob (None: the bare base)."""
        row = self._db.row("SELECT number, blob FROM generations WHERE model = ? AND active = 1", (model,))
        return (row[0], row[1] or None) if row else (0, None)

    def referenced_blobs(self) -> set[str]:
        """Every blob that the ledger names: edits, the generations that an undo can reach, of all models, and what an
        open cycle has made so far."""
        rows = self._db.rows(
            """SELECT blob FROM edits UNION SELECT blob FROM generations WHERE kept = 1 AND blob <> ''
               UNION SELECT made.value FROM small_values, json_each(small_values.value, '$.adapters') made
               WHERE small_values.key = ?""",
            (CHECKPOINT,),
        )
        return {blob for (blob,) in rows}

    def still_known(self, model: str) -> list[Fact]:
        """Superseded and forgotten facts that the active adapter may still know, suppressed or not. Oldest first."""
        return self._select(
            """f.state IN ('superseded', 'forgotten')
               AND EXISTS (SELECT 1 FROM standings t WHERE t.fact_id = f.id AND t.model = ? AND t.stage > 0)""",
            model,
        )

    def known_beside(self, facts: Sequence[Fact], model: str) -> list[Fact]:
        """Active facts about the subjects of `facts` that the active adapter knows: what silencing those must spare."""
        subjects = {fact.subject for fact in facts}
        known = self._select(
            """f.state = 'active'
               AND EXISTS (SELECT 1 FROM standings t WHERE t.fact_id = f.id AND t.model = ? AND t.stage > 0)""",
            model,
        )
        return [fact for fact in known if fact.subject in subjects]

    def edit_blobs(self, fact_ids: Collection[str]) -> set[str]:
        """The blobs of all edits of these facts, on every model and under every generation."""
        marks = ", ".join("?" * len(fact_ids))
        rows = self._db.rows(f"SELECT DISTINCT blob FROM edits WHERE fact_id IN ({marks})", tuple(fact_ids))
        return {blob for (blob,) in rows}

    def needing_edit(self, model: str) -> list[Fact]:
        """Active facts that nothing holds on this model: no live edit, though the scale asks for one or the stage is 0.

        They are the work to do after a change of model or an undo. Oldest first.
        """
        _, generation = self.generation(model)
        return self._select(
            """f.state = 'active'
               AND NOT EXISTS (SELECT 1 FROM edits e JOIN standings t USING (fact_id, model)
                               WHERE e.fact_id = f.id AND model = ? AND e.generation = ? AND t.scale > 0.0)
               AND NOT EXISTS (SELECT 1 FROM standings t
                               WHERE t.fact_id = f.id AND t.model = ? AND t.stage > 0 AND t.scale = 0.0)""",
            model,
            generation or BARE_BASE,
            model,
        )

    def needing_suppression(self, model: str) -> list[Fact]:
        """Superseded and forgotten facts that the adapter may still know and no live edit suppresses. Oldest first."""
        _, generation = self.generation(model)
        return self._select(
            """f.state IN ('superseded', 'forgotten')
               AND EXISTS (SELECT 1 FROM standings t WHERE t.fact_id = f.id AND t.model = ? AND t.stage > 0)
               AND NOT EXISTS (SELECT 1 FROM edits e JOIN standings t USING (fact_id, model)
                               WHERE e.fact_id = f.id AND model = ? AND e.generation = ? AND t.scale > 0.0)""",
            model,
            model,
            generation or BARE_BASE,
        )

    def commit_learned(self, model: str, generation: str | None, learned: Sequence[Learned]) -> list[str]:
        """Put wake's edits into the live view in one transaction; returns the facts superseded by them.

        A fact with a blob becomes active at scale 1.0, one without stays as it is, its note in the history; either
        way the older active and pending facts of an exclusive slot are superseded, for they are no longer true. A
        fact that was superseded or forgotten meanwhile is left so. Raises StaleProposal when `generation` is not the
        active one, ValueError for an unknown fact.
        """
        superseded: list[str] = []
        outcomes = {outcome.fact_id: outcome for outcome in learned}
        at = self._clock()
        with self._db.transaction():
            self._use_model(model)
            if self.generation(model)[1] != generation:
                raise StaleProposal("another generation became active", tuple(outcomes))
            for fact_id, fact in self._require_in_order([outcome.fact_id for outcome in learned]).items():
                current = self._require(fact.id)  # an earlier outcome of this batch may have superseded it
                superseded += self._learn(model, generation, current, outcomes[fact_id], at)
        return superseded

    def _learn(self, model: str, generation: str | None, fact: Fact, outcome: Learned, at: str) -> list[str]:
        if outcome.suppress:
            self._suppress(model, generation, fact, outcome, at)
            return []
        if fact.state in _RETIRED:
            self._write_history(fact.id, at, "dropped", f"learned too late: {fact.state}")
            return []
        known = self._release_same(fact, model, at)
        if outcome.blob is None:
            if fact.state is FactState.PENDING:
                self._set_standing(fact.id, model, Standing(stage=known, verified=outcome.verified))
            self._write_history(fact.id, at, "not learned", outcome.note)
            return self._supersede_older(fact, at)
        self._set_edit(fact.id, model, generation, outcome.blob, suppresses=False, at=at)
        self._set_standing(fact.id, model, Standing(stage=known, scale=1.0, verified=outcome.verified))
        superseded = self._activate(fact, at)
        self._write_history(fact.id, at, "learned", outcome.note)
        return superseded

    def _release_same(self, fact: Fact, model: str, at: str) -> Stage:
        """Stop suppressing the very fact that is learned anew; returns the stage at which the adapter knows it already.

        The stage passes to the new fact, so that forgetting that one suppresses and unlearns what the adapter knows.
        """
        known = self._standing(fact.id, model).stage if fact.state is FactState.PENDING else Stage.ACTIVE
        for old in self.same_retired(fact):
            standing = self._standing(old.id, model)
            if standing.stage is Stage.ACTIVE and standing.scale == 0.0:
                continue
            known = max(known, standing.stage)
            self._db.write("DELETE FROM edits WHERE fact_id = ? AND model = ?", (old.id, model))
            self._set_standing(old.id, model, Standing())
            self._write_history(old.id, at, "released", f"learned anew as {fact.id}")
        return known

    def _suppress(self, model: str, generation: str | None, fact: Fact, outcome: Learned, at: str) -> None:
        if fact.state not in _RETIRED:
            raise ValueError(f"{fact.id} is {fact.state}, only a superseded or forgotten fact can be suppressed")
        before = self._standing(fact.id, model)
        scale = 0.0 if outcome.blob is None else 1.0
        if outcome.blob is not None:
            self._set_edit(fact.id, model, generation, outcome.blob, suppresses=True, at=at)
        self._set_standing(fact.id, model, Standing(stage=before.stage, scale=scale, verified=outcome.verified))
        self._write_history(fact.id, at, "suppressed" if scale else "not suppressed", outcome.note)

    def _activate(self, fact: Fact, at: str) -> list[str]:
        """Make a pending fact active; returns the older facts of its slot that it superseded."""
        older = self._supersede_older(fact, at)
        self._db.write("UPDATE facts SET state = 'active' WHERE id = ?", (fact.id,))
        return older

    def _supersede_older(self, fact: Fact, at: str) -> list[str]:
        older = []
        if fact.exclusive:
            older = self._db.rows(
                """SELECT id FROM facts WHERE slot = ? AND state IN ('active', 'pending')
                   AND position < (SELECT position FROM facts WHERE id = ?) ORDER BY position""",
                (fact.slot, fact.id),
            )
        for (old,) in older:
            self._retire(old, FactState.SUPERSEDED, fact.id, at)
        return [old for (old,) in older]

    def _set_edit(
        self, fact_id: str, model: str, generation: str | None, blob: str, *, suppresses: bool, at: str
    ) -> None:
        self._db.write(
            """INSERT OR REPLACE INTO edits (fact_id, model, generation, blob, suppresses, at)
               VALUES (?, ?, ?, ?, ?, ?)""",
            (fact_id, model, generation or BARE_BASE, blob, suppresses, at),
        )

    def _without_edit(self, model: str) -> tuple[str, ...]:
        """The facts, active or suppressed, whose scale asks for an edit that the active generation lacks."""
        _, generation = self.generation(model)
        rows = self._db.rows(
            """SELECT s.fact_id FROM standings s JOIN facts f ON f.id = s.fact_id
               WHERE s.model = ? AND s.scale > 0.0
               AND NOT EXISTS (SELECT 1 FROM edits e WHERE e.fact_id = s.fact_id AND e.model = s.model
                               AND e.generation = ? AND (f.state = 'active') = (e.suppresses = 0))
               ORDER BY f.position""",
            (model, generation or BARE_BASE),
        )
        return tuple(fact_id for (fact_id,) in rows)


def stage_and_scale(standing: Standing) -> str:
    """For the history: `stage 1, scale 0.1`."""
    return f"stage {Stage(standing.stage).value}, scale {standing.scale:g}"
