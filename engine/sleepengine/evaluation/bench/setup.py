"""A loaded model and the conditions that can be opened on it, with settings that a sweep changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from sleepengine.backends.base import Backend
from sleepengine.errors import EngineError
from sleepengine.evaluation.bench.baselines import AllNotes, Retrieved, Untouched
from sleepengine.evaluation.bench.conditions import Condition, Edited, Metered
from sleepengine.evaluation.bench.runner import Arm
from sleepengine.evaluation.bench.scenario import scenario
from sleepengine.evaluation.work import finish, silently
from sleepengine.host.startup import STATISTICS, open_backend, stored_profiles
from sleepengine.memory.files import make_private_dir
from sleepengine.models.registry import resolve
from sleepengine.wake import opening
from sleepengine.wake.calibrated import Profiles
from sleepengine.wake.editing import Editor, Editors, Standing
from sleepengine.wake.gated import Gated
from sleepengine.wake.learning import learn
from sleepengine.wake.memit import Memit
from sleepengine.wake.null_space import RIDGE, null_space
from sleepengine.wake.profile import EditProfile, GateProfile

P = TypeVar("P", EditProfile, GateProfile)

WARM_UP_SEED = -1  # facts that no arm measures
ALIASES = {"lambda": "ridge"}  # the paper's name


def open_memit(backend: Backend, profiles: Profiles, folder: Path, settings: Mapping[str, float]) -> Memit:
    """MEMIT with the model's profile, changed by `settings`."""
    profile = changed(profiles.memit, settings)
    return finish(opening.open_memit(backend, profile, folder))


def open_alphaedit(backend: Backend, profiles: Profiles, folder: Path, settings: Mapping[str, float]) -> Memit:
    """The same keys and residuals, solved in the null space of the reference keys."""
    profile = changed(profiles.memit, {"ridge": RIDGE} | dict(settings))
    memit = finish(opening.open_memit(backend, profile, folder))
    return Memit(backend, profile, null_space(memit.covariance))


def open_gated(backend: Backend, profiles: Profiles, folder: Path, settings: Mapping[str, float]) -> Gated:
    """The gated editor with the model's profile, changed by `settings`."""
    profile = changed(profiles.gated, settings)
    return finish(opening.open_gated(backend, profile, folder))


EDITORS: Mapping[str, Callable[[Backend, Profiles, Path, Mapping[str, float]], Editor]] = {
    "gated": open_gated,
    "memit": open_memit,
    "alphaedit": open_alphaedit,
}
"""By name, how an editor is opened: backend, the model's profiles, a folder for what is measured once, settings."""
BASELINES: Mapping[str, Callable[[Backend], Condition]] = {"none": Untouched, "notes": AllNotes, "bm25": Retrieved}
CONDITIONS = (*EDITORS, *BASELINES)
"""Every name that an arm may have."""


@dataclass(frozen=True)
class Setup:
    """What arms are opened with. `folder` holds what is measured once of a model."""

    backend: Backend
    profiles: Profiles
    folder: Path

    @staticmethod
    def load(model: str, models_dir: Path, device: str, announce: Callable[[str], None]) -> Setup:
        """Load a model that is on disk. Raises EngineError with the reason where that fails."""
        announce(f"loading {model}")
        backend = open_backend(resolve(model, models_dir), device)
        make_private_dir(models_dir / STATISTICS)
        return Setup(backend, stored_profiles(backend, models_dir), models_dir / STATISTICS)

    def editors(self, active: str) -> Editors:
        """Both editors as the daemon opens them, `active` the one that learns."""
        opened: dict[str, Callable[[], Editor]] = {
            "gated": lambda: open_gated(self.backend, self.profiles, self.folder, {}),
            "memit": lambda: open_memit(self.backend, self.profiles, self.folder, {}),
        }
        return Editors(active, opened)

    def condition(self, arm: Arm) -> Condition:
        """The arm's editor or baseline. Raises EngineError for a setting that it does not have."""
        if arm.condition in BASELINES:
            if arm.settings:
                raise EngineError(f"{arm.condition} has no settings")
            return BASELINES[arm.condition](self.backend)
        metered = Metered(self.backend)
        editor = EDITORS[arm.condition](metered.as_backend, self.profiles, self.folder, arm.settings)
        if self.backend.spec.device.startswith("cuda"):  # the first run of a kernel is no measure of the next
            finish(silently(learn(self.backend, editor, scenario(WARM_UP_SEED, 1).facts, Standing(None, None, ()))))
        return Edited(arm.condition, metered, editor, arm.alone)


def changed(profile: P, settings: Mapping[str, float]) -> P:
    """The profile with some of its numbers replaced. Raises EngineError naming the settings that there are."""
    known: dict[str, Any] = msgspec.to_builtins(profile)
    numbers: list[str] = [name for name, value in known.items() if isinstance(value, int | float)]
    aliases: list[str] = [alias for alias, field in ALIASES.items() if field in numbers]
    renamed = {ALIASES.get(name, name): value for name, value in settings.items()}
    for name, value in renamed.items():
        if name not in numbers:
            raise EngineError(f"no setting {name!r}: there are {', '.join([*aliases, *numbers])}")
        known[name] = type(known[name])(value)
    return msgspec.convert(known, type(profile))
