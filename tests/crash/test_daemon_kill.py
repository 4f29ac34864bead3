"""kill -9 of the whole daemon, at every failpoint and at random moments, while clients work."""

from __future__ import annotations

from pathlib import Path

import pytest

from sleepengine.models.registry import ModelRecord
from tests.crash.lives import FAILPOINTS, Lives

SHORT_RANDOM = 8
AT_EACH_FAILPOINT = 50
KILLS = 1000
MODEL_KILLS = 20


def test_killed_at_every_failpoint_and_at_random(tmp_path: Path) -> None:
    lives = Lives(tmp_path / "home", seed=20261124)
    for failpoint in [*FAILPOINTS, *[""] * SHORT_RANDOM]:
        lives.live(failpoint)
    lives.live()
    assert len(lives.known.statements) > len(FAILPOINTS)


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.timeout(7200)
def test_a_thousand_kills(tmp_path: Path) -> None:
    lives = Lives(tmp_path / "home", seed=4711)
    plan = [failpoint for failpoint in FAILPOINTS for _ in range(AT_EACH_FAILPOINT)]
    plan += [""] * (KILLS - len(plan))
    lives.random.shuffle(plan)
    for failpoint in plan:
        lives.live(failpoint)
    lives.live()
    known = lives.known
    starts = sorted(known.starts)
    print(f"{known.kills} kills, {len(known.statements)} facts acknowledged, generation {known.generation}")
    print(f"start: median {starts[len(starts) // 2]:.2f} s, longest {starts[-1]:.2f} s; fired: {known.fired}")
    assert known.kills > KILLS


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.model
@pytest.mark.timeout(3600)
def test_twenty_kills_with_the_default_model(tmp_path: Path, default_model: ModelRecord, models_dir: Path) -> None:
    """Random moments of loading, learning and sleeping; facts are acknowledged in between."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLEEPD_MODELS", str(models_dir))
        lives = Lives(tmp_path / "home", seed=1969, longest=30.0, backend="torch")
        lives.learn_first(3, seconds=900)
        for _ in range(MODEL_KILLS):
            lives.live()
    print(f"{lives.known.kills} kills, {len(lives.known.statements)} facts acknowledged: {default_model.name}")
