"""Correcting, taking back, forgetting: what leaves the view, what returns, and when words may be blanked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sleepengine.memory.database import read_only
from sleepengine.memory.facts import FactState
from sleepengine.memory.forgotten import read_record
from sleepengine.memory.ledger import Ledger
from tests.unit.ledger_cases import AT, MODEL, advance, blob, learned, make_fact


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger.db")
    yield opened
    opened.close()


def known(ledger: Ledger, value: str, **rest: object) -> str:
    fact = make_fact(value, **rest)  # type: ignore[arg-type]
    ledger.add_pending([fact])
    ledger.commit_learned(MODEL, ledger.generation(MODEL)[1], [learned(fact)])
    return fact.id


def state(ledger: Ledger, fact_id: str) -> FactState:
    fact = ledger.fact(fact_id)
    assert fact is not None
    return fact.state


def test_correcting_takes_the_old_value_out_of_the_view_before_the_new_one_is_learned(ledger: Ledger) -> None:
    old = known(ledger, "carpenter")
    new = make_fact("baker", subject="Mona Reyes")
    ledger.correct([old], new, AT)
    assert ledger.live_view(MODEL).edits == ()
    assert (state(ledger, old), state(ledger, new.id)) == (FactState.SUPERSEDED, FactState.PENDING)
    stored = ledger.fact(old)
    assert stored is not None
    assert (stored.superseded_by, stored.valid_until) == (new.id, new.valid_from)
    with pytest.raises(ValueError, match="not held"):
        ledger.correct([old], make_fact("tailor"), AT)


def test_a_new_value_that_cannot_be_learned_supersedes_the_old_one_all_the_same(ledger: Ledger) -> None:
    old = known(ledger, "carpenter")
    new = make_fact("baker")
    ledger.add_pending([new])
    assert ledger.commit_learned(MODEL, None, [learned(new, None)]) == [old]
    assert ledger.live_view(MODEL).edits == ()
    assert state(ledger, new.id) is FactState.PENDING


def test_taking_back_a_correction_restores_the_value_before_it(ledger: Ledger) -> None:
    first, second = known(ledger, "carpenter"), known(ledger, "baker")
    assert ledger.take_back(second, AT) == first
    assert (state(ledger, first), state(ledger, second)) == (FactState.PENDING, FactState.FORGOTTEN)
    restored = ledger.fact(first)
    assert restored is not None
    assert (restored.valid_until, restored.superseded_by) == (None, None)


def test_taking_back_does_not_push_aside_a_newer_value(ledger: Ledger) -> None:
    old = known(ledger, "carpenter")
    other = make_fact("baker", subject="Mona Reyes")
    ledger.correct([old], other, AT)
    newest = known(ledger, "tailor")
    assert ledger.take_back(other.id, AT) is None
    assert (state(ledger, old), state(ledger, newest)) == (FactState.SUPERSEDED, FactState.ACTIVE)


def test_a_forgotten_fact_is_recognised_by_its_tombstone_and_by_nothing_else(ledger: Ledger) -> None:
    fact_id = known(ledger, "carpenter")
    assert ledger.was_forgotten(make_fact("carpenter")) is None
    ledger.forget([fact_id], AT)
    ledger.redact(ledger.redactable(), AT)
    assert ledger.was_forgotten(make_fact("Carpenter")) == AT
    assert ledger.was_forgotten(make_fact("baker")) is None


def test_no_word_is_blanked_while_an_adapter_within_reach_may_know_it(ledger: Ledger) -> None:
    fact_id = known(ledger, "carpenter")
    fact = ledger.fact(fact_id)
    assert fact is not None
    first = ledger.begin_cycle("sleep", AT)
    ledger.commit_cycle(first, MODEL, blob("g1"), [advance(fact, 1, 0.0, None)], {}, AT)
    ledger.forget([fact_id], AT)
    assert ledger.redactable() == []  # the live adapter knows it
    assert [f.id for f in ledger.needing_suppression(MODEL)] == [fact_id]
    second = ledger.begin_cycle("sleep", AT)
    assert ledger.redactable() == []
    ledger.commit_cycle(second, MODEL, blob("g2"), [advance(fact, 0, 0.0, None, suppress=True)], {}, AT)
    assert ledger.redactable() == []  # an undo could return to the adapter that knows it
    ledger.release_generations(MODEL, keep_previous=0)
    assert ledger.redactable() == [fact_id]
    ledger.redact([fact_id], AT)
    assert ledger.redactable() == []


def test_nothing_is_blanked_while_a_cycle_may_be_learning_it(ledger: Ledger) -> None:
    fact_id = known(ledger, "carpenter")
    cycle = ledger.begin_cycle("sleep", AT)
    ledger.forget([fact_id], AT)
    assert ledger.redactable() == []
    ledger.end_cycle(cycle, "aborted", {}, AT)
    assert ledger.redactable() == [fact_id]


def test_refusals_that_concern_a_matter_can_be_removed(ledger: Ledger) -> None:
    ledger.refuse("Is Biscuit a dog?", "it is a question", AT)
    ledger.refuse("Is it raining?", "it is a question", AT)
    assert ledger.remove_refusals(lambda text: "Biscuit" in text) == 1
    assert [refusal.text for refusal in ledger.refusals()] == ["Is it raining?"]


def test_another_ledgers_record_of_what_was_forgotten_is_honoured(tmp_path: Path, ledger: Ledger) -> None:
    """By slot and object, whatever the ids are; what was said after it had been forgotten there stays."""
    with closing(Ledger.open(tmp_path / "other.db")) as other:
        gone = [known(other, "carpenter"), known(other, "baker", subject="Mona Reyes")]
        other.forget(gone, "2026-03-01T00:00:00Z")
        known(other, "miller", subject="Nils Holm")
    with closing(read_only(tmp_path / "other.db")) as connection:
        record = read_record(connection)
    assert len(record.times) == 2
    own = known(ledger, "weaver", subject="Tove Berg")
    ledger.forget([own], AT)
    early = known(ledger, "Carpenter", at="2026-01-01T00:00:00Z")
    late = known(ledger, "baker", subject="Mona Reyes", at="2026-04-01T00:00:00+00:00")
    other_value = known(ledger, "smith", subject="Nils Holm", at="2026-01-01T00:00:00Z")
    assert ledger.honour(record, AT) == [early]
    assert ledger.honour(record, AT) == []
    held = [state(ledger, fact_id) for fact_id in (early, late, other_value)]
    assert held == [FactState.FORGOTTEN, FactState.ACTIVE, FactState.ACTIVE]
    for value, subject in (("carpenter", "Idris Larsson"), ("weaver", "Tove Berg")):
        assert ledger.was_forgotten(make_fact(value, subject=subject)) is not None
    ledger.forget([late], "2026-05-01T00:00:00Z")
    assert ledger.was_forgotten(make_fact("baker", subject="Mona Reyes")) == "2026-05-01T00:00:00Z"


def test_what_was_said_anew_is_not_in_the_record(tmp_path: Path, ledger: Ledger) -> None:
    ledger.forget([known(ledger, "carpenter")], AT)
    known(ledger, "carpenter")
    with closing(read_only(tmp_path / "ledger.db")) as connection:
        assert read_record(connection).times == {}
