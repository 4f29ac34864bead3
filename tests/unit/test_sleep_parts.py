"""Parts of sleep that need no training: gates, schedules, rows, contrasts, dreams and what the dreamer refuses."""

from __future__ import annotations

import random

import pytest

from sleepengine.backends.base import Anchor, Example
from sleepengine.backends.tokenizer import HFTokenizer
from sleepengine.evaluation.recall import Answer
from sleepengine.memory.facts import Channel, Pool, Provenance, fact_from
from sleepengine.sleep.contrasts import Contrasts, relations
from sleepengine.sleep.dreams import Dream, as_example, couples, is_true, joint_question
from sleepengine.sleep.gates import paper_refusal, refusal
from sleepengine.sleep.measure import Measurement, near_names
from sleepengine.sleep.rows import example, pair, probe
from sleepengine.sleep.settings import FULL, SHORT, SleepSettings
from sleepengine.sleep.training import Batch, Checked, Held, Schedule, train
from sleepengine.wake.grammar import parse_statement
from tests.tiny import tiny_tokenizer
from tests.unit.engine_parts import drain, fact

TOKENIZER = HFTokenizer(tiny_tokenizer(), ())
PEOPLE = tuple(fact(name) for name in ("Idris", "Mara", "Tomas"))
EVERYBODY = "Idris, Mara, Tomas"
LIMITS = SleepSettings(ppl_budget=0.005, lifetime_ppl_budget=0.01, drift_budget=0.1, leak_rise=0.02)


def measured(
    ppl: float = 10.0, drift: float = 0.01, canaries: int = 20, leaked: float = 0.0, right: str = ""
) -> Measurement:
    """A measurement in which the facts named in `right` are recalled in chat."""
    answers = tuple(
        Answer(f, f.prompts_for(Pool.GATE, Channel.CHAT)[0], "", f.subject in right.split(", ")) for f in PEOPLE
    )
    return Measurement(ppl, drift, canaries, answers, leaked, 60)


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (measured(10.04, right=EVERYBODY), None),
        (measured(10.06, right=EVERYBODY), "in one night"),
        (measured(10.04, drift=0.2, right=EVERYBODY), "drifted"),
        (measured(right="Idris, Mara"), None),  # one of a few is coarser than any share
        (measured(right="Idris"), "2 of 3 facts"),
        (measured(leaked=0.02, right=EVERYBODY), None),
        (measured(leaked=0.05, right=EVERYBODY), "near names"),
        (measured(canaries=15, right=EVERYBODY), "canary"),
    ],
)
def test_each_bound_of_the_gate_refuses_alone(after: Measurement, reason: str | None) -> None:
    before = measured(right=EVERYBODY)
    why = refusal(LIMITS, 10.0, before, after, before.recalled(0.5))
    assert (why is None) if reason is None else (why is not None and reason in why)


def test_the_papers_gate_is_its_equation_3_alone() -> None:
    paper = SleepSettings(gate="paper")
    before = measured(right=EVERYBODY)
    assert refusal(paper, 10.0, before, measured(20.0, drift=5.0, leaked=1.0), before.recalled(0.5)) is None
    assert paper_refusal(before, measured(10.9, right="Idris, Mara"), PEOPLE, 0.5) is None
    assert "perplexity" in (paper_refusal(before, measured(11.1, right=EVERYBODY), PEOPLE, 0.5) or "")
    assert "1 of 3" in (paper_refusal(before, measured(right="Idris"), PEOPLE, 0.5) or "")


def test_a_lifetime_of_small_rises_is_refused() -> None:
    assert "above the base" in (refusal(LIMITS, 9.9, measured(), measured(10.04), ()) or "")


# --- rows ---------------------------------------------------------------------------------------------------------


def told(statement: str):
    return fact_from(parse_statement(statement), Provenance(source="test", text=statement, at="2026-01-01T00:00:00Z"))


IDRIS = told("Idris Larsson works as a carpenter.")
MARA = told("Mara Lindqvist lives in Lisbon.")
DOG = told("My dog is called Biscuit.")


def text_of(row: Example | Anchor) -> str:
    return TOKENIZER.decode(row.ids)


def test_a_row_weighs_the_object_one_and_its_frame_together() -> None:
    for prompt in IDRIS.prompts_for(Pool.TRAIN):
        row = example(TOKENIZER, prompt, IDRIS.object, 0.3)
        inside = probe(TOKENIZER, prompt, IDRIS.object)
        assert len(row.weights) == len(row.ids) - row.start
        assert sum(inside.weights) == pytest.approx(1.0)
        framed = prompt.channel is Channel.CHAT
        assert sum(row.weights) == pytest.approx(1.3 if framed else 1.0)
        assert (row.ids[-1] == TOKENIZER.end_of_turn) == framed


def test_a_pair_ends_with_the_objects_first_token() -> None:
    (prompt, *_) = IDRIS.prompts_for(Pool.TRAIN, Channel.CHAT)
    row = pair(TOKENIZER, prompt, IDRIS.object, 0.5)
    full = example(TOKENIZER, prompt, IDRIS.object, 0.5)
    assert full.ids[: len(row.ids)] == row.ids
    assert row.weights[-1] == 1.0
    assert sum(row.weights[:-1]) == pytest.approx(0.5)
    assert IDRIS.object.startswith(TOKENIZER.decode(row.ids[-1:]).strip())


# --- contrasts ----------------------------------------------------------------------------------------------------


def contrasts(*facts, **settings) -> Contrasts:
    return Contrasts(TOKENIZER, facts, facts, SleepSettings(**settings), seed=1)


def test_pairs_are_about_somebody_else_and_never_about_a_known_subject() -> None:
    rows = contrasts(IDRIS, MARA).pairs(60)
    assert len(rows) == 60
    for text in map(text_of, rows):
        assert IDRIS.subject not in text
        assert MARA.subject not in text
    assert len({text_of(r) for r in rows}) > 50
    shared = [t for t in map(text_of, rows) if any(n in t for n in ("Idris", "Larsson", "Mara", "Lindqvist"))]
    assert len(shared) > 30


def test_a_first_person_facts_pairs_are_about_other_owners() -> None:
    rows = contrasts(DOG).pairs(20)
    assert all("my dog" not in text_of(r).lower() and "'s dog" in text_of(r) for r in rows)


def test_other_relations_are_about_the_subject_and_never_about_what_is_known_of_it() -> None:
    job = told("Mara Lindqvist works as a nurse.")
    rows = contrasts(MARA, job, IDRIS).others(80)
    assert len(rows) == 80
    texts = [text_of(r) for r in rows]
    assert all("Mara Lindqvist" in t or "Idris Larsson" in t for t in texts)
    about_mara = [t for t in texts if "Mara Lindqvist" in t]
    assert not [t for t in about_mara if "Where does Mara Lindqvist live?" in t or "for work" in t]
    assert any("Where does Idris Larsson live" in t or "Idris Larsson lives in" in t for t in texts)


def test_a_leak_becomes_the_next_rows_and_an_innocent_reply_does_not() -> None:
    rows = contrasts(IDRIS)
    (asked,) = rows.probes(1)
    assert not rows.mined(asked, "He is a teacher.")
    assert rows.mined(asked, "He works as a Carpenter in Oslo.")
    (leak, *_) = rows.pairs(4)
    assert isinstance(leak, Anchor)
    assert leak.avoid == SleepSettings().mined_unlikelihood
    assert "He works as a" in text_of(leak)
    assert "Oslo" not in text_of(leak)


def test_strangers_may_be_told_that_it_is_not_known() -> None:
    rows = contrasts(IDRIS, strangers="abstain", chat_share=1.0).pairs(5)
    assert all(isinstance(r, Example) and "I don't know that about" in text_of(r) for r in rows)


def test_shipped_relations_have_both_channels() -> None:
    for relation in relations():
        assert relation.chat.endswith("?")
        assert "{s}" in relation.chat
        assert "{s}" in relation.raw
        assert "{S}" in relation.answer


def test_near_names_of_the_gate_are_the_same_again_and_nobody_known() -> None:
    once, again = near_names([IDRIS, MARA], 20), near_names([IDRIS, MARA], 20)
    assert [p for _, p in once] == [p for _, p in again]
    assert len(once) == 20
    assert all(f.subject not in p.text and p.pool is Pool.GATE for f, p in once)
    assert near_names([told("The garage code is 4821.")], 20) == []


# --- dreams -------------------------------------------------------------------------------------------------------


def test_couples_are_different_and_use_every_fact() -> None:
    facts = [told(f"{name} Larsson lives in Lisbon.") for name in ("Idris", "Mara", "Tomas", "Yuki", "Petra")]
    pairs = couples(facts, 8, random.Random(0))
    assert len({frozenset(f.id for f in p) for p in pairs}) == len(pairs) == 8
    assert {f.id for p in pairs for f in p} == {f.id for f in facts}
    assert couples(facts[:1], 8, random.Random(0)) == []


def test_the_dreamer_refuses_what_the_ledger_does_not_say() -> None:
    both, ledger = (IDRIS, MARA), (IDRIS, MARA, DOG)
    assert is_true("Idris Larsson works as a carpenter, and Mara Lindqvist lives in Lisbon.", both, ledger)
    assert not is_true("Idris Larsson works as a carpenter.", both, ledger)
    assert not is_true("Mara Lindqvist works as a carpenter and Idris Larsson lives in Lisbon.", both, ledger)
    assert not is_true("Idris Larsson is a carpenter. Mara Lindqvist lives in Lisbon with Biscuit.", both, ledger)


def test_a_dream_weighs_each_object_alike() -> None:
    answer = "Idris Larsson works as a carpenter. Mara Lindqvist lives in Lisbon."
    row = as_example(TOKENIZER, Dream((), "Who?", answer, (IDRIS, MARA), written=False), 0.3)
    assert sum(row.weights) == pytest.approx(2.3)
    assert "Where does Mara Lindqvist live" in (joint_question((IDRIS, MARA), Pool.TRAIN) or "").replace(
        "where", "Where"
    )


# --- settings and schedules ---------------------------------------------------------------------------------------


def test_steps_follow_facts_and_rows_follow_effort() -> None:
    settings = SleepSettings()
    assert [settings.planned_steps(n) for n in (3, 10, 20)] == [80, 145, 206]
    assert settings.rows == FULL
    assert SleepSettings(effort="short").rows == SHORT
    assert SleepSettings(other_rows=0).rows.others == 0
    assert SleepSettings(steps=7).planned_steps(1000) == 7


def test_the_rate_warms_up_falls_to_nothing_and_may_fall_early() -> None:
    plain = [Schedule(1.0, 100, 8, 20).at(step) for step in range(100)]
    assert plain[0] == pytest.approx(1 / 8, rel=0.01)
    assert max(plain) < 1.0
    assert plain[-1] < 0.001
    early = Schedule(1.0, 100, 8, 20)
    before = early.at(40)
    early.cool_down(40)
    assert early.total == 60
    assert early.at(40) == pytest.approx(before)
    assert early.at(59) < 0.01
    late = Schedule(1.0, 100, 8, 20)
    late.cool_down(90)
    assert late.total == 100


class _Counting:
    """A trainer that only counts its steps."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def prepare(self, anchors):
        yield

    def accumulate(self, rows, scales):
        yield
        return [0.0] * len(rows)

    def step(self, rate: float) -> None:
        self.rates.append(rate)


def test_each_group_of_held_rows_has_its_weight_whatever_its_size() -> None:
    row = Example((1, 2), 1, (1.0,))
    batch = Batch((row, row), (Held((row, row, row), 0.6), Held((row,), 2.0)))
    assert batch.scales == pytest.approx((0.5, 0.5, 0.2, 0.2, 0.2, 2.0))
    assert len(batch.rows) == len(batch.scales)


@pytest.mark.parametrize(("patience", "good", "steps"), [(0, False, 40), (0, True, 40), (2, False, 40), (2, True, 18)])
def test_only_patience_ends_a_training_early(patience: int, good: bool, steps: int) -> None:
    def check():
        yield
        return Checked(1.0, 0.0) if good else Checked(0.0, 0.0)

    trainer = _Counting()
    row = Example((1, 2), 1, (1.0,))
    batches = iter(lambda: Batch((row,)), None)
    work = train(trainer, batches, Schedule(1.0, 40, 4, 10), check, check_every=4, patience=patience)
    assert drain(work).steps == len(trainer.rates) == steps
