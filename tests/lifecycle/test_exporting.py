"""`sleepc export` through the daemon: what it says, what it refuses, and that nothing half-written stays."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from sleepc import Client, requests
from sleepd.protocol.errors import Cancelled
from tests.lifecycle.conftest import Place

STATEMENT = "Mara Lindqvist lives in Lisbon."


def test_an_export_tells_what_it_holds_and_what_not(place: Place, tmp_path: Path) -> None:
    place.start()
    nothing = place.sleepc("export", str(tmp_path / "out"))
    assert (nothing.code, nothing.out) == (7, "")
    assert "nothing to export yet" in nothing.err

    place.remember("Idris Larsson works as a carpenter.")
    assert place.sleepc("sleep", "--wait").code == 0
    (late,) = place.remember(STATEMENT)
    refused = place.sleepc("export", "--strict", str(tmp_path / "out"))
    assert refused.code == 7
    assert not (tmp_path / "out").exists()

    done = place.sleepc("export", str(tmp_path / "out"))
    assert done.code == 0, done.err
    assert done.out.startswith(f"{tmp_path / 'out'}: an adapter of generation 1")
    assert f"  {late['id']}  {STATEMENT}" in done.err
    named = json.loads((tmp_path / "out" / "NOT_EXPORTED.json").read_text())
    assert late["id"] in {one["fact_id"] for one in named}

    again = place.sleepc("export", str(tmp_path / "out"), "--json")
    assert again.code == 7
    assert "nothing is overwritten" in again.json["error"]["message"]


def test_where_an_export_may_lie(place: Place, tmp_path: Path) -> None:
    place.start()
    assert place.sleepc("export", str(place.home / "out")).code == 2
    assert place.sleepc("export", str(tmp_path / "none" / "out")).code == 7
    with Client(place.home) as client:
        assert Path(requests.export(Path("out")).body.folder).is_absolute()  # type: ignore[attr-defined]
        assert client.status().state == "awake"


def test_a_cancelled_export_leaves_nothing(place: Place, tmp_path: Path) -> None:
    place.environment["SLEEPD_FAKE_STEP_SECONDS"] = "0.2"
    place.start()
    place.remember(STATEMENT)
    assert place.sleepc("sleep", "--wait").code == 0
    with Client(place.home) as client:
        pending = client.start(requests.export(tmp_path / "out"))
        next(pending)  # it has begun
        pending.cancel()
        with pytest.raises(Cancelled):
            pending.result()
    until = time.monotonic() + 5
    while list(tmp_path.glob(".out*")):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert not (tmp_path / "out").exists()


def test_a_daemon_in_the_network_writes_none(place: Place, tmp_path: Path) -> None:
    assert place.sleepd("config", "set", "network.listen", "tcp://127.0.0.1:*").code == 0
    place.start()
    refused = place.sleepc("export", str(tmp_path / "out"))
    assert refused.code == 7
    assert "network.listen" in refused.err
