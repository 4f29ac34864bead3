"""Everyday paraphrases of common relations, from a data file. They add prompts and never decide what can be read."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from sleepengine.memory.facts import Channel, Pool
from sleepengine.wake.grammar.identity import Identity
from sleepengine.wake.grammar.lexicon import data_file
from sleepengine.wake.grammar.phrase import MENTION_CLOSES, MENTION_OPENS, possessive
from sleepengine.wake.grammar.sentence import Sentence
from sleepengine.wake.grammar.text import join

_POSSESSIVE_FIELD = re.compile(r"\{poss ([^}]+)\}")


@dataclass(frozen=True, slots=True)
class Frame:
    """Paraphrases that fit the relations named, and the conditions under which they do."""

    relations: tuple[str, ...]
    kind: str | None
    person: str | None
    past: bool
    texts: tuple[tuple[Channel, Pool, str], ...]

    def fits(self, identity: Identity, sentence: Sentence) -> bool:
        """Whether the frame's wordings say the same as the sentence."""
        return (
            any(fnmatchcase(identity.relation, pattern) for pattern in self.relations)
            and self.kind in (None, sentence.asking.kind.value)
            and self.person in (None, identity.person.value)
            and self.past == sentence.finite.past
            and sentence.is_simple
        )


@cache
def frames() -> tuple[Frame, ...]:
    """All frames of the data file."""
    table = tomllib.loads(data_file("paraphrases.toml").read_text(encoding="utf-8"))
    return tuple(_frame(entry) for entry in table["frame"])


def paraphrases(identity: Identity, sentence: Sentence) -> list[tuple[Channel, Pool, str]]:
    """The paraphrases of a sentence with its subject filled in and marked, in the data file's order."""
    fields = _fields(identity, sentence)
    found = []
    for frame in frames():
        if frame.fits(identity, sentence):
            found += [(channel, pool, _filled(text, identity, fields)) for channel, pool, text in frame.texts]
    return found


def _frame(entry: dict[str, Any]) -> Frame:
    texts = tuple(
        (channel, pool, text) for channel in Channel for pool in Pool for text in entry.get(channel, {}).get(pool, ())
    )
    return Frame(tuple(entry["relation"]), entry.get("kind"), entry.get("person"), entry.get("past", False), texts)


def _fields(identity: Identity, sentence: Sentence) -> dict[str, str]:
    owner, plural = identity.owner, identity.owner_plural
    speaker = owner == "I"
    determiners = sentence.shown[len(sentence.shown) - sentence.determiners :] if sentence.determiners else ()
    marked = f"{MENTION_OPENS}{owner}{MENTION_CLOSES}"
    return {
        "s": marked,
        "obj": f"{MENTION_OPENS}{'me' if speaker else 'us' if owner == 'we' else owner}{MENTION_CLOSES}",
        "do": "do" if plural else "does",
        "be": "am" if speaker else "are" if plural else "is",
        "have": "have" if plural else "has",
        "_s": "" if plural else "s",
        "det": join(determiners),
        "attribute": identity.attribute,
        "noun": re.sub(r"^favou?rite ", "", identity.attribute),
    }


def _filled(text: str, identity: Identity, fields: dict[str, str]) -> str:
    def owned(match: re.Match[str]) -> str:
        noun = fields.get(match.group(1), match.group(1))
        if identity.owner in ("I", "we"):
            return f"{MENTION_OPENS}{possessive(identity.owner)} {noun}{MENTION_CLOSES}"
        ending = possessive(identity.owner)[len(identity.owner) :]
        return f"{MENTION_OPENS}{identity.owner}{MENTION_CLOSES}{ending} {noun}"

    return _POSSESSIVE_FIELD.sub(owned, text).format_map(fields).rstrip()
