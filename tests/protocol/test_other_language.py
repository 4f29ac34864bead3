"""A client in another language, written from docs/protocol.md alone, against a running daemon."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lifecycle.conftest import Place, fake_place

SOURCE = Path(__file__).with_name("javascript")


def test_a_javascript_client_does_everything(tmp_path: Path) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    shutil.copytree(SOURCE, tmp_path / "js")
    install = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(install, cwd=tmp_path / "js", capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot install the client's libraries: {done.stderr.strip()[-200:]}")
    place = fake_place(tmp_path / "home")
    try:
        said = scenario(place, tmp_path / "js")
    finally:
        place.sleepd("stop")
    assert said["status"]["pid"] == said["ping"]["pid"]
    assert said["remember"]["type"] == "done"
    assert said["remember"]["body"]["facts"][0]["object"] == "carpenter"
    assert said["progress"] == ["editing"]
    assert said["ask"]["body"]["reply"] == said["chunks"] == "Idris Larsson works as a carpenter."
    assert said["cancelled"]["body"]["finish"] == "cancelled"
    assert 0 < said["cancelled"]["body"]["tokens"] < 500
    assert [said[name]["type"] for name in ("unknown", "newer", "wrong")] == ["error"] * 3
    assert [said[name]["body"]["code"] for name in ("unknown", "newer", "wrong")] == ["protocol", "protocol", "usage"]
    assert "update" in said["newer"]["body"]["message"]
    assert said["wrong"]["body"]["message"].startswith("ask: text")
    assert said["repeated"] is True
    assert said["req"]["type"] == "done"
    assert said["req"]["body"]["reply"] == "Idris Larsson works as a carpenter."
    assert said["snapshot"]["seq"] >= said["welcome"]
    numbers = [event["seq"] for event in said["events"]]
    assert numbers == list(range(said["snapshot"]["seq"] + 1, said["snapshot"]["seq"] + 1 + len(numbers)))
    assert {event["data"]["change"] for event in said["events"] if event["type"] == "fact"} >= {"learned"}


def scenario(place: Place, folder: Path) -> dict:  # type: ignore[type-arg]
    place.environment["SLEEPD_FAKE_STEP_SECONDS"] = "0.005"
    place.start()
    done = subprocess.run(
        ["node", "client.mjs", str(place.home)], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
