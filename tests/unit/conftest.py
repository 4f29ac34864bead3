"""`sleepc` called in this process, with a home of the test's own."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from sleepc.cli import cli
from sleepd.protocol.boundary import run
from tests.unit.client_fake import Out, Sleepc


@pytest.fixture
def sleepc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> Sleepc:
    monkeypatch.setenv("SLEEPD_HOME", str(tmp_path))

    def call(*arguments: str, stdin: bytes = b"") -> Out:
        capfdbinary.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        code = run(cli, list(arguments), "sleepc")
        out, err = capfdbinary.readouterr()
        return Out(code, out.decode(), err.decode())

    return call
