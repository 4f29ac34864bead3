"""A home of its own for every test, and a daemon with the fake engine in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Run:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


@dataclass
class Place:
    """A home and the two commands over it."""

    home: Path
    environment: dict[str, str]

    def command(self, name: str, *arguments: str, stdin: str | None = "", timeout: float = 60) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", name, *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def sleepd(self, *arguments: str, **options: Any) -> Run:
        return self.command("sleepd", *arguments, **options)

    def sleepc(self, *arguments: str, **options: Any) -> Run:
        return self.command("sleepc", *arguments, **options)

    def popen(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", name, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self) -> Run:
        done = self.sleepd("start", "--json")
        assert done.code == 0, done.err
        return done

    def remember(self, *texts: str) -> list[dict[str, Any]]:
        done = self.sleepc("remember", "--json", *texts)
        assert done.code == 0, done.err
        facts: list[dict[str, Any]] = done.json["facts"]
        return facts

    def ask(self, question: str, *options: str) -> str:
        done = self.sleepc("ask", "--json", *options, "--", question)
        assert done.code == 0, done.err
        reply: str = done.json["reply"]
        return reply

    def status(self) -> dict[str, Any]:
        done = self.sleepc("status", "--json")
        assert done.code == 0, done.err
        return done.json


SETTINGS = 'backend = "fake"\nnice = 0\n'  # tests have no other work to let go first


def fake_place(home: Path) -> Place:
    """A new home whose daemon will use the fake engine."""
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(str(root / folder) for folder in ("daemon", "client", "engine"))
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("SLEEPD_")},
        "SLEEPD_HOME": str(home),
        "PYTHONPATH": path,
    }
    home.mkdir(mode=0o700, parents=True)
    config = home / "config.toml"
    config.touch(mode=0o600)
    config.write_text(SETTINGS, encoding="utf-8")
    return Place(home, environment)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home whose daemon uses the fake engine; stopped at the end."""
    here = fake_place(tmp_path / "home")
    try:
        yield here
    finally:
        here.sleepd("stop")
