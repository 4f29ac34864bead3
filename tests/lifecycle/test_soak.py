"""Hours in little: chat, facts and nights without an end, while descriptors, memory and threads stay as they are."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

import psutil
import pytest

from sleepc import Client
from tests.lifecycle.conftest import Place

SHORT, LONG = 12.0, 600.0  # seconds
WARM = 0.2  # share of the time after which everything that is loaded once was loaded
GROWTH = 8 << 20  # bytes that the daemon's memory may differ by, from the first to the last third
FIRST = ("Idris", "Mara", "Nils", "Berit", "Arne", "Signe", "Tove", "Olav", "Ines", "Karl")
LAST = ("Larsson", "Lindqvist", "Holm", "Dahl", "Berg", "Strand", "Lund", "Moen", "Haugen", "Bakke")


@dataclass(frozen=True)
class Sample:
    descriptors: int
    threads: int
    resident: int


def sample(process: psutil.Process) -> Sample:
    return Sample(process.num_fds(), process.num_threads(), process.memory_info().rss)


def soak(place: Place, seconds: float, nights: int) -> list[Sample]:
    """Use everything for so long; returns samples of the daemon, taken between requests."""
    pid = place.start().json["pid"]
    process, samples, began = psutil.Process(pid), [], time.monotonic()
    people = itertools.cycle(f"{first} {last}" for last in LAST for first in FIRST)
    due = [seconds * (night + 1) / (nights + 1) for night in range(nights)]
    turns = 0
    while (passed := time.monotonic() - began) < seconds:
        with Client(place.home) as client:
            session = client.open_session().session
            for _ in range(5):
                client.say(session, f"What does {next(people)} do?", max_tokens=16)
                client.ask("count to 30", max_tokens=30)
                client.status()
                turns += 2
            client.remember(f"{next(people)} works as a carpenter.")
            client.facts()
            client.snapshot(since=1)
            if due and passed > due[0]:
                due.pop(0)
                assert client.sleep(wait=True).outcome == "committed"
        if passed > WARM * seconds:
            samples.append(sample(process))
        time.sleep(0.05)
    with Client(place.home) as client:
        status = client.status()
        assert (status.pid, status.host.restarts, status.storage.notices) == (pid, 0, ())
    print(f"{seconds:.0f} s, {turns} turns, {nights} nights: {samples[0]} to {samples[-1]}")
    return samples


def assert_flat(samples: list[Sample]) -> None:
    third = max(1, len(samples) // 3)
    early, late = samples[:third], samples[-third:]
    assert max(s.descriptors for s in late) <= max(s.descriptors for s in early) + 2
    assert max(s.threads for s in late) <= max(s.threads for s in early) + 1
    assert max(s.resident for s in late) <= max(s.resident for s in early) + GROWTH


def test_a_short_soak(place: Place) -> None:
    assert_flat(soak(place, SHORT, nights=1))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_soak_of_ten_minutes(place: Place) -> None:
    assert_flat(soak(place, LONG, nights=2))
