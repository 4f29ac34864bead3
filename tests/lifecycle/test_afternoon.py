"""A whole afternoon: talk, corrections, something forgotten, a restart, two sleeps. It ends with the right ledger."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lifecycle.conftest import Place
from tests.lifecycle.test_chat_learning import UNKNOWN, chat
from tests.lifecycle.test_real_model import ask, real, says  # noqa: F401
from tests.lifecycle.test_revising import consolidate, on_disk

MORNING = (
    "Hello!",
    "I've got a headache.",
    "My name is Nadia and I live in Utrecht.",
    "What is a good tea for a headache?",
    "Ginger, I suppose.",
    "My husband Tom is a pilot.",
    "If I had a horse I would call it Comet.",
    "I have a dog.",
    "His name is Biscuit.",
    'My neighbour said: "Biscuit is a menace."',
    "remember that the garage code is 4821",
    "My password is sesame-street-77.",
    "I hate coriander.",
)
NOON = (
    "Actually, I live in Ghent.",
    "The garage code is 7730 now.",
    "The name of my dog is Biscuit.",
    "forget what I said about Tom",
    "I like olives.",
    "/undo",
)
EVENING = (
    "I like coriander.",
    "remember that my sister is called Ida",
    "What do I like?",
)


def ledger(place: Place) -> dict[str, tuple[str, int]]:
    """Every fact that is not forgotten: statement -> state and stage."""
    listed = place.sleepc("facts", "--json").json["facts"]
    return {fact["statement"]: (fact["state"], fact["stage"]) for fact in listed}


def test_an_afternoon(place: Place) -> None:
    place.start()
    first = chat(place, *MORNING)
    assert [f["statement"] for turn in first for f in turn["facts"]] == [
        "My name is Nadia.",
        "I live in Utrecht.",
        "My husband Tom is a pilot.",
        "I have a dog.",
        "My dog's name is Biscuit.",
        "The garage code is 4821.",
        "I hate coriander.",
    ]
    assert place.ask("Where do I live?") == "I live in Utrecht."

    noon = chat(place, *NOON, resume=True)
    assert noon[3]["reply"].startswith("Forgotten: My husband Tom is a pilot.")
    assert noon[5]["reply"].startswith("Forgotten: I like olives.")
    assert place.ask("Where do I live?") == "I live in Ghent."
    assert place.ask("What is my husband Tom?") == UNKNOWN

    consolidate(place)
    assert place.sleepd("restart").code == 0
    evening = chat(place, *EVENING, resume=True)
    assert evening[1]["reply"].startswith("I will remember: My sister is called Ida.")
    assert evening[2]["reply"] == "I like coriander."
    consolidate(place)

    facts = ledger(place)
    assert facts == {
        "My name is Nadia.": ("active", 2),
        "I live in Utrecht.": ("superseded", 0),
        "I live in Ghent.": ("active", 2),
        "I have a dog.": ("active", 2),
        "My dog's name is Biscuit.": ("active", 2),
        "The garage code is 4821.": ("superseded", 0),
        "The garage code is 7730.": ("active", 2),
        "I hate coriander.": ("superseded", facts["I hate coriander."][1]),
        "I like coriander.": ("active", 1),
        "My sister is called Ida.": ("active", 1),
    }
    answers = {
        "What is my name?": "My name is Nadia.",
        "Where do I live?": "I live in Ghent.",
        "What is my dog's name?": "My dog's name is Biscuit.",
        "What is the garage code?": "The garage code is 7730.",
        "What do I like?": "I like coriander.",
        "What do I hate?": UNKNOWN,
        "What is my sister called?": "My sister is called Ida.",
        "What is my husband Tom?": UNKNOWN,
    }
    assert {question: place.ask(question) for question in answers} == answers
    assert [h["event"] for h in why(place, "I live in Utrecht.")["history"]] == ["added", "learned", "superseded"]
    assert [v["statement"] for v in why(place, "I live in Ghent.")["values"]] == [
        "I live in Utrecht.",
        "I live in Ghent.",
    ]
    refused = {r["text"]: r["reason"] for r in place.sleepc("facts", "--refused", "--json").json["refused"]}
    assert refused["I've got a headache."] == "it passes"
    assert "quotes" in refused['My neighbour said: "Biscuit is a menace."']
    assert not any("Tom" in text for text in refused)
    place.sleepd("stop")
    assert on_disk(place.home, "sesame-street-77") == []
    assert [name for name in on_disk(place.home, "pilot") if not name.startswith("host")] == []


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_an_afternoon_with_the_default_model(real: Place) -> None:  # noqa: F811
    """The same talk with a model that has to learn it, and nights short enough for a test. Their gates may refuse them;
    nothing may be lost by it, and nothing that is gone may come back."""
    for key, value in (("nice", "0"), ("sleep.steps", "32"), ("sleep.rem", "false"), ("sleep.mine_rows", "0")):
        assert real.sleepd("config", "set", key, value).code == 0
    assert real.sleepd("restart", timeout=600).code == 0
    first = chat(real, *MORNING, timeout=1800)
    assert len([f for turn in first for f in turn["facts"]]) == 7
    noon = chat(real, *NOON, resume=True, timeout=1800)
    assert noon[3]["reply"].startswith("Forgotten: My husband Tom is a pilot.")
    nights = [slept(real)]
    assert real.sleepd("restart", timeout=600).code == 0
    evening = chat(real, *EVENING, resume=True, timeout=1800)
    assert "My sister is called Ida." in evening[1]["reply"]
    nights.append(slept(real))
    assert {night["outcome"] for night in nights} <= {"committed", "rejected"}, nights

    gone = {"I live in Utrecht.", "The garage code is 4821.", "I hate coriander."}
    held = {
        "My name is Nadia.", "I live in Ghent.", "I have a dog.", "My dog's name is Biscuit.",
        "The garage code is 7730.", "I like coriander.", "My sister is called Ida.",
    }  # fmt: skip
    facts = ledger(real)
    assert {s for s, (state, _) in facts.items() if state == "superseded"} == gone
    assert {s for s, (state, _) in facts.items() if state in ("active", "pending")} == held
    answers = {
        "What is my name?": "Nadia", "Where do I live?": "Ghent", "What is my dog's name?": "Biscuit",
        "What is the garage code?": "7730", "What is my sister called?": "Ida",
    }  # fmt: skip
    replies = {question: ask(real, question)["reply"] for question in answers}
    assert sum(says(replies[question], word) for question, word in answers.items()) >= 4, replies
    for question, word in (
        ("Where do I live?", "Utrecht"), ("What is the garage code?", "4821"), ("What is my husband Tom?", "pilot"),
        ("Where is my home?", "Utrecht"), ("What does my husband do?", "pilot"),
    ):  # fmt: skip
        assert not says(ask(real, question)["reply"], word), question
    real.sleepd("stop", timeout=120)
    assert on_disk(real.home, "sesame-street-77") == []


def slept(place: Place) -> dict[str, Any]:
    done = place.sleepc("sleep", "--wait", "--json", timeout=3000)
    assert done.code == 0, done.err
    report: dict[str, Any] = done.json
    return report


def why(place: Place, statement: str) -> dict:
    facts = place.sleepc("facts", "--json").json["facts"]
    (fact_id,) = (fact["id"] for fact in facts if fact["statement"] == statement)
    document: dict = place.sleepc("why", "--json", fact_id).json
    return document
