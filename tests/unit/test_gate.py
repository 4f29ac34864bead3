"""The write gate: grounding, certainty, secrets, duplicates in other words, contradictions."""

from __future__ import annotations

import msgspec
import pytest

from sleepengine.memory.facts import Fact, FactState, Provenance, fact_from
from sleepengine.wake.extraction.candidates import Candidate, Certainty, Context, Span
from sleepengine.wake.extraction.gate import compare, judge
from sleepengine.wake.grammar import parse_statement


def held(statement: str, state: FactState = FactState.ACTIVE) -> Fact:
    fact = fact_from(parse_statement(statement), Provenance(source="chat", text=statement, at="2026-01-01T00:00:00Z"))
    return msgspec.structs.replace(fact, state=state)


def candidate(statement: str, certainty: Certainty = Certainty.CERTAIN) -> Candidate:
    return Candidate(parse_statement(statement), statement, Span(0, len(statement)), certainty)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("My dog is called Biscuit.", "The name of my dog is Biscuit."),
        ("My dog is called Biscuit.", "My dog's name is biscuit."),
        ("I live in Leeds.", "I reside in Leeds."),
        ("I work as a florist.", "I am a florist."),
        ("I love hiking.", "I enjoy hiking."),
        ("Mara's favourite food is ramen.", "The favorite food of Mara is ramen."),
        ("My wife is Claire.", "I am married to Claire."),
        ("I drive a red Volvo.", "I am driving a red Volvo."),
    ],
)
def test_a_rephrasing_is_a_duplicate(old: str, new: str) -> None:
    known = held(old)
    assert compare(parse_statement(new), [known]).same == known


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("I live in Leeds.", "I am based in York."),
        ("The garage code is 4821.", "The garage code is 7730."),
        ("I work as a florist.", "My job is gardener."),
        ("I like olives.", "I hate olives."),
        ("I want to be called Sam.", "I want to be called Max."),
    ],
)
def test_a_contradiction_replaces(old: str, new: str) -> None:
    known = held(old)
    verdict = compare(parse_statement(new), [known])
    assert (verdict.reason, verdict.same, verdict.replaced) == (None, None, (known,))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("I like olives.", "I like capers."),
        ("My dog is called Biscuit.", "My cat is called Biscuit."),
        ("Anna loves Tom.", "Tom loves Anna."),
        ("I used to live in Bremen.", "I live in Bremen."),
        ("I am a nurse.", "I am a vegetarian."),
    ],
)
def test_what_goes_together_stays(old: str, new: str) -> None:
    verdict = compare(parse_statement(new), [held(old)])
    assert (verdict.same, verdict.replaced) == (None, ())


def test_a_correction_replaces_what_it_corrects() -> None:
    old = held("My car is a Fiat.")
    seat = Candidate(
        parse_statement("My car is a Seat."), "it is a Seat", Span(0, 1), corrects=parse_statement(old.statement)
    )
    context = Context(("My car is a Fiat.",), (parse_statement(old.statement),))
    assert judge(seat, "Actually it is a Seat.", context, [old]).replaced == (old,)


def test_what_no_longer_holds_is_not_compared_with() -> None:
    old = held("I live in Leeds.", FactState.SUPERSEDED)
    assert compare(parse_statement("I live in Leeds."), [old]).same is None


def test_only_the_users_own_words_are_grounds() -> None:
    fact = candidate("My dog is called Biscuit.")
    assert judge(fact, "My dog is called Biscuit.", Context(), ()).reason is None
    assert "Biscuit" in (judge(fact, "My dog is lovely.", Context(), ()).reason or "").title()
    named = candidate("My cat's name is Mog.")
    assert "cat" in (judge(named, "Her name is Mog.", Context(), ()).reason or "")
    context = Context(("I have a cat.",), (parse_statement("I have a cat."),))
    assert judge(named, "Her name is Mog.", context, ()).reason is None


def test_the_unsure_and_the_secret_are_refused() -> None:
    unsure = candidate("My car is a Volvo.", Certainty.HEDGED)
    assert "not sure" in (judge(unsure, "My car is a Volvo, I think.", Context(), ()).reason or "")
    plain = candidate("My car is a Volvo.")
    assert "password" in (judge(plain, "My car is a Volvo and my password is hunter2.", Context(), ()).reason or "")


def test_a_correction_of_another_word_than_the_object_replaces_the_fact() -> None:
    old = held("We moved to Bristol in 2019.")
    fixed = parse_statement("We moved to Bristol in 2018.")
    turn = "Actually it was 2018."
    one = Candidate(fixed, turn, Span(0, len(turn)), corrects=parse_statement("We moved to Bristol in 2019."))
    assert judge(one, turn, Context(), [old]).replaced == (old,)
    unchanged = Candidate(parse_statement(old.statement), turn, Span(0, len(turn)), corrects=one.corrects)
    assert judge(unchanged, turn, Context(), [old]).same == old
    assert judge(Candidate(fixed, turn, Span(0, len(turn))), turn, Context(), [old]).reason is not None
