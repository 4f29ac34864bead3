"""The reader for models of about a billion parameters and more: what the grammar cannot read, the model restates.

The model is held to a schema and only puts the user's words into plain sentences; it decides nothing. Each sentence goes
through the same grammar, the same marks and the same gate as the user's own, and every word of an object must have been
said. So both readers give the same kind of candidate, and a model that invents is refused, not believed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

import msgspec

from sleepengine.wake.extraction import marks
from sleepengine.wake.extraction.candidates import Candidate, Context, Passed, Reading
from sleepengine.wake.extraction.gate import ungrounded
from sleepengine.wake.extraction.grammatical import GrammarReader
from sleepengine.wake.extraction.sentences import cut

Messages = tuple[tuple[str, str], ...]
Generate = Callable[[Messages, str], str]
"""Chat messages (role, content) and a JSON schema in, the text of a reply that follows the schema out."""

MOST: Final = 6
"""Sentences that one turn may be restated as."""
SCHEMA: Final = json.dumps(
    {
        "x-guidance": {"whitespace_flexible": False},  # no tokens for blanks
        "type": "object",
        "properties": {
            "statements": {"type": "array", "maxItems": MOST, "items": {"type": "string", "maxLength": 120}}
        },
        "required": ["statements"],
        "additionalProperties": False,
    }
)
_TASK: Final = """\
Restate what the user says about themselves, their people and their things as short plain sentences in the first person, \
one fact each, in the user's own words. Leave out questions, wishes, guesses, jokes, quotations, moods and what is only \
so today. If nothing lasting is said, give an empty list."""
_EXAMPLES: Final[tuple[tuple[str, list[str]], ...]] = (
    ("My wife, who I met in Oslo, teaches maths.", ["My wife teaches maths."]),
    ("Ugh, my knee hurts. Is it going to rain?", []),
    ("Berlin is where I grew up, but these days home is Graz.", ["I grew up in Berlin.", "I live in Graz."]),
)


class _Reply(msgspec.Struct, frozen=True):
    statements: tuple[str, ...]


class RestatingReader:
    """Implements `candidates.Reader` over the grammar's reader and a model."""

    def __init__(self, grammar: GrammarReader, generate: Generate) -> None:
        self._grammar = grammar
        self._generate = generate

    def read(self, turn: str, context: Context) -> Reading:
        """What the grammar reads, and of the sentences that it could not read what the model can restate."""
        first = self._grammar.read(turn, context)
        left = [passed.text for passed in first.passed if self._may_tell(passed)]
        if not left or marks.off_the_record(turn) or marks.joking(turn) or marks.in_play(turn, context):
            return first
        found: list[Candidate] = list(first.candidates)
        for statement in self._restated(" ".join(left)):
            restated = self._grammar.read(statement, Context(last=context.last))
            found += [c for c in restated.candidates if _new(c, found) and ungrounded(c.fact, turn, context) is None]
        return Reading(tuple(found), first.passed)

    def _restated(self, text: str) -> tuple[str, ...]:
        shown = tuple(
            message
            for said, statements in _EXAMPLES
            for message in (("user", said), ("assistant", json.dumps({"statements": statements})))
        )
        reply = self._generate((("system", _TASK), *shown, ("user", text)), SCHEMA)
        try:
            return msgspec.json.decode(reply, type=_Reply).statements
        except msgspec.DecodeError:
            return ()  # cut off by the limit of tokens: nothing of it is whole

    def _may_tell(self, passed: Passed) -> bool:
        """Whether the grammar passed over words because it did not understand them, not because of what they say."""
        if passed.telling or passed.text.rstrip().endswith("?"):
            return False
        return all(marks.disowned(sentence) is None and not marks.hedged(sentence) for _, sentence in cut(passed.text))


def _new(candidate: Candidate, found: list[Candidate]) -> bool:
    return all(candidate.fact.statement != other.fact.statement for other in found)
