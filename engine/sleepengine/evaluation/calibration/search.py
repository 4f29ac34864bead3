"""Coordinate search: one setting after another, each value tried with all others at their best so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from sleepengine.evaluation.calibration.trial import Figures

MARGIN = 0.01  # a smaller gain is noise, and no reason to leave the setting that was there

P = TypeVar("P", bound=msgspec.Struct)


@dataclass(frozen=True)
class Knob:
    """A field of a profile and the values that are tried for it."""

    name: str
    values: tuple[object, ...]


@dataclass(frozen=True)
class Tried(Generic[P]):
    """A profile and what it gave."""

    profile: P
    figures: Figures


def search(
    start: P,
    knobs: Sequence[Knob],
    measure: Callable[[P], Figures],
    trials: int,
    announce: Callable[[str], None],
) -> tuple[Tried[P], list[Tried[P]]]:
    """The best profile found with at most `trials` trials, the start included, and all that were tried."""
    tried = [Tried(start, measure(start))]
    best = tried[0]
    announce(_told("as it was", best.figures))
    for knob in knobs:
        for profile in _others(best.profile, knob):
            if len(tried) >= trials:
                return best, tried
            one = Tried(profile, measure(profile))
            tried.append(one)
            announce(_told(f"{knob.name} {getattr(profile, knob.name)}", one.figures))
            if one.figures.score > best.figures.score + MARGIN:
                best = one
    return best, tried


def _others(profile: P, knob: Knob) -> Iterator[P]:
    """The profile with each other value of the knob."""
    for value in knob.values:
        if value != getattr(profile, knob.name):
            yield msgspec.structs.replace(profile, **{knob.name: value})


def _told(what: str, figures: Figures) -> str:
    f = figures
    recall = f"raw {f.raw:.2f}, chat {f.chat:.2f}, near {f.near_leak:.2f}, other {f.other_leak:.2f}"
    return f"{what}: score {f.score:.3f} ({recall}, {f.divergence:.4f} nats, {f.seconds_per_fact:.1f} s a fact)"
