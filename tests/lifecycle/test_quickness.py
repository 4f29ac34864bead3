"""How long people wait for the client itself. CPU seconds and best times: what a busy machine cannot blur."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from sleepc import Client, requests
from tests.lifecycle.conftest import Place


def cpu_seconds(place: Place, *arguments: str) -> float:
    """The least user and system time of a few runs."""

    def once() -> float:
        before = os.times()
        command = [sys.executable, "-m", "sleepc", *arguments]
        subprocess.run(command, env=place.environment, check=True, capture_output=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    return min(once() for _ in range(5))


def test_help_and_status_answer_at_once(place: Place) -> None:
    place.start()
    # Measured: 0.06 and 0.12 s, and as much by the clock where nothing else ran. A busy machine makes the work dearer.
    assert cpu_seconds(place, "--help") < 0.15
    assert cpu_seconds(place, "status") < 0.25


def test_the_first_token_comes_when_the_host_has_it(place: Place) -> None:
    """The fake engine needs no time for a token, so what passes until the first one is all ours."""
    place.start()
    with Client(place.home) as client:
        client.ask("count to 1")

        def first_token() -> float:
            began = time.monotonic()
            pending = client.start(requests.ask("count to 3"))
            next(pending)
            passed = time.monotonic() - began
            pending.result()
            return passed

        assert min(first_token() for _ in range(20)) < 0.1
