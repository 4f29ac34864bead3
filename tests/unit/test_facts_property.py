"""Any sequence of remembering, correcting, forgetting, taking back, sleeping, undoing and crashing keeps memory sound.

The statements go through the grammar and the gate, as what a user says does. After each step: one valid value a slot,
every edit that counts belongs to a fact that holds (or suppresses one that does not), the view is what the ledger says,
and nothing that was forgotten is held, unless it was said again.
"""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sleepd.facts.learning import Heard, Told, accept
from sleepengine.errors import StaleProposal, StorageFailed
from sleepengine.memory import failpoints
from sleepengine.memory.facts import Fact, FactState, Provenance, Stage, Verified, fact_from
from sleepengine.memory.ledger import Advance, Learned, Ledger
from sleepengine.wake.grammar import parse_statement

MODEL, AT = "model-a", "2026-01-02T03:04:05.000+00:00"
HELD = (FactState.ACTIVE, FactState.PENDING)
STATEMENTS = [
    "I live in Leeds.",
    "I reside in York.",
    "The garage code is 4821.",
    "The garage code is 7730.",
    "I like olives.",
    "I hate olives.",
]
"""Few, so that they meet: two values of one slot, in other words too, and two that contradict each other."""


class Memory(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.db"
        self.ledger = Ledger.open(self.path)
        self.names = (hashlib.sha256(str(n).encode()).hexdigest() for n in itertools.count())
        self.gone: set[str] = set()

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()

    def learned(self, fact: Fact, good: bool, *, suppress: bool = False) -> Learned:
        return Learned(
            fact_id=fact.id,
            blob=next(self.names) if good else None,
            verified=Verified(raw=good, chat=good),
            suppress=suppress,
        )

    def held(self) -> list[Fact]:
        return self.ledger.facts(HELD)

    @rule(statement=st.sampled_from(STATEMENTS), good=st.booleans())
    def remember(self, statement: str, good: bool) -> None:
        told = Told(parse_statement(statement), Provenance(source="chat", text=statement, at=AT))
        (fact,), _ = accept(self.ledger, Heard(told=[told]))
        if fact.state is FactState.PENDING:
            _, generation = self.ledger.generation(MODEL)
            self.ledger.commit_learned(MODEL, generation, [self.learned(fact, good)])

    @precondition(lambda self: self.held())
    @rule(data=st.data(), statement=st.sampled_from(STATEMENTS))
    def correct(self, data: st.DataObject, statement: str) -> None:
        old = data.draw(st.sampled_from(self.held()))
        new = fact_from(parse_statement(statement), Provenance(source="correct", text=statement, at=AT))
        others = [f for f in self.ledger.in_slot(new.slot) if new.exclusive and f.id != old.id]
        self.ledger.correct([old.id, *(f.id for f in others)], new, AT)

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        fact = data.draw(st.sampled_from(self.ledger.facts((*HELD, FactState.SUPERSEDED))))
        self.ledger.forget([fact.id], AT)
        self.ledger.redact(self.ledger.redactable(), AT)
        self.gone.add(fact.id)

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        fact = data.draw(st.sampled_from(self.held()))
        self.ledger.take_back(fact.id, AT)
        self.gone.add(fact.id)

    @rule(good=st.booleans())
    def catch_up(self, good: bool) -> None:
        """What the worker does whenever a host comes up."""
        _, generation = self.ledger.generation(MODEL)
        pending = self.ledger.facts([FactState.PENDING])
        outcomes = [
            self.learned(f, good) for f in {f.id: f for f in (*pending, *self.ledger.needing_edit(MODEL))}.values()
        ]
        self.ledger.commit_learned(MODEL, generation, outcomes)
        silenced = [self.learned(f, good, suppress=True) for f in self.ledger.needing_suppression(MODEL)]
        self.ledger.commit_learned(MODEL, generation, silenced)

    @rule(stage=st.sampled_from(list(Stage)), forgetful=st.booleans())
    def sleep(self, stage: Stage, forgetful: bool) -> None:
        """A night that teaches everything held; `forgetful`: the adapter was rebuilt without what no longer holds."""
        cycle = self.ledger.begin_cycle("sleep", AT)
        scale = 0.0 if stage is Stage.CONSOLIDATED else 1.0
        advances = [
            Advance(
                fact_id=f.id, stage=stage, scale=scale, blob=next(self.names) if scale else None,
                verified=Verified(raw=True, chat=True),
            )
            for f in self.held()
        ]  # fmt: skip
        retired = [f for f in self.ledger.facts(list(FactState)) if f.state not in HELD]
        for fact in retired:
            live = fact.id in {ref.fact_id for ref in self.ledger.live_view(MODEL).edits}
            if forgetful or live:
                advances.append(
                    Advance(
                        fact_id=fact.id, stage=Stage.ACTIVE if forgetful else fact.stage,
                        scale=0.0 if forgetful else 1.0, blob=None if forgetful else next(self.names),
                        verified=Verified(), suppress=True,
                    )
                )  # fmt: skip
        try:
            self.ledger.commit_cycle(cycle, MODEL, next(self.names), advances, {}, AT)
        except StaleProposal:
            self.ledger.end_cycle(cycle, "rejected", {}, AT)

    @precondition(lambda self: self.ledger.undo_target(MODEL) is not None)
    @rule()
    def undo(self) -> None:
        try:
            self.ledger.undo(MODEL, AT)
        except (
            StaleProposal
        ) as stale:  # the daemon makes suppressing edits under the earlier generation, and tries again
            again = [fact for name in stale.fact_ids if (fact := self.ledger.fact(name)) is not None]
            self.ledger.undo(MODEL, AT, [self.learned(fact, True, suppress=True) for fact in again])

    @precondition(lambda self: self.held())
    @rule(data=st.data(), step=st.sampled_from(("before_begin", "before_commit")))
    def crash(self, data: st.DataObject, step: str) -> None:
        """A forgetting that dies before its commit; what dies after it is the same as a restart."""
        fact = data.draw(st.sampled_from(self.held()))
        before = self.ledger.facts(list(FactState)), self.ledger.live_view(MODEL)
        with failpoints.armed(f"ledger.{step}=eio"), pytest.raises(StorageFailed):
            self.ledger.forget([fact.id], AT)
        self.restart()
        assert (self.ledger.facts(list(FactState)), self.ledger.live_view(MODEL)) == before

    @rule()
    def restart(self) -> None:
        self.ledger.close()
        self.ledger = Ledger.open(self.path)

    @invariant()
    def one_valid_value_a_slot(self) -> None:
        slots = Counter(fact.slot for fact in self.held() if fact.exclusive)
        assert all(count == 1 for count in slots.values()), slots

    @invariant()
    def the_view_holds_what_holds_and_silences_what_does_not(self) -> None:
        held = {fact.id for fact in self.ledger.facts([FactState.ACTIVE])}
        retired = {f.id for f in self.ledger.facts([FactState.SUPERSEDED, FactState.FORGOTTEN])}
        view = self.ledger.live_view(MODEL)
        assert {ref.fact_id for ref in view.edits} <= held | retired
        assert {ref.blob for ref in view.edits} <= self.ledger.referenced_blobs()
        pending = {fact.id for fact in self.ledger.facts([FactState.PENDING])}
        assert not self.ledger.edit_blobs(pending) & {ref.blob for ref in view.edits}

    @invariant()
    def forgotten_is_forgotten(self) -> None:
        states = {fact.id: fact.state for fact in self.ledger.facts(list(FactState))}
        assert all(states[fact_id] is FactState.FORGOTTEN for fact_id in self.gone)

    @invariant()
    def what_held_before_says_until_when(self) -> None:
        for fact in self.ledger.facts([FactState.SUPERSEDED]):
            assert fact.valid_until is not None
            assert fact.superseded_by is not None
        assert all(fact.valid_until is None for fact in self.held())


Memory.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestMemory = Memory.TestCase
