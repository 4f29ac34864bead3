"""The companion on an X server, with the default model: taught in chat, seen, slept over, forgotten, asked again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.companion.test_around import environment
from tests.lifecycle.conftest import Place

pytestmark = [pytest.mark.companion, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(3000)]

SHORT_NIGHT = {"sleep.steps": "6", "sleep.leak_prompts": "2", "sleep.mine_rows": "0", "sleep.rem": "false"}
"""The night is to be seen, not to succeed: bench and lifecycle tests judge nights."""


@pytest.fixture
def display() -> Iterator[str]:
    """An X server without a screen."""
    if shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb")
    pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x900x24", "-nolisten", "tcp"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            yield f":{told.readline().strip()}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def real(tmp_path: Path, default_model: Any) -> Iterator[Place]:
    """A home whose daemon owns the default model."""
    changes = {"SLEEPD_HOME": str(tmp_path / "home"), "SLEEPD_MODELS": str(Path(default_model.path).parent)}
    place = Place(tmp_path / "home", environment(**changes))
    for key, value in SHORT_NIGHT.items():
        assert place.sleepd("config", "set", key, value).code == 0
    started = place.sleepd("start", "--json", timeout=600)
    assert started.code == 0, started.err
    try:
        yield place
    finally:
        place.sleepd("stop", timeout=60)


def test_a_fact_is_taught_seen_slept_over_forgotten_and_asked_for(real: Place, display: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.companion.on_a_screen", str(real.home), str(tmp_path)],
        env={**real.environment, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout.splitlines()[-1])
    assert saw["platform"] == "xcb"
    assert "carpenter" not in saw["before"].lower()
    assert "carpenter" in saw["after"].lower()
    assert saw["fact"] == "Idris Larsson works as a carpenter."
    assert "Deep sleep" in saw["shapes"]
    assert "SWS: sws train" in saw["hypnogram"]
    assert saw["forgotten"].startswith("Forgotten.")
    assert "carpenter" not in saw["again"].lower()
