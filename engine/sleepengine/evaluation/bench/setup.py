"""A loaded model and the conditions that can be opened on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sleepengine.backends.base import Backend
from sleepengine.evaluation.bench.conditions import Condition, Edited, Metered, Untouched
from sleepengine.evaluation.bench.runner import Arm, finish
from sleepengine.host.startup import STATISTICS, open_backend
from sleepengine.memory.files import make_private_dir
from sleepengine.models.registry import resolve
from sleepengine.wake.covariance import cached
from sleepengine.wake.memit import Memit
from sleepengine.wake.profile import profile_for


def open_memit(backend: Backend, models_dir: Path) -> Memit:
    """MEMIT with the model's profile; its covariance is measured where it was not before."""
    make_private_dir(models_dir / STATISTICS)
    profile = profile_for(backend.spec)
    return Memit(backend, profile, finish(cached(backend, profile.layers, models_dir / STATISTICS)))


EDITORS: Mapping[str, Callable[[Backend, Path], Memit]] = {"memit": open_memit}
"""By name, how an editor is opened over a backend and the models' folder."""
BASELINES: Mapping[str, Callable[[Backend], Condition]] = {"none": Untouched}
CONDITIONS = (*EDITORS, *BASELINES)
"""Every name that an arm may have."""


@dataclass(frozen=True)
class Setup:
    """What arms are opened with."""

    backend: Backend
    models_dir: Path

    @staticmethod
    def load(model: str, models_dir: Path, device: str, announce: Callable[[str], None]) -> Setup:
        """Load a model that is on disk. Raises EngineError with the reason where that fails."""
        announce(f"loading {model}")
        return Setup(open_backend(resolve(model, models_dir), device), models_dir)

    def condition(self, arm: Arm) -> Condition:
        """The arm's editor or baseline."""
        if arm.condition in BASELINES:
            return BASELINES[arm.condition](self.backend)
        metered = Metered(self.backend)
        return Edited(arm.condition, metered, EDITORS[arm.condition](metered.as_backend, self.models_dir))
