"""The ledger against a model of it small enough to be obviously right, over random histories."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sleepengine.errors import StaleProposal
from sleepengine.memory.facts import Fact, FactState, Stage
from sleepengine.memory.ledger import Advance, Learned, Ledger
from sleepengine.memory.view import EditRef, View
from tests.unit.ledger_cases import AT, BOTH, MODEL, blob, make_fact

PEOPLE = ("Idris Larsson", "Mona Reyes")
SCALES = (0.0, 0.1, 1.0)


@dataclass
class Known:
    fact: Fact
    state: FactState = FactState.PENDING
    stage: int = 0
    scale: float = 0.0
    blobs: dict[str | None, str] = field(default_factory=dict)
    history: int = 1
    by: Known | None = None  # what superseded it

    @property
    def held(self) -> bool:
        return self.state in (FactState.PENDING, FactState.ACTIVE)


@dataclass
class Night:
    """What an undo of one cycle returns to."""

    number: int
    generation: str | None
    facts: list[tuple[Known, FactState, int, float]]


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.db"
        self.ledger = Ledger.open(self.path)
        self.names = (blob(f"blob {n}") for n in itertools.count())
        self.known: list[Known] = []
        self.generation: str | None = None
        self.number = 0
        self.newest = 0
        self.nights: list[Night] = []

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()

    def chosen(self, data: st.DataObject) -> list[Known]:
        return data.draw(st.lists(st.sampled_from(self.known), unique_by=id, max_size=4))

    def activate(self, taught: Known) -> None:
        taught.state = FactState.ACTIVE
        self.supersede_older(taught)

    def supersede_older(self, taught: Known) -> None:
        for older in self.known[: self.known.index(taught)]:
            same = taught.fact.exclusive and older.fact.slot == taught.fact.slot
            if same and older.state in (FactState.PENDING, FactState.ACTIVE):
                older.state, older.scale, older.blobs, older.by = FactState.SUPERSEDED, 0.0, {}, taught

    @rule(person=st.sampled_from(PEOPLE), exclusive=st.booleans())
    def add(self, person: str, exclusive: bool) -> None:
        fact = make_fact(f"trade {len(self.known)}", subject=person, exclusive=exclusive)
        self.ledger.add_pending([fact])
        self.known.append(Known(fact))

    @precondition(lambda self: self.known)
    @rule(data=st.data(), verified=st.booleans())
    def learn(self, data: st.DataObject, verified: bool) -> None:
        chosen = self.chosen(data)
        outcomes = [
            Learned(fact_id=known.fact.id, blob=next(self.names) if verified else None, verified=BOTH)
            for known in chosen
        ]
        before = {known.fact.id for known in self.known if known.state is FactState.SUPERSEDED}
        superseded = self.ledger.commit_learned(MODEL, self.generation, outcomes)
        named = {outcome.fact_id: outcome.blob for outcome in outcomes}
        for known in self.known:
            taught = named.get(known.fact.id)
            if taught is None and known.fact.id in named and known.held:
                self.supersede_older(known)
            if taught is not None and known.held:
                if known.state is FactState.ACTIVE:
                    known.stage = 0
                known.scale = 1.0
                known.blobs[self.generation] = taught
                self.activate(known)
        after = {known.fact.id for known in self.known if known.state is FactState.SUPERSEDED}
        assert set(superseded) == after - before

    @precondition(lambda self: self.known)
    @rule(data=st.data(), complete=st.booleans())
    def sleep(self, data: st.DataObject, complete: bool) -> None:
        cycle = self.ledger.begin_cycle("sleep", AT)
        live = [known for known in self.known if known.scale > 0.0]
        slept = self.chosen(data)
        if complete:
            slept += [known for known in live if known not in slept]
        advances = {}
        for known in slept:
            scale, stage = data.draw(st.sampled_from(SCALES)), data.draw(st.integers(0, 2))
            name = next(self.names) if scale else None
            advances[known.fact.id] = Advance(
                fact_id=known.fact.id, stage=Stage(stage), scale=scale, blob=name, verified=BOTH
            )
        generation = next(self.names)
        retired = self.superseded_by_sleep(advances)
        missing = {k.fact.id for k in live if k.fact.id not in advances and k.fact.id not in retired}
        if missing:
            with pytest.raises(StaleProposal) as caught:
                self.ledger.commit_cycle(cycle, MODEL, generation, list(advances.values()), {}, AT)
            assert set(caught.value.fact_ids) == missing
            self.ledger.end_cycle(cycle, "rejected", {}, AT)
            return
        number = self.ledger.commit_cycle(cycle, MODEL, generation, list(advances.values()), {"n": 1}, AT)
        assert number == self.newest + 1
        self.newest = number
        slept_on = [(k, k.state, k.stage, k.scale) for k in self.known if k.fact.id in advances]
        self.nights.append(Night(self.number, self.generation, slept_on))
        self.number, self.generation = number, generation
        for known in self.known:
            if (advance := advances.get(known.fact.id)) is not None:
                self.advance(known, advance)

    def superseded_by_sleep(self, advances: dict[str, Advance]) -> set[str]:
        """The facts that newly active ones of the cycle push out of the view."""
        retired = set()
        for at, known in enumerate(self.known):
            advance = advances.get(known.fact.id)
            if (
                advance
                and known.state is FactState.PENDING
                and (advance.stage or advance.scale)
                and known.fact.exclusive
            ):
                retired |= {older.fact.id for older in self.known[:at] if older.fact.slot == known.fact.slot}
        return retired

    def advance(self, known: Known, advance: Advance) -> None:
        known.stage = advance.stage
        if known.state in (FactState.SUPERSEDED, FactState.FORGOTTEN):
            return
        known.scale = advance.scale
        if advance.blob is not None:
            known.blobs[self.generation] = advance.blob
        if known.state is FactState.PENDING and (advance.stage or advance.scale):
            self.activate(known)

    @rule()
    def reject(self) -> None:
        self.ledger.end_cycle(self.ledger.begin_cycle("nap", AT), "rejected", {}, AT)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        chosen = self.chosen(data)
        self.ledger.forget([known.fact.id for known in chosen], AT)
        for known in chosen:
            known.state, known.scale, known.blobs = FactState.FORGOTTEN, 0.0, {}

    @precondition(lambda self: any(known.held for known in self.known))
    @rule(data=st.data(), person=st.sampled_from(PEOPLE), exclusive=st.booleans())
    def correct(self, data: st.DataObject, person: str, exclusive: bool) -> None:
        old = data.draw(st.sampled_from([known for known in self.known if known.held]))
        fact = make_fact(f"trade {len(self.known)}", subject=person, exclusive=exclusive)
        self.ledger.correct([old.fact.id], fact, AT)
        new = Known(fact)
        self.known.append(new)
        old.state, old.scale, old.blobs, old.by = FactState.SUPERSEDED, 0.0, {}, new

    @precondition(lambda self: any(known.held for known in self.known))
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        taken = data.draw(st.sampled_from([known for known in self.known if known.held]))
        taken.state, taken.scale, taken.blobs = FactState.FORGOTTEN, 0.0, {}
        filled = {known.fact.slot for known in self.known if known.held and known.fact.exclusive}
        before = [
            known
            for known in self.known
            if known.by is taken
            and known.state is FactState.SUPERSEDED
            and not (known.fact.exclusive and known.fact.slot in filled)
        ]
        restored = self.ledger.take_back(taken.fact.id, AT)
        assert restored == (before[-1].fact.id if before else None)
        if before:
            before[-1].state, before[-1].by = FactState.PENDING, None

    @precondition(lambda self: any(known.state is FactState.FORGOTTEN for known in self.known))
    @rule()
    def redact(self) -> None:
        self.ledger.redact(self.ledger.redactable(), AT)

    @precondition(lambda self: self.nights)
    @rule()
    def undo(self) -> None:
        night = self.nights.pop()
        assert self.ledger.undo(MODEL, AT) == night.number
        self.number, self.generation = night.number, night.generation
        for known, state, stage, scale in night.facts:
            held = (FactState.PENDING, FactState.ACTIVE)
            if state in held and known.held:
                known.state, known.stage, known.scale = state, stage, scale

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.ledger = Ledger.open(self.path)

    @invariant()
    def live_view_is_as_modelled(self) -> None:
        edits = tuple(
            EditRef(fact_id=known.fact.id, blob=known.blobs[self.generation], scale=known.scale)
            for known in self.known
            if known.state is FactState.ACTIVE and known.scale > 0.0 and self.generation in known.blobs
        )
        view = self.ledger.live_view(MODEL)
        assert view == View(generation=self.generation, edits=edits)
        assert {edit.blob for edit in view.edits} <= self.ledger.referenced_blobs()
        assert view.generation is None or view.generation in self.ledger.referenced_blobs()
        assert self.ledger.generation(MODEL) == (self.number, self.generation)

    @invariant()
    def what_nothing_holds_is_listed(self) -> None:
        lost = [
            known.fact.id
            for known in self.known
            if known.state is FactState.ACTIVE
            and (self.generation not in known.blobs if known.scale > 0.0 else known.stage == 0)
        ]
        assert [fact.id for fact in self.ledger.needing_edit(MODEL)] == lost

    @invariant()
    def facts_are_as_modelled(self) -> None:
        stored = self.ledger.facts(list(FactState))
        assert [(f.id, f.state, f.scale) for f in stored] == [(k.fact.id, k.state, k.scale) for k in self.known]
        active = [known for known in self.known if known.state is FactState.ACTIVE]
        assert [f.stage for f in stored if f.state is FactState.ACTIVE] == [known.stage for known in active]
        exclusive = [known.fact.slot for known in active if known.fact.exclusive]
        assert len(exclusive) == len(set(exclusive))
        assert self.ledger.pending_count() == sum(known.state is FactState.PENDING for known in self.known)
        assert sum(self.ledger.counts().values()) == len(active)

    @invariant()
    def history_only_grows(self) -> None:
        for known in self.known:
            length = len(self.ledger.history(known.fact.id))
            assert length >= known.history
            known.history = length


LedgerMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestLedgerAgainstItsModel = LedgerMachine.TestCase
