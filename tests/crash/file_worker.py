"""Writes each kind of file of a home in forked children that die at a failpoint; run as a script by test_file_kill.

One line on stdout for each failpoint: its name, how many children died at it, and what was wrong after a death.
Arguments: a folder, and how many deaths at each failpoint. Forks, so it has one thread and no event loop of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import zmq.asyncio

from sleepd import config
from sleepd.config import StorageSettings
from sleepd.observing import crashes
from sleepd.paths import Home
from sleepd.serving.curve import Curve
from sleepd.serving.events import EventBus
from sleepd.storage.keeping import Keeping
from sleepd.storage.store import Store
from sleepengine.memory import archive, failpoints, files, recovery
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import Parsed, Person, Provenance, Verified, fact_from
from sleepengine.memory.ledger import Learned, Ledger, utc_now

MODEL = "model"
FACTS = 3


class Scene:
    """A home with a few facts, a backup of an earlier state of it, and what is written there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = Home(root / "home")
        self.archive = root / "memory.tar"
        self.written = root / "written.tar"

    def set_up(self) -> None:
        self.home.prepare()
        config.set_value(self.home.config_file, "threads", "1")
        for count in range(1, FACTS + 1):
            self._learn(count)
            if count == 1:
                self._back_up(self.archive)

    def _learn(self, number: int) -> None:
        parsed = Parsed(
            subject="Idris",
            relation="like",
            object=f"thing {number}",
            statement=f"Idris likes thing {number}.",
            person=Person.THIRD,
            slot="idris like",
            exclusive=False,
            prompts=(),
        )
        fact = fact_from(parsed, Provenance(source="chat", text=parsed.statement, at=utc_now()))
        sha = BlobStore(self.home.blobs).put(os.urandom(5000))
        with closing(Ledger.open(self.home.ledger)) as ledger:
            ledger.add_pending([fact])
            ledger.commit_learned(
                MODEL, None, [Learned(fact_id=fact.id, blob=sha, verified=Verified(raw=True, chat=True))]
            )

    def _back_up(self, target: Path) -> None:
        archive.backup(self.home.ledger, self.home.blobs, self.home.config_file, target, utc_now())

    def facts(self) -> int:
        with closing(Ledger.open(self.home.ledger)) as ledger:
            assert ledger.lost_commits == 0, "commits are missing"
            return len(ledger.live_view(MODEL).edits)

    # --- what is written, and what must be true after a death in the middle of it ----------------------------------

    def write_config(self) -> None:
        config.set_value(self.home.config_file, "threads", "2")

    def config_holds(self) -> None:
        assert config.load(self.home.config_file).threads in (1, 2)

    def write_backup(self) -> None:
        self._back_up(self.written)

    def backup_holds(self) -> None:
        assert self.facts() == FACTS
        if self.written.exists():
            self._restores(self.written, FACTS)
        self.write_backup()
        self._restores(self.written, FACTS)

    def _restores(self, source: Path, facts: int) -> None:
        there = self.root / "there"
        there.mkdir()
        archive.restore(source, there / "ledger.db", there / "blobs", there / "config.toml", utc_now())
        assert recovery.check(there / "ledger.db", there / "blobs") == []
        with closing(Ledger.open(there / "ledger.db")) as ledger:
            assert len(ledger.live_view(MODEL).edits) == facts
        shutil.rmtree(there)

    def write_restore(self) -> None:
        home = self.home
        archive.restore(self.archive, home.ledger, home.blobs, home.config_file, utc_now())

    def restore_holds(self) -> None:
        assert recovery.check(self.home.ledger, self.home.blobs) == []
        assert self.facts() in (1, FACTS), "it is neither the old memory nor the backup's"
        self.write_restore()
        assert self.facts() == 1

    def write_first(self) -> None:
        """What a daemon writes when it opens a home for the first time."""
        shutil.rmtree(self.home.root)
        self.home.prepare()
        asyncio.run(self._open())

    async def _open(self) -> None:
        context = zmq.asyncio.Context()
        Curve(context, self.home.server_key, self.home.authorized_keys).close()
        context.term()
        store = await Store.open(self.home.ledger)
        try:
            await Keeping(self.home, StorageSettings(), store, await EventBus.create(store, 1)).open()
        finally:
            await store.close()

    def first_holds(self) -> None:
        asyncio.run(self._open())
        assert self.home.ballast.stat().st_size > 0
        assert recovery.check(self.home.ledger, self.home.blobs) == []

    def write_crash(self) -> None:
        crashes.report(self.home.logs, "a test")

    def crash_holds(self) -> None:
        for path in self.home.logs.glob("crash-*.json"):
            json.loads(path.read_bytes())


Write = Callable[[Scene], None]
SITES: dict[str, tuple[tuple[str, ...], Write, Write]] = {
    "config": (files.STEPS, Scene.write_config, Scene.config_holds),
    "backup": (files.STEPS, Scene.write_backup, Scene.backup_holds),
    "restore": ((*files.STEPS, "before_swap"), Scene.write_restore, Scene.restore_holds),
    "aside": (files.STEPS, Scene.write_restore, Scene.restore_holds),
    "ledger": (("before_create",), Scene.write_first, Scene.first_holds),
    "ballast": (files.STEPS, Scene.write_first, Scene.first_holds),
    "key": (files.STEPS, Scene.write_first, Scene.first_holds),
    "crash": (files.STEPS, Scene.write_crash, Scene.crash_holds),
}


def die_at(failpoint: str, write: Callable[[], None]) -> bool:
    """Do it in a child that dies at the failpoint; whether it did."""
    child = os.fork()
    if child == 0:
        try:
            with failpoints.armed(f"{failpoint}=kill"):
                write()
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def main(root: Path, deaths: int) -> None:
    pattern = Scene(root / "pattern")
    pattern.set_up()
    scene = Scene(root / "scene")
    for site, (steps, write, holds) in SITES.items():
        for step in steps:
            died, wrong = 0, ""
            for _ in range(deaths):
                shutil.rmtree(scene.root, ignore_errors=True)
                shutil.copytree(pattern.root, scene.root)
                died += die_at(f"{site}.{step}", lambda write=write: write(scene))  # type: ignore[misc]
                try:
                    holds(scene)
                except Exception as error:  # noqa: BLE001 - told to the test
                    wrong = f"{type(error).__name__}: {error}"
            print(f"{site}.{step} {died} {wrong}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
