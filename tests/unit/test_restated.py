"""A reader that has a model restate what the grammar cannot read, held to a schema, the grammar and the words said."""

from __future__ import annotations

import json
from datetime import date

import pytest

from sleepengine.backends.base import Sampling
from sleepengine.errors import EngineError
from sleepengine.wake.extraction.candidates import Context
from sleepengine.wake.extraction.grammatical import GrammarReader
from sleepengine.wake.extraction.restated import SCHEMA, Messages, RestatingReader

GRANDMOTHER = "My grandmother, who lives in Rome, makes the best gnocchi."


class Restater:
    """Answers with given statements, and notes what it was asked."""

    def __init__(self, *statements: str, raw: str | None = None) -> None:
        self.reply = json.dumps({"statements": statements}) if raw is None else raw
        self.asked: list[Messages] = []

    def __call__(self, messages: Messages, schema: str) -> str:
        assert json.loads(schema)["required"] == ["statements"]
        self.asked.append(messages)
        return self.reply

    def read(self, turn: str) -> list[str]:
        reader = RestatingReader(GrammarReader(date(2026, 11, 24)), self)
        return [c.fact.statement for c in reader.read(turn, Context()).candidates]


def test_what_the_grammar_cannot_read_is_restated_and_read_by_it() -> None:
    model = Restater("My grandmother lives in Rome.", "My grandmother makes the best gnocchi.")
    assert model.read(GRANDMOTHER) == ["My grandmother lives in Rome.", "My grandmother makes the best gnocchi."]
    assert model.asked[0][-1] == ("user", GRANDMOTHER)


def test_what_the_grammar_reads_needs_no_model() -> None:
    model = Restater()
    assert model.read("I live in Graz.") == ["I live in Graz."]
    assert model.asked == []


def test_what_the_model_invents_is_not_believed() -> None:
    assert Restater("My grandmother lives in Naples.", "I am a cook.", "Rome is lovely.").read(GRANDMOTHER) == []


@pytest.mark.parametrize(
    "turn",
    [
        "Where does my grandmother, who lives in Rome, come from?",
        "My grandmother, who lives in Rome, is a spy, just kidding.",
        "Don't remember that my grandmother, who is ill, lives in Rome.",
        "I think my grandmother, who is old, lives in Rome.",
        "I'm tired.",
    ],
)
def test_the_model_is_not_asked_about_what_is_no_assertion(turn: str) -> None:
    model = Restater("My grandmother lives in Rome.")
    assert model.read(turn) == []
    assert model.asked == []


def test_a_reply_that_was_cut_off_gives_nothing() -> None:
    assert Restater(raw='{"statements": ["My grandmother lives in Rome.", "My gra').read(GRANDMOTHER) == []


def test_a_model_is_held_to_the_schema_however_small() -> None:
    pytest.importorskip("llguidance")
    from tests.unit.engine_parts import tiny_backend

    backend = tiny_backend()
    prompt = backend.tokenizer.encode("My grandmother, who lives in Rome.")

    def said(schema: str, limit: int) -> str:
        stream = backend.stream(prompt, backend.bare, Sampling(limit, 0.0, 1, schema))
        return backend.tokenizer.decode([token for token in stream if token is not None])

    small = json.dumps(
        {
            "x-guidance": {"whitespace_flexible": False},
            "type": "object",
            "properties": {"sure": {"type": "boolean"}},
            "required": ["sure"],
            "additionalProperties": False,
        }
    )
    assert json.loads(said(small, 60)).keys() == {"sure"}
    assert said(SCHEMA, 12).lstrip().startswith("{")
    with pytest.raises(EngineError, match="schema"):
        said("{", 4)
