"""Builds a fact's prompts: general wordings for any relation first, then the everyday paraphrases of its own."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache

from sleepengine.errors import StatementRefused
from sleepengine.memory.facts import Channel, Pool, Prompt
from sleepengine.wake.grammar.identity import Identity
from sleepengine.wake.grammar.lexicon import data_file
from sleepengine.wake.grammar.paraphrases import paraphrases
from sleepengine.wake.grammar.phrase import MENTION_CLOSES, MENTION_OPENS
from sleepengine.wake.grammar.sentence import Sentence
from sleepengine.wake.grammar.text import capitalised

#: The fewest prompts that a fact is taught and tested with.
LEAST: dict[tuple[Channel, Pool], int] = {
    (Channel.RAW, Pool.TRAIN): 3, (Channel.RAW, Pool.CHECK): 1, (Channel.RAW, Pool.GATE): 1,
    (Channel.CHAT, Pool.TRAIN): 4, (Channel.CHAT, Pool.CHECK): 2, (Channel.CHAT, Pool.GATE): 2,
}  # fmt: skip
_FIELD = re.compile(r"\{(\w+)\}")
_WORD = r"(?<![\w]){}(?![\w])"


@dataclass(frozen=True, slots=True)
class _Wordings:
    """The general wordings of one channel and pool: how many are wanted, and candidates in order of preference."""

    channel: Channel
    pool: Pool
    count: int
    texts: tuple[str, ...]


def occurrences(needle: str, text: str) -> list[int]:
    """Where a phrase stands in a text as whole words, letter case aside; offsets in characters."""
    pattern = re.compile(_WORD.format(re.escape(needle)), re.IGNORECASE)
    return [match.start() for match in pattern.finditer(text)]


def build_prompts(identity: Identity, sentence: Sentence) -> tuple[Prompt, ...]:
    """All prompts of a sentence.

    No prompt holds the object, no wording is in two pools, and the mention's last occurrence is the subject that is
    asked about. Raises StatementRefused when the sentence's own words leave too few.
    """
    builder = _Builder(sentence)
    shapes = _shapes(sentence)
    for wordings in _general_wordings():
        taken = 0
        for text in wordings.texts:
            filled = _fill(text, shapes)
            if taken < wordings.count and filled is not None:
                taken += builder.add(wordings.channel, wordings.pool, filled)
    for channel, pool, text in paraphrases(identity, sentence):
        builder.add(channel, pool, text)
    return builder.finish()


class _Builder:
    """Collects prompts and turns away those that give the answer away, repeat another or point at the wrong words."""

    def __init__(self, sentence: Sentence) -> None:
        self._sentence = sentence
        self._prompts: list[Prompt] = []
        self._wordings: set[str] = set()

    def add(self, channel: Channel, pool: Pool, marked: str) -> int:
        """Adds a prompt whose mention is marked; returns how many were added, 0 or 1."""
        text, mention, offset = _unmark(marked)
        wording = " ".join(re.findall(r"\w+", text.casefold()))
        places = [place for place in occurrences(mention, text) if text.startswith(mention, place)]
        if occurrences(self._sentence.object, text) or wording in self._wordings or places[-1:] != [offset]:
            return 0
        self._wordings.add(wording)
        answer = f" {self._sentence.object}" if channel is Channel.RAW else self._sentence.answer
        self._prompts.append(Prompt(channel=channel, text=text, answer=answer, mention=mention, pool=pool))
        return 1

    def finish(self) -> tuple[Prompt, ...]:
        """The prompts, if there are enough of each pool."""
        for (channel, pool), least in LEAST.items():
            if sum(p.channel is channel and p.pool is pool for p in self._prompts) < least:
                raise StatementRefused(
                    f"{self._sentence.object!r} is too much like the words that would ask for it; say it differently"
                )
        return tuple(self._prompts)


@cache
def _general_wordings() -> tuple[_Wordings, ...]:
    table = tomllib.loads(data_file("prompts.toml").read_text(encoding="utf-8"))
    return tuple(
        _Wordings(channel, pool, table[channel][pool]["count"], tuple(table[channel][pool]["texts"]))
        for channel in Channel
        for pool in Pool
    )


def _shapes(sentence: Sentence) -> dict[str, str | None]:
    """The sentence in every shape that a wording may name; None for a shape that it cannot take."""
    tail = not (occurrences(sentence.phrase.mention, sentence.tail) or occurrences(sentence.object, sentence.tail))
    question = sentence.question(with_tail=tail)
    return {
        "q": question,
        "Q": _capitalised(question),
        "q0": sentence.question(with_tail=False),
        "e": sentence.indirect(with_tail=tail),
        "e0": sentence.indirect(with_tail=False),
        "c": sentence.cloze,
        "C": _capitalised(sentence.cloze),
        "aside": sentence.aside,
        "echo": sentence.echo,
        "cleft": sentence.cleft,
        "blank": sentence.blank if tail else sentence.cloze + " ___",
    }


def _fill(text: str, shapes: dict[str, str | None]) -> str | None:
    """A wording with its shapes filled in, or None when the sentence cannot take one of them."""
    if any(shapes[name] is None for name in _FIELD.findall(text)):
        return None
    return _FIELD.sub(lambda match: shapes[match.group(1)] or "", text)


def _unmark(marked: str) -> tuple[str, str, int]:
    """A prompt's text, its last marked mention as it stands there, and the mention's offset in characters."""
    marked = _capitalised(marked)
    opens, closes = marked.rindex(MENTION_OPENS), marked.rindex(MENTION_CLOSES)
    mention = marked[opens + 1 : closes]
    before = marked[:opens].replace(MENTION_OPENS, "").replace(MENTION_CLOSES, "")
    return before + mention + marked[closes + 1 :], mention, len(before)


def _capitalised(marked: str) -> str:
    """A text whose first letter is a capital, past a mark that may stand before it."""
    if marked.startswith(MENTION_OPENS):
        return MENTION_OPENS + capitalised(marked[1:])
    return capitalised(marked)
