"""The reader of chat turns: how it does on the labelled conversations, and the cases that taught it something."""

from __future__ import annotations

import time
from datetime import date

import pytest

from sleepengine.wake.extraction.candidates import Certainty, Context, Reading
from sleepengine.wake.extraction.grammatical import LONGEST, GrammarReader
from tests.unit.conversation_set import DEVELOP, HELD_BACK
from tests.unit.extraction_score import run

TODAY = date(2026, 11, 24)


def read(*turns: str) -> Reading:
    """What the last of some turns is read as."""
    reader, context = GrammarReader(TODAY), Context()
    reading = Reading()
    for turn in turns:
        reading = reader.read(turn, context)
        context = Context((*context.before, turn), tuple(c.fact for c in reading.candidates))
    return reading


def facts(*turns: str) -> list[str]:
    return [c.fact.statement for c in read(*turns).candidates if c.certainty is Certainty.CERTAIN]


@pytest.mark.parametrize(("path", "recall"), [(DEVELOP, 0.95), (HELD_BACK, 0.80)], ids=["develop", "held-back"])
def test_the_labelled_conversations(path, recall: float) -> None:
    score = run(GrammarReader(TODAY), path)
    assert score.precision >= 0.95, f"{len(score.false)} false of {score.right + len(score.false)}"
    assert score.recall >= recall, f"{len(score.missed)} missed"


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        (("I live in Graz, I work as a cook and I have two sons.",),
         ["I live in Graz.", "I work as a cook.", "I have two sons."]),
        (("nope, my flatmate is called Ruben",), ["My flatmate is called Ruben."]),
        (("I have a cat.", "Her name is Mog."), ["My cat's name is Mog."]),
        (("My sister lives in Oslo and she works as a vet.",),
         ["My sister lives in Oslo.", "My sister works as a vet."]),
        (("My car is a Fiat.", "Actually it is a Seat."), ["My car is a Seat."]),
        (("You can call me Liz.",), ["I want to be called Liz."]),
        (("Please answer in German from now on.",), ["I want to be answered in German."]),
        (("Since March I have worked at a museum.",), ["I have worked at a museum since March."]),
        (("We moved to Bristol in 2019 from Leeds.", "Actually it was 2018."),
         ["We moved to Bristol in 2018 from Leeds."]),
        (("I live in Leeds.", "Actually it was 2018."), []),
        (("Hey there, I'm a nurse.",), ["I am a nurse."]),
        (("Anna is my sister and Bert is her husband.",), ["Anna is my sister.", "Bert is Anna's husband."]),
        (("My boss is Karen O'Neill, she's from Cork.",), ["My boss is Karen O'Neill.", "My boss is from Cork."]),
        (("My boss is Karen.", "My brother's name is Jonas and he is a carpenter."),
         ["My brother's name is Jonas.", "My brother is a carpenter."]),
        (("Lotte's best friend is Emil.", "He lives in Bonn."), []),
        (("Emma's teacher is called Mr Brandt.", "She loves horses."), []),
        (("I can't stand cilantro.",), ["I hate cilantro."]),
        (("And keep your answers short.",), ["I prefer short answers."]),
        (("Please don't use emojis.",), ["I dislike emojis."]),
        (("I have a meeting with the accountant on 3 December.",),
         ["I have a meeting with the accountant on 3 December."]),
        (("My favourite author is Ursula Le Guin and my favourite book of hers is The Dispossessed.",),
         ["My favourite author is Ursula Le Guin."]),
        (("My exam is next Tuesday.",), []),
        (("My flight to Lisbon leaves on Friday at 7:40.",), []),
        (("I play tennis on Thursdays.",), ["I play tennis on Thursdays."]),
        (("By the way, I'm allergic to nuts, so no cake for me.",), ["I am allergic to nuts."]),
    ],
)  # fmt: skip
def test_reads(turns: tuple[str, ...], expected: list[str]) -> None:
    assert facts(*turns) == expected


@pytest.mark.parametrize(
    "turns",
    [
        ("Where do I live?",),
        ("If I had a horse I would call it Comet.",),
        ('She wrote: "I live in Portland."',),
        ("My ship is made of cheese, just kidding.",),
        ("My sister isn't a doctor.",),
        ("Thanks, you are a star!",),
        ("You said that my sister is a chemist.",),
        ("Summarise this:\nMarie Curie was born in Warsaw. Her husband was Pierre.",),
        ("My tutor says that I live in a zoo.",),
        ("I think my car is a Volvo.",),
        ("My car is a Volvo, I think.",),
        ("Let's play a game.", "I am the captain of the Black Gull."),
        ("For example, my name is Anna.",),
        ("I have three apples. How many are left if I eat one?",),
        ("Dear Sir, I am writing to apply. My name is John Doe.",),
        ("Don't remember this, but my name is Ann.",),
        ("I'm tired.",),
        ("The boiler is making a strange noise.",),
        ("I like the second one.",),
        ("He is a doctor.",),
        ("```\nname = 'Bob'\n```",),
        ("Write it in German.",),
    ],
)
def test_passes_over(turns: tuple[str, ...]) -> None:
    assert facts(*turns) == []


def test_a_game_ends() -> None:
    assert facts("Let's play a game.", "I am a pirate.", "Stop the game now.", "I am a nurse.") == ["I am a nurse."]


def test_time_span_questions_and_cloze() -> None:
    turn = "Oh, I've lived in Bergen since May 2020, you know."
    (candidate,) = read(turn).candidates
    assert candidate.fact.since == "2020-05"
    assert turn[candidate.span.start : candidate.span.end].startswith("I've lived in Bergen")
    assert candidate.cloze == "I have lived in"
    assert "Where have I lived since May 2020?" in candidate.questions
    (march,) = read("Since March I have worked at a museum.").candidates
    assert march.fact.since == "2026-03"
    (december,) = read("Since December I have worked at a museum.").candidates
    assert december.fact.since == "2025-12"


def test_what_was_a_statement_is_told_with_its_reason_and_small_talk_is_not() -> None:
    assert [(p.text, p.telling) for p in read("I'm tired.").passed] == [("I'm tired.", True)]
    assert [p.telling for p in read("Lovely weather!").passed] == [False]
    assert [p.reason for p in read("The moon is made of cheese ;)").passed] == ["it is marked as a joke"]


@pytest.mark.parametrize(
    "turn",
    [
        "I like tea, my sister likes jam, we went out, he said so, " * 130,
        "my cat, my dog, my hat, my coat, " * 240,
        "so my, and my, but my, I, he, " * 260,
    ],
)
def test_a_long_turn_of_many_commas_is_read_in_time(turn: str) -> None:
    begun = time.process_time()
    read(turn[:LONGEST])
    assert time.process_time() - begun < 3.0  # ten times what an idle machine needs; it was quadratic
