"""A whole memory in one file: a tar with a manifest, the ledger, and every blob that the ledger names.

    manifest.json   format, schema, time, and the sha256 of everything else, then its own; always the first member
    ledger.db       a consistent copy that needs no write-ahead log
    blobs/<sha256>  edits and generations
    config.toml     the settings, where there were any

A backup is taken beside a running daemon. A restore checks every byte before it changes anything; then it adds the
blobs and puts the ledger in the place of the present one, which goes to `quarantine`, in one rename. What was forgotten
in the present one is forgotten in the restored one too, before anybody can see it.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import sqlite3
import tarfile
import time
from contextlib import closing
from pathlib import Path
from typing import IO, Final

import msgspec

from sleepengine.errors import BlobMissing, LedgerCorrupt, LedgerTooNew, StorageFailed
from sleepengine.memory import failpoints, files, migrations
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.database import copy, examine, read_only
from sleepengine.memory.forgotten import ForgottenRecord, read_record
from sleepengine.memory.guard import Guard
from sleepengine.memory.ledger import Ledger

FORMAT: Final = 1
_MANIFEST: Final = "manifest.json"
_LEDGER: Final = "ledger.db"
_CONFIG: Final = "config.toml"
_BLOBS: Final = "blobs/"
_MANIFEST_BYTES: Final = 64 << 20
_TRIES: Final = 3
_log = logging.getLogger(__name__)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive holds. Hashes are sha256 in hex; `config` is "" where there were no settings."""

    format: int
    schema: int
    at: str
    facts: int
    ledger: str
    blobs: tuple[str, ...]
    config: str = ""


def backup(ledger: Path, blobs: Path, config: Path, target: Path, at: str) -> Manifest:
    """Write an archive, durably. The ledger may be in use by another process, for reading and writing.

    Raises StorageFull, StorageFailed, LedgerCorrupt, and BlobMissing where a blob that the ledger names is not whole.
    """
    for attempt in range(_TRIES):
        try:
            return _backup(ledger, blobs, config, target, at)
        except BlobMissing:
            if attempt == _TRIES - 1:  # else the daemon dropped it between our look at the ledger and at the blob
                raise
    raise AssertionError("unreachable")


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. `forgotten` counts its facts that had been forgotten since and stay so; None where the present
    ledger was too damaged to say what was forgotten in it."""

    manifest: Manifest
    forgotten: int | None


def restore(source: Path, ledger: Path, blobs: Path, config: Path, at: str) -> Restored:
    """Put an archive's memory in the place of the present one. Whoever calls holds the home's lock.

    The settings are taken over only where there are none. Raises StorageFailed for a file that is no archive or is
    damaged, LedgerTooNew, StorageFull; the present memory is then as it was.
    """
    staged = ledger.with_name(f".{ledger.name}.restored")
    _discard(staged)
    try:
        with files.translated(source), source.open("rb") as file:
            manifest = _unpack(file, source, staged, BlobStore(blobs), config)
        _check_ledger(staged, manifest)
        forgotten = _keep_forgotten(ledger, staged, at)
        _set_aside(ledger)
        failpoints.hit("restore", "before_swap")
        files.move(staged, ledger)
        return Restored(manifest=manifest, forgotten=forgotten)
    except tarfile.TarError as error:
        raise StorageFailed(f"{source} is no backup, or a damaged one: {error}") from error
    finally:
        _discard(staged)


# --- writing ----------------------------------------------------------------------------------------------------


def _backup(ledger: Path, blobs: Path, config: Path, target: Path, at: str) -> Manifest:
    copied = target.with_name(f".{target.name}.ledger")
    files.remove(copied)
    try:
        with closing(read_only(ledger)) as connection:
            copy(connection, copied)
        with closing(read_only(copied)) as connection:
            rows = connection.execute(
                "SELECT blob FROM edits UNION SELECT blob FROM generations WHERE kept = 1 AND blob <> '' ORDER BY 1"
            ).fetchall()
            facts = connection.execute("SELECT count(*) FROM facts").fetchone()[0]
            schema = migrations.schema_number(connection) or 0
        settings = config.read_bytes() if config.exists() else b""
        with copied.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        manifest = Manifest(
            format=FORMAT,
            schema=schema,
            at=at,
            facts=facts,
            ledger=digest,
            blobs=tuple(blob for (blob,) in rows),
            config=hashlib.sha256(settings).hexdigest() if settings else "",
        )
        store = BlobStore(blobs)
        with files.replacing(target, site="backup") as descriptor, os.fdopen(os.dup(descriptor), "wb") as out:
            with tarfile.open(fileobj=out, mode="w") as archive:
                told = msgspec.json.encode(manifest)
                _add(archive, _MANIFEST, told + b"\n" + _sha256(told))
                archive.add(copied, _LEDGER)
                for sha in manifest.blobs:
                    _add(archive, f"{_BLOBS}{sha}", store.get(sha))
                if settings:
                    _add(archive, _CONFIG, settings)
            out.flush()
        return manifest
    finally:
        files.remove(copied)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    failpoints.hit("backup", "before_write")
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(data), 0o600, int(time.time())
    archive.addfile(member, io.BytesIO(data))


# --- reading ----------------------------------------------------------------------------------------------------


def _unpack(file: IO[bytes], source: Path, staged: Path, store: BlobStore, config: Path) -> Manifest:
    """Stage the ledger and add the blobs; nothing that counts has changed then."""
    with tarfile.open(fileobj=file, mode="r:") as archive:
        manifest = _manifest(archive, source)
        wanted = {f"{_BLOBS}{sha}": sha for sha in manifest.blobs} | {_LEDGER: manifest.ledger}
        if manifest.config:
            wanted[_CONFIG] = manifest.config
        while (member := archive.next()) is not None:
            expected = wanted.pop(member.name, None)
            if expected is None:
                raise StorageFailed(f"{source} holds {member.name!r}, which its manifest does not name")
            data = _content(archive, member)
            if hashlib.sha256(data).hexdigest() != expected:
                raise StorageFailed(f"{source} is damaged: {member.name} does not match its checksum")
            if member.name == _LEDGER:
                files.write_atomic(staged, data, site="restore")
            elif member.name.startswith(_BLOBS):
                store.put(data)
            elif not config.exists():
                files.write_atomic(config, data, site="restore")
    if wanted:
        raise StorageFailed(f"{source} is cut short: it lacks {sorted(wanted)[0]}")
    return manifest


def _manifest(archive: tarfile.TarFile, source: Path) -> Manifest:
    member = archive.next()
    if member is None or member.name != _MANIFEST or member.size > _MANIFEST_BYTES:
        raise StorageFailed(f"{source} is no backup of a sleepd memory")
    told, _, digest = _content(archive, member).rpartition(b"\n")
    if _sha256(told) != digest:
        raise StorageFailed(f"{source} is damaged: the manifest does not match its checksum")
    try:
        manifest = msgspec.json.decode(told, type=Manifest)
    except msgspec.DecodeError as error:
        raise StorageFailed(f"{source} is no backup of a sleepd memory: {error}") from error
    if manifest.format > FORMAT or manifest.schema > migrations.NEWEST:
        raise LedgerTooNew(f"{source} was made by a newer sleepd (schema {manifest.schema}); update sleepd")
    return manifest


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    opened = archive.extractfile(member) if member.isfile() else None
    if opened is None:
        raise StorageFailed(f"{member.name} in the backup is not a file")
    return opened.read()


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _check_ledger(staged: Path, manifest: Manifest) -> None:
    examine(staged, Guard(staged))
    with closing(read_only(staged)) as connection:
        found = connection.execute("SELECT count(*) FROM facts").fetchone()[0]
    if found != manifest.facts:
        raise LedgerCorrupt(f"the backup speaks of {manifest.facts} facts and holds {found}")


def _keep_forgotten(ledger: Path, staged: Path, at: str) -> int | None:
    """Forget in the staged ledger what the present one forgot; how much that was, None where that cannot be read."""
    record: ForgottenRecord | None = ForgottenRecord()
    if ledger.exists():
        try:
            with closing(read_only(ledger)) as connection:
                record = read_record(connection)
        except sqlite3.Error as error:
            _log.warning("what was forgotten cannot be read from %s: %s", ledger, error)
            record = None
    with closing(Ledger.open(staged)) as opened:
        return None if record is None else len(opened.honour(record, at))


def _set_aside(ledger: Path) -> None:
    """Keep a copy of the present ledger, its log folded in: without the log it would be older than it is."""
    if not ledger.exists():
        return
    folder = ledger.parent / "quarantine" / f"replaced-{time.time_ns()}"
    files.make_private_dir(folder)
    try:
        Ledger.open(ledger).close()
    except (LedgerCorrupt, LedgerTooNew) as error:
        _log.warning("the replaced ledger is kept as it is: %s", error)
    for suffix in ("-wal", "-shm"):
        part = ledger.with_name(f"{ledger.name}{suffix}")
        if part.exists():
            files.move(part, folder / part.name)
    files.write_atomic(folder / ledger.name, ledger.read_bytes(), site="aside")
    Guard(ledger).forget()


def _discard(staged: Path) -> None:
    """Remove a staged ledger and what SQLite and the guard put beside it."""
    for suffix in ("-wal", "-shm", ""):
        files.remove(staged.with_name(f"{staged.name}{suffix}"))
    Guard(staged).forget()
