"""The default model, learned under torch through the real commands, answers under mlx from the same home."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle.conftest import Place

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def place(tmp_path: Path, default_model: Any) -> Iterator[Place]:
    pytest.importorskip("mlx_lm", reason="the extra `mlx` is not installed")
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(str(root / folder) for folder in ("daemon", "client", "engine"))
    models = str(Path(default_model.path).parent)
    here = Place(
        tmp_path / "home",
        {**os.environ, "SLEEPD_HOME": str(tmp_path / "home"), "PYTHONPATH": path, "SLEEPD_MODELS": models},
    )
    yield here
    here.sleepd("stop", timeout=60)


def started(place: Place, backend: str) -> dict[str, Any]:
    """The status of the model's process, once the model is loaded by this backend."""
    assert place.sleepd("config", "set", "backend", backend).code == 0
    assert place.sleepd("start", "--json", timeout=600).code == 0
    place.sleepc("complete", "--json", "-n", "1", "A", timeout=600)
    host: dict[str, Any] = place.status()["host"]
    return host


def test_a_home_moves_from_torch_to_mlx(place: Place) -> None:
    host = started(place, "torch")
    assert (host["backend"], host["device"]) == ("torch", "cpu")
    done = place.sleepc("remember", "--json", "Idris Larsson works as a carpenter.", timeout=900)
    assert done.code == 0, done.err
    assert done.json["facts"][0]["state"] == "active", done.out
    question = ("ask", "--json", "--max-tokens", "8", "--", "What does Idris Larsson do for work?")
    before = place.sleepc(*question, timeout=300).json["reply"]
    assert "carpenter" in before
    place.sleepd("stop", timeout=60)

    host = started(place, "mlx")
    assert (host["backend"], host["device"], host["dtype"]) == ("mlx", "cpu", "float32")
    assert place.sleepc(*question, timeout=900).json["reply"] == before
    assert "mlx on cpu" in place.sleepc("status").out
    place.sleepd("stop", timeout=60)
    assert "smollm2-135m-instruct, mlx on cpu (float32)" in (place.home / "logs" / "sleepd.log").read_text()
