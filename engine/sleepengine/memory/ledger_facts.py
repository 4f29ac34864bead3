"""The ledger's facts: adding and finding them, and the audit trail that every change writes to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec

from sleepengine.memory.database import Database, Row
from sleepengine.memory.facts import Fact, FactState, Person, Prompt, Provenance, Stage, Verified
from sleepengine.memory.records import HistoryEntry, Refusal

CURRENT_MODEL: Final = "ledger.model"
_CURRENT: Final = f"(SELECT value FROM small_values WHERE key = '{CURRENT_MODEL}')"
_SELECT: Final = f"""
SELECT f.id, f.subject, f.relation, f.object, f.statement, f.person, f.slot, f.exclusive, f.prompts,
       f.source, f.said, f.session, f.turn, f.said_at, f.state, f.valid_from, f.valid_until, f.superseded_by,
       coalesce(s.stage, 0), iif(f.state = 'active', coalesce(s.scale, 0.0), 0.0),
       coalesce(s.verified_raw, 0), coalesce(s.verified_chat, 0)
FROM facts f LEFT JOIN standings s ON s.fact_id = f.id AND s.model = {_CURRENT}
"""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How one model holds a fact. Without any edit: stage 0, scale 0, unverified."""

    stage: Stage = Stage.ACTIVE
    scale: float = 0.0
    verified: Verified = Verified()


class Part:
    """What the ledger's parts share: the database and the clock (UTC, ISO 8601)."""

    def __init__(self, database: Database, clock: Callable[[], str]) -> None:
        self._db = database
        self._clock = clock

    def _write_history(self, fact_id: str, at: str, event: str, detail: str = "") -> None:
        self._db.insert(
            "INSERT INTO history (fact_id, at, event, detail) VALUES (?, ?, ?, ?)", (fact_id, at, event, detail)
        )


class FactRecords(Part):
    """Facts, their history, and what was refused."""

    def use_model(self, model: str) -> None:
        """Choose the model whose stages and scales `fact`, `facts` and `counts` report. Commits choose theirs."""
        with self._db.transaction():
            self._use_model(model)

    def add_pending(self, facts: Sequence[Fact]) -> None:
        """Store new facts in one transaction. Raises ValueError for a known id or a fact that is not pending."""
        with self._db.transaction():
            for fact in facts:
                self._add(fact)

    def fact(self, fact_id: str) -> Fact | None:
        """The fact of that id."""
        row = self._db.row(f"{_SELECT} WHERE f.id = ?", (fact_id,))
        return None if row is None else _fact(row)

    def facts(self, states: Collection[FactState], query: str | None = None) -> list[Fact]:
        """Facts in any of `states`, oldest first; with a query, those whose statement has every word of it."""
        words = query.casefold().split() if query else []
        found = self._select(f"f.state IN ({_marks(states)})", *states)
        return [fact for fact in found if all(word in fact.statement.casefold() for word in words)]

    def in_slot(self, slot: str) -> list[Fact]:
        """The active and pending facts of one slot, oldest first."""
        return self._select("f.slot = ? AND f.state IN ('active', 'pending')", slot)

    def same_retired(self, fact: Fact) -> list[Fact]:
        """The superseded and forgotten facts that said the same as `fact`, by slot and object, oldest first."""
        retired = self._select(
            "f.slot = ? AND f.id <> ? AND f.state IN ('superseded', 'forgotten')", fact.slot, fact.id
        )
        return [old for old in retired if old.object.casefold() == fact.object.casefold()]

    def counts(self) -> dict[Stage, int]:
        """How many active facts are in each stage."""
        counted = dict.fromkeys(Stage, 0)
        for fact_stage, count in self._db.rows(
            f"""SELECT coalesce(s.stage, 0), count(*)
                FROM facts f LEFT JOIN standings s ON s.fact_id = f.id AND s.model = {_CURRENT}
                WHERE f.state = 'active' GROUP BY 1"""
        ):
            counted[Stage(fact_stage)] = count
        return counted

    def unslept_since(self, at: str) -> int:
        """How many active and pending facts at stage 0 began to hold after a time."""
        row = self._db.row(
            f"""SELECT count(*) FROM facts f LEFT JOIN standings s ON s.fact_id = f.id AND s.model = {_CURRENT}
                WHERE f.state IN ('active', 'pending') AND coalesce(s.stage, 0) = 0 AND f.valid_from > ?""",
            (at,),
        )
        return int(row[0]) if row else 0

    def pending_count(self) -> int:
        """How many facts wait to be learned."""
        row = self._db.row("SELECT count(*) FROM facts WHERE state = 'pending'")
        return int(row[0]) if row else 0

    def history(self, fact_id: str) -> list[HistoryEntry]:
        """The audit trail of a fact, oldest entry first."""
        rows = self._db.rows("SELECT at, event, detail FROM history WHERE fact_id = ? ORDER BY position", (fact_id,))
        return [HistoryEntry(*row) for row in rows]

    def refuse(self, text: str, reason: str, at: str) -> None:
        """Record a statement that was not accepted."""
        with self._db.transaction():
            self._db.insert("INSERT INTO refusals (text, reason, at) VALUES (?, ?, ?)", (text, reason, at))

    def refusals(self) -> list[Refusal]:
        """All refused statements, oldest first."""
        return [Refusal(*row) for row in self._db.rows("SELECT text, reason, at FROM refusals ORDER BY position")]

    def remove_refusals(self, concerns: Callable[[str], bool]) -> int:
        """Delete the refused statements whose text `concerns` holds of; returns how many."""
        with self._db.transaction():
            found = [
                (position,) for position, text in self._db.rows("SELECT position, text FROM refusals") if concerns(text)
            ]
            for position in found:
                self._db.write("DELETE FROM refusals WHERE position = ?", position)
        self._db.checkpoint()
        return len(found)

    def _use_model(self, model: str) -> None:
        self._db.write("INSERT OR REPLACE INTO small_values (key, value) VALUES (?, ?)", (CURRENT_MODEL, model))

    def _add(self, fact: Fact) -> None:
        if fact.state is not FactState.PENDING:
            raise ValueError(f"{fact.id} is {fact.state}, only pending facts can be added")
        if self._db.row("SELECT 1 FROM facts WHERE id = ?", (fact.id,)):
            raise ValueError(f"{fact.id} is in the ledger already")
        said = fact.provenance
        self._db.insert(
            """INSERT INTO facts (id, subject, relation, object, statement, person, slot, exclusive, prompts,
                                  source, said, session, turn, said_at, state, valid_from)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (fact.id, fact.subject, fact.relation, fact.object, fact.statement, fact.person, fact.slot, fact.exclusive,
             msgspec.json.encode(fact.prompts).decode(),
             said.source, said.text, said.session, said.turn, said.at, fact.state, fact.valid_from),
        )  # fmt: skip
        self._write_history(fact.id, said.at, "added", said.source)

    def _require(self, fact_id: str) -> Fact:
        fact = self.fact(fact_id)
        if fact is None:
            raise ValueError(f"no fact {fact_id}")
        return fact

    def _require_in_order(self, fact_ids: Collection[str]) -> dict[str, Fact]:
        """The named facts, oldest first. Raises ValueError for an unknown id or one named twice."""
        if len(set(fact_ids)) < len(fact_ids):
            raise ValueError("a fact is named twice")
        found = {f.id: f for name in fact_ids for f in (self._require(name),)}
        positions: dict[str, int] = dict(
            self._db.rows(f"SELECT id, position FROM facts WHERE id IN ({_marks(fact_ids)})", tuple(fact_ids))
        )
        return {name: found[name] for name in sorted(found, key=positions.__getitem__)}

    def _retire(self, fact_id: str, state: FactState, by: str | None, at: str) -> None:
        """Take a fact out of every view. Its stage stays: it says whether an adapter may still know the fact.

        A superseded fact was valid until its successor's value began.
        """
        self._db.write(
            """UPDATE facts SET state = ?, superseded_by = coalesce(?, superseded_by),
               valid_until = coalesce(valid_until, (SELECT valid_from FROM facts WHERE id = ?), ?) WHERE id = ?""",
            (state, by, by, at, fact_id),
        )
        self._db.write("UPDATE standings SET scale = 0.0 WHERE fact_id = ?", (fact_id,))
        # A nap trains without a change of stage: what it was over, an adapter may know from now on.
        self._db.write(
            """UPDATE standings SET stage = 1 WHERE fact_id = ? AND stage = 0 AND EXISTS (
                   SELECT 1 FROM cycle_effects e JOIN cycles c ON c.number = e.cycle
                   WHERE e.fact_id = standings.fact_id AND c.kind = 'nap')""",
            (fact_id,),
        )
        self._db.write("DELETE FROM edits WHERE fact_id = ?", (fact_id,))
        self._write_history(fact_id, at, state.value, f"by {by}" if by else "")

    def _standing(self, fact_id: str, model: str) -> Standing:
        row = self._db.row(
            "SELECT stage, scale, verified_raw, verified_chat FROM standings WHERE fact_id = ? AND model = ?",
            (fact_id, model),
        )
        return standing_from(*row) if row else Standing()

    def _set_standing(self, fact_id: str, model: str, standing: Standing) -> None:
        self._db.write(
            """INSERT OR REPLACE INTO standings (fact_id, model, stage, scale, verified_raw, verified_chat)
               VALUES (?, ?, ?, ?, ?, ?)""",
            (fact_id, model, standing.stage, standing.scale, standing.verified.raw, standing.verified.chat),
        )

    def _select(self, condition: str, *values: str) -> list[Fact]:
        return [_fact(row) for row in self._db.rows(f"{_SELECT} WHERE {condition} ORDER BY f.position", values)]


def standing_from(stage: int, scale: float, raw: int, chat: int) -> Standing:
    """A standing from its four columns."""
    return Standing(stage=Stage(stage), scale=scale, verified=Verified(raw=bool(raw), chat=bool(chat)))


def _fact(row: Row) -> Fact:
    (name, subject, relation, object_, statement, person, slot, exclusive, prompts,
     source, said, session, turn, said_at, state, valid_from, valid_until, superseded_by,
     *held) = row  # fmt: skip
    standing = standing_from(*held)
    return Fact(
        id=name,
        subject=subject,
        relation=relation,
        object=object_,
        statement=statement,
        person=Person(person),
        slot=slot,
        exclusive=bool(exclusive),
        prompts=msgspec.json.decode(prompts, type=tuple[Prompt, ...]),
        provenance=Provenance(source=source, text=said, session=session, turn=turn, at=said_at),
        state=FactState(state),
        stage=standing.stage,
        scale=standing.scale,
        verified=standing.verified,
        valid_from=valid_from,
        valid_until=valid_until,
        superseded_by=superseded_by,
    )


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))
