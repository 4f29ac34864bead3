"""The bench's data files. Nothing else in the project may read them: their phrasings and names are for reports alone.

`pool_hash` covers every file. Results of different hashes are not comparable, so a change to a file is a new `VERSION`.
"""

from __future__ import annotations

import hashlib
import tomllib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec

VERSION = 2


class Relation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One relation with its objects and its report phrasings; the data file explains the fields of the texts."""

    key: str
    listed: bool
    statement: str
    objects: tuple[str, ...]
    raw_paraphrase: tuple[str, ...]
    chat: tuple[str, ...]
    chat_paraphrase: tuple[str, ...]
    polite: tuple[str, ...]
    pronoun: str
    reverse: str
    implied: str
    hop_question: str = ""
    hop: dict[str, tuple[str, ...]] = {}


class People(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Given names by pronoun, and family names; none of them is in `data/names.json`."""

    she: tuple[str, ...]
    he: tuple[str, ...]
    last: tuple[str, ...]


class Contexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Turns that stand before a question, as (user, assistant), and biographies of nobody in particular."""

    unrelated: tuple[tuple[str, str], ...]
    naming: tuple[tuple[str, str], ...]
    biographies: tuple[str, ...]


class UserFact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fact that a user tells of himself, with objects to draw from, its report phrasings, and contrast questions."""

    statement: str
    objects: tuple[str, ...]
    raw_paraphrase: tuple[str, ...]
    chat: tuple[str, ...]
    chat_paraphrase: tuple[str, ...]
    polite: tuple[str, ...]
    contrast: tuple[str, ...]


class KnownQuestion(msgspec.Struct, frozen=True):
    """General knowledge; `famous` is about well-known people. Any of the answers counts."""

    famous: bool
    question: str
    answers: tuple[str, ...]


@cache
def relations() -> tuple[Relation, ...]:
    """All relations, in the file's order: the listed ones first."""
    return msgspec.convert(tomllib.loads(_read("relations.toml"))["relation"], tuple[Relation, ...])


@cache
def people() -> People:
    """The names that people of the bench are made of."""
    return msgspec.json.decode(_read("names.json"), type=People)


@cache
def contexts() -> Contexts:
    """What stands around questions."""
    return msgspec.convert(tomllib.loads(_read("contexts.toml")), Contexts)


@cache
def user_facts() -> tuple[UserFact, ...]:
    """The facts of one user."""
    return msgspec.convert(tomllib.loads(_read("first_person.toml"))["fact"], tuple[UserFact, ...])


@cache
def known_questions() -> tuple[KnownQuestion, ...]:
    """The questions of general knowledge."""
    rows = (line.split("\t") for line in _read("known.tsv").splitlines() if line and not line.startswith("#"))
    return tuple(KnownQuestion(kind == "famous", question, tuple(a.split(";"))) for kind, question, a in rows)


def pool_hash() -> str:
    """SHA-256 over the names and bytes of all data files of the bench, in hexadecimal."""
    digest = hashlib.sha256()
    for entry in sorted(_folder().iterdir(), key=lambda e: e.name):
        content = entry.read_bytes()
        digest.update(f"{entry.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _folder() -> Traversable:
    return files("sleepengine").joinpath("data", "bench")


def _read(name: str) -> str:
    return _folder().joinpath(name).read_text(encoding="utf-8")
