"""Calibration of one model: search the settings of each editor, measure its capacity, say which editor did best."""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic

import msgspec

from sleepengine.backends.base import Backend
from sleepengine.evaluation.calibration.capacity import capacity, counts
from sleepengine.evaluation.calibration.facts import lesson
from sleepengine.evaluation.calibration.search import search
from sleepengine.evaluation.calibration.trial import Figures, trial
from sleepengine.evaluation.calibration.tunables import GATED, MEMIT, P, Tunable
from sleepengine.evaluation.work import finish
from sleepengine.wake.calibrated import Calibration
from sleepengine.wake.profile import EditProfile, GateProfile


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """How much is tried: facts in a trial, trials for each editor, and the largest number of facts for capacity."""

    facts: int = 8
    trials: int = 16
    limit: int = 80


class EditorFound(msgspec.Struct, Generic[P], frozen=True, kw_only=True):
    """What was found for one editor. `figures` are of the best profile, `by_count` of growing numbers of facts."""

    profile: P
    start: Figures
    figures: Figures
    trials: int
    capacity: int
    by_count: tuple[Figures, ...]


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored, and the figures behind it. An editor that is None was not calibrated."""

    calibration: Calibration
    gated: EditorFound[GateProfile] | None
    memit: EditorFound[EditProfile] | None

    @property
    def editors(self) -> dict[str, EditorFound[GateProfile] | EditorFound[EditProfile]]:
        """Those that were calibrated, by name."""
        both = {"gated": self.gated, "memit": self.memit}
        return {name: one for name, one in both.items() if one is not None}


def tune(
    backend: Backend, editors: Sequence[str], effort: Effort, folder: Path, announce: Callable[[str], None]
) -> Tuned:
    """Calibrate the editors one after another.

    `folder` keeps the spaces of relations, which are small and slow to fit; covariances of candidates are thrown away.
    """
    begun = time.monotonic()

    def one(name: str, tunable: Tunable[P], place: Path) -> EditorFound[P] | None:
        if name not in editors:
            return None
        return _tune_one(backend, tunable, effort, place, lambda text: announce(f"{name}: {text}"))

    gated = one("gated", GATED, folder)
    with tempfile.TemporaryDirectory(prefix="sleepd-calibrate-") as throwaway:
        memit = one("memit", MEMIT, Path(throwaway))
    found = {"gated": gated, "memit": memit}
    scores = {name: each.figures.score for name, each in found.items() if each is not None}
    calibration = Calibration(
        identity=backend.spec.identity,
        editor=max(scores, key=lambda name: scores[name]),
        gated=gated.profile if gated is not None else None,
        memit=memit.profile if memit is not None else None,
        capacity={name: each.capacity for name, each in found.items() if each is not None},
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        device=backend.spec.device,
        seconds=round(time.monotonic() - begun, 1),
    )
    return Tuned(calibration=calibration, gated=gated, memit=memit)


def _tune_one(
    backend: Backend, tunable: Tunable[P], effort: Effort, folder: Path, announce: Callable[[str], None]
) -> EditorFound[P]:
    small = lesson(effort.facts)

    def measure(profile: P) -> Figures:
        return finish(trial(backend, finish(tunable.build(backend, profile, folder)), small))

    best, tried = search(tunable.start(backend.spec), tunable.knobs(backend.spec), measure, effort.trials, announce)
    editor = finish(tunable.build(backend, best.profile, folder))
    holds, by_count = capacity(
        lambda number: finish(trial(backend, editor, lesson(number))), counts(effort.limit), announce
    )
    return EditorFound(
        profile=best.profile,
        start=tried[0].figures,
        figures=best.figures,
        trials=len(tried),
        capacity=holds,
        by_count=tuple(by_count),
    )
