"""The open word classes, read from `sleepengine/data/grammar`: evidence for the parser, never a list of relations."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable


@dataclass(frozen=True, slots=True)
class IrregularVerb:
    """The three principal parts of a verb ("grow", "grew", "grown")."""

    base: str
    past: str
    participle: str


@dataclass(frozen=True, slots=True)
class WordClasses:
    """Words that morphology alone reads wrongly; all in lower case. The data file says what each class is for."""

    noun_like_verbs: frozenset[str]
    plural_nouns: frozenset[str]
    singular_in_s: frozenset[str]
    bare_nouns: frozenset[str]
    adjectives: frozenset[str]
    kin_nouns: frozenset[str]
    person_nouns: frozenset[str]
    personal_object_verbs: frozenset[str]
    companion_nouns: frozenset[str]
    many_valued: frozenset[str]
    locative_verbs: frozenset[str]
    catenative_verbs: frozenset[str]
    order_openers: frozenset[str]
    reporting_verbs: frozenset[str]


def data_file(name: str) -> Traversable:
    """One of the grammar's data files."""
    return resources.files("sleepengine") / "data" / "grammar" / name


def _lines(name: str) -> list[str]:
    text = data_file(name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@cache
def word_classes() -> WordClasses:
    """The open word classes."""
    table = tomllib.loads(data_file("word_classes.toml").read_text(encoding="utf-8"))
    return WordClasses(**{name: frozenset(words.split()) for name, words in table.items()})


@cache
def relation_families() -> dict[str, str]:
    """Relation -> the relation that stands for its family of rephrasings."""
    table = tomllib.loads(data_file("same_relations.toml").read_text(encoding="utf-8"))
    return {relation: group["relations"][0] for group in table["family"] for relation in group["relations"]}


@cache
def opposite_relations() -> frozenset[tuple[str, str]]:
    """Pairs of relations, both ways round, that one subject cannot have to one object at once."""
    table = tomllib.loads(data_file("same_relations.toml").read_text(encoding="utf-8"))
    pairs = {(one, other) for one, other in table["opposites"]}
    return frozenset(pairs | {(other, one) for one, other in pairs})


@cache
def irregular_verbs() -> dict[str, IrregularVerb]:
    """Irregular verbs by their base form."""
    verbs = (IrregularVerb(*line.split("\t")) for line in _lines("irregular_verbs.tsv"))
    return {verb.base: verb for verb in verbs}


@cache
def verb_bases() -> frozenset[str]:
    """Base forms that are known to be verbs."""
    regular = {word for line in _lines("verbs.txt") for word in line.split()}
    return frozenset(regular | irregular_verbs().keys())


@cache
def bases_by_past() -> dict[str, str]:
    """Irregular simple past -> base form."""
    return {verb.past: verb.base for verb in irregular_verbs().values()}


@cache
def bases_by_participle() -> dict[str, str]:
    """Irregular past participle -> base form."""
    return {verb.participle: verb.base for verb in irregular_verbs().values()}
