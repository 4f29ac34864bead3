from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from sleepengine.errors import StaleProposal
from sleepengine.memory.facts import Fact, FactState, Stage, Verified
from sleepengine.memory.ledger import CycleRow, Learned, Ledger, Refusal, Turn
from sleepengine.memory.view import EditRef, View
from tests.unit.ledger_cases import AT, BOTH, MODEL, advance, blob, learned, make_fact


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ticks = itertools.count()
    opened = Ledger.open(tmp_path / "ledger.db", clock=lambda: f"2026-01-01T00:00:00.{next(ticks) % 1000:03}+00:00")
    yield opened
    opened.close()


def taught(ledger: Ledger, *facts: Fact, generation: str | None = None) -> list[str]:
    ledger.add_pending(facts)
    return ledger.commit_learned(MODEL, generation, [learned(fact) for fact in facts])


def slept(ledger: Ledger, *advances: object, generation: str | None = "night") -> int:
    cycle = ledger.begin_cycle("sleep", AT)
    return ledger.commit_cycle(cycle, MODEL, generation and blob(generation), advances, {"n": len(advances)}, AT)  # type: ignore[arg-type]


def events(ledger: Ledger, fact: Fact) -> list[str]:
    return [entry.event for entry in ledger.history(fact.id)]


def test_fact_comes_back_as_it_was_added(ledger: Ledger) -> None:
    fact = make_fact("carpenter")
    ledger.add_pending([fact])
    assert ledger.fact(fact.id) == fact
    assert ledger.facts([FactState.PENDING]) == [fact]
    assert ledger.pending_count() == 1
    assert ledger.live_view(MODEL) == View()
    assert ledger.fact("f-nobody") is None


def test_known_id_is_refused_and_nothing_of_its_batch_is_kept(ledger: Ledger) -> None:
    first, second = make_fact("carpenter"), make_fact("baker")
    ledger.add_pending([first])
    for batch in ([second, first], [second, second]):
        with pytest.raises(ValueError, match="already"):
            ledger.add_pending(batch)
    assert ledger.facts([FactState.PENDING]) == [first]


def test_only_pending_facts_can_be_added(ledger: Ledger) -> None:
    ledger.add_pending([make_fact("carpenter")])
    taught(ledger, other := make_fact("baker", subject="Mona Reyes"))
    active = ledger.fact(other.id)
    assert active is not None
    with pytest.raises(ValueError, match="pending"):
        ledger.add_pending([active])


def test_learned_fact_is_active_and_in_the_view(ledger: Ledger) -> None:
    fact = make_fact("carpenter")
    assert taught(ledger, fact) == []
    stored = ledger.fact(fact.id)
    assert stored is not None
    assert (stored.state, stored.stage, stored.scale, stored.verified) == (FactState.ACTIVE, Stage.ACTIVE, 1.0, BOTH)
    edit = EditRef(fact_id=fact.id, blob=blob(f"edit {fact.id}"), scale=1.0)
    assert ledger.live_view(MODEL) == View(edits=(edit,))
    assert ledger.counts() == {Stage.ACTIVE: 1, Stage.CONSOLIDATING: 0, Stage.CONSOLIDATED: 0}
    assert ledger.referenced_blobs() == {edit.blob}
    assert events(ledger, fact) == ["added", "learned"]


def test_unverified_fact_stays_pending_with_a_note(ledger: Ledger) -> None:
    fact = make_fact("carpenter")
    ledger.add_pending([fact])
    note = "two of three questions failed"
    verified = Verified(raw=True)
    ledger.commit_learned(MODEL, None, [Learned(fact_id=fact.id, blob=None, verified=verified, note=note)])
    stored = ledger.fact(fact.id)
    assert stored is not None
    assert (stored.state, stored.scale, stored.verified) == (FactState.PENDING, 0.0, verified)
    assert ledger.history(fact.id)[-1].detail == note
    assert ledger.live_view(MODEL) == View()


def test_new_value_of_an_exclusive_slot_supersedes_active_and_pending_ones(ledger: Ledger) -> None:
    active, waiting, new, stranger = (
        make_fact("carpenter"),
        make_fact("baker"),
        make_fact("sailor"),
        make_fact("nurse", subject="Mona Reyes"),
    )
    taught(ledger, active, stranger)
    ledger.add_pending([waiting])
    assert ledger.in_slot(active.slot) == [ledger.fact(active.id), waiting]
    assert taught(ledger, new) == [active.id, waiting.id]
    old = ledger.fact(active.id)
    assert old is not None
    assert (old.state, old.scale, old.superseded_by) == (FactState.SUPERSEDED, 0.0, new.id)
    assert [edit.fact_id for edit in ledger.live_view(MODEL).edits] == [stranger.id, new.id]
    assert ledger.in_slot(active.slot) == [ledger.fact(new.id)]
    assert events(ledger, active) == ["added", "learned", "superseded"]


def test_last_said_value_wins_whatever_the_order_of_learning(ledger: Ledger) -> None:
    first, second = make_fact("carpenter"), make_fact("baker")
    ledger.add_pending([first, second])
    assert ledger.commit_learned(MODEL, None, [learned(second), learned(first)]) == [first.id]
    late = make_fact("sailor")
    ledger.add_pending([late])
    assert ledger.commit_learned(MODEL, None, [learned(first)]) == []
    assert [edit.fact_id for edit in ledger.live_view(MODEL).edits] == [second.id]
    assert events(ledger, first)[-1] == "dropped"


def test_slot_that_holds_many_values_keeps_them(ledger: Ledger) -> None:
    likes = [make_fact(value, exclusive=False) for value in ("tea", "jazz", "rain")]
    assert taught(ledger, *likes) == []
    assert len(ledger.live_view(MODEL).edits) == 3


def test_failed_commit_changes_nothing(ledger: Ledger) -> None:
    old, new = make_fact("carpenter"), make_fact("baker")
    taught(ledger, old)
    ledger.add_pending([new])
    before = ledger.live_view(MODEL), ledger.facts(list(FactState)), ledger.history(old.id)
    bad = Learned(fact_id=new.id, blob="short", verified=BOTH)
    for batch in ([learned(new), learned(make_fact("ghost"))], [learned(new), learned(new)], [bad]):
        with pytest.raises(ValueError):
            ledger.commit_learned(MODEL, None, batch)
        assert (ledger.live_view(MODEL), ledger.facts(list(FactState)), ledger.history(old.id)) == before


def test_query_finds_every_word_in_any_case(ledger: Ledger) -> None:
    ledger.add_pending(facts := [make_fact("STRASSENBAHN driver"), make_fact("baker", subject="Mona Reyes")])
    find = lambda query: ledger.facts([FactState.PENDING], query)  # noqa: E731
    assert find("idris straßenbahn") == facts[:1]
    assert find("WORKS") == facts
    assert find("idris baker") == []
    assert find("") == facts
    assert ledger.facts([]) == []


def test_cycle_advances_facts_under_a_new_generation(ledger: Ledger) -> None:
    one, two = make_fact("carpenter"), make_fact("nurse", subject="Mona Reyes")
    taught(ledger, one, two)
    assert slept(ledger, advance(one, 1, 0.1), advance(two, 0, 1.0)) == 1
    assert ledger.generation(MODEL) == (1, blob("night"))
    assert ledger.live_view(MODEL) == View(
        generation=blob("night"),
        edits=(
            EditRef(fact_id=one.id, blob=blob(f"night {one.id}"), scale=0.1),
            EditRef(fact_id=two.id, blob=blob(f"night {two.id}"), scale=1.0),
        ),
    )
    assert ledger.counts() == {Stage.ACTIVE: 1, Stage.CONSOLIDATING: 1, Stage.CONSOLIDATED: 0}
    assert ledger.history(one.id)[-1].detail == "cycle 1: stage 0, scale 1 -> stage 1, scale 0.1"
    assert ledger.cycle() == CycleRow(1, "sleep", AT, AT, "committed", {"n": 2})


def test_dissolved_edit_leaves_the_view_and_is_not_missed(ledger: Ledger) -> None:
    taught(ledger, fact := make_fact("carpenter"))
    slept(ledger, advance(fact, 2, 0.0, None))
    assert ledger.live_view(MODEL) == View(generation=blob("night"))
    assert ledger.needing_edit(MODEL) == []
    slept(ledger, generation="next night")
    assert ledger.generation(MODEL) == (2, blob("next night"))


def test_pending_fact_that_sleep_taught_becomes_active_and_supersedes(ledger: Ledger) -> None:
    old, new, failed = make_fact("carpenter"), make_fact("baker"), make_fact("nurse", subject="Mona Reyes")
    taught(ledger, old)
    ledger.add_pending([new, failed])
    slept(ledger, advance(old, 0, 1.0), advance(new, 1, 0.0, None), advance(failed, 0, 0.0, None))
    states = [f.state for f in ledger.facts(list(FactState))]
    assert states == [FactState.SUPERSEDED, FactState.ACTIVE, FactState.PENDING]
    assert ledger.live_view(MODEL).edits == ()


def test_cycle_that_forgets_a_fact_of_the_view_is_stale(ledger: Ledger) -> None:
    early, late = make_fact("carpenter"), make_fact("nurse", subject="Mona Reyes")
    taught(ledger, early)
    cycle = ledger.begin_cycle("sleep", AT)
    taught(ledger, late)
    before = ledger.live_view(MODEL)
    with pytest.raises(StaleProposal) as caught:
        ledger.commit_cycle(cycle, MODEL, blob("night"), [advance(early, 1, 0.1)], {}, AT)
    assert caught.value.fact_ids == (late.id,)
    assert ledger.live_view(MODEL) == before
    assert ledger.open_cycle() is not None
    ledger.commit_cycle(cycle, MODEL, blob("night"), [advance(early, 1, 0.1), advance(late, 0, 1.0)], {}, AT)
    assert len(ledger.live_view(MODEL).edits) == 2


def test_wake_edit_for_another_generation_is_stale(ledger: Ledger) -> None:
    slept(ledger)
    ledger.add_pending([fact := make_fact("carpenter")])
    with pytest.raises(StaleProposal):
        ledger.commit_learned(MODEL, None, [learned(fact)])
    assert ledger.pending_count() == 1
    ledger.commit_learned(MODEL, blob("night"), [learned(fact)])
    assert len(ledger.live_view(MODEL).edits) == 1


def test_fact_corrected_during_sleep_is_not_revived_but_suppressed_beside_what_took_its_place(ledger: Ledger) -> None:
    old, new = make_fact("carpenter"), make_fact("baker")
    taught(ledger, old)
    cycle = ledger.begin_cycle("sleep", AT)
    taught(ledger, new)
    ledger.commit_cycle(cycle, MODEL, blob("night"), [advance(old, 1, 0.1), advance(new, 0, 1.0)], {}, AT)
    assert [edit.fact_id for edit in ledger.live_view(MODEL).edits] == [new.id]
    (suspect,) = ledger.needing_suppression(MODEL)  # the new value's gate may stay shut where the adapter still tells
    assert (suspect.id, suspect.state, suspect.scale) == (old.id, FactState.SUPERSEDED, 0.0)
    ledger.commit_learned(MODEL, blob("night"), [learned(old, "hush", suppress=True)])
    assert ledger.needing_suppression(MODEL) == []
    assert [edit.blob for edit in ledger.live_view(MODEL).edits] == [blob(f"hush {old.id}"), blob(f"night {new.id}")]
    ledger.forget([new.id], AT)
    assert [edit.blob for edit in ledger.live_view(MODEL).edits] == [blob(f"hush {old.id}")]
    again = make_fact("tailor")
    ledger.add_pending([again])
    ledger.commit_learned(MODEL, blob("night"), [learned(again)])
    assert [edit.fact_id for edit in ledger.live_view(MODEL).edits] == [old.id, again.id]
    assert ledger.needing_edit(MODEL) == []


def test_silencing_a_fact_must_spare_what_the_adapter_knows_of_the_same_subject(ledger: Ledger) -> None:
    gone, kept = make_fact("carpenter"), make_fact("cello", exclusive=False)
    edited, stranger = make_fact("tea", exclusive=False), make_fact("baker", subject="Mara Lindqvist")
    for one in (gone, kept, edited, stranger):
        taught(ledger, one)
    cycle = ledger.begin_cycle("sleep", AT)
    advances = [advance(f, 1, 0.1) for f in (gone, kept, stranger)] + [advance(edited, 0, 1.0)]
    ledger.commit_cycle(cycle, MODEL, blob("night"), advances, {}, AT)
    ledger.forget([gone.id], AT)
    (suspect,) = ledger.needing_suppression(MODEL)
    assert [f.id for f in ledger.known_beside([suspect], MODEL)] == [kept.id]
    assert ledger.known_beside([suspect], "another model") == []


def test_scale_needs_an_edit_and_lies_between_0_and_1(ledger: Ledger) -> None:
    taught(ledger, fact := make_fact("carpenter"))
    cycle = ledger.begin_cycle("sleep", AT)
    for bad in (
        advance(fact, 1, 0.1, None),
        advance(fact, 1, 1.1),
        advance(fact, 1, -0.1),
        advance(fact, 1, float("nan")),
    ):
        with pytest.raises(ValueError):
            ledger.commit_cycle(cycle, MODEL, blob("night"), [bad], {}, AT)
    assert ledger.generation(MODEL) == (0, None)


def test_suppression_is_for_retired_facts_only(ledger: Ledger) -> None:
    taught(ledger, fact := make_fact("carpenter"))
    with pytest.raises(ValueError, match="suppressed"):
        ledger.commit_learned(MODEL, None, [learned(fact, suppress=True)])
    cycle = ledger.begin_cycle("sleep", AT)
    with pytest.raises(ValueError, match="suppressed"):
        ledger.commit_cycle(cycle, MODEL, None, [advance(fact, 0, 1.0, suppress=True)], {}, AT)


def test_cycles_are_one_at_a_time_and_end_once(ledger: Ledger) -> None:
    assert ledger.cycle() is None
    cycle = ledger.begin_cycle("nap", AT)
    with pytest.raises(ValueError, match="open already"):
        ledger.begin_cycle("sleep", AT)
    ledger.note_phase(cycle, "sws", AT)
    ledger.note_phase(cycle, "rem", AT)
    assert ledger.phases(cycle) == [("sws", AT), ("rem", AT)]
    assert ledger.open_cycle() == CycleRow(cycle, "nap", AT, None, None, None)
    assert ledger.cycle() is None
    ledger.end_cycle(cycle, "rejected", {"why": ["perplexity"]}, AT)
    assert ledger.open_cycle() is None
    assert ledger.cycle(cycle) == ledger.cycle() == CycleRow(cycle, "nap", AT, AT, "rejected", {"why": ["perplexity"]})
    for late in (
        lambda: ledger.end_cycle(cycle, "aborted", {}, AT),
        lambda: ledger.note_phase(cycle, "rem", AT),
        lambda: ledger.commit_cycle(cycle, MODEL, None, [], {}, AT),
        lambda: ledger.end_cycle(99, "aborted", {}, AT),
        lambda: ledger.end_cycle(ledger.begin_cycle("nap", AT), "committed", {}, AT),
    ):
        with pytest.raises(ValueError):
            late()
    assert ledger.cycle(99) is None


def test_undo_restores_generation_stages_scales_and_states(ledger: Ledger) -> None:
    held, waiting = make_fact("carpenter"), make_fact("nurse", subject="Mona Reyes")
    taught(ledger, held)
    ledger.add_pending([waiting])
    before = ledger.live_view(MODEL), ledger.facts(list(FactState))
    slept(ledger, advance(held, 1, 0.1), advance(waiting, 1, 0.5))
    assert ledger.undo_target(MODEL) == (0, None)
    assert ledger.undo(MODEL, AT) == 0
    assert (ledger.live_view(MODEL), ledger.facts(list(FactState))) == before
    assert events(ledger, held)[-1] == "undone"
    with pytest.raises(ValueError, match="return to"):
        ledger.undo(MODEL, AT)
    assert slept(ledger, advance(held, 1, 0.1), generation="third") == 2, "numbers are never reused"


def test_undo_goes_back_night_by_night(ledger: Ledger) -> None:
    taught(ledger, fact := make_fact("carpenter"))
    slept(ledger, advance(fact, 1, 0.1, "first"), generation="first")
    view = ledger.live_view(MODEL)
    slept(ledger, advance(fact, 2, 0.0, None), generation="second")
    assert ledger.undo(MODEL, AT) == 1
    assert ledger.live_view(MODEL) == view
    assert ledger.undo(MODEL, AT) == 0
    assert ledger.live_view(MODEL).edits == (EditRef(fact_id=fact.id, blob=blob(f"edit {fact.id}")),)


def test_facts_learned_since_need_an_edit_after_an_undo(ledger: Ledger) -> None:
    slept(ledger)
    taught(ledger, lost := make_fact("carpenter"), generation=blob("night"))
    taught(ledger, kept := make_fact("nurse", subject="Mona Reyes"), generation=blob("night"))
    ledger.undo(MODEL, AT, [learned(kept, "again")])
    assert [edit.blob for edit in ledger.live_view(MODEL).edits] == [blob(f"again {kept.id}")]
    assert [fact.id for fact in ledger.needing_edit(MODEL)] == [lost.id]


def test_no_undo_brings_a_forgotten_fact_back(ledger: Ledger) -> None:
    taught(ledger, fact := make_fact("carpenter"))
    slept(ledger, advance(fact, 2, 0.0, None), generation="first")
    slept(ledger, generation="second")
    ledger.forget([fact.id], AT)
    assert [f.id for f in ledger.needing_suppression(MODEL)] == [fact.id]
    ledger.commit_learned(MODEL, blob("second"), [learned(fact, "hush", suppress=True)])
    before = ledger.live_view(MODEL)
    with pytest.raises(StaleProposal) as caught:
        ledger.undo(MODEL, AT)
    assert caught.value.fact_ids == (fact.id,)
    assert ledger.live_view(MODEL) == before
    assert ledger.undo(MODEL, AT, [learned(fact, "hush too", suppress=True)]) == 1
    assert [edit.blob for edit in ledger.live_view(MODEL).edits] == [blob(f"hush too {fact.id}")]
    stored = ledger.fact(fact.id)
    assert stored is not None
    assert stored.state is FactState.FORGOTTEN


def test_undo_passes_over_what_was_retired_since(ledger: Ledger) -> None:
    forgotten, replaced = make_fact("carpenter"), make_fact("nurse", subject="Mona Reyes")
    taught(ledger, forgotten, replaced)
    slept(ledger, advance(forgotten, 0, 1.0), advance(replaced, 0, 1.0))
    ledger.forget([forgotten.id], AT)
    taught(ledger, make_fact("pilot", subject="Mona Reyes"), generation=blob("night"))
    assert ledger.undo(MODEL, AT) == 0
    assert ledger.live_view(MODEL) == View()
    assert ledger.needing_suppression(MODEL) == []
    stored = [ledger.fact(fact.id) for fact in (forgotten, replaced)]
    assert [fact and fact.state for fact in stored] == [FactState.FORGOTTEN, FactState.SUPERSEDED]


def test_rebuilt_generation_ends_suppression_and_its_undo_restores_it(ledger: Ledger) -> None:
    taught(ledger, fact := make_fact("carpenter"))
    slept(ledger, advance(fact, 2, 0.0, None), generation="first")
    ledger.forget([fact.id], AT)
    ledger.commit_learned(MODEL, blob("first"), [learned(fact, "hush", suppress=True)])
    view = ledger.live_view(MODEL)
    slept(ledger, advance(fact, 0, 0.0, None, suppress=True), generation="rebuilt")
    assert ledger.live_view(MODEL).edits == ()
    assert ledger.needing_suppression(MODEL) == []
    ledger.undo(MODEL, AT)
    assert ledger.live_view(MODEL) == view


def test_released_generations_give_up_their_blobs(ledger: Ledger) -> None:
    taught(ledger, fact := make_fact("carpenter"))
    for name in ("one", "two", "three", "four"):
        slept(ledger, advance(fact, 1, 0.1, name), generation=name)
    ledger.release_generations(MODEL)
    kept = {blob(name) for name in ("two", "three", "four")}
    assert ledger.referenced_blobs() == kept | {blob(f"{name} {fact.id}") for name in ("two", "three", "four")}
    assert [ledger.undo(MODEL, AT), ledger.undo(MODEL, AT)] == [3, 2]
    assert ledger.undo_target(MODEL) is None
    assert slept(ledger, advance(fact, 1, 0.1), generation="five") == 5


def test_forgotten_fact_leaves_the_view_and_then_its_words_the_file(ledger: Ledger, tmp_path: Path) -> None:
    secret, other = make_fact("xylographer"), make_fact("nurse", subject="Mona Reyes")
    taught(ledger, secret, other)
    ledger.commit_learned(MODEL, None, [learned(secret, None, note="it said xylographer twice")])
    with pytest.raises(ValueError, match="not forgotten"):
        ledger.redact([secret.id], AT)
    ledger.forget([secret.id], AT)
    assert [edit.fact_id for edit in ledger.live_view(MODEL).edits] == [other.id]
    assert blob(f"edit {secret.id}") not in ledger.referenced_blobs()
    stored = ledger.fact(secret.id)
    assert stored is not None
    assert stored.prompts == secret.prompts, "unlearning needs them"
    ledger.redact([secret.id], AT)
    stored = ledger.fact(secret.id)
    assert stored is not None
    assert (stored.statement, stored.prompts, stored.provenance.text) == ("", (), "")
    assert events(ledger, secret) == ["added", "learned", "not learned", "forgotten", "redacted"]
    for path in tmp_path.iterdir():
        assert b"xylographer" not in path.read_bytes(), path
    with pytest.raises(ValueError, match="no fact"):
        ledger.forget(["f-nobody"], AT)


def test_models_hold_facts_apart_and_switching_back_is_instant(ledger: Ledger) -> None:
    taught(ledger, fact := make_fact("carpenter"))
    slept(ledger, advance(fact, 1, 0.1))
    view = ledger.live_view(MODEL)
    ledger.use_model("model-b")
    assert ledger.live_view("model-b") == View()
    assert ledger.counts()[Stage.ACTIVE] == 1
    assert [f.id for f in ledger.needing_edit("model-b")] == [fact.id]
    ledger.commit_learned("model-b", None, [learned(fact, "other")])
    assert ledger.needing_edit("model-b") == []
    assert ledger.live_view("model-b").edits[0].blob == blob(f"other {fact.id}")
    assert ledger.live_view(MODEL) == view
    ledger.use_model(MODEL)
    stored = ledger.fact(fact.id)
    assert stored is not None
    assert (stored.stage, stored.scale) == (Stage.CONSOLIDATING, 0.1)
    taught(ledger, make_fact("baker"), generation=blob("night"))
    assert ledger.live_view("model-b").edits == (), "a superseded value leaves the view of every model"


def test_conversations(ledger: Ledger) -> None:
    assert ledger.latest_session() is None
    first = ledger.open_session("2026-01-01", "Be brief.")
    second = ledger.open_session("2026-01-02", None)
    said = [Turn("user", "hi", "2026-01-02"), Turn("assistant", "Hello.", "2026-01-03")]
    ledger.add_turns(second, said[:1])
    ledger.add_turns(second, said[1:])
    assert ledger.latest_session() == second != first
    assert ledger.turns(first) == [Turn("system", "Be brief.", "2026-01-01")]
    assert ledger.turns(second) == said
    assert [(row.id, row.turns) for row in ledger.sessions()] == [(first, 1), (second, 2)]
    with pytest.raises(ValueError, match="no session"):
        ledger.add_turns("s-nobody", said)
    with pytest.raises(ValueError):
        ledger.add_turns(first, [Turn("poet", "hi", AT)])
    ledger.redact_turns(second, [0])
    assert [turn.text for turn in ledger.turns(second)] == ["[forgotten]", "Hello."]
    assert ledger.expire_sessions("2026-01-03") == 1
    assert [row.id for row in ledger.sessions()] == [second]
    assert ledger.remove_session(second)
    assert not ledger.remove_session(second)
    assert ledger.turns(second) == []


def test_refusals_and_small_values(ledger: Ledger) -> None:
    ledger.refuse("maybe", "not a statement", AT)
    assert ledger.refusals() == [Refusal("maybe", "not a statement", AT)]
    assert ledger.get_value("epoch") is None
    ledger.set_value("epoch", "1")
    ledger.set_value("epoch", "2")
    assert ledger.get_value("epoch") == "2"


def test_everything_survives_closing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    first = Ledger.open(path)
    taught(first, fact := make_fact("carpenter"))
    view, history = first.live_view(MODEL), first.history(fact.id)
    first.close()
    first.close()
    second = Ledger.open(path)
    assert (second.live_view(MODEL), second.history(fact.id)) == (view, history)
    second.close()
