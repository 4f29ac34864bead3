"""The disk: what is kept and for how long, how much it takes, and what was found damaged.

Runs when a host comes up, after a night, and once a day; nothing here polls. Only blobs that the ledger does not name
are deleted, and only when nobody can be about to name them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sleepd.clock import now
from sleepd.config import StorageSettings
from sleepd.errors import translated
from sleepd.paths import Home
from sleepd.protocol.errors import StorageError
from sleepd.protocol.messages import StorageStatus
from sleepd.serving.events import EventBus
from sleepd.storage.store import Store
from sleepengine.errors import EngineError
from sleepengine.memory import files
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.recovery import Finding, heal

NOTICES = 20  # how many are told in `status`
_IN_FLIGHT = 3600.0  # seconds within which a blob that was written may still be named
_DAY = 86_400.0
_FRESH = 5.0  # seconds for which a count of bytes is told again
_BALLAST = 2 << 20
_CLOCK = "storage.clock"
_log = logging.getLogger(__name__)


def make_way(home: Home) -> None:
    """Before the memory is opened, with the lock held: sweep up what dead writers left half-written, and give up the
    ballast where the disk is full, for opening writes a little."""
    for folder in (home.root, home.logs):
        with translated():
            files.remove_orphans(folder)
    if shutil.disk_usage(home.root).free < _BALLAST:
        home.ballast.unlink(missing_ok=True)


class Keeping:
    """Retention, use of the disk, and the repair of blobs, for one home."""

    def __init__(self, home: Home, settings: StorageSettings, store: Store, bus: EventBus) -> None:
        self.settings = settings
        self._home = home
        self._store = store
        self._bus = bus
        self._notices: list[str] = []
        self._counted = -_FRESH
        self._status = StorageStatus()
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Tell what was missing when the ledger was opened, and lay the ballast."""
        lost = await self._store.run(lambda ledger: ledger.lost_commits)
        if lost:
            self.notice(f"{lost} acknowledged changes are missing: the write-ahead log was damaged; see `sleepd fsck`")
        try:
            await asyncio.to_thread(self._lay_ballast)
        except EngineError as error:
            self.notice(f"there is no ballast for a full disk: {error}")

    def notice(self, text: str) -> None:
        """Tell people of trouble: in the log, as an event, and in `status` until the daemon stops."""
        _log.warning("storage: %s", text)
        self._notices = [*self._notices, text][-NOTICES:]
        self._bus.publish("storage", notice=text)

    # --- damage ---------------------------------------------------------------------------------------------------

    async def heal_view(self, model: str) -> None:
        """Make sure that every blob of the live view is whole, before the model answers with it."""

        def work(ledger: Ledger) -> list[Finding]:
            blobs = BlobStore(self._home.blobs)
            found: list[Finding] = []
            while True:
                view = ledger.live_view(model)
                named = {edit.blob for edit in view.edits} | ({view.generation} if view.generation else set())
                if not (more := heal(ledger, blobs, named)):
                    return found
                found += more

        for finding in await self._store.run(work):
            self.notice(f"{finding.part} {finding.name}: {finding.problem}; {finding.remedy}")

    # --- room -----------------------------------------------------------------------------------------------------

    async def require_room(self) -> None:
        """Raise StorageError where learning and sleeping would fill the disk; talking and forgetting need no room."""
        status, settings = await self.status(), self.settings
        free = shutil.disk_usage(self._home.root).free
        if free < settings.min_free_bytes:
            raise StorageError(
                f"{free:,} bytes are free on the disk; at least {settings.min_free_bytes:,} are needed to learn"
            )
        if settings.budget_bytes and status.total > settings.budget_bytes:
            raise StorageError(
                f"this memory takes {status.total:,} bytes, more than storage.budget_bytes = {settings.budget_bytes:,}"
            )

    def drop_ballast(self) -> bool:
        """Give the reserve back to the disk; whether there was one."""
        try:
            self._home.ballast.unlink()
        except FileNotFoundError:
            return False
        self.notice("the disk is full; the reserve that forgetting needs was freed")
        return True

    def _lay_ballast(self) -> None:
        path = self._home.ballast
        if path.exists() or shutil.disk_usage(path.parent).free < 4 * _BALLAST:
            return
        files.write_atomic(path, os.urandom(_BALLAST), site="ballast")  # random: some file systems compress zeros

    # --- retention ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Tidy once a day until cancelled."""
        while True:
            await asyncio.sleep(_DAY)
            await self.tidy()

    async def tidy(self) -> None:
        """Give up old generations, expired conversations and old quarantine; more of them where over the budget.

        What the disk does not let us do is told, and tried again the next time.
        """
        try:
            async with self._lock:
                await self._tidy_to_budget()
        except (StorageError, EngineError) as error:
            self.notice(f"old things were not cleared away: {error}")

    async def _tidy_to_budget(self) -> None:
        await self._tidy(self.settings.keep_generations)
        for kept in range(self.settings.keep_generations - 1, 0, -1):
            status = await self.status(fresh=True)
            if not self.settings.budget_bytes or status.total <= self.settings.budget_bytes:
                return
            self.notice(f"over the disk budget: {kept} older generations are kept instead of {kept + 1}")
            await self._tidy(kept)

    async def _tidy(self, kept: int) -> None:
        at, kept_for = datetime.now(UTC), timedelta(days=self.settings.transcript_days)
        oldest = (at - kept_for).isoformat(timespec="milliseconds")

        def work(ledger: Ledger) -> tuple[int, int]:
            for model in ledger.models():
                ledger.release_generations(model, kept)
            ledger.redact(ledger.redactable(), now())  # what an older generation knew of them is out of reach now
            expired = ledger.expire_sessions(oldest) if clock_is_trusted(ledger, at, kept_for / 2) else 0
            if ledger.open_cycle() is not None:
                return expired, 0  # a night names its blobs only at its end, and nights are long
            blobs = BlobStore(self._home.blobs)
            return expired, blobs.delete_unreferenced(ledger.referenced_blobs(), older_than=_IN_FLIGHT)

        expired, deleted = await self._store.run(work)
        removed = await asyncio.to_thread(self._clear_quarantine)
        if expired or deleted or removed:
            _log.info("tidied: %d conversations, %d blobs, %d quarantined files", expired, deleted, removed)

    def _clear_quarantine(self) -> int:
        oldest, removed = time.time() - self.settings.quarantine_days * _DAY, 0
        for folder in (self._home.quarantine, self._home.blobs / "quarantine"):
            for path in folder.rglob("*"):
                if path.is_file() and path.lstat().st_mtime < oldest:
                    removed += files.remove(path)
        return removed

    # --- use ------------------------------------------------------------------------------------------------------

    async def status(self, *, fresh: bool = False) -> StorageStatus:
        """Bytes by part; counted anew at most every few seconds."""
        if fresh or time.monotonic() - self._counted > _FRESH:
            self._counted = time.monotonic()
            self._status = await asyncio.to_thread(self._count)
        return StorageStatus(
            ledger=self._status.ledger,
            blobs=self._status.blobs,
            logs=self._status.logs,
            quarantine=self._status.quarantine,
            total=self._status.total,
            free=self._status.free,
            budget=self.settings.budget_bytes,
            notices=tuple(self._notices),
        )

    def _count(self) -> StorageStatus:
        home = self._home
        ledger = sum(_size(path) for path in home.root.glob("ledger.db*"))
        aside = _tree(home.quarantine) + _tree(home.blobs / "quarantine")
        blobs = _tree(home.blobs) - _tree(home.blobs / "quarantine")
        logs = _tree(home.logs)
        return StorageStatus(
            ledger=ledger,
            blobs=blobs,
            logs=logs,
            quarantine=aside,
            total=ledger + blobs + logs + aside + _size(home.ballast),
            free=shutil.disk_usage(home.root).free,
        )


def clock_is_trusted(ledger: Ledger, at: datetime, leap: timedelta) -> bool:
    """Whether things may be deleted for their age: a clock that is wrong must not make yesterday's old.

    One that leapt, further than `leap` or back, since it was last asked for is believed after a day of it. What it
    showed last, and from when on it is believed, are noted in the ledger.
    """
    noted = (ledger.get_value(_CLOCK) or "").split()
    last, believed = (datetime.fromisoformat(noted[0]), datetime.fromisoformat(noted[1])) if noted else (at, at)
    if not timedelta(minutes=-1) <= at - last <= leap:
        believed = at + timedelta(days=1)
    ledger.set_value(_CLOCK, f"{at.isoformat()} {believed.isoformat()}")
    return at >= believed


def _tree(folder: Path) -> int:
    return sum(_size(path) for path in folder.rglob("*"))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size if not path.is_dir() else 0
    except FileNotFoundError:
        return 0
