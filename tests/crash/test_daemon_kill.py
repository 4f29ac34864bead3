"""kill -9 of the whole daemon, at every failpoint and at random moments, while clients work."""

from __future__ import annotations

from pathlib import Path

import pytest

from sleepengine.models.registry import ModelRecord
from tests.crash.lives import ACTIVITIES, FAILPOINTS, Lives, Moment

AT_EACH_FAILPOINT = 50
KILLS = 1000
MODEL_KILLS = 20
MODEL_SPANS = {"start": 30.0, "remember": 30.0, "forget": 10.0, "ask": 10.0, "sleep": 60.0, "backup": 1.0}


def test_killed_at_every_failpoint_and_in_every_activity(tmp_path: Path) -> None:
    lives = Lives(tmp_path / "home", seed=20261124)
    lives.live(Moment("remember"))
    for name in [*FAILPOINTS, *ACTIVITIES]:
        lives.live(Moment(name))
    lives.live(Moment("remember"))
    print(f"\n{lives.table()}")
    assert len(lives.truth.statements) > len(FAILPOINTS)


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.timeout(7200)
def test_a_thousand_kills(tmp_path: Path) -> None:
    """At least fifty that reached each failpoint; the rest spread over the activities."""
    lives = Lives(tmp_path / "home", seed=4711)
    each = -(-(KILLS - AT_EACH_FAILPOINT * len(FAILPOINTS)) // len(ACTIVITIES))
    plan = [name for name in FAILPOINTS for _ in range(AT_EACH_FAILPOINT)]
    plan += [name for name in ACTIVITIES for _ in range(each)]
    lives.random.shuffle(plan)
    try:
        for number, name in enumerate(plan, 1):
            lives.live(Moment(name))
            if number % 100 == 0:
                print(f"\n{number} of {len(plan)}: {lives.truth.describe()}", flush=True)
        for name in FAILPOINTS:
            for _ in range(AT_EACH_FAILPOINT):
                if lives.struck[name] >= AT_EACH_FAILPOINT:
                    break
                lives.live(Moment(name))
        lives.live(Moment("remember"))
    finally:
        print(f"\n{lives.table()}", flush=True)
    assert lives.kills.total() > KILLS
    assert all(lives.struck[name] >= AT_EACH_FAILPOINT for name in FAILPOINTS)


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.model
@pytest.mark.timeout(3600)
def test_twenty_kills_with_the_default_model(tmp_path: Path, default_model: ModelRecord, models_dir: Path) -> None:
    """Random moments of loading, learning and sleeping; facts are acknowledged in between."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLEEPD_MODELS", str(models_dir))
        lives = Lives(tmp_path / "home", seed=1969, backend="torch", spans=MODEL_SPANS)
        lives.learn_first(3, seconds=900)
        plan = (list(MODEL_SPANS) * MODEL_KILLS)[:MODEL_KILLS]
        try:
            for name in plan:
                lives.live(Moment(name))
                print(f"\n{lives.kills.total()} with {default_model.name}: {lives.truth.describe()}", flush=True)
        finally:
            print(f"\n{lives.table()}", flush=True)
