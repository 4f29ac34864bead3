"""Who "he", "her" or "it" is: resolved only where one single thing that was just said can be meant."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sleepengine.memory.facts import Parsed, Person
from sleepengine.wake.grammar.lexicon import word_classes

_SUBJECT = re.compile(r"^(?:and\s+|but\s+|oh,?\s+)?(?P<word>he|she)\b(?P<be>['’]s\b)?\s*", re.IGNORECASE)
_OWNER = re.compile(r"^(?:and\s+|but\s+|oh,?\s+)?(?P<word>his|her|its)\s+(?=\w)", re.IGNORECASE)
_CORRECTED = re.compile(
    r"^(?:no,?\s+|sorry,?\s+|oh,?\s+|wait,?\s+|well,?\s+)*(?:actually,?\s+)?(?:it|that|he|she)(?:['’]s|\s+is|\s+was)\s+(?:actually\s+|really\s+|now\s+)?(?P<value>.+)$",
    re.IGNORECASE,
)
_YEAR = re.compile(r"\b(?:1[5-9]|20)\d\d\b")
#: "Bert is her husband."
_THEIRS = re.compile(r"^(?P<who>(?:[A-Z][\w'’-]*\s)+(?:is|was))\s+(?:his|her)\s+(?P<rest>[a-z][\w -]*)(?=[.!]*$)")
_CORRECTS = re.compile(r"\b(?:actually|sorry|no|wait|i\s+meant?|correction)\b", re.IGNORECASE)


def resolved(sentence: str, before: Sequence[Parsed]) -> str | None:
    """The sentence with its opening pronoun replaced by whom it means, or None where that is not certain.

    `before` are the facts just read, the latest last.
    """
    if match := _SUBJECT.match(sentence):
        who = _antecedent(before)
        rest = sentence[match.end() :]
        return None if who is None else f"{_capital(who)} {'is ' if match['be'] else ''}{rest}"
    if match := _OWNER.match(sentence):
        who = _antecedent(before)
        return None if who is None else f"{_capital(who)}'s {sentence[match.end() :]}"
    if match := _THEIRS.match(sentence):
        who = _antecedent(before)
        return None if who is None else f"{match['who']} {who}'s {match['rest']}."
    return None


def corrected(sentence: str, before: Sequence[Parsed]) -> str | None:
    """The last fact with another object, where the sentence corrects it: "Actually it is a Seat."; else None."""
    match = _CORRECTED.match(sentence)
    if match is None or not before or not _CORRECTS.search(sentence):
        return None
    fact = before[-1]
    value = match["value"].strip().rstrip(".!")
    if _YEAR.fullmatch(value):
        return _YEAR.sub(value, fact.statement) if len(_YEAR.findall(fact.statement)) == 1 else None
    if (not fact.exclusive and fact.relation != "be") or value.isdigit() is not fact.object.isdigit():
        return None
    at = fact.statement.rfind(fact.object)
    opening = fact.statement[:at]
    if re.match(r"(?:an?|the|my|our)\s", value, re.IGNORECASE):
        opening = re.sub(r"(?:\s(?:an?|the))?\s$", " ", opening)
    elif re.search(r"\san?\s$", opening):
        return None  # "it is blue" after "my car is a Fiat" says something else
    return f"{opening}{value}."


def _antecedent(before: Sequence[Parsed]) -> str | None:
    """The one creature that the facts just read are about, as the user would name it: "my dog"."""
    named = dict.fromkeys(creature for fact in before for creature in _creatures(fact))
    return next(iter(named)) if len(named) == 1 else None


def _creatures(fact: Parsed) -> list[str]:
    """Those of whom a fact speaks: its subject and whose that is, and whoever stands to it as "boss" or "friend"."""
    classes = word_classes()
    people = classes.kin_nouns | classes.person_nouns
    kin = fact.relation.removesuffix(" be")
    related = kin != fact.relation and kin.split()[-1] in people
    if fact.subject == "the user":
        own = f"my {kin}" if related else _acquired(fact)
        return [own] if own else []
    own = fact.subject.replace("the user's", "my")
    named = fact.person is Person.THIRD and own[:1].isupper()
    if not named and not any(word in people | classes.companion_nouns for word in own.lower().split()[1:]):
        return []
    owner = own.rpartition("'s ")[0]
    return [own, *([owner] if owner else []), *([f"{own}'s {kin}"] if related else [])]


def _acquired(fact: Parsed) -> str | None:
    """ "I have a dog" speaks of "my dog"."""
    noun = fact.object.lower().split()[-1] if fact.object else ""
    classes = word_classes()
    single = re.search(rf"\ban?\s+(?:\w+\s+)?{re.escape(noun)}\b", fact.statement, re.IGNORECASE)
    if (
        fact.relation.split()[0] in ("have", "adopt", "get")
        and single
        and noun in classes.kin_nouns | classes.companion_nouns
    ):
        return f"my {noun}"
    return None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
