"""kill -9 at every failpoint and at random moments: what was acknowledged is there, nothing half-written counts."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sleepengine.memory import failpoints, files
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import FactState
from sleepengine.memory.ledger import Ledger

WORKER = Path(__file__).with_name("storage_worker.py")
MODEL = "model"
FAILPOINTS = [f"blob.{step}" for step in files.STEPS] + [
    "ledger.before_begin",
    "ledger.before_commit",
    "ledger.after_commit",
]
RANDOM_KILLS = 20


@dataclass
class Acknowledged:
    """What the worker has said it made durable, over all its lives."""

    facts: dict[str, str] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    generation: tuple[int, str | None] = (0, None)

    def read(self, output: bytes) -> int:
        """Take in whole lines; returns how many there were."""
        lines = output.decode().splitlines()
        for line in lines:
            kind, *words = line.split()
            if kind == "fact":
                self.facts[words[0]] = words[1]
            elif kind == "forgot":
                self.forgotten.add(words[0])
            elif kind == "generation":
                self.generation = int(words[0]), words[1]
        return len(lines)


def live(home: Path, acknowledged: Acknowledged, failpoint: str = "", kill: Callable[[], None] | None = None) -> int:
    """One life of the worker, to its death; returns how many acknowledgements it gave."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), failpoints.ENVIRONMENT_VARIABLE: failpoint}
    with subprocess.Popen([sys.executable, WORKER, home], env=environment, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        if kill is None:
            output, _ = worker.communicate(timeout=60)
        else:
            ready = worker.stdout.readline()
            assert ready == b"ready\n"
            kill()
            worker.kill()
            output = worker.stdout.read()
    assert worker.returncode == -signal.SIGKILL
    return acknowledged.read(output)


def check(home: Path, acknowledged: Acknowledged) -> None:
    blobs = BlobStore(home / "blobs")
    assert list(home.rglob("*.tmp")) == []
    with closing(Ledger.open(home / "ledger.db")) as ledger:
        view = ledger.live_view(MODEL)
        number, generation = ledger.generation(MODEL)
        assert number >= acknowledged.generation[0]
        if number == acknowledged.generation[0]:
            assert generation == acknowledged.generation[1]
        for sha in ledger.referenced_blobs():
            assert blobs.get(sha), sha
        stored = {fact.id: fact for fact in ledger.facts(list(FactState))}
        live = {edit.fact_id: edit for edit in view.edits}
        for fact_id, sha in acknowledged.facts.items():
            fact = stored[fact_id]
            assert fact.state is not FactState.PENDING
            if fact.state is FactState.ACTIVE:
                assert live[fact_id].blob == sha
            elif fact.state is FactState.SUPERSEDED:
                assert fact.superseded_by in stored
        for fact_id in acknowledged.forgotten:
            assert stored[fact_id].state is FactState.FORGOTTEN
            assert fact_id not in live
        assert set(live) == {fact.id for fact in stored.values() if fact.state is FactState.ACTIVE}
        in_flight = set(live) - set(acknowledged.facts)
        exclusive = [fact.slot for fact in stored.values() if fact.state is FactState.ACTIVE and fact.exclusive]
        assert len(exclusive) == len(set(exclusive))
        for fact_id in in_flight:  # committed, killed before it could say so: now it counts like the others
            acknowledged.facts[fact_id] = live[fact_id].blob
        assert len(in_flight) <= 1


def test_killed_at_every_failpoint(tmp_path: Path) -> None:
    acknowledged = Acknowledged()
    for failpoint in FAILPOINTS:
        for hit in (1, 7):
            live(tmp_path, acknowledged, f"{failpoint}:{hit}=kill")
            check(tmp_path, acknowledged)
    assert acknowledged.generation[0] > 0
    assert len(acknowledged.facts) > len(FAILPOINTS)


def test_killed_at_random_moments(tmp_path: Path) -> None:
    acknowledged = Acknowledged()
    moments = random.Random(20260101)
    total = 0
    for _ in range(RANDOM_KILLS):
        total += live(tmp_path, acknowledged, kill=lambda: time.sleep(moments.uniform(0.0, 0.25)))
        check(tmp_path, acknowledged)
    assert total > RANDOM_KILLS


@pytest.mark.parametrize("hit", [1, 2])
def test_killed_while_the_ledger_is_created(tmp_path: Path, hit: int) -> None:
    acknowledged = Acknowledged()
    if hit == 1:
        live(tmp_path, acknowledged, "ledger.before_create")
        assert not (tmp_path / "ledger.db").exists()
    live(tmp_path, acknowledged, "ledger.before_begin")
    check(tmp_path, acknowledged)
    assert not list(tmp_path.glob(".ledger*"))
