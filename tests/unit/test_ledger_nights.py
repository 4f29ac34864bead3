"""What the ledger knows of a cycle that is under way, of the adapter's age, and of an undo before it is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from sleepengine.memory.facts import Stage
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.records import Checkpoint
from sleepengine.memory.view import View
from tests.unit.ledger_cases import AT, MODEL, advance, blob, learned, make_fact


@pytest.fixture
def ledger(tmp_path: Path):
    opened = Ledger.open(tmp_path / "ledger.db")
    yield opened
    opened.close()


def slept(ledger: Ledger, name: str, *advances, kind: str = "sleep", **report: object) -> int:
    return ledger.commit_cycle(ledger.begin_cycle(kind, AT), MODEL, blob(name), advances, report, AT)


def test_a_checkpoint_lives_as_long_as_its_cycle_and_keeps_its_blobs(ledger: Ledger) -> None:
    assert ledger.checkpoint() is None
    cycle = ledger.begin_cycle("sleep", AT)
    kept = Checkpoint(
        cycle=cycle, model=MODEL, view=View(), facts=("f-1",), settings="s", adapters={"sws train": blob("made")}
    )
    ledger.keep_checkpoint(kept)
    assert ledger.checkpoint() == kept
    assert ledger.referenced_blobs() == {blob("made")}
    ledger.end_cycle(cycle, "aborted", {}, AT)
    assert ledger.checkpoint() is None
    assert ledger.referenced_blobs() == set()
    with pytest.raises(ValueError, match="not open"):
        ledger.keep_checkpoint(kept)


def test_a_commit_ends_the_checkpoint_too(ledger: Ledger) -> None:
    cycle = ledger.begin_cycle("nap", AT)
    ledger.keep_checkpoint(Checkpoint(cycle=cycle, model=MODEL, view=View(), facts=(), settings=""))
    ledger.commit_cycle(cycle, MODEL, blob("night"), [], {}, AT)
    assert ledger.checkpoint() is None


def test_an_adapters_nights_are_counted_since_it_began_from_the_base(ledger: Ledger) -> None:
    assert ledger.nights_on_adapter(MODEL) == 0
    slept(ledger, "one")
    slept(ledger, "two")
    assert ledger.nights_on_adapter(MODEL) == 2
    slept(ledger, "nap", kind="nap")
    assert ledger.nights_on_adapter(MODEL) == 2
    slept(ledger, "fresh", rebuilt="drift")
    assert ledger.nights_on_adapter(MODEL) == 1
    slept(ledger, "next")
    assert ledger.nights_on_adapter(MODEL) == 2
    assert ledger.nights_on_adapter("another model") == 0
    ledger.undo(MODEL, AT)
    assert ledger.nights_on_adapter(MODEL) == 1
    assert ledger.newest_generation(MODEL) == 5


def test_looking_at_an_undo_changes_nothing(ledger: Ledger) -> None:
    assert ledger.preview_undo(MODEL, AT) is None
    old, new = make_fact("carpenter"), make_fact("nurse", subject="Mara Lindqvist")
    ledger.add_pending([old, new])
    ledger.commit_learned(MODEL, None, [learned(old)])
    before = ledger.live_view(MODEL)
    slept(ledger, "night", advance(old, 1, 0.1))
    ledger.commit_learned(MODEL, blob("night"), [learned(new)])
    view, history = ledger.live_view(MODEL), ledger.history(old.id)
    found = ledger.preview_undo(MODEL, AT)
    assert found is not None
    assert (found.generation, found.view) == (0, before)
    assert [f.id for f in found.learn] == [new.id]
    assert found.suppress == ()
    assert ledger.live_view(MODEL) == view
    assert ledger.history(old.id) == history
    ledger.undo(MODEL, AT, [learned(new, "again")])
    after = ledger.live_view(MODEL)
    assert set(before.edits) < set(after.edits)
    assert {e.fact_id for e in after.edits} == {old.id, new.id}


def test_an_adapter_that_was_trained_anew_knows_the_retired_no_more(ledger: Ledger) -> None:
    fact = make_fact("carpenter")
    ledger.add_pending([fact])
    ledger.commit_learned(MODEL, None, [learned(fact)])
    slept(ledger, "night", advance(fact, 1, 0.1))
    ledger.forget([fact.id], AT)
    assert [f.id for f in ledger.still_known(MODEL)] == [fact.id]
    ledger.commit_learned(MODEL, blob("night"), [learned(fact, "hush", suppress=True)])
    assert [f.id for f in ledger.still_known(MODEL)] == [fact.id]
    assert ledger.needing_suppression(MODEL) == []
    slept(ledger, "fresh", advance(fact, 0, 0.0, None), rebuilt="forgotten")
    assert ledger.still_known(MODEL) == []
    assert ledger.needing_suppression(MODEL) == []
    assert ledger.live_view(MODEL) == View(generation=blob("fresh"))
    found = ledger.preview_undo(MODEL, AT)
    assert found is not None
    assert [e.fact_id for e in found.view.edits] == [fact.id]
    assert found.suppress == ()
    assert ledger.fact(fact.id).stage is Stage.ACTIVE  # type: ignore[union-attr]


def test_what_a_nap_was_over_is_suppressed_when_it_is_forgotten(ledger: Ledger) -> None:
    napped, other = make_fact("carpenter"), make_fact("nurse", subject="Mara Lindqvist")
    ledger.add_pending([napped, other])
    ledger.commit_learned(MODEL, None, [learned(napped)])
    slept(ledger, "nap", advance(napped, 0, 1.0), kind="nap")
    ledger.commit_learned(MODEL, blob("nap"), [learned(other)])
    ledger.forget([napped.id, other.id], AT)
    assert [f.id for f in ledger.needing_suppression(MODEL)] == [napped.id]


def test_facts_that_no_sleep_was_over_are_counted(ledger: Ledger) -> None:
    ledger.use_model(MODEL)
    old, new = make_fact("carpenter"), make_fact("nurse", subject="Mara Lindqvist")
    ledger.add_pending([old, new])
    assert ledger.unslept_since("") == 2
    ledger.commit_learned(MODEL, None, [learned(old)])
    slept(ledger, "night", advance(old, 1, 0.1))
    assert ledger.unslept_since("") == 1
    assert ledger.unslept_since(AT) == 0
