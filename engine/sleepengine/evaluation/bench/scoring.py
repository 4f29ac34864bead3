"""From replies to estimates. Every share stands with its count and its Wilson 95 % interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from sleepengine.evaluation.bench.asking import Reply
from sleepengine.evaluation.bench.probes import KNOWLEDGE, LEAKS, RECALL, Cell
from sleepengine.evaluation.recall import contains
from sleepengine.evaluation.shares import wilson

EXCLUSIVE = "exclusive recall"
MIXED = "another object of the relation, or of the user"
CHANCE = "shuffled-target chance"
ABSTENTION = "strangers answered as the base does"
KEPT = "known answers kept"
FAMOUS_KEPT = "well-known answers kept"


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A share of `n` prompts with its interval, and the bare base's share of the same prompts.

    For a leak, `hits` is the count after the base's was taken off, at least 0.
    """

    value: float
    hits: int
    n: int
    low: float
    high: float
    base: float


def estimate(hits: int, n: int, base_hits: int) -> Estimate:
    """A share with everything that is said of it."""
    low, high = wilson(hits, n)
    return Estimate(value=hits / n if n else 0.0, hits=hits, n=n, low=low, high=high, base=base_hits / n if n else 0.0)


def metrics(replies: Sequence[Reply]) -> dict[str, Estimate]:
    """Every metric that has prompts among `replies`, by name, in the order of the table."""
    found: dict[str, Estimate] = {}
    for cell in (*RECALL, *KNOWLEDGE):
        found[cell] = _share(_of(replies, cell), lambda r: r.hit, lambda r: r.base_hit)
    for cell in LEAKS:
        here = _of(replies, cell)
        base = sum(r.base_hit for r in here)
        found[cell] = estimate(max(0, sum(r.hit for r in here) - base), len(here), base)
    chat = _of(replies, Cell.CHAT)
    found[EXCLUSIVE] = _share(chat, lambda r: exclusive(r, r.reply), lambda r: exclusive(r, r.base))
    found[MIXED] = _mixed(_of(replies, Cell.CHAT, Cell.CHAT_PARAPHRASE))
    found[CHANCE] = chance(chat)
    strangers = _of(replies, Cell.STRANGER_CHAT, Cell.STRANGER_RAW)
    found[ABSTENTION] = _share(strangers, lambda r: r.reply == r.base, lambda r: True)
    found[KEPT] = _kept(_of(replies, Cell.KNOWN))
    found[FAMOUS_KEPT] = _kept(_of(replies, Cell.FAMOUS))
    return {name: one for name, one in found.items() if one.n}


def exclusive(reply: Reply, text: str) -> bool:
    """Whether a target stands in the text and no other object of the relation does."""
    probe = reply.probe
    return any(contains(text, t) for t in probe.targets) and not any(contains(text, o) for o in probe.others)


def _mixed(replies: Sequence[Reply]) -> Estimate:
    """Replies that hold an object which is not the fact's own, above the base's count."""
    held = [(r.reply, r.base, r.probe.others) for r in replies]
    base = sum(any(contains(before, o) for o in others) for _, before, others in held)
    now = sum(any(contains(after, o) for o in others) for after, _, others in held)
    return estimate(max(0, now - base), len(held), base)


def chance(replies: Sequence[Reply]) -> Estimate:
    """The same replies scored against the next fact's object: what is hit by luck, or by answering all facts alike."""
    objects = {r.probe.fact: r.probe.targets for r in replies}
    answers = list(objects.values())
    following = dict(zip(objects, [*answers[1:], *answers[:1]], strict=True))
    pairs = [(r, following[r.probe.fact]) for r in replies if following[r.probe.fact] != r.probe.targets]
    hits = sum(any(contains(r.reply, t) for t in targets) for r, targets in pairs)
    base = sum(any(contains(r.base, t) for t in targets) for r, targets in pairs)
    return estimate(hits, len(pairs), base)


def _of(replies: Iterable[Reply], *cells: Cell) -> list[Reply]:
    return [r for r in replies if r.probe.cell in cells]


def _share(replies: Sequence[Reply], now: Callable[[Reply], bool], before: Callable[[Reply], bool]) -> Estimate:
    return estimate(sum(map(now, replies)), len(replies), sum(map(before, replies)))


def _kept(replies: Sequence[Reply]) -> Estimate:
    """Of the questions that the base answers rightly, the share that is still answered rightly."""
    return _share([r for r in replies if r.base_hit], lambda r: r.hit, lambda r: True)
