"""Cuts a text into statements: its sentences, and clauses joined by "and" or "but" where that is safe."""

from __future__ import annotations

from sleepengine.wake.grammar import closed, morphology
from sleepengine.wake.grammar.clause import Clause, Finite, Words, find_clause, finite_form
from sleepengine.wake.grammar.complement import read_complement
from sleepengine.wake.grammar.lexicon import word_classes
from sleepengine.wake.grammar.text import (
    Word,
    capitalised,
    expand_contractions,
    join,
    sentences,
    without_ending,
    words,
)


def split_statements(text: str) -> list[str]:
    """The statements of a text, one string each, in the order in which they stand.

    Sentences are cut apart at their ends and at line breaks. Clauses joined by "and" or "but" are cut where the second
    has a subject of its own, or a verb that surely continues the first subject ("Viktor lives in Portland and works as
    a librarian"); everything else is returned as it stands.
    """
    found: list[str] = []
    for sentence in sentences(text):
        parts = coordinated(words(expand_contractions(without_ending(sentence))))
        if len(parts) == 1 or sentence.endswith("?"):
            found.append(sentence)
        else:
            found.extend(capitalised(join(part)) + "." for part in parts)
    return found


def coordinated(sentence: Words) -> list[Words]:
    """The clauses of a sentence, each complete with a subject; one when it holds only one."""
    for position, word in enumerate(sentence):
        if word.lower not in ("and", "but") or position < 2:
            continue
        first = find_clause(sentence[:position])
        if first is None or read_complement(first) is None:
            continue
        second = _continuation(first, sentence[position + 1 :])
        if second is not None:
            head = (*sentence[: position - 1], Word(sentence[position - 1].text, sentence[position - 1].lower))
            return [head, *coordinated(second)]
    return [sentence]


def _continuation(first: Clause, words: Words) -> Words | None:
    """The words after a conjunction as a clause of its own, or None when they belong to the first clause."""
    if not words:
        return None
    skipped = 1 if words[0].lower in closed.ADVERBS and len(words) > 1 else 0
    finite = finite_form(words, skipped)
    if finite is not None and _continues(first, finite, words[skipped + 1 :]):
        shared = _shared_auxiliary(first, words[skipped])
        return (*first.subject, *shared, *words)
    own = find_clause(words)
    if own is None or read_complement(own) is None or (finite is not None and words[0].lower not in closed.AUXILIARIES):
        return None
    strong = own.finite.inverts or own.subject[0].lower in closed.THIRD_SUBJECTS | closed.FIRST_WORDS
    return words if strong or own.subject[0].capitalised else None


def _continues(first: Clause, finite: Finite, rest: Words) -> bool:
    """Whether a verb after "and" continues the first subject rather than naming a second object."""
    if not rest:
        return False
    if first.finite.plural is not None and finite.plural is not None and first.finite.plural != finite.plural:
        return False
    if finite.inverts or finite.base in ("have", "be"):
        return True
    if not morphology.is_known(finite.base) or rest[0].lower in closed.CONJUNCTIONS:
        return False
    if finite.base in word_classes().noun_like_verbs:
        return rest[0].lower in closed.ARTICLES | closed.POSSESSIVES | {"as", "at", "for"}
    return True


def _shared_auxiliary(first: Clause, word: Word) -> tuple[Word, ...]:
    """The first clause's be or have, where the second goes on with a participle ("was born ... and raised ...")."""
    if not first.finite.inverts or word.lower in closed.AUXILIARIES:
        return ()
    if morphology.base_of_participle(word.lower) is None:
        return ()
    return (Word(first.finite.text, first.finite.text),)
