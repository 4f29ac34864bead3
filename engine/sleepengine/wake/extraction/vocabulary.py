"""The word classes of chat, read from `sleepengine/data/grammar/chat_words.toml`, which says what each is for."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache

from sleepengine.wake.grammar.lexicon import data_file


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All in lower case."""

    lasting_adjectives: frozenset[str]
    passing_adjectives: frozenset[str]
    passing_things: frozenset[str]
    life_verbs: frozenset[str]
    lasting_progressives: frozenset[str]
    passing_verbs: frozenset[str]
    lasting_wishes: frozenset[str]
    passing_times: frozenset[str]
    empty_objects: frozenset[str]
    pasted_openings: frozenset[str]
    own_labels: frozenset[str]
    manners: frozenset[str]
    talk_things: frozenset[str]
    thing_verbs: frozenset[str]
    timed_verbs: frozenset[str]
    figures_of_speech: frozenset[str]


@cache
def vocabulary() -> Vocabulary:
    """The word classes."""
    table = tomllib.loads(data_file("chat_words.toml").read_text(encoding="utf-8"))
    return Vocabulary(**{name: frozenset(words.split()) for name, words in table.items()})
