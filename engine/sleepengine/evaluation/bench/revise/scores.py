"""From answers and log-probabilities to figures, and to whether they keep the bounds that the project sets itself."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import msgspec

from sleepengine.evaluation.bench.revise.asking import WAYS, Answer, Likelihood
from sleepengine.evaluation.bench.revise.cast import Half, Role
from sleepengine.evaluation.bench.scoring import Estimate, estimate

ANSWERED = "answered"  # of facts that stay as they are: their own object
NEW, OLD = "new value", "old value"
DIRECT = "raw and chat"

NEW_AT_LEAST, OLD_AT_MOST = 0.95, 0.03
ABOVE_CONTROLS = 0.03  # what a share of a few hundred prompts can tell from nothing
RECALL_WITHIN = 0.02
AUC_AT_MOST = 0.60


class Auc(msgspec.Struct, frozen=True, kw_only=True):
    """How well log-probability tells a group's objects from others: the chance that one of the group is the likelier.

    `controls` compares with facts that were never taught, `matched` with untaught objects of the same relation about
    the same person, each in nats a token as they stand; the other two take the bare base's log-probability off first.
    """

    controls: float
    controls_over_base: float
    matched: float
    matched_over_base: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one moment's answers come to: by group, measure ("new value, chat"), and by group the AUCs."""

    shares: dict[str, dict[str, Estimate]]
    aucs: dict[str, Auc]


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """A bound and what was found; a `floor` is a bound from below. `signed`: what was found is a difference."""

    what: str
    found: float
    bound: float
    floor: bool = False
    signed: bool = False

    @property
    def kept(self) -> bool:
        """Whether it holds."""
        return self.found >= self.bound if self.floor else self.found <= self.bound


def figures(answers: Sequence[Answer], likely: Sequence[Likelihood]) -> Figures:
    """All groups of one moment."""
    groups = list(dict.fromkeys(a.group for a in answers))
    shares = {group: _shares([a for a in answers if a.group == group]) for group in groups}
    taught = [g for g in groups if g != Role.CONTROL]
    controls = [one for one in likely if one.group == Role.CONTROL]
    return Figures(
        shares=shares, aucs={group: _auc([one for one in likely if one.group == group], controls) for group in taught}
    )


def auc(above: Sequence[float], below: Sequence[float]) -> float:
    """The chance that a value of the first exceeds one of the second, ties half; .5 where either is empty."""
    if not above or not below:
        return 0.5
    wins = sum((a > b) + 0.5 * (a == b) for a in above for b in below)
    return wins / (len(above) * len(below))


def bounds(before: Figures, now: Figures, slept: bool) -> list[Bound]:
    """What is promised, at once after a revision or, with `slept`, after the next sleep."""
    found: list[Bound] = []
    for half in (Half.ACTIVE, Half.CONSOLIDATED):
        corrected, forgotten, other = (f"{role}, {half}" for role in (Role.CORRECTED, Role.FORGOTTEN, Role.OTHER))
        new, old = (_direct(now, corrected, measure) for measure in (NEW, OLD))
        above = _direct(now, forgotten, ANSWERED) - _direct(now, Role.CONTROL, ANSWERED)
        lost = _direct(before, other, ANSWERED) - _direct(now, other, ANSWERED)
        found += [
            Bound(what=f"{corrected}: {NEW}", found=new, bound=NEW_AT_LEAST, floor=True),
            Bound(what=f"{corrected}: {OLD}", found=old, bound=OLD_AT_MOST),
            Bound(what=f"{forgotten}: recall above never taught", found=above, bound=ABOVE_CONTROLS, signed=True),
            Bound(what=f"{other}: recall lost", found=lost, bound=RECALL_WITHIN, signed=True),
        ]
        if slept:
            told = now.aucs[forgotten]
            found += [
                Bound(what=f"{forgotten}: AUC against never taught", found=told.controls, bound=AUC_AT_MOST),
                Bound(what=f"{forgotten}: AUC against untaught objects", found=told.matched, bound=AUC_AT_MOST),
            ]
    return found


def mean_bounds(seeds: Sequence[Sequence[Bound]]) -> list[Bound]:
    """The same bounds held to the means over the seeds."""
    return [
        msgspec.structs.replace(bound, found=fmean(seed[i].found for seed in seeds)) for i, bound in enumerate(seeds[0])
    ]


def _shares(answers: Sequence[Answer]) -> dict[str, Estimate]:
    """By measure and way; "raw and chat" together are what the bounds are about."""
    corrected = answers[0].group.startswith(Role.CORRECTED)
    ways = {**{way: (way,) for way in WAYS}, DIRECT: ("raw", "chat")}
    found = {}
    for way, members in ways.items():
        here = [a for a in answers if a.way in members]
        old = estimate(sum(a.old for a in here), len(here), sum(a.base_old for a in here))
        if corrected:
            found[f"{NEW}, {way}"] = estimate(sum(a.new for a in here), len(here), sum(a.base_new for a in here))
        found[f"{OLD if corrected else ANSWERED}, {way}"] = old
    return found


def _auc(own: Sequence[Likelihood], controls: Sequence[Likelihood]) -> Auc:
    return Auc(
        controls=auc([o.own for o in own], [c.own for c in controls]),
        controls_over_base=auc([o.own - o.own_base for o in own], [c.own - c.own_base for c in controls]),
        matched=auc([o.own for o in own], [m for o in own for m in o.matched]),
        matched_over_base=auc(
            [o.own - o.own_base for o in own],
            [m - b for o in own for m, b in zip(o.matched, o.matched_base, strict=True)],
        ),
    )


def _direct(figures: Figures, group: str, measure: str) -> float:
    return figures.shares[group][f"{measure}, {DIRECT}"].value
