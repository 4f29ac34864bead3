"""Calibration of one model: search the settings of each editor, measure its capacity, say which editor did best."""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from sleepengine.backends.base import Backend
from sleepengine.evaluation.calibration.capacity import capacity, counts
from sleepengine.evaluation.calibration.facts import lesson
from sleepengine.evaluation.calibration.search import search
from sleepengine.evaluation.calibration.trial import Figures, trial
from sleepengine.evaluation.calibration.tunables import TUNABLES, Tunable
from sleepengine.evaluation.work import finish
from sleepengine.wake.calibrated import Calibration
from sleepengine.wake.profile import EditProfile


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """How much is tried: facts in a trial, trials for each editor, and the largest number of facts for capacity."""

    facts: int = 8
    trials: int = 16
    limit: int = 80


class EditorFound(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for one editor. `figures` are of the best profile, `by_count` of growing numbers of facts."""

    profile: EditProfile
    start: Figures
    figures: Figures
    trials: int
    capacity: int
    by_count: tuple[Figures, ...]


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored, and the figures behind it, by editor."""

    calibration: Calibration
    editors: dict[str, EditorFound]


def tune(backend: Backend, editors: Sequence[str], effort: Effort, announce: Callable[[str], None]) -> Tuned:
    """Calibrate the editors one after another. What is measured of the model on the way is thrown away."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sleepd-calibrate-") as folder:
        found = {
            name: _tune_one(backend, TUNABLES[name], effort, Path(folder), _prefixed(name, announce))
            for name in editors
        }
    best = max(found, key=lambda name: found[name].figures.score)
    return Tuned(
        calibration=Calibration(
            identity=backend.spec.identity,
            editor=best,
            **{name: one.profile for name, one in found.items()},
            capacity={name: one.capacity for name, one in found.items()},
            date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            device=backend.spec.device,
            seconds=round(time.monotonic() - begun, 1),
        ),
        editors=found,
    )


def _tune_one(
    backend: Backend, tunable: Tunable, effort: Effort, folder: Path, announce: Callable[[str], None]
) -> EditorFound:
    small = lesson(effort.facts)

    def measure(profile: EditProfile) -> Figures:
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


def _prefixed(name: str, announce: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: announce(f"{name}: {text}")
