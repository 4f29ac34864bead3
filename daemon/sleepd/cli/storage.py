"""`sleepd fsck`, `backup` and `restore`: with and without a daemon."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click
import msgspec

from sleepd.cli.options import Common, common
from sleepd.clock import now
from sleepd.errors import translated
from sleepd.paths import Home, Lock, lock_holder
from sleepd.protocol.errors import NotFound, Refused
from sleepd.serving.events import RESERVED
from sleepengine.memory import archive, recovery
from sleepengine.memory.database import read_only
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.recovery import Finding


@click.command()
@click.option("--repair", is_flag=True, help="Mend what is found; stops a running daemon meanwhile.")
@common
def fsck(own: Common, repair: bool) -> int:
    """Check the ledger and every blob, byte by byte; ends with 8 where damage remains."""
    home = own.place
    _require(home)
    with translated():
        if repair:
            with paused(home):
                findings = recovery.repair(home.ledger, home.blobs)
                left = recovery.check(home.ledger, home.blobs)
        else:
            findings = left = recovery.check(home.ledger, home.blobs)
    own.show(
        {"ok": not left, "repaired": repair, "findings": msgspec.to_builtins(findings)},
        "\n".join(_line(finding) for finding in findings) or "everything is whole",
    )
    return 8 if left else 0


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@common
def backup(own: Common, file: Path, force: bool) -> None:
    """Write the whole memory to FILE, also while the daemon runs."""
    home, target = own.place, file.absolute()
    _require(home)
    if target.exists() and not force:
        raise Refused(f"{target} exists; --force replaces it")
    if not target.parent.is_dir():
        raise NotFound(f"there is no folder {target.parent}")
    with translated(), _readable(home):
        manifest = archive.backup(home.ledger, home.blobs, home.config_file, target, now())
    size = target.stat().st_size
    own.show(
        {"path": str(target), "bytes": size, "facts": manifest.facts, "blobs": len(manifest.blobs)},
        f"{manifest.facts} facts and {len(manifest.blobs)} blobs are in {target} ({size / 1e6:,.1f} MB)",
    )


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@common
def restore(own: Common, file: Path) -> None:
    """Put the memory of FILE in the place of the present one, which is kept in HOME/quarantine.

    What was forgotten since the backup was taken stays forgotten. A running daemon is stopped for it and started again.
    """
    home, source = own.place, file.absolute()
    if not source.exists():
        raise NotFound(f"there is no file {source}")
    home.prepare()
    with translated(), paused(home):
        told = _events_told(home.ledger)
        restored = archive.restore(source, home.ledger, home.blobs, home.config_file, now())
        with closing(Ledger.open(home.ledger)) as ledger:
            if told > int(ledger.get_value(RESERVED) or "0"):
                ledger.set_value(RESERVED, str(told))  # no event's number is ever given twice
    manifest, forgotten = restored.manifest, restored.forgotten
    document = {"path": str(source), "facts": manifest.facts, "at": manifest.at, "forgotten": forgotten}
    own.show(document, f"{manifest.facts} facts as of {manifest.at} are back{_forgotten(forgotten)}")


@contextmanager
def paused(home: Home) -> Iterator[None]:
    """The home without its daemon, under its lock; a daemon that ran is started again afterwards."""
    from sleepd.cli import launching

    ran = launching.stop(home) is not None
    try:
        lock = Lock.acquire(home)
        try:
            yield
        finally:
            lock.release()
    finally:
        if ran:
            launching.start(home)


@contextmanager
def _readable(home: Home) -> Iterator[None]:
    """A ledger that can be read as it is: the daemon's, or one that is opened and folded here where none runs."""
    if lock_holder(home) is not None:
        yield
        return
    lock = Lock.acquire(home)
    try:
        Ledger.open(home.ledger).close()
        yield
    finally:
        lock.release()


def _require(home: Home) -> None:
    if not home.ledger.exists():
        raise NotFound(f"there is no memory in {home.root}")


def _events_told(ledger: Path) -> int:
    """How far events were numbered; 0 where the present ledger cannot say."""
    if not ledger.exists():
        return 0
    try:
        with closing(read_only(ledger)) as connection:
            row = connection.execute("SELECT value FROM small_values WHERE key = ?", (RESERVED,)).fetchone()
    except sqlite3.Error:  # it is being replaced because it is damaged
        return 0
    return int(row[0]) if row else 0


def _forgotten(count: int | None) -> str:
    if count is None:
        return "; the replaced ledger was too damaged to tell what was forgotten in it: look through `sleepc facts`"
    return f"; {count} of them had been forgotten since and stay so" if count else ""


def _line(finding: Finding) -> str:
    return f"{finding.part} {finding.name}: {finding.problem}; {finding.remedy}"
