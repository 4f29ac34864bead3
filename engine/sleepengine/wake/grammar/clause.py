"""Finds the subject and the finite verb of a sentence by word class, form, agreement and position.

Every word is a candidate; a candidate needs a noun phrase before it that agrees with it. Auxiliaries outweigh lexical
verbs, known verbs outweigh unknown ones, earlier candidates outweigh later ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sleepengine.wake.grammar import closed, morphology
from sleepengine.wake.grammar.lexicon import bases_by_past, irregular_verbs, word_classes
from sleepengine.wake.grammar.text import Word

Words = tuple[Word, ...]

_AUXILIARY_WEIGHT = 8
_KNOWN_WEIGHT = 6
_NOUN_LIKE_WEIGHT = 4
_UNKNOWN_WEIGHT = 2


@dataclass(frozen=True, slots=True)
class Finite:
    """A finite verb form. `inverts`: it stands before the subject in a question (be, have + participle, can)."""

    text: str
    base: str
    past: bool
    inverts: bool
    weight: int
    plural: bool | None = None  # True: agrees with I, we and plurals only; False: singular only; None: either


@dataclass(frozen=True, slots=True)
class Clause:
    """A sentence cut at its finite verb: subject, adverbs before the verb, the verb, and everything after it."""

    subject: Words
    adverbs: Words
    finite: Finite
    rest: Words


def find_clause(words: Words) -> Clause | None:
    """The clause that the words form, or None where no word is a finite verb with a subject before it."""
    best: tuple[int, Clause] | None = None
    for position in range(1, len(words)):
        clause = _clause_at(words, position)
        if clause is None:
            continue
        score = _score(clause) - (1 if best else 0)
        if best is None or score > best[0]:
            best = (score, clause)
    return best[1] if best else None


def is_auxiliary(word: Word) -> bool:
    """Whether the word is a form of be, have or do, or a modal, and no name."""
    return word.lower in closed.AUXILIARIES and not (word.capitalised and word.lower in ("will", "may", "can", "must"))


def finite_form(words: Words, position: int) -> Finite | None:
    """The finite verb at a position, or None."""
    word = words[position]
    if is_auxiliary(word):
        return _auxiliary(words, position)
    if word.lower == "used" and position + 1 < len(words) and words[position + 1].lower == "to":
        return Finite(word.text, "use", past=True, inverts=False, weight=_AUXILIARY_WEIGHT)
    return None if word.capitalised or word.comma else _lexical(word)


def is_noun_phrase(words: Words) -> bool:
    """Whether the words can be a subject: (determiner modifier* head) joined by prepositions, "and" or a possessive."""
    if not words or _bad_edge(words):
        return False
    lowers = [word.lower for word in words]
    if lowers[0] in closed.FIRST_SUBJECTS | closed.THIRD_SUBJECTS | closed.DEMONSTRATIVES and len(words) == 1:
        return True
    for position, lower in enumerate(lowers):
        opens = position == 0 or lowers[position - 1] in closed.PREPOSITIONS | closed.CONJUNCTIONS
        opens = opens or lowers[position - 1] in ("all", "both", "half")
        if lower in closed.ARTICLES | closed.POSSESSIVES and not opens:
            return False
        if lower in closed.FIRST_SUBJECTS and not (position and lowers[position - 1] == "and"):
            return False
        if lower in closed.RELATIVES | closed.SUBORDINATORS | closed.THIRD_SUBJECTS and not (position == 0 and opens):
            return False
        if position and _surely_verb(words, position):
            return False
    return _has_heads(lowers)


def is_plural_subject(words: Words) -> bool:
    """Whether the subject takes the plural verb form: I and we (by form), "X and Y", plural heads."""
    lowers = [word.lower for word in words]
    if (
        lowers[-1] in closed.FIRST_SUBJECTS | closed.FIRST_POSSESSIVES
        or lowers[0] in ("they", "these", "those")
        or "and" in lowers
    ):
        return True
    head = words[head_index(words)]
    if head.capitalised and words[0].lower not in closed.DETERMINERS and len(words) > 1:
        return False  # "Viktor Banks"
    return morphology.is_plural(head.lower)


def head_index(words: Words) -> int:
    """Where the head noun stands: the last word before the first preposition ("owner" of "the owner of the bar")."""
    for position, word in enumerate(words):
        if position and word.lower in closed.PREPOSITIONS:
            return position - 1
    return len(words) - 1


def _clause_at(words: Words, position: int) -> Clause | None:
    finite = finite_form(words, position)
    if finite is None:
        return None
    subject, adverbs = _without_adverbs(words[:position])
    rest = words[position + 1 :]
    if not is_noun_phrase(subject) or not _agrees(subject, finite):
        return None
    if subject[-1].possessive and (finite.plural is not False or finite.base in closed.AUXILIARY_BASES):
        return None  # "Anna's moved" is no subject "Anna's"; "McDonald's sells" is
    if not finite.inverts and rest and is_auxiliary(rest[0]) and finite.base != "use":
        return None
    return Clause(subject, adverbs, finite, rest)


def _without_adverbs(words: Words) -> tuple[Words, Words]:
    end = len(words)
    while end > 1:
        word = words[end - 1]
        if word.capitalised or word.lower in ("all", "both"):
            break
        if word.lower not in closed.ADVERBS and not closed.is_adverb_in_ly(word.lower):
            break
        end -= 1
    return words[:end], words[end:]


def _auxiliary(words: Words, position: int) -> Finite:
    word = words[position]
    base, past = closed.AUXILIARIES[word.lower]
    plural = {"are": True, "am": True, "have": True, "do": True, "is": False, "has": False, "does": False}.get(
        word.lower
    )
    inverts = base not in ("have", "do") or _verb_follows(words, position + 1, base)
    return Finite(word.text.lower(), base, past, inverts, _AUXILIARY_WEIGHT, plural)


def _verb_follows(words: Words, position: int, auxiliary: str) -> bool:
    """Whether have is followed by a participle, or do by a base form, adverbs aside."""
    while position < len(words) and words[position].lower in closed.ADVERBS:
        position += 1
    if position >= len(words):
        return False
    lower = words[position].lower
    if auxiliary == "do":
        return morphology.is_known(lower)
    return lower == "been" or morphology.is_known(morphology.base_of_participle(lower))


def _lexical(word: Word) -> Finite | None:
    lower = word.lower
    if lower in _not_verbs():
        return None
    base = morphology.base_of_third_person(lower)
    if base is not None:
        return Finite(word.text, base, past=False, inverts=False, weight=_weight(base), plural=False)
    past = morphology.base_of_past(lower)
    if past is not None:
        plural = True if lower == past and lower not in _unchanging() else None
        return Finite(word.text, past, past=lower != past or lower in _unchanging(), inverts=False,
                      weight=_weight(past), plural=plural)  # fmt: skip
    if morphology.is_known(lower):
        return Finite(word.text, lower, past=False, inverts=False, weight=_weight(lower), plural=True)
    return None


def _weight(base: str) -> int:
    if not morphology.is_known(base):
        return _UNKNOWN_WEIGHT
    return _NOUN_LIKE_WEIGHT if base in word_classes().noun_like_verbs else _KNOWN_WEIGHT


@cache
def _unchanging() -> frozenset[str]:
    """Verbs whose past is their base ("put"): with a singular subject the form is a past."""
    return frozenset(past for past, base in bases_by_past().items() if past == base)


@cache
def _not_verbs() -> frozenset[str]:
    function_words = closed.PREPOSITIONS | closed.DETERMINERS | closed.CONJUNCTIONS | closed.ADVERBS
    return (function_words | closed.WH_WORDS | closed.FIRST_WORDS) - {"like"}


def _agrees(subject: Words, finite: Finite) -> bool:
    first = subject[0].lower in closed.FIRST_SUBJECTS
    plural = is_plural_subject(subject)
    if finite.plural is True:
        return plural or first or (finite.text in _unchanging())
    if finite.plural is False:
        return not first and not (plural and not finite.inverts and finite.weight < _KNOWN_WEIGHT)
    return True


def _score(clause: Clause) -> int:
    score = clause.finite.weight
    if not clause.finite.inverts and _auxiliary_ahead(clause.rest):
        score -= 4
    if clause.finite.weight < _KNOWN_WEIGHT and clause.rest:
        follower = _lexical(clause.rest[0])
        if (
            follower is not None
            and follower.plural is False
            and not clause.rest[0].capitalised
            and len(clause.rest) > 1
        ):
            score -= 3
    return score


def _auxiliary_ahead(words: Words) -> bool:
    """Whether a finite be, have or modal follows that no relative pronoun or conjunction accounts for."""
    for position, word in enumerate(words):
        if word.lower in closed.RELATIVES | closed.SUBORDINATORS | closed.CONJUNCTIONS:
            return False
        if is_auxiliary(word) and not (position and words[position - 1].lower in ("to", *closed.DETERMINERS)):
            return True
    return False


def _surely_verb(words: Words, position: int) -> bool:
    """Whether a word inside a would-be subject is a verb for certain, so that the subject ends before it."""
    word = words[position]
    if word.capitalised or words[position - 1].lower in closed.DETERMINERS | closed.NEVER_HEADS:
        return False
    if word.lower in closed.AUXILIARIES:
        return True
    form = _lexical(word)
    if form is None or form.weight < _KNOWN_WEIGHT:
        return False
    if form.plural is True:
        return words[position - 1].lower in closed.FIRST_SUBJECTS
    return form.plural is False or word.lower in _irregular_pasts()


@cache
def _irregular_pasts() -> frozenset[str]:
    """Irregular past forms that are not participles too, so that they cannot modify a noun ("grew", "wrote")."""
    return frozenset(verb.past for verb in irregular_verbs().values() if verb.past != verb.participle)


def _bad_edge(words: Words) -> bool:
    first, last = words[0].lower, words[-1].lower
    if any(word.comma for word in words) and "and" not in (word.lower for word in words):
        return True
    if first in closed.PREPOSITIONS | closed.CONJUNCTIONS | closed.CONDITIONS | closed.SUBORDINATORS:
        return True
    if first in closed.AUXILIARIES and not words[0].capitalised:
        return True
    blocked = closed.PREPOSITIONS | closed.CONJUNCTIONS | closed.ARTICLES | closed.POSSESSIVES | closed.ADVERBS
    return last in blocked - {"all", "both"} or last in closed.NEVER_HEADS


def _has_heads(lowers: list[str]) -> bool:
    """Whether each determiner is followed by a word that can be a noun."""
    if lowers[0] in closed.DETERMINERS and len(lowers) == 1:
        return False
    modifiers = word_classes().adjectives | closed.NEVER_HEADS | closed.QUANTIFIERS
    if lowers[-1] in word_classes().companion_nouns:  # "my flat"
        return True
    opened = lowers[0] in closed.POSSESSIVES | {"a", "an"}
    return not (opened and all(lower in modifiers or closed.is_adverb_in_ly(lower) for lower in lowers[1:]))
