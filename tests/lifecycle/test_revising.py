"""Facts corrected, forgotten, taken back, exported and imported, as a user does it, over the fake engine."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.lifecycle.conftest import Place

CARPENTER = "Idris Larsson works as a carpenter."
BAKER = "Idris Larsson works as a baker."
QUESTION = "What does Idris Larsson work as?"
UNKNOWN = "I do not know."


def states(place: Place, *options: str) -> dict[str, str]:
    return {f["id"]: f["state"] for f in place.sleepc("facts", "--json", *options).json["facts"]}


def consolidate(place: Place) -> None:
    report = place.sleepc("sleep", "--wait", "--json").json
    assert report["outcome"] == "committed", report["reason"]


def on_disk(home: Path, word: str) -> list[str]:
    """The files of a home that hold a word anywhere; a short one only whole, since checksums hold any digits."""
    edge = (rb"(?<![0-9A-Za-z])", rb"(?![0-9A-Za-z])") if len(word) < 6 else (b"", b"")
    whole = re.compile(re.escape(word.encode()).join(edge))
    return [p.name for p in home.rglob("*") if p.is_file() and whole.search(p.read_bytes())]


def test_correct_by_the_new_value_alone_in_every_stage(place: Place) -> None:
    place.start()
    (old,) = place.remember(CARPENTER)
    done = place.sleepc("correct", "--json", old["id"], "baker").json
    (new,) = done["facts"]
    assert (done["superseded"], new["statement"], new["state"]) == ([old["id"]], BAKER, "active")
    assert place.ask(QUESTION) == BAKER
    consolidate(place)
    consolidate(place)
    assert place.status()["facts"]["consolidated"] == 1
    (newest,) = place.sleepc("correct", "--json", new["id"], "Idris Larsson works as a tailor.").json["facts"]
    assert place.ask(QUESTION) == "Idris Larsson works as a tailor."
    why = place.sleepc("why", "--json", newest["id"]).json
    assert [v["id"] for v in why["values"]] == [old["id"], new["id"], newest["id"]]
    assert [v["until"] is None for v in why["values"]] == [False, False, True]
    assert place.sleepc("correct", new["id"], "mason").code == 7
    assert place.sleepc("correct", newest["id"], "Is he a mason?").code == 7
    assert place.sleepc("correct", "f-none", "mason").code == 6


def test_a_forgotten_fact_is_gone_from_answers_lists_and_the_disk(place: Place) -> None:
    place.start()
    (fact,) = place.remember(CARPENTER)
    (other,) = place.remember("Mara Lindqvist lives in Lisbon.")
    done = place.sleepc("forget", "--json", fact["id"]).json
    (gone,) = done["facts"]
    assert (gone["id"], gone["state"], gone["gone"], gone["suppressed"]) == (fact["id"], "forgotten", True, False)
    assert {p["channel"] for p in gone["probes"]} == {"raw", "chat"}
    assert place.ask(QUESTION) == UNKNOWN
    assert states(place) == {other["id"]: "active"}
    assert states(place, "--all")[fact["id"]] == "forgotten"
    assert place.sleepc("forget", fact["id"]).code == 6
    assert place.sleepc("forget").code == 2
    place.sleepd("stop")
    assert on_disk(place.home, "carpenter") == []


def test_a_consolidated_fact_is_suppressed_at_once_and_no_undo_import_or_sleep_returns_it(place: Place) -> None:
    place.start()
    (fact,) = place.remember(CARPENTER)
    export = place.home.parent / "facts.jsonl"
    assert place.sleepc("facts", "--export", str(export)).code == 0
    consolidate(place)
    consolidate(place)
    assert place.ask(QUESTION, "--view", "no-edits") == CARPENTER
    (gone,) = place.sleepc("forget", "--json", fact["id"]).json["facts"]
    assert (gone["gone"], gone["suppressed"]) == (True, True)
    assert place.ask(QUESTION) == UNKNOWN
    assert place.sleepd("restart").code == 0
    assert place.ask(QUESTION) == UNKNOWN
    refused = place.sleepc("facts", "--import", str(export), "--json")
    assert refused.code == 7
    assert "forgotten" in refused.json["refused"][0]["reason"]
    assert place.ask(QUESTION) == UNKNOWN
    (again,) = place.remember(CARPENTER)  # saying it anew does
    assert again["id"] != fact["id"]
    assert place.ask(QUESTION) == CARPENTER


def test_forget_by_query_session_time_and_all(place: Place) -> None:
    place.start()
    place.remember(CARPENTER, "Mara Lindqvist lives in Lisbon.", "Mara Lindqvist works as a pilot.")
    done = place.sleepc("forget", "--json", "--query", "mara lisbon").json["facts"]
    assert [f["statement"] for f in done] == ["Mara Lindqvist lives in Lisbon."]
    assert place.sleepc("forget", "--json", "--since", "2999-01-01").json["facts"] == []
    assert place.sleepc("forget", "--json", "--session", "s-none").json["facts"] == []
    assert place.sleepc("forget", "--since", "yesterday").code == 2
    assert len(place.sleepc("forget", "--json", "--all").json["facts"]) == 2
    assert states(place) == {}


def test_taking_back_restores_what_was_replaced(place: Place) -> None:
    place.start()
    (old,) = place.remember(CARPENTER)
    (new,) = place.remember(BAKER)
    done = place.sleepc("undo", "--json", new["id"]).json
    assert (done["fact"]["id"], done["restored"]["id"], done["restored"]["state"]) == (new["id"], old["id"], "active")
    assert place.ask(QUESTION) == CARPENTER
    assert states(place) == {old["id"]: "active"}
    assert place.sleepc("undo", "--json", new["id"]).code == 7


def test_an_export_teaches_another_home(place: Place) -> None:
    place.start()
    (fact, other) = place.remember(CARPENTER, "My dog is called Biscuit.")
    exported = place.sleepc("facts", "--export", "-")
    assert [json.loads(line)["id"] for line in exported.out.splitlines()] == [fact["id"], other["id"]]
    place.sleepd("stop")
    place.environment["SLEEPD_HOME"] = str(place.home) + "-2"
    assert place.sleepd("config", "set", "backend", "fake").code == 0
    try:
        place.start()
        taken = place.sleepc("facts", "--import", "-", "--json", stdin=exported.out)
        assert [f["state"] for f in taken.json["facts"]] == ["active", "active"]
        assert place.ask(QUESTION) == CARPENTER
        assert place.ask("What is my dog called?") == "My dog is called Biscuit."
        twice = place.sleepc("facts", "--import", "-", "--json", stdin=exported.out).json
        assert [f["id"] for f in twice["facts"]] == [fact["id"], other["id"]]
        spoilt = json.dumps(json.loads(exported.out.splitlines()[0]) | {"object": "mason"})
        assert "object" in place.sleepc("facts", "--import", "-", stdin=spoilt).err
        assert place.sleepc("facts", "--import", "-", stdin="{}").code == 2
    finally:
        place.sleepd("stop")


def test_a_secret_reaches_no_file(place: Place) -> None:
    place.start()
    done = place.sleepc("remember", "--json", "My password is hunter2hunter.", CARPENTER)
    assert "password" in done.json["refused"][0]["reason"]
    listed = place.sleepc("facts", "--refused", "--json").json["refused"]
    assert [r["text"] for r in listed] == ["My password is [secret]"]
    place.sleepd("stop")
    assert on_disk(place.home, "hunter2hunter") == []
    with closing(sqlite3.connect(place.home / "ledger.db")) as ledger:
        assert ledger.execute("SELECT count(*) FROM facts").fetchone() == (1,)
