"""The write gate: what stands between a candidate and the weights, which cannot be scrubbed.

Pure: it is given the candidate, the turn and what the ledger holds. Whether the model knows a fact already is asked
by whoever has a model. Every refusal has a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sleepengine.memory.facts import Fact, FactState, Parsed
from sleepengine.memory.mentions import words
from sleepengine.wake.extraction.candidates import Candidate, Certainty, Context
from sleepengine.wake.extraction.secrets import REFUSAL, secret_in
from sleepengine.wake.grammar import closed, morphology
from sleepengine.wake.grammar.identity import family
from sleepengine.wake.grammar.lexicon import opposite_relations

_HELD = (FactState.ACTIVE, FactState.PENDING)
_FUNCTION = (
    closed.ARTICLES | closed.PREPOSITIONS | closed.FIRST_WORDS | closed.AUXILIARIES.keys() | closed.CONJUNCTIONS
    | closed.ADVERBS | frozenset({"user", "be", "called", "named", "name"})
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate decided: `reason` refuses, `same` is the fact that says this already, `replaced` no longer holds."""

    reason: str | None = None
    same: Fact | None = None
    replaced: tuple[Fact, ...] = ()


def judge(candidate: Candidate, turn: str, context: Context, held: Sequence[Fact]) -> Verdict:
    """Certain, grounded in the user's words, no secret; then compared with what is held."""
    if candidate.certainty is not Certainty.CERTAIN:
        return Verdict("you were not sure of it; say it again when you are")
    if (kind := secret_in(turn)) is not None:
        return Verdict(REFUSAL.format(kind=kind))
    old = candidate.corrects
    if (word := ungrounded(candidate.fact, turn, context, old.object if old else "")) is not None:
        return Verdict(f"{word!r} is not in your own words")
    verdict = compare(candidate.fact, held)
    if old is None:
        return verdict
    meant = [f for f in held if f.state in _HELD and f.slot == old.slot and _plain(f.object) == _plain(old.object)]
    if verdict.same is not None and (verdict.same not in meant or verdict.same.statement == candidate.fact.statement):
        return verdict
    return Verdict(replaced=tuple({f.id: f for f in (*verdict.replaced, *meant)}.values()))


def compare(fact: Parsed, held: Iterable[Fact]) -> Verdict:
    """Whether a fact is known already in these or other words, or contradicts what is held."""
    replaced = []
    for old in held:
        if old.state not in _HELD:
            continue
        if says_the_same(fact, old):
            return Verdict(same=old)
        if (old.slot == fact.slot and fact.exclusive and old.exclusive) or _opposite(fact, old):
            replaced.append(old)
    return Verdict(replaced=tuple(replaced))


def says_the_same(fact: Parsed, old: Fact) -> bool:
    """Whether two facts say one thing: the same slot and object, or the same content in other words."""
    if old.slot == fact.slot and _plain(old.object) == _plain(fact.object):
        return True
    if old.subject.casefold() != fact.subject.casefold():
        return False
    if _plain(old.object) == _plain(fact.object) and {old.relation, fact.relation} == {"be", "work as"}:
        return True  # "I am a florist", "I work as a florist"
    one, other = _content(fact.statement), _content(old.statement)
    return one == other and old.exclusive == fact.exclusive


def ungrounded(fact: Parsed, turn: str, context: Context, corrected: str = "") -> str | None:
    """A word of the object, or of the subject's name, that the user did not say; None where all were said.

    The subject may have been said in the turn before, where a pronoun stands for it; so may the `corrected` object of
    a fact of which another word is put right.
    """
    said = set(words(turn)) | set(words(corrected))
    for word in words(fact.object):
        if word not in said:
            return word
    known = said | {word for last in context.last for word in words(f"{last.subject} {last.object}")}
    known |= {word for text in context.before[-1:] for word in words(text)} | {"user", "the"}
    return next((word for word in words(fact.subject) if word not in known and word not in closed.ARTICLES), None)


def _opposite(fact: Parsed, old: Fact) -> bool:
    same = old.subject.casefold() == fact.subject.casefold() and _plain(old.object) == _plain(fact.object)
    return same and (family(fact.relation), family(old.relation)) in opposite_relations()


def _plain(text: str) -> str:
    return " ".join(word for word in words(text) if word not in closed.ARTICLES)


def _content(statement: str) -> frozenset[str]:
    """The stems of the words that carry a statement's meaning."""
    return frozenset(_stem(word) for word in words(statement) if word not in _FUNCTION)


def _stem(word: str) -> str:
    bases = (morphology.base_of_third_person(word), morphology.base_of_past(word), morphology.base_of_progressive(word))
    return next((base for base in bases if morphology.is_known(base)), None) or morphology.singular(word)
