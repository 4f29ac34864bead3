"""The ledger's cycles: naps and sleeps, what they commit, and how one is undone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from sleepengine.errors import StaleProposal
from sleepengine.memory.database import Row
from sleepengine.memory.facts import Fact, FactState, Stage
from sleepengine.memory.ledger_facts import Standing, standing_from
from sleepengine.memory.ledger_view import BARE_BASE, CHECKPOINT, ViewRecords, stage_and_scale
from sleepengine.memory.records import Advance, Checkpoint, CycleRow, Learned, Undo

COMMITTED: Final = "committed"
_SELECT: Final = "SELECT number, kind, started, ended, outcome, report FROM cycles"


class _OnlyLooking(Exception):
    """Rolls a transaction back."""


class CycleRecords(ViewRecords):
    """Cycles from their beginning to their report."""

    def begin_cycle(self, kind: str, at: str) -> int:
        """Open a cycle and return its number. Raises ValueError while another is open."""
        with self._db.transaction():
            if self.open_cycle() is not None:
                raise ValueError("a cycle is open already")
            return self._db.insert("INSERT INTO cycles (kind, started) VALUES (?, ?)", (kind, at))

    def note_phase(self, cycle: int, phase: str, at: str) -> None:
        """Record that an open cycle entered a phase."""
        with self._db.transaction():
            self._require_open(cycle)
            self._db.insert("INSERT INTO cycle_phases (cycle, phase, at) VALUES (?, ?, ?)", (cycle, phase, at))

    def phases(self, cycle: int) -> list[tuple[str, str]]:
        """The phases of a cycle in order, each with the time when it was entered."""
        return self._db.rows("SELECT phase, at FROM cycle_phases WHERE cycle = ? ORDER BY position", (cycle,))

    def open_cycle(self) -> CycleRow | None:
        """The cycle that began and has not ended; at a start, one that a crash interrupted."""
        row = self._db.row(f"{_SELECT} WHERE ended IS NULL")
        return None if row is None else _cycle(row)

    def cycle(self, number: int | None = None) -> CycleRow | None:
        """A cycle by number, or the one that ended last."""
        if number is None:
            row = self._db.row(f"{_SELECT} WHERE ended IS NOT NULL ORDER BY number DESC LIMIT 1")
        else:
            row = self._db.row(f"{_SELECT} WHERE number = ?", (number,))
        return None if row is None else _cycle(row)

    def keep_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Note how far the open cycle is. Its blobs count as referenced until it ends. ValueError: it is not open."""
        with self._db.transaction():
            self._require_open(checkpoint.cycle)
            self._db.write(
                "INSERT OR REPLACE INTO small_values (key, value) VALUES (?, ?)",
                (CHECKPOINT, msgspec.json.encode(checkpoint).decode()),
            )

    def checkpoint(self) -> Checkpoint | None:
        """How far the open cycle was; None where there is none."""
        row = self._db.row("SELECT value FROM small_values WHERE key = ?", (CHECKPOINT,))
        return None if row is None else msgspec.json.decode(row[0], type=Checkpoint)

    def newest_generation(self, model: str) -> int:
        """The highest number that a generation of this model has had; after an undo above the active one's."""
        row = self._db.row("SELECT coalesce(max(number), 0) FROM generations WHERE model = ?", (model,))
        return int(row[0]) if row else 0

    def nights_on_adapter(self, model: str) -> int:
        """Full sleeps that the active generation was trained on since one began from the bare base; 0 without one."""
        number, _ = self.generation(model)
        nights = 0
        while number:
            row = self._db.row(
                """SELECT g.parent, c.kind, c.report FROM generations g JOIN cycles c ON c.number = g.cycle
                   WHERE g.model = ? AND g.number = ?""",
                (model, number),
            )
            if row is None:
                break
            parent, kind, report = row
            nights += kind == "sleep"
            if report is not None and msgspec.json.decode(report, type=dict[str, Any]).get("rebuilt"):
                break
            number = parent
        return nights

    def commit_cycle(
        self,
        cycle: int,
        model: str,
        generation_blob: str | None,
        advances: Sequence[Advance],
        report: dict[str, Any],
        at: str,
    ) -> int:
        """Make a candidate generation the active one, in one transaction, and end its cycle; returns its number.

        Each advance sets a fact's stage, scale and edit under the new generation; a pending fact that it teaches
        becomes active. A fact superseded or forgotten meanwhile is left so (see `needing_suppression`). Raises
        StaleProposal when a fact of the live view, such as one learned during the cycle, would be left without an
        edit verified under the new generation; ValueError for a closed cycle, an unknown fact or a missing blob.
        """
        by_id = {advance.fact_id: advance for advance in advances}
        with self._db.transaction():
            self._require_open(cycle)
            self._use_model(model)
            number = self._activate_new_generation(cycle, model, generation_blob, at)
            for fact_id in self._require_in_order([advance.fact_id for advance in advances]):
                self._advance(cycle, model, generation_blob, self._require(fact_id), by_id[fact_id], at)
            if missing := self._without_edit(model):
                raise StaleProposal(f"no edit under the new generation for {', '.join(missing)}", missing)
            self._end(cycle, COMMITTED, report, at)
        return number

    def end_cycle(self, cycle: int, outcome: str, report: dict[str, Any], at: str) -> None:
        """End a cycle that commits nothing: rejected, aborted, nothing. Raises ValueError when it is not open."""
        if outcome == COMMITTED:
            raise ValueError("a cycle is committed by commit_cycle")
        with self._db.transaction():
            self._require_open(cycle)
            self._end(cycle, outcome, report, at)

    def undo_target(self, model: str) -> tuple[int, str | None] | None:
        """The generation that an undo returns to (number and blob; 0 and None: the bare base), or None without one."""
        parent = self._db.row("SELECT parent FROM generations WHERE model = ? AND active = 1", (model,))
        if parent is None:
            return None
        if parent[0] == 0:
            return 0, None
        row = self._db.row(
            "SELECT number, blob FROM generations WHERE model = ? AND number = ? AND kept = 1", (model, parent[0])
        )
        return None if row is None else (row[0], row[1] or None)

    def undo(self, model: str, at: str, relearned: Sequence[Learned] = ()) -> int:
        """Return to the previous generation with the stages and scales of the facts that the last cycle touched.

        `relearned` are edits verified under that generation, for facts learned or suppressed since. Suppression
        belongs to the view: StaleProposal when a forgotten or superseded fact would come back for want of its edit.
        Facts learned since that lack one are listed by `needing_edit`. Raises ValueError when nothing can be undone.
        """
        outcomes = {outcome.fact_id: outcome for outcome in relearned}
        with self._db.transaction():
            number, blob = self._return(model, at)
            for fact_id, fact in self._require_in_order([outcome.fact_id for outcome in relearned]).items():
                self._learn(model, blob, fact, outcomes[fact_id], at)
            if returning := [i for i in self._without_edit(model) if self._require(i).state is not FactState.ACTIVE]:
                raise StaleProposal(f"nothing would suppress {', '.join(returning)}", tuple(returning))
        return number

    def preview_undo(self, model: str, at: str) -> Undo | None:
        """What an undo would find, with nothing changed; None where nothing can be undone."""
        if self.undo_target(model) is None:
            return None
        found: list[Undo] = []
        try:
            with self._db.transaction():
                number, _ = self._return(model, at)
                suppress = self.needing_suppression(model)
                found.append(
                    Undo(
                        generation=number,
                        view=self.live_view(model),
                        learn=tuple(self.needing_edit(model)),
                        suppress=tuple(suppress),
                        held=tuple(self.known_beside(suppress, model)),
                    )
                )
                raise _OnlyLooking
        except _OnlyLooking:
            return found[0]

    def _return(self, model: str, at: str) -> tuple[int, str | None]:
        target = self.undo_target(model)
        if target is None:
            raise ValueError("there is no generation to return to")
        self._restore(model, at)
        self._db.write("UPDATE generations SET active = 0 WHERE model = ? AND active = 1", (model,))
        self._db.write("UPDATE generations SET active = 1 WHERE model = ? AND number = ?", (model, target[0]))
        return target

    def release_generations(self, model: str, keep_previous: int = 2) -> None:
        """Give up all generations but the active one and the `keep_previous` before it, with the edits under them."""
        with self._db.transaction():
            number, blob = self.generation(model)
            kept: dict[int, str] = {number: blob or BARE_BASE}
            for _ in range(keep_previous):
                row = self._db.row("SELECT parent FROM generations WHERE model = ? AND number = ?", (model, number))
                if row is None:
                    break
                number = row[0]
                named = self._db.row("SELECT blob FROM generations WHERE model = ? AND number = ?", (model, number))
                kept[number] = named[0] if named else BARE_BASE
            for known, known_blob in self._db.rows("SELECT number, blob FROM generations WHERE model = ?", (model,)):
                if known not in kept:
                    self._db.write("UPDATE generations SET kept = 0 WHERE model = ? AND number = ?", (model, known))
                    self._drop_edits(model, known_blob, kept.values())
            self._drop_edits(model, BARE_BASE, kept.values())

    def _drop_edits(self, model: str, generation: str, kept: Collection[str]) -> None:
        if generation not in kept:
            self._db.write("DELETE FROM edits WHERE model = ? AND generation = ?", (model, generation))

    def _activate_new_generation(self, cycle: int, model: str, blob: str | None, at: str) -> int:
        parent, _ = self.generation(model)
        number = self.newest_generation(model) + 1
        self._db.write("UPDATE generations SET active = 0 WHERE model = ? AND active = 1", (model,))
        self._db.write(
            """INSERT INTO generations (model, number, parent, blob, cycle, active, kept, at)
               VALUES (?, ?, ?, ?, ?, 1, 1, ?)""",
            (model, number, parent, blob or BARE_BASE, cycle, at),
        )
        return number

    def _advance(self, cycle: int, model: str, generation: str | None, fact: Fact, advance: Advance, at: str) -> None:
        if advance.scale > 0.0 and advance.blob is None:
            raise ValueError(f"{fact.id} has scale {advance.scale:g} and no edit")
        before = self._standing(fact.id, model)
        self._write_effect(cycle, fact, before)
        retired = fact.state in (FactState.SUPERSEDED, FactState.FORGOTTEN)
        if retired != advance.suppress:
            if advance.suppress:
                raise ValueError(f"{fact.id} is {fact.state}, only a superseded or forgotten fact can be suppressed")
            # No edit under the new generation holds it; what the adapter may know of it, `needing_suppression` lists.
            self._set_standing(fact.id, model, msgspec.structs.replace(before, stage=advance.stage, scale=0.0))
            how = "the adapter was trained again without it" if advance.stage is Stage.ACTIVE else "slept on too late"
            self._write_history(fact.id, at, "dropped", f"{how}: {fact.state}")
            return
        after = Standing(stage=advance.stage, scale=advance.scale, verified=advance.verified)
        self._set_standing(fact.id, model, after)
        if advance.blob is not None:
            self._set_edit(fact.id, model, generation, advance.blob, suppresses=advance.suppress, at=at)
        if fact.state is FactState.PENDING and (after.stage > Stage.ACTIVE or after.scale > 0.0):
            self._activate(fact, at)
        self._write_history(
            fact.id, at, "slept on", f"cycle {cycle}: {stage_and_scale(before)} -> {stage_and_scale(after)}"
        )

    def _write_effect(self, cycle: int, fact: Fact, before: Standing) -> None:
        self._db.write(
            """INSERT INTO cycle_effects (cycle, fact_id, state, stage, scale, verified_raw, verified_chat)
               VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (cycle, fact.id, fact.state, before.stage, before.scale, before.verified.raw, before.verified.chat),
        )

    def _restore(self, model: str, at: str) -> None:
        """Put back what the active generation's cycle changed, except in facts retired since."""
        rows = self._db.rows(
            """SELECT e.fact_id, e.state, e.stage, e.scale, e.verified_raw, e.verified_chat
               FROM cycle_effects e JOIN generations g ON g.cycle = e.cycle
               WHERE g.model = ? AND g.active = 1""",
            (model,),
        )
        for fact_id, state, *held in rows:
            was_active = state in (FactState.ACTIVE, FactState.PENDING)
            if was_active != (self._require(fact_id).state in (FactState.ACTIVE, FactState.PENDING)):
                continue
            standing = standing_from(*held)
            self._set_standing(fact_id, model, standing)
            if was_active:
                self._db.write("UPDATE facts SET state = ? WHERE id = ?", (state, fact_id))
            self._write_history(fact_id, at, "undone", f"-> {stage_and_scale(standing)}")

    def _require_open(self, cycle: int) -> None:
        row = self.cycle(cycle)
        if row is None or row.ended is not None:
            raise ValueError(f"cycle {cycle} is not open")

    def _end(self, cycle: int, outcome: str, report: dict[str, Any], at: str) -> None:
        self._db.write(
            "UPDATE cycles SET ended = ?, outcome = ?, report = ? WHERE number = ?",
            (at, outcome, msgspec.json.encode(report).decode(), cycle),
        )
        self._db.write("DELETE FROM small_values WHERE key = ?", (CHECKPOINT,))


def _cycle(row: Row) -> CycleRow:
    number, kind, started, ended, outcome, report = row
    decoded = None if report is None else msgspec.json.decode(report, type=dict[str, Any])
    return CycleRow(number, kind, started, ended, outcome, decoded)
