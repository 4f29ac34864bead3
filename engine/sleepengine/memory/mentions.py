"""Whether a text tells a fact: for transcripts that must lose it, and for answers that must not hold it."""

from __future__ import annotations

import re

from sleepengine.memory.facts import Fact, Person

_SPEAKERS = frozenset({"i", "my", "me", "mine", "we", "our", "us", "you", "your", "yours"})
_EMPTY = frozenset({"a", "an", "the", "of", "in", "on", "at", "to", "and", "user", "s"})


def words(text: str) -> list[str]:
    """The words of a text in lower case, without possessive endings."""
    return [word.removesuffix("'s") for word in re.findall(r"[\w'&+-]+", text.casefold().replace("’", "'"))]


def holds_phrase(text: str, phrase: str) -> bool:
    """Whether a phrase stands in a text as whole words, letter case and punctuation aside."""
    sought, found = words(phrase), words(text)
    return bool(sought) and any(found[at : at + len(sought)] == sought for at in range(len(found) - len(sought) + 1))


def tells(fact: Fact, text: str) -> bool:
    """Whether a text holds the fact's object together with a word of its subject; the user counts as named by "you".

    Wider than the statement itself: an answer may tell the fact in other words.
    """
    if not fact.object or not holds_phrase(text, fact.object):
        return False
    found = set(words(text))
    named = set(words(fact.subject)) - _EMPTY - set(words(fact.object))
    if fact.person is Person.FIRST and not named:
        return bool(found & _SPEAKERS)
    return bool(found & named)
