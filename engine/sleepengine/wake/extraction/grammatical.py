"""The reader for small models: the project's own grammar, which knows what it does not understand."""

from __future__ import annotations

from datetime import date

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
        for clause, sentence in cut(own):
            read = self._clause(clause, sentence, turn, [c.fact for c in found] or list(context.last))
            found += read.candidates
            passed += read.passed
        return Reading(tuple(found), tuple(passed))

    def _clause(self, clause: str, sentence: str, turn: str, before: list[Parsed]) -> Reading:
        if sentence.rstrip().endswith("?"):
            return Reading(passed=(Passed(clause, "it is a question", telling=False),))
        if (reason := marks.disowned(sentence)) is not None:
            return Reading(passed=(Passed(clause, reason),))
        correction = corrected(sentence, before)
        statement = correction or as_wish(clause) or resolved(clause, before) or clause
        certainty = Certainty.HEDGED if marks.hedged(sentence) else Certainty.CERTAIN
        found: list[Candidate] = []
        passed: list[Passed] = []
        for part in split_statements(statement) or [statement]:
            part = resolved(part, [*before, *(c.fact for c in found)]) or part
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
