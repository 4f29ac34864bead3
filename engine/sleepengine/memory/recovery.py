"""Finding damage in a home's storage, and repairing it: what `sleepd fsck` does, and what every start does for blobs.

Nothing is served unverified and nothing is thrown away: damaged files go to a `quarantine` folder. Damaged blobs are
given up and learned again from the facts, which loses nothing. A damaged ledger is rebuilt from what can be read of it,
which may lose something, so only a person asks for that (`repair`).
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

import msgspec

from sleepengine.errors import BlobCorrupt, BlobMissing, LedgerCorrupt, LedgerTooNew
from sleepengine.memory import files, salvage
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.database import examine, read_only
from sleepengine.memory.guard import Guard
from sleepengine.memory.ledger import Ledger, utc_now


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be. `remedy` says what a repair does about it, or did."""

    part: str  # "ledger", "commits", "edit", "generation", "files"
    name: str
    problem: str
    remedy: str


def check(ledger: Path, blobs: Path) -> list[Finding]:
    """Look at everything and change nothing; a daemon may be running. Raises StorageFailed where a disk fails."""
    if not ledger.exists():
        return []
    guard = Guard(ledger)
    try:
        commits = examine(ledger, guard)
        findings = _lost_commits(guard, commits)
        with closing(read_only(ledger)) as connection:
            findings += _broken_references(connection, ledger)
            named = connection.execute("SELECT DISTINCT blob FROM edits").fetchall()
            kept = connection.execute("SELECT DISTINCT blob FROM generations WHERE kept = 1 AND blob <> ''").fetchall()
    except LedgerTooNew as error:
        return [Finding(part="ledger", name=str(ledger), problem=str(error), remedy="update sleepd")]
    except (LedgerCorrupt, sqlite3.DatabaseError) as error:
        remedy = "rebuild it from what can be read of it"
        return [Finding(part="ledger", name=str(ledger), problem=str(error), remedy=remedy)]
    for part, rows in (("edit", named), ("generation", kept)):
        for (sha,) in rows:
            problem = _problem(blobs / sha[:2] / sha[2:], sha)
            if problem:
                findings.append(Finding(part=part, name=sha, problem=problem, remedy="learn it again from the facts"))
    return findings


def heal(ledger: Ledger, blobs: BlobStore, only: Collection[str] | None = None) -> list[Finding]:
    """Read every blob that the ledger names (or of `only`), set aside what is damaged, give up what is not whole."""
    problems: dict[str, str] = {}
    for sha in sorted(ledger.referenced_blobs() if only is None else only):
        try:
            blobs.get(sha)
        except (BlobMissing, BlobCorrupt) as error:
            problems[sha] = str(error)
    if not problems:
        return []
    facts, moved = ledger.give_up(problems, utc_now())
    findings = [
        Finding(part="edit", name=fact_id, problem="its edit's file was damaged", remedy="it is learned again")
        for fact_id in facts
    ]
    findings += [
        Finding(
            part="generation",
            name=str(left),
            problem=f"the adapter's file was damaged ({model[:12]})",
            remedy=f"generation {now} is used" if now else "the bare base is used; the facts are learned again",
        )
        for model, left, now in moved
    ]
    return findings or [
        Finding(part="generation", name=sha[:12], problem=problem, remedy="it was an older one and is given up")
        for sha, problem in problems.items()
    ]


def repair(ledger: Path, blobs: Path) -> list[Finding]:
    """Repair what `check` finds. Whoever calls holds the home's lock. Raises LedgerTooNew, StorageFull, StorageFailed.

    Raises LedgerCorrupt where nothing of the ledger can be read; everything is in quarantine then, and a backup helps.
    """
    findings = [Finding(part="files", name=str(ledger.parent), problem="half-written files", remedy="removed")]
    if not ledger.exists() or not files.remove_orphans(ledger.parent):
        findings = []
    if not ledger.exists():
        return findings
    guard = Guard(ledger)
    try:
        findings += _lost_commits(guard, examine(ledger, guard))
    except (LedgerCorrupt, sqlite3.DatabaseError) as error:
        kept, missing = salvage.rebuild(ledger, ledger.parent / "quarantine" / f"ledger-{time.time_ns()}")
        remedy = f"rebuilt: {kept} rows kept" + (f", {missing} unreadable" if missing else "")
        findings.append(Finding(part="ledger", name=str(ledger), problem=str(error), remedy=remedy))
    with closing(Ledger.open(ledger)) as opened:
        return findings + heal(opened, BlobStore(blobs))


def _lost_commits(guard: Guard, commits: int) -> list[Finding]:
    missing = (guard.marked() or 0) - commits
    if missing <= 0:
        return []
    problem = f"{missing} acknowledged changes are missing: the write-ahead log was damaged or cut short"
    return [Finding(part="commits", name="", problem=problem, remedy="a copy of the log is kept in quarantine")]


def _broken_references(connection: sqlite3.Connection, ledger: Path) -> list[Finding]:
    broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    if not broken:
        return []
    tables = sorted({row[0] for row in broken})
    problem = f"{len(broken)} rows of {', '.join(tables)} point nowhere"
    raise LedgerCorrupt(f"{ledger}: {problem}")


def _problem(path: Path, sha: str) -> str:
    """What is wrong with a blob, left where it is; "" for a whole one."""
    try:
        with path.open("rb") as file:
            whole = hashlib.file_digest(file, "sha256").hexdigest() == sha
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        raise files.storage_error(error, path) from error
    return "" if whole else "its bytes do not match its name"
