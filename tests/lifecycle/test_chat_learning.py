"""What is said in chat becomes memory or is refused, and is corrected, forgotten and taken back in words."""

from __future__ import annotations

import json
from typing import Any

from tests.lifecycle.conftest import Place
from tests.lifecycle.test_revising import on_disk
from tests.unit.conversation_set import DATA

UNKNOWN = "I do not know."


def chat(place: Place, *turns: str, resume: bool = False, timeout: float = 60) -> list[dict[str, Any]]:
    """Each turn with its reply and what was learned and refused of it."""
    options = ("-c",) if resume else ()
    said = "".join(f"{turn}\n" for turn in turns)
    done = place.sleepc("chat", "--json", *options, stdin=said, timeout=timeout)
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def known(place: Place) -> set[str]:
    facts = place.sleepc("facts", "--json").json["facts"]
    return {fact["statement"] for fact in facts if fact["state"] == "active"}


def refused(place: Place) -> dict[str, str]:
    listed = place.sleepc("facts", "--refused", "--json").json["refused"]
    return {entry["text"]: entry["reason"] for entry in listed}


def test_talk_is_learned_after_the_reply_and_what_is_not_a_fact_is_not(place: Place) -> None:
    place.start()
    turns = chat(place, "Hello!", "I've just moved to Ghent, by the way.", "I'm tired.", "Where do I live?")
    assert [turn["reply"] for turn in turns] == [UNKNOWN] * 4
    assert [[fact["statement"] for fact in turn["facts"]] for turn in turns] == [
        [], ["I have just moved to Ghent."], [], [],
    ]  # fmt: skip
    assert place.ask("Where have I just moved to?") == "I have just moved to Ghent."
    assert known(place) == {"I have just moved to Ghent."}
    assert refused(place)["I'm tired."] == "it tells how something is at the moment"
    assert "Hello!" not in refused(place)
    (fact,) = place.sleepc("facts", "--json").json["facts"]
    why = place.sleepc("why", "--json", fact["id"]).json
    assert (why["provenance"]["source"], why["provenance"]["turn"]) == ("chat", 2)


def test_a_duplicate_in_other_words_is_not_learned_twice(place: Place) -> None:
    place.start()
    chat(place, "My dog is called Biscuit.", "The name of my dog is Biscuit.")
    assert known(place) == {"My dog is called Biscuit."}
    (fact,) = place.remember("My dog's name is Biscuit.")
    assert known(place) == {"My dog is called Biscuit."}
    assert fact["statement"] == "My dog is called Biscuit."


def test_corrections_in_words(place: Place) -> None:
    place.start()
    chat(place, "My car is a Fiat.", "Actually it is a Seat.", "I live in Leeds.", "I live in York now.")
    assert known(place) == {"My car is a Seat.", "I live in York."}
    assert place.ask("What is my car?") == "My car is a Seat."
    assert place.ask("Where do I live?") == "I live in York."


def test_commands_in_words(place: Place) -> None:
    place.start()
    turns = chat(
        place,
        "remember that Idris Larsson works as a carpenter",
        "Please forget what I said about Idris.",
        "forget what I said about Mara",
        "/remember My bike is red.",
        "/undo",
        "/private My name is Ann.",
    )
    replies = [turn["reply"] for turn in turns]
    assert "/undo f-" in replies[0]
    assert replies[1].startswith("Forgotten: Idris Larsson works as a carpenter.")
    assert "it is gone" in replies[1]
    assert replies[2] == "I remember nothing about that."
    assert replies[4].startswith("Forgotten: My bike is red.")
    assert known(place) == set()
    place.sleepd("stop")
    assert on_disk(place.home, "Idris") == []
    assert on_disk(place.home, "bike is red") == []


def test_undo_in_chat_restores_what_was_replaced(place: Place) -> None:
    place.start()
    turns = chat(place, "I live in Leeds.", "I live in York.", "/undo")
    assert "This holds again: I live in Leeds." in turns[-1]["reply"]
    assert known(place) == {"I live in Leeds."}


def test_asking_first(place: Place) -> None:
    assert place.sleepd("config", "set", "learn", "ask").code == 0
    place.start()
    turns = chat(
        place, "I live in Leeds.", "yes", "My dog is called Rex.", "no", "My cat is called Mog.", "Well.", "yes"
    )
    assert [turn["asked"] for turn in turns] == [
        ["I live in Leeds."], [], ["My dog is called Rex."], [], ["My cat is called Mog."], [], [],
    ]  # fmt: skip
    assert turns[1]["reply"].startswith("I will remember: I live in Leeds.")
    assert turns[3]["reply"] == "I will not remember it."
    assert known(place) == {"I live in Leeds."}
    assert refused(place)["My dog is called Rex."] == "you said no"


def test_learning_off_for_all_and_for_one_conversation(place: Place) -> None:
    place.start()
    done = place.sleepc("chat", "--no-learn", stdin="I live in Leeds.\nremember that my bike is red\n")
    assert done.code == 0
    assert known(place) == {"My bike is red."}
    place.sleepd("stop")
    assert place.sleepd("config", "set", "learn", "off").code == 0
    place.start()
    chat(place, "I live in Leeds.")
    assert known(place) == {"My bike is red."}


def test_none_of_fifty_secrets_reaches_a_file(place: Place) -> None:
    place.start()
    planted = [
        line.split(" | ")
        for line in (DATA / "secrets.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    chat(place, *(said.replace("\\n", " ") for said, _ in planted))
    place.sleepc("remember", *(said.replace("\\n", "\n") for said, _ in planted))
    assert known(place) == set()
    place.sleepd("stop")
    found = {value: files for _, value in planted if (files := on_disk(place.home, value.strip()))}
    assert found == {}


def test_what_was_learned_from_talk_survives_a_restart(place: Place) -> None:
    place.start()
    chat(place, "My dog is called Biscuit.")
    assert place.sleepd("restart").code == 0
    assert place.ask("What is my dog called?") == "My dog is called Biscuit."


def test_the_model_does_not_read_what_is_a_hint_for_people(place: Place) -> None:
    place.start()
    told, asked = chat(place, "Remember that Idris Larsson works as a carpenter.", "count to 1")
    assert "(/undo f-" in told["reply"]
    assert "I will remember: Idris Larsson works as a carpenter." in asked["prompt"]
    assert "/undo" not in asked["prompt"]
