"""Lives of a daemon, each ended by SIGKILL, and what must be true after every one of them.

A life: the daemon starts, what was acknowledged before is looked for, two clients work at once, and the process is
killed at a moment of the plan: at a failpoint, or at random while something is under way. The failpoints of `blob` lie
in the host: it dies there, the daemon sees it, and is killed at random after that.
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
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sleepc import Client, requests
from sleepd.paths import Home, lock_holder
from sleepd.protocol.errors import SleepdError, Unreachable
from sleepd.protocol.messages import Progress
from sleepengine.memory import failpoints, files
from tests.crash.truth import PATIENCE, Truth

FAILPOINTS = [
    *(f"blob.{step}" for step in files.STEPS),
    *(f"seal.{step}" for step in files.STEPS),
    "ledger.before_begin",
    "ledger.before_commit",
    "ledger.after_commit",
]
ACTIVITIES = ("start", "remember", "forget", "ask", "sleep", "commit", "backup")
HITS = {"blob": 5, "seal": 3, "ledger": 30}  # a failpoint kills at one of its first so many hits
START_SECONDS = PATIENCE  # one that fails to start ends sooner by itself
WORK_SECONDS = 10.0
FIRST = ("Idris", "Mara", "Nils", "Berit", "Arne", "Signe", "Tove", "Olav", "Ines", "Karl")
LAST = ("Larsson", "Lindqvist", "Holm", "Dahl", "Berg", "Strand", "Lund", "Moen", "Haugen", "Bakke")
JOBS = ("carpenter", "baker", "weaver", "miller", "potter", "tailor", "glazier", "farrier")


@dataclass(frozen=True)
class Moment:
    """When a life ends: at a failpoint, or at random within an activity."""

    name: str

    @property
    def failpoint(self) -> str:
        return self.name if "." in self.name else ""

    @property
    def in_host(self) -> bool:
        return self.name.startswith("blob.")


class Lives:
    """One home through many deaths.

    `kills` counts deaths by the moment that was planned; `struck` those that came at it: the failpoint was reached, or
    the activity was still under way. `spans` is how long an activity may take, in seconds.
    """

    def __init__(self, home: Path, seed: int, *, backend: str = "fake", spans: dict[str, float] | None = None) -> None:
        self.home, self.backend = Home(home), backend
        self.random = random.Random(seed)
        self.truth = Truth(self.home)
        self.kills: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self.starts: list[float] = []
        self._spans = dict.fromkeys(ACTIVITIES, 0.05) | (spans or {})
        self._fixed = frozenset(spans or {})
        self._under_way: Counter[str] = Counter()
        self._planned = ""
        self._begun = threading.Event()
        self._people = itertools.cycle(f"{first} {last}" for last in LAST for first in FIRST)
        self._turn = itertools.count()
        self.home.prepare()
        # One fact at a time: a real model may need longer for a batch than a life lasts.
        self.home.config_file.write_text(f'backend = "{backend}"\nnice = 0\n[limits]\nlearn_batch = 1\n')

    def live(self, moment: Moment) -> None:
        """One life, with its checks at the beginning and on the disk after its end."""
        self._planned = moment.name
        self._begun.clear()
        daemon = self._start(moment)
        struck = False
        try:
            if moment.name == "start":
                time.sleep(self.random.uniform(0.0, self._spans["start"]))
                struck = True
            else:
                with suppress(Unreachable), Client(self.home.root) as client:
                    self.truth.look_for_all(client)
                with self._clients(daemon, moment):
                    struck = self._await_moment(daemon, moment)
                    told_to_die = moment.failpoint and not moment.in_host
                    assert told_to_die or daemon.poll() is None, "the daemon ended by itself"
                    daemon.send_signal(signal.SIGKILL)
                    daemon.wait(timeout=10)
        finally:
            daemon.kill()
            daemon.wait()
        self.kills[moment.name] += 1
        self.struck[moment.name] += struck
        assert lock_holder(self.home) is None, "the lock outlives its holder"
        self.truth.check_disk()
        if moment.name == "backup":
            self.truth.check_backup()

    def learn_first(self, facts: int, seconds: float) -> None:
        """A life that is let live until some facts were acknowledged, and then killed."""
        daemon = self._start(Moment("remember"))
        try:
            deadline = time.monotonic() + seconds
            while len(self.truth.statements) < facts:
                assert time.monotonic() < deadline, "the model learns nothing"
                with suppress(SleepdError), Client(self.home.root) as client:
                    self._remember(client)
        finally:
            daemon.kill()
            daemon.wait()
        self.kills["remember"] += 1
        self.truth.check_disk()

    def table(self) -> str:
        """Kills by moment, and the rest of what a reader wants to know."""
        rows = [f"{'moment':24} {'kills':>6} {'struck':>7}"]
        rows += [f"{name:24} {n:6} {self.struck[name]:7}" for name, n in sorted(self.kills.items())]
        starts = sorted(self.starts)
        rows += [
            f"{'all':24} {self.kills.total():6} {self.struck.total():7}",
            f"{self.truth.describe()}; start until it answers: median {starts[len(starts) // 2]:.2f} s,"
            f" longest {starts[-1]:.2f} s of {len(starts)}",
        ]
        return "\n".join(rows)

    # --- life and death -------------------------------------------------------------------------------------------

    def _start(self, moment: Moment) -> subprocess.Popen[bytes]:
        """A daemon that answers; or, for a failpoint or a death while it starts, one that may be dead by then."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        environment.pop(failpoints.ENVIRONMENT_VARIABLE, None)
        if moment.failpoint:
            site, _, _ = moment.failpoint.partition(".")
            hit = 1 + self.random.randrange(HITS[site])
            environment[failpoints.ENVIRONMENT_VARIABLE] = f"{moment.failpoint}:{hit}=kill"
        command = [sys.executable, "-m", "sleepd", "serve", "--home", str(self.home.root)]
        began = time.monotonic()
        log = self.home.root.parent / "said"
        with log.open("wb") as out:
            daemon = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        if moment.name == "start" and self.backend == "fake":
            return daemon
        while time.monotonic() - began < START_SECONDS:
            with suppress(SleepdError), Client(self.home.root) as client:
                if client.ping().pid == daemon.pid:
                    self.starts.append(time.monotonic() - began)
                    self._took("start", self.starts[-1])
                    return daemon
            if daemon.poll() is not None:
                assert moment.failpoint, f"the daemon did not start: {log.read_text()}"
                assert daemon.returncode == -signal.SIGKILL
                return daemon  # killed before it served, as it was told to be
            time.sleep(0.01)
        daemon.kill()
        daemon.wait()
        raise AssertionError("the daemon did not start in time")

    @contextmanager
    def _clients(self, daemon: subprocess.Popen[bytes], moment: Moment) -> Iterator[None]:
        """Two clients that work until the daemon is dead. Neither may hang on it."""
        stop = threading.Event()
        managed = self._mixed if moment.failpoint else self._task(moment.name)
        work = [threading.Thread(target=self._work, args=(stop, task)) for task in (self._remember, managed)]
        for thread in work:
            thread.start()
        try:
            yield
        finally:
            daemon.kill()
            stop.set()
            for thread in work:
                thread.join(timeout=START_SECONDS)
                assert not thread.is_alive(), "a client hangs on a dead daemon"

    def _await_moment(self, daemon: subprocess.Popen[bytes], moment: Moment) -> bool:
        """Wait until the moment has come; whether it has.

        Work is what is waited for, and time only bounds it: so lives do as much on a busy machine as on a quiet one.
        """
        if moment.in_host:
            died = self._until(daemon, self._host_died)
            time.sleep(self.random.uniform(0.0, 0.1))
            return died
        if moment.failpoint:
            self._until(daemon, lambda: daemon.poll() is not None)
            return daemon.poll() == -signal.SIGKILL
        if self.backend == "fake":
            before, facts = len(self.truth.statements), 1 + self.random.randrange(4)
            self._until(daemon, lambda: len(self.truth.statements) >= before + facts)
        self._begun.clear()
        self._until(daemon, self._begun.is_set)
        time.sleep(self.random.uniform(0.0, self._spans[moment.name]))
        return self._under_way[moment.name] > 0

    def _until(self, daemon: subprocess.Popen[bytes], true: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + max(WORK_SECONDS, *self._spans.values())
        while not true():
            if daemon.poll() is not None or time.monotonic() > deadline:
                return true()
            time.sleep(0.005)
        return True

    def _host_died(self) -> bool:
        with suppress(SleepdError), Client(self.home.root) as client:
            return client.status().host.restarts > 0
        return False

    # --- the clients ----------------------------------------------------------------------------------------------

    def _work(self, stop: threading.Event, task: Callable[[Client], None]) -> None:
        while not stop.is_set():
            try:
                with Client(self.home.root) as client:
                    while not stop.is_set():
                        task(client)
            except SleepdError:  # the death that this is about; what was not answered counts for nothing
                stop.wait(0.02)

    def _task(self, activity: str) -> Callable[[Client], None]:
        tasks = {
            "remember": self._ask,
            "ask": self._ask,
            "forget": self._forget,
            "sleep": self._sleep,
            "commit": self._sleep,
            "backup": self._backup,
        }
        return tasks[activity]

    def _mixed(self, client: Client) -> None:
        self.random.choice((self._ask, self._forget, self._forget, self._sleep, self._sleep))(client)

    @contextmanager
    def _doing(self, activity: str) -> Iterator[None]:
        began = time.monotonic()
        self._under_way[activity] += 1
        if activity == self._planned:
            self._begun.set()
        try:
            yield
            self._took(activity, time.monotonic() - began)
        finally:
            self._under_way[activity] -= 1

    def _took(self, activity: str, seconds: float) -> None:
        """The next death in this activity comes within about as long as it took this time."""
        if activity not in self._fixed:
            self._spans[activity] = 1.2 * seconds

    def _remember(self, client: Client) -> None:
        text = f"{next(self._people)} works as a {JOBS[next(self._turn) % len(JOBS)]}."
        with self._doing("remember"):
            reply = client.remember(text)
        for fact in reply.facts:
            self.truth.statements[fact.id] = fact.statement

    def _ask(self, client: Client) -> None:
        with self._doing("ask"):
            client.ask("Does anybody work here?", max_tokens=8)

    def _forget(self, client: Client) -> None:
        if len(held := sorted(self.truth.statements.keys() - self.truth.gone)) < 4:
            time.sleep(0.01)
            return
        victim = self.random.choice(held)
        with self._doing("forget"), self.truth.forgetting(victim):
            client.forget(victim)

    def _sleep(self, client: Client) -> None:
        with self._doing("sleep"):
            pending = client.start(requests.sleep(wait=True))
            for report in pending:
                if isinstance(report, Progress) and report.phase == "commit":
                    break
            with self._doing("commit"):
                reply = pending.result()
        if reply.outcome == "committed":
            self.truth.generation = max(self.truth.generation, reply.generation)
        else:
            time.sleep(0.01)

    def _backup(self, client: Client) -> None:
        """A backup by the command, which is killed with the daemon."""
        target = self.truth.backup
        copied = target.with_name(f".{target.name}.ledger")  # its first file; the last one may have died over it
        copied.unlink(missing_ok=True)
        held = set(self.truth.statements)
        command = [sys.executable, "-m", "sleepd", "backup", str(target), "--force", "--home", str(self.home.root)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as backup:
            try:
                while not copied.exists() and backup.poll() is None:
                    client.ping()
                with self._doing("backup"):
                    while backup.poll() is None:
                        client.ping()
            finally:
                backup.kill()
        if backup.returncode == 0:
            self.truth.backed_up = held
