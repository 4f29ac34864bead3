"""A daemon with the fake engine, and the HTTP door to it, for all tests of a module."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest

from tests.lifecycle.conftest import Place, fake_place


@dataclass(frozen=True)
class Door:
    """Where a door listens, and what it asks for."""

    url: str
    token: str
    models: tuple[str, str]
    place: Place

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, **options: object) -> openai.OpenAI:
        settings: dict[str, object] = {"api_key": self.token, "max_retries": 0, **options}
        return openai.OpenAI(base_url=f"{self.url}/v1", **settings)  # type: ignore[arg-type]


@contextmanager
def opened(place: Place, *options: str) -> Iterator[Door]:
    """`sleepc serve-openai` on a free port."""
    process = place.popen("sleepc", "serve-openai", "--json", "--port", "0", *options)
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline() or f'"{process.communicate()[1]}"')
        token = Path(told["token_file"]).read_text().strip()
        yield Door(told["url"], token, tuple(told["models"]), place)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A running daemon that says a word every few milliseconds."""
    here = fake_place(tmp_path_factory.mktemp("door") / "home")
    here.environment["SLEEPD_FAKE_STEP_SECONDS"] = "0.004"
    here.start()
    yield here
    here.sleepd("stop")


@pytest.fixture(scope="module")
def door(place: Place) -> Iterator[Door]:
    with opened(place, "--allow-origin", "vscode-webview://abc") as door:
        yield door
