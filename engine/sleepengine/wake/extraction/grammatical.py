"""The reader for small models: the project's own grammar, which knows what it does not understand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import itemgetter

import msgspec

from sleepengine.errors import StatementRefused
from sleepengine.memory.facts import Parsed
from sleepengine.wake.extraction import marks
from sleepengine.wake.extraction.behaviour import as_wish
from sleepengine.wake.extraction.candidates import Candidate, Certainty, Context, Passed, Reading
from sleepengine.wake.extraction.durable import passing
from sleepengine.wake.extraction.reference import corrected, resolved
from sleepengine.wake.extraction.sentences import cut, span_of
from sleepengine.wake.extraction.when import since
from sleepengine.wake.grammar import read_statement, split_statements
from sleepengine.wake.grammar.text import tidy

LONGEST = 8000
"""Characters of a turn that is read; also a bound on the time that reading takes."""


@dataclass(frozen=True)
class _Sentence:
    """A sentence that clauses are cut from, and what its marks say of all of them."""

    text: str
    disowned: str | None
    hedged: bool


class GrammarReader:
    """Implements `candidates.Reader`. `today` dates "since March"."""

    def __init__(self, today: date) -> None:
        self._today = today

    def read(self, turn: str, context: Context) -> Reading:
        """Sentence by sentence; a pronoun may stand for whom the sentence or the turn before spoke of."""
        if len(turn) > LONGEST:
            return Reading(
                passed=(Passed(turn[:LONGEST], "it is too long to be told in talk; it is taken for a document"),)
            )
        turn = tidy(turn, keep_lines=True)
        if marks.off_the_record(turn):
            return Reading(passed=(Passed(turn, "you said that it shall not be remembered"),))
        if marks.joking(turn):
            return Reading(passed=(Passed(turn, "it is marked as a joke"),))
        own, reason = marks.own_part(turn)
        passed = [Passed(turn, reason)] if reason else []
        if marks.in_play(turn, context):
            return Reading(passed=(*passed, Passed(own, "it is said in a game")))
        found: list[Candidate] = []
        for text, clauses in groupby(cut(own), key=itemgetter(1)):
            sentence = _Sentence(text, marks.disowned(text), marks.hedged(text))
            for clause, _ in clauses:
                read = self._clause(clause, sentence, turn, [c.fact for c in found] or list(context.last))
                found += read.candidates
                passed += read.passed
        return Reading(tuple(found), tuple(passed))

    def _clause(self, clause: str, sentence: _Sentence, turn: str, before: list[Parsed]) -> Reading:
        if sentence.text.rstrip().endswith("?"):
            return Reading(passed=(Passed(clause, "it is a question", telling=False),))
        if sentence.disowned is not None:
            return Reading(passed=(Passed(clause, sentence.disowned),))
        correction = corrected(sentence.text, before)
        statement = correction or as_wish(clause) or resolved(clause, before) or clause
        certainty = Certainty.HEDGED if sentence.hedged else Certainty.CERTAIN
        found: list[Candidate] = []
        passed: list[Passed] = []
        for part in split_statements(statement) or [statement]:
            near = [c.fact for c in found]  # of the same sentence: they go before what was said earlier
            part = resolved(part, near) or resolved(part, [*before, *near]) or part
            try:
                read = read_statement(part)
            except StatementRefused as refusal:
                passed.append(Passed(part, str(refusal), telling=False))
                continue
            if (reason := passing(read)) is not None:
                passed.append(Passed(part, reason))
                continue
            fact = msgspec.structs.replace(read.parsed, since=since(part, self._today))
            corrects = before[-1] if correction else None
            found.append(Candidate(fact, clause, span_of(clause, turn), certainty, corrects))
        return Reading(tuple(found), tuple(passed))
