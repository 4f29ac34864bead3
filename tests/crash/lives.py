"""Lives of a daemon, each ended by SIGKILL, and what must be true after every one of them.

A life: the daemon starts, what was acknowledged before is looked for, two clients remember, forget, sleep and back up
at once, and the process is killed at a failpoint or at a random moment. The failpoints of `blob` lie in the host: there
the host dies first, the daemon goes on, and is killed at a random moment after that.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sleepc import Client
from sleepd.paths import Home, lock_holder
from sleepd.protocol.errors import SleepdError, Unreachable
from sleepengine.errors import EngineError
from sleepengine.memory import archive, failpoints, files, recovery
from sleepengine.memory.facts import FactState
from sleepengine.memory.ledger import Ledger

FAILPOINTS = [
    *(f"blob.{step}" for step in files.STEPS),
    *(f"seal.{step}" for step in files.STEPS),
    "ledger.before_begin",
    "ledger.before_commit",
    "ledger.after_commit",
]
START_SECONDS = 20.0
LOAD_SECONDS = 180.0
WORK_SECONDS = 10.0
LOADED = 0.75  # share of the lives of a real model in which it is killed after it was loaded
FIRST = ("Idris", "Mara", "Nils", "Berit", "Arne", "Signe", "Tove", "Olav", "Ines", "Karl")
LAST = ("Larsson", "Lindqvist", "Holm", "Dahl", "Berg", "Strand", "Lund", "Moen", "Haugen", "Bakke")
JOBS = ("carpenter", "baker", "weaver", "miller", "potter", "tailor", "glazier", "farrier")


@dataclass
class Acknowledged:
    """What clients were told: statements by fact id, and the ids that were forgotten or superseded since."""

    statements: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)  # asked to be forgotten, and not answered
    generation: int = 0
    starts: list[float] = field(default_factory=list)
    kills: int = 0
    fired: dict[str, int] = field(default_factory=dict)


class Lives:
    """One home through many deaths. `longest` is how long a life goes on after its work, in seconds."""

    def __init__(self, home: Path, seed: int, *, longest: float = 0.3, backend: str = "fake") -> None:
        self.home, self.backend = Home(home), backend
        self.random = random.Random(seed)
        self.longest = longest
        self.known = Acknowledged()
        self._people = itertools.cycle(f"{first} {last}" for last in LAST for first in FIRST)
        self._turn = itertools.count()
        self.home.prepare()
        # One fact at a time: a real model may need longer for a batch than a life lasts.
        self.home.config_file.write_text(f'backend = "{backend}"\n[limits]\nlearn_batch = 1\n')

    def live(self, failpoint: str = "") -> None:
        """One life, with its checks at the beginning and on the disk after its end."""
        daemon = self._start(failpoint)
        try:
            self._look_for_all()
            stop = threading.Event()
            work = [threading.Thread(target=self._work, args=(stop, task)) for task in (self._learn, self._manage)]
            for thread in work:
                thread.start()
            self._await_death(daemon, failpoint)
            daemon.send_signal(signal.SIGKILL)
            daemon.wait(timeout=10)
            stop.set()
            for thread in work:
                thread.join(timeout=30)
                assert not thread.is_alive(), "a client hangs on a dead daemon"
        finally:
            daemon.kill()
            daemon.wait()
        self.known.kills += 1
        self._await_host_gone()
        self.check_disk()

    def learn_first(self, facts: int, seconds: float) -> None:
        """A life that is let live until some facts were acknowledged, and then killed."""
        daemon = self._start("")
        try:
            deadline = time.monotonic() + seconds
            while len(self.known.statements) < facts:
                assert time.monotonic() < deadline, "the model learns nothing"
                with suppress(SleepdError), Client(self.home.root) as client:
                    self._learn(client)
        finally:
            daemon.kill()
            daemon.wait()
        self.known.kills += 1
        self.check_disk()

    def _start(self, failpoint: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        environment.pop(failpoints.ENVIRONMENT_VARIABLE, None)
        if failpoint:
            hit = 1 + self.random.randrange(3 if failpoint.startswith(("blob", "seal")) else 12)
            environment[failpoints.ENVIRONMENT_VARIABLE] = f"{failpoint}:{hit}=kill"
        command = [sys.executable, "-m", "sleepd", "serve", "--home", str(self.home.root)]
        began = time.monotonic()
        log = self.home.root.parent / "said"
        with log.open("wb") as out:
            daemon = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        while time.monotonic() - began < START_SECONDS:
            with suppress(Unreachable), Client(self.home.root) as client:
                if client.ping().pid == daemon.pid:
                    self.known.starts.append(time.monotonic() - began)
                    return daemon
            if daemon.poll() is not None:
                assert failpoint, f"the daemon did not start: {log.read_text()}"
                assert daemon.returncode == -signal.SIGKILL
                return daemon  # killed before it served, as it was told to be
            time.sleep(0.02)
        raise AssertionError("the daemon did not start in time")

    def _await_death(self, daemon: subprocess.Popen[bytes], failpoint: str) -> None:
        """Until the failpoint has killed it, or else until some work was acknowledged and a random moment after that.

        Work is what is waited for, and time only bounds it: so lives do as much on a busy machine as on a quiet one.
        """
        if failpoint and not failpoint.startswith("blob"):
            self._await_work(daemon, 8)
            if daemon.poll() == -signal.SIGKILL:
                self.known.fired[failpoint] = self.known.fired.get(failpoint, 0) + 1
                return
        elif self.backend == "fake":
            self._await_work(daemon, self.random.randrange(5))
        elif self.random.random() < LOADED:
            self._await_host()
        time.sleep(self.random.uniform(0.0, self.longest))
        if failpoint.startswith("blob"):
            with suppress(SleepdError), Client(self.home.root) as client:
                restarts = client.status().host.restarts
                self.known.fired[failpoint] = self.known.fired.get(failpoint, 0) + min(restarts, 1)

    def _await_work(self, daemon: subprocess.Popen[bytes], facts: int) -> None:
        before, deadline = len(self.known.statements), time.monotonic() + WORK_SECONDS
        while daemon.poll() is None and len(self.known.statements) < before + facts and time.monotonic() < deadline:
            time.sleep(0.01)

    def _await_host(self) -> None:
        deadline = time.monotonic() + LOAD_SECONDS
        with suppress(Unreachable), Client(self.home.root) as client:
            while client.status().host.pid is None:
                assert time.monotonic() < deadline, "the model does not load"
                time.sleep(0.2)

    def _await_host_gone(self) -> None:
        assert lock_holder(self.home) is None, "the lock outlives its holder"

    # --- the clients ----------------------------------------------------------------------------------------------

    def _work(self, stop: threading.Event, task: object) -> None:
        assert callable(task)
        while not stop.is_set():
            try:
                with Client(self.home.root) as client:
                    while not stop.is_set():
                        task(client)
            except (SleepdError, EngineError):  # the death that this is about; what was not answered counts for nothing
                stop.wait(0.02)

    def _learn(self, client: Client) -> None:
        reply = client.remember(f"{next(self._people)} works as a {JOBS[next(self._turn) % len(JOBS)]}.")
        for fact in reply.facts:
            self.known.statements[fact.id] = fact.statement

    def _manage(self, client: Client) -> None:
        match self.random.randrange(4):
            case 0:
                reply = client.sleep(wait=True)
                if reply.outcome == "committed":
                    self.known.generation = max(self.known.generation, reply.generation)
            case 1 if len(self.known.statements) > 4:
                victim = self.random.choice(sorted(self.known.statements))
                self.known.unsure.add(victim)
                client.forget(victim)
                self.known.gone.add(victim)
            case 2:
                target = self.home.root.parent / "backup.tar"
                archive.backup(self.home.ledger, self.home.blobs, self.home.config_file, target, "now")
            case _:
                client.ask("Does anybody work here?", max_tokens=8)

    # --- what must be true ----------------------------------------------------------------------------------------

    def _look_for_all(self) -> None:
        with suppress(Unreachable), Client(self.home.root) as client:
            stored = {fact.id: fact for fact in client.facts(all=True).facts}
            for fact_id, statement in self.known.statements.items():
                assert fact_id in stored, f"{statement} was acknowledged and is gone"
                fact = stored[fact_id]
                if fact_id in self.known.gone:
                    assert fact.state == "forgotten", fact
                elif fact_id not in self.known.unsure:
                    assert fact.state in ("active", "superseded"), fact
                    assert fact.statement == statement
            assert client.status().generation >= self.known.generation or client.status().host.pid is None

    def check_disk(self) -> None:
        """The ledger is whole, every blob it names is, and its view holds exactly what is active."""
        assert recovery.check(self.home.ledger, self.home.blobs) == []
        with closing(Ledger.open(self.home.ledger)) as ledger:
            assert ledger.lost_commits == 0
            stored = {fact.id: fact for fact in ledger.facts(list(FactState))}
            for model in ledger.models():
                ledger.use_model(model)
                number, _ = ledger.generation(model)
                assert number >= self.known.generation
                shown = {edit.fact_id for edit in ledger.live_view(model).edits}
                waiting = {fact.id for fact in ledger.needing_edit(model)}
                for fact in ledger.facts([FactState.ACTIVE]):
                    assert (fact.id in shown) == (fact.scale > 0 and fact.id not in waiting), fact
                others = {stored[fact_id].state for fact_id in shown} - {FactState.ACTIVE}
                assert others <= {FactState.SUPERSEDED, FactState.FORGOTTEN}
