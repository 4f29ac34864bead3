"""Crash-safe file writes: the one module of the engine that creates or replaces files of the home.

A file is replaced in five steps: write a temporary file in the same folder, fsync it, rename it over the target,
fsync the folder. A crash before the rename leaves the old file and a temporary one that `remove_orphans` takes away;
a crash after it leaves the new file. No step is repeated after a failed fsync: the kernel may have dropped the
pages that it could not write, so a second fsync that succeeds proves nothing.

Files are 0600 and folders 0700, whatever the umask. Every function raises StorageFull when the disk or the quota is
full and StorageFailed on any other error, each naming the path. Failpoints: `<site>.<step>` for each of STEPS.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sleepengine.errors import StorageFailed, StorageFull
from sleepengine.memory import failpoints

STEPS: Final = (
    "before_create",
    "before_write",  # before each chunk
    "before_fsync",
    "before_rename",
    "before_dirsync",
    "after_dirsync",
)
PRIVATE_FILE: Final = 0o600
PRIVATE_DIR: Final = 0o700
_CHUNK: Final = 1 << 20
_TEMPORARY: Final = ".tmp"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class SyncFailed(StorageFailed):
    """An fsync failed: what reached the disk is unknown, so its owner must stop writing until it is reopened."""


def storage_error(error: OSError, path: Path) -> StorageFull | StorageFailed:
    """The engine's error for a failed operation on `path`, as one line for a person."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return StorageFull(f"{path}: {reason}")
    return StorageFailed(f"{path}: {reason}")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into StorageFull or StorageFailed naming `path`."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error


def write_atomic(path: Path, data: bytes | memoryview, *, site: str = "file") -> None:
    """Replace `path` by `data`, durably: after a return it survives a power loss, after a crash it is old or new.

    Raises StorageFull or StorageFailed; the target is then as it was and no temporary file is left. The exception is
    a failed fsync of the folder, the last step: the new content is in place but may not survive a power loss.
    """
    with replacing(path, site=site) as descriptor:
        _write_all(descriptor, data, site)


@contextmanager
def replacing(path: Path, *, site: str = "file") -> Iterator[int]:
    """Like `write_atomic`, for content that comes piece by piece: the block writes it to the descriptor it is given.

    An OSError of the block is translated like any other; whatever leaves the block, the target stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")
    try:
        with translated(path):
            failpoints.hit(site, "before_create")
            with _locked_new_file(temporary) as descriptor:
                yield descriptor
                with _syncing(path):
                    failpoints.hit(site, "before_fsync")
                    _fsync(descriptor)
                failpoints.hit(site, "before_rename")
                os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # the first error is the one to report; an orphan is swept at the next start
            temporary.unlink(missing_ok=True)
        raise
    with _syncing(path):
        failpoints.hit(site, "before_dirsync")
        _fsync_dir(path.parent)
    failpoints.hit(site, "after_dirsync")


@contextmanager
def _locked_new_file(path: Path) -> Iterator[int]:
    """A new private file, locked until the block ends, so that no `remove_orphans` takes it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, PRIVATE_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(descriptor, PRIVATE_FILE)
        yield descriptor
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes | memoryview, site: str) -> None:
    view = memoryview(data).cast("B")
    while view:
        failpoints.hit(site, "before_write")
        view = view[os.write(descriptor, view[:_CHUNK]) :]


def fsync_dir(path: Path) -> None:
    """Make the names in a folder durable."""
    with _syncing(path):
        _fsync_dir(path)


def make_private_dir(path: Path) -> None:
    """Create a folder and its missing parents as 0700, or tighten an existing one; durable on return.

    The parent is synced even when the folder exists: an earlier process may have died between the two.
    """
    if not path.parent.is_dir():
        make_private_dir(path.parent)
    with translated(path):
        with suppress(FileExistsError):
            os.mkdir(path, PRIVATE_DIR)
        if stat.S_IMODE(os.stat(path).st_mode) != PRIVATE_DIR:
            os.chmod(path, PRIVATE_DIR)
    fsync_dir(path.parent)


def create_private_file(path: Path) -> None:
    """Create an empty 0600 file where none is; its name is durable on return. For files that a library then fills."""
    with translated(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            os.fchmod(descriptor, PRIVATE_FILE)
        finally:
            os.close(descriptor)
    fsync_dir(path.parent)


def move(source: Path, target: Path) -> None:
    """Rename a file within one file system, replacing the target, and make both folders durable."""
    with translated(source):
        os.replace(source, target)
    fsync_dir(target.parent)
    if source.parent != target.parent:
        fsync_dir(source.parent)


def remove(path: Path) -> bool:
    """Remove a file; False when there is none. The folder is not synced: a file that comes back is garbage again."""
    with translated(path):
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
        return True


def remove_orphans(folder: Path) -> int:
    """Remove the temporary files that dead writers left in `folder`; returns how many.

    A living writer holds a lock on its temporary file, and the lock dies with it, so another process's write in
    progress is never touched.
    """
    removed = 0
    with translated(folder):
        for path in folder.glob(f".*{_TEMPORARY}"):
            removed += _remove_if_orphan(path)
    return removed


def _remove_if_orphan(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False  # its writer finished meanwhile
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextmanager
def _syncing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise storage_error(error, path) from error
        raise SyncFailed(f"{path}: fsync failed: {error.strerror or error}") from error


def _fsync_dir(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _fsync(descriptor)
    finally:
        os.close(descriptor)


if sys.platform == "darwin":

    def _fsync(descriptor: int) -> None:
        """macOS's fsync leaves data in the drive's cache; F_FULLFSYNC asks the drive too."""
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.ENOTTY, errno.EINVAL):
                raise
            os.fsync(descriptor)  # not every file system offers the full one; this is no repeat of a failed sync

else:

    def _fsync(descriptor: int) -> None:
        os.fsync(descriptor)
