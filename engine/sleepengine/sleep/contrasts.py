"""What keeps a fact where it belongs: rows about somebody else, and about other things of the same subject.

A *minimal pair* is the very same prompt about a near name, with the fact's own sentence read out for them up to where
the object would come. An *other-relation row* asks something else about the fact's own subject. In both the student is
held to the base at each of these positions. They are made afresh for every step, so no name is learned as an exception.
While it trains, the student is asked such prompts now and then; where it gives the object away, that reply becomes the
next rows.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

import msgspec

from sleepengine.backends.base import Anchor, Example, Tokenizer
from sleepengine.evaluation.recall import locate
from sleepengine.evaluation.texts import Names, names
from sleepengine.memory.facts import Channel, Fact, Person, Pool, Prompt
from sleepengine.sleep.rows import example, pair
from sleepengine.sleep.settings import SleepSettings

STRANGER_SHARE = 0.2  # of the pairs that share neither name; the others share the first or the last
OTHER_OWNERS = ("my friend's", "my neighbour's", "my cousin's", "my teacher's", "my boss's", "my landlord's")
MINED_USES = 2  # steps that a mined row enters
MINED_SHARE = 0.5  # of a step's pairs that may be mined ones
UNKNOWN = "I don't know that about {mention}."


class Relation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that can be asked about anybody, and its sentence up to the object. Fields: {s} the subject as it is
    asked about, {S} as the answer begins with it. It is not asked about subjects that have a fact of `relation`."""

    relation: tuple[str, ...]
    raw: str
    chat: str
    answer: str
    of: str = "person"  # or "thing"


@dataclass(frozen=True)
class Probe:
    """A prompt to which a fact's object would be a leak."""

    fact: Fact
    prompt: Prompt


class Contrasts:
    """Endless rows that are held to the base, for one training over some facts."""

    def __init__(
        self, tokenizer: Tokenizer, facts: Sequence[Fact], known: Sequence[Fact], settings: SleepSettings, seed: int
    ) -> None:
        self._tokenizer, self._settings = tokenizer, settings
        self._rng = random.Random(seed)
        self._known = {f.id: f for f in (*facts, *known)}
        self._taken = {f.subject for f in self._known.values()}
        self._facts = tuple(facts)
        self._mined: deque[tuple[Anchor, int]] = deque()
        nameable = [f for f in facts if self._somebody_else(f, f.subject) is not None]
        askable = [f for f in facts if self._other_prompt(f) is not None]
        self._near = self._endless(nameable, self._near_prompt)
        self._other = self._endless(askable, self._other_prompt)

    def pairs(self, count: int) -> list[Anchor | Example]:
        """So many rows about near names, mined ones first; none where no fact has a subject that can be exchanged."""
        rows: list[Anchor | Example] = []
        while self._mined and len(rows) < count * MINED_SHARE:
            row, uses = self._mined.popleft()
            rows.append(row)
            if uses > 1:
                self._mined.append((row, uses - 1))
        rows += [self._row(probe) for probe in _take(self._near, count - len(rows))]
        return rows

    def others(self, count: int) -> list[Anchor]:
        """So many rows about other relations of the facts' subjects; none where nothing else can be asked of any."""
        return [self._held(probe) for probe in _take(self._other, count)]

    def probes(self, count: int) -> list[Probe]:
        """Prompts to be asked in search of leaks: near names and other relations by turns."""
        near = _take(self._near, (count + 1) // 2)
        return [*near, *_take(self._other, count - len(near))]

    def mined(self, probe: Probe, reply: str) -> bool:
        """Take a reply that may have given the object away; whether it did."""
        place = locate(reply, probe.fact.object)
        if place is None:
            return False
        begin, end = place
        leaked = msgspec.structs.replace(probe.prompt, answer=reply[:end])
        s = self._settings
        row = pair(self._tokenizer, leaked, reply[begin:end], s.pair_frame_weight, s.reverse, s.mined_unlikelihood)
        self._mined.append((row, MINED_USES))
        return True

    # --- rows -----------------------------------------------------------------------------------------------------

    def _row(self, probe: Probe) -> Anchor | Example:
        if self._settings.strangers == "abstain" and probe.prompt.channel is Channel.CHAT:
            unknown = UNKNOWN.format(mention=probe.prompt.mention)
            prompt = msgspec.structs.replace(probe.prompt, answer=unknown)
            return example(self._tokenizer, prompt, unknown, 0.0)
        return self._held(probe)

    def _held(self, probe: Probe) -> Anchor:
        s = self._settings
        return pair(self._tokenizer, probe.prompt, probe.fact.object, s.pair_frame_weight, s.reverse, s.unlikelihood)

    def _endless(self, facts: Sequence[Fact], prompt_of: Callable[[Fact], Prompt | None]) -> Iterator[Probe]:
        """The facts in turn; ends where a whole round asked nothing."""
        order = list(facts)
        while order:
            self._rng.shuffle(order)
            round_ = [Probe(fact, prompt) for fact in order if (prompt := prompt_of(fact)) is not None]
            if not round_:
                return
            yield from round_

    # --- prompts --------------------------------------------------------------------------------------------------

    def _near_prompt(self, fact: Fact) -> Prompt | None:
        prompt = self._rng.choice(_taught(fact, self._channel()))
        other = self._somebody_else(fact, prompt.mention)
        return about(prompt, other) if other is not None else None

    def _other_prompt(self, fact: Fact) -> Prompt | None:
        """Something else about the fact's subject, in the words of another fact or of the shipped relations, with the
        fact's object where the answer would stand."""
        channel = self._channel()
        own = {f.relation for f in self._known.values() if f.subject == fact.subject}
        kind = "person" if is_name(fact.subject) else "thing"
        shipped = [r for r in relations() if r.of == kind and not any(_any_match(o, r.relation) for o in own)]
        others = [f for f in self._facts if f.relation not in own and f.person is fact.person and _kin(f, fact)]
        if others and (not shipped or self._rng.random() < 0.5):
            other = self._rng.choice(others)
            prompt = about(self._rng.choice(_taught(other, channel)), fact.subject)
            return msgspec.structs.replace(prompt, answer=prompt.answer.replace(other.object, fact.object))
        if not shipped or fact.subject == "I":
            return None
        relation = self._rng.choice(shipped)
        answering = re.sub(r"^my\b", "Your", fact.subject, flags=re.IGNORECASE)
        text = relation.chat if channel is Channel.CHAT else relation.raw
        filled = text.replace("{s}", fact.subject)
        sentence = relation.answer.replace("{S}", answering) if channel is Channel.CHAT else ""
        return Prompt(
            channel=channel,
            text=filled[0].upper() + filled[1:],
            answer=f"{sentence} {fact.object}",
            mention=fact.subject,
            pool=Pool.TRAIN,
        )

    def _channel(self) -> Channel:
        return Channel.CHAT if self._rng.random() < self._settings.chat_share else Channel.RAW

    def _somebody_else(self, fact: Fact, mention: str) -> str | None:
        return somebody_else(fact, mention, names(), self._taken, self._rng)


def somebody_else(fact: Fact, mention: str, pool: Names, taken: set[str], rng: random.Random) -> str | None:
    """Another subject in place of `mention`: a near name for a named person, another owner for "my dog"; else None."""
    words = mention.split()
    if fact.person is Person.FIRST:
        owned = len(words) > 1 and words[0].lower() in ("my", "our")
        return " ".join([rng.choice(OTHER_OWNERS), *words[1:]]) if owned else None
    if not is_name(mention):
        return None
    while True:
        first, last = rng.choice(pool.first), rng.choice(pool.last)
        if len(words) > 1 and rng.random() >= STRANGER_SHARE:
            first, last = (words[0], last) if rng.random() < 0.5 else (first, words[-1])
        name = f"{first} {last}" if len(words) > 1 else first
        if name not in taken:
            return name


def about(prompt: Prompt, other: str) -> Prompt:
    """The same prompt and answer about somebody else. An answer that does not name the subject stays as it is."""
    pattern = re.compile(rf"(?<!\w){re.escape(prompt.mention)}(?!\w)", re.IGNORECASE)
    return msgspec.structs.replace(
        prompt,
        text=pattern.sub(lambda _: other, prompt.text),
        answer=pattern.sub(lambda _: other, prompt.answer),
        mention=other,
    )


def is_name(subject: str) -> bool:
    """Whether a subject looks like a person's or place's name: capitalised words only."""
    words = subject.split()
    return bool(words) and subject != "I" and all(w[0].isupper() for w in words)


@cache
def relations() -> tuple[Relation, ...]:
    """What can be asked about anybody."""
    text = files("sleepengine").joinpath("data", "anchors", "relations.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text)["relation"], tuple[Relation, ...])


def _taught(fact: Fact, channel: Channel) -> tuple[Prompt, ...]:
    """A fact's training prompts of one channel, or of any where that has none."""
    return fact.prompts_for(Pool.TRAIN, channel) or fact.prompts_for(Pool.TRAIN)


def _any_match(relation: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(relation, pattern) for pattern in patterns)


def _kin(one: Fact, other: Fact) -> bool:
    """Whether what is asked of one subject can be asked of the other."""
    return is_name(one.subject) == is_name(other.subject) and "I" not in (one.subject, other.subject)


def _take(source: Iterator[Probe], count: int) -> list[Probe]:
    return [probe for probe, _ in zip(source, range(count), strict=False)] if count > 0 else []
