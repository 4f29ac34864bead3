"""Decides how the object is asked for: what, who, where, when, how, how many."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from sleepengine.wake.grammar import closed, morphology
from sleepengine.wake.grammar.clause import Clause, Words, head_index
from sleepengine.wake.grammar.closed import word_set
from sleepengine.wake.grammar.complement import Complement, is_adjective
from sleepengine.wake.grammar.lexicon import word_classes

_YEAR = re.compile(r"(1\d|20|21)\d\d(s)?")
_CLOCK = re.compile(r"\d{1,2}([:.]\d\d)?([ap]m)?")
_ORDINAL = re.compile(r"\d{1,2}(st|nd|rd|th)")
_TITLES = frozenset({"dr.", "mr.", "mrs.", "ms.", "prof.", "dr", "mr", "mrs", "ms", "sir", "aunt", "uncle"})
_PRICED_VERBS = frozenset({"cost", "weigh", "earn", "owe", "pay"})
_PLACE_PREPOSITIONS = frozenset(
    {"in", "at", "on", "near", "under", "behind", "beside", "inside", "outside", "below", "above"}
)
_DIRECTIONS = frozenset({"to", "from", "into"})
_NO_PLACES = word_set("love trouble charge danger debt shape pain fashion favour favor touch use need doubt")


class Kind(StrEnum):
    """The kind of question that the object answers."""

    WHAT = "what"
    WHO = "who"
    WHERE = "where"
    WHEN = "when"
    HOW = "how"  # the object is an adverb
    HOW_MANY = "how many"
    HOW_MUCH = "how much"
    HOW_OLD = "how old"
    LIKE = "what ... like"  # the object is an adjective
    DO = "what ... do"  # the object is a verb after "to"
    DOING = "what ... doing"  # the object is an -ing form after be


@dataclass(frozen=True, slots=True)
class Asking:
    """How to ask: the kind, whether the preposition before the object goes with it, and the counted noun's words."""

    kind: Kind
    drops_preposition: bool = False
    counted: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """The question's opening: "where", "how many cats"."""
        if self.kind is Kind.HOW_MANY:
            return " ".join(("how many", *self.counted))
        return "what" if self.kind in (Kind.LIKE, Kind.DO, Kind.DOING) else self.kind.value


def decide(clause: Clause, complement: Complement) -> Asking:
    """How the object of a clause is asked for."""
    special = _by_object_shape(clause, complement)
    if special is not None:
        return special
    if complement.preposition is not None:
        return _after_preposition(complement)
    return Asking(Kind.WHO if _is_person(clause, complement) else Kind.WHAT)


def is_time(words: Words) -> bool:
    """Whether a noun phrase is a date, a year or a time of day."""
    for word in words:
        plain = word.lower.rstrip("s")
        if (
            word.lower in closed.MONTHS | closed.WEEKDAYS | closed.TIME_WORDS
            or plain in closed.WEEKDAYS | closed.TIME_WORDS
        ):
            return True
    first = words[0].lower
    if len(words) == 1:
        return bool(_YEAR.fullmatch(first) or _CLOCK.fullmatch(first) or _ORDINAL.fullmatch(first))
    return bool(_CLOCK.fullmatch(first) and ":" in first)


def _by_object_shape(clause: Clause, complement: Complement) -> Asking | None:
    if complement.infinitive:
        return Asking(Kind.DO)
    first, last = complement.object[0].lower, complement.object[-1].lower
    plain = not complement.determiners and complement.preposition is None
    if complement.progressive and _is_creature(clause):
        return Asking(Kind.DOING)
    if plain and complement.relation == ("be",):
        if (last == "old" and len(complement.object) > 2) or (
            _is_number(first) and len(complement.object) == 1 and _is_alive(clause)
        ):
            return Asking(Kind.HOW_OLD)
        if _describes(clause, complement):
            return Asking(Kind.LIKE)
    if plain and complement.verb in _PRICED_VERBS and _is_amount(first):
        return Asking(Kind.HOW_MUCH)
    if plain and complement.relation != ("be",) and _is_counted(complement.object):
        return Asking(Kind.HOW_MANY, counted=tuple(word.text for word in complement.object[1:]))
    if plain and len(complement.object) == 1 and complement.relation != ("be",) and closed.is_adverb_in_ly(first):
        return Asking(Kind.HOW)
    return None


def _after_preposition(complement: Complement) -> Asking:
    preposition = complement.preposition
    if is_time(complement.object) and preposition in ("in", "on", "at"):
        return Asking(Kind.WHEN, drops_preposition=True)
    if _is_place(complement):
        return Asking(Kind.WHERE, drops_preposition=preposition in _PLACE_PREPOSITIONS)
    return Asking(Kind.WHO if _is_personal_complement(complement) else Kind.WHAT)


def _is_place(complement: Complement) -> bool:
    preposition, verb = complement.preposition, complement.verb
    name = complement.object[0].capitalised or complement.determiners > 0
    if verb not in word_classes().locative_verbs and complement.relation[0] not in word_classes().locative_verbs:
        return False
    if complement.object[-1].lower in _NO_PLACES and not complement.determiners:
        return False
    if verb == "be" and len(complement.relation) > 2 and complement.relation[1] not in closed.PARTICLES:
        return False  # "allergic to", "afraid of"
    if preposition in _DIRECTIONS:
        return verb in _MOTION | {"be"} and len(complement.relation) <= 3
    return preposition in _PLACE_PREPOSITIONS and (
        name or verb in ("live", "be", "reside", "dwell", "keep", "bear", "grow")
    )


_MOTION = word_set(
    "come go move travel commute emigrate immigrate hail originate relocate migrate fly sail return retire run"
)


def _is_personal_complement(complement: Complement) -> bool:
    preposition, first = complement.preposition, complement.object[0]
    if _names_person(complement.object):
        return True
    if preposition in ("by", "after"):
        return first.capitalised and not complement.determiners
    if preposition == "for" and complement.verb in ("work", "play"):
        return True
    if preposition in ("to", "with", "like"):
        social = {"married", "engaged", "related", "friends", "similar", "live", "work", "play"}
        return first.capitalised and not complement.determiners and bool(social & {*complement.relation})
    return False


def _is_person(clause: Clause, complement: Complement) -> bool:
    """Whether a direct object or a predicate is a person."""
    classes = word_classes()
    if complement.relation == ("be",):
        role = _head(clause) in classes.kin_nouns | classes.person_nouns
        return role and not any(word.lower in ("a", "an") for word in complement.shown)
    if complement.verb in classes.personal_object_verbs and complement.object[0].capitalised:
        return not complement.determiners
    return "be" not in complement.relation and _names_person(complement.object)


def _names_person(words: Words) -> bool:
    classes = word_classes()
    return words[0].lower in _TITLES or words[head_index(words)].lower in classes.kin_nouns | classes.person_nouns


def _describes(clause: Clause, complement: Complement) -> bool:
    """Whether the object is an adjective that describes the subject."""
    last = complement.object[-1]
    if last.capitalised or _head(clause) in ("name", "favourite", "favorite"):
        return False
    if any(word.lower in ("favourite", "favorite") for word in clause.subject):
        return False
    if is_adjective(last.lower):
        return True
    return (
        len(complement.object) == 1
        and _head(clause) in word_classes().companion_nouns
        and clause.subject[0].capitalised
    )


def _head(clause: Clause) -> str:
    return clause.subject[head_index(clause.subject)].lower


def _is_creature(clause: Clause) -> bool:
    classes = word_classes()
    return _head(clause) in classes.companion_nouns | classes.kin_nouns | classes.person_nouns or _is_alive(clause)


def _is_alive(clause: Clause) -> bool:
    """Whether the subject is the user, a relative, or a bare name."""
    first = clause.subject[0]
    named = (
        first.capitalised and first.lower not in closed.DETERMINERS and not any(w.possessive for w in clause.subject)
    )
    return named or _head(clause) in word_classes().kin_nouns


def _is_number(word: str) -> bool:
    return word.replace(",", "").replace(".", "").isdigit() or word in closed.NUMBER_WORDS


def _is_amount(word: str) -> bool:
    return _is_number(word) or word[:1] in "$€£¥" or word[:1].isdigit()


def _is_counted(words: Words) -> bool:
    """Whether the object is a number and a plural noun in small letters: "two cats"."""
    if len(words) < 2 or not _is_number(words[0].lower) or words[0].lower in ("1", "one"):
        return False
    return morphology.is_plural(words[-1].lower) and not any(word.capitalised or word.comma for word in words[1:])
