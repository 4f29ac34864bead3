"""The home folder: what lies where in it, who may touch it, and the lock that makes one daemon its owner.

    ledger.db      the facts (SQLite)            daemon.json  how clients find the daemon
    blobs/         edits and generations         lock         held while a daemon runs; names its pid
    models/        converted base models         logs/        sleepd.log and its predecessors
    config.toml    settings                      run/         sockets
    quarantine/    damaged and replaced files    ballast      room for forgetting when the disk is full
    inbox/         files to learn from           server.key, authorized_keys  for sockets in the network
    history        what was typed in chats       openai.token  the key of `sleepc serve-openai`

Folders are 0700 and files 0600. `SLEEPD_MODELS` moves models/ so that several homes share converted models.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sleepd.protocol import history
from sleepd.protocol.endpoint import resolve_home
from sleepd.protocol.errors import Busy, Refused, StorageError

MODELS_VARIABLE = "SLEEPD_MODELS"
SOCKET_PATH_LIMIT = 100
"""Bytes. The kernel's limit is 107 on Linux and 103 on macOS, its terminating zero not counted."""

REQUESTS_SOCKET = "requests.sock"
EVENTS_SOCKET = "events.sock"
_RUN_PREFIX = "sleepd-"


@dataclass(frozen=True, slots=True)
class Home:
    """A home folder by its absolute path. Naming one touches no disk; `prepare` does."""

    root: Path

    @classmethod
    def resolve(cls, explicit: Path | None = None) -> Home:
        """The folder given, else `SLEEPD_HOME`, else the platform's folder for application data."""
        return cls(resolve_home(explicit))

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.db"

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    @property
    def models(self) -> Path:
        named = os.environ.get(MODELS_VARIABLE)
        return Path(named).expanduser().absolute() if named else self.root / "models"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def ballast(self) -> Path:
        return self.root / "ballast"

    @property
    def server_key(self) -> Path:
        return self.root / "server.key"

    @property
    def authorized_keys(self) -> Path:
        return self.root / "authorized_keys"

    @property
    def inbox(self) -> Path:
        return self.root / "inbox"

    @property
    def history(self) -> Path:
        return self.root / history.FILE_NAME

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def log_file(self) -> Path:
        return self.logs / "sleepd.log"

    @property
    def host_log_file(self) -> Path:
        return self.logs / "host.log"

    @property
    def config_file(self) -> Path:
        return self.root / "config.toml"

    def prepare(self) -> None:
        """Create what is missing and tighten what is loose. Raises Refused for a home that is not safely ours."""
        try:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self.root, self.run, self.blobs, self.logs):
                make_private(folder)
            if not self.models.exists():
                self.models.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise StorageError(f"cannot prepare {self.root}: {error.strerror or error}") from None


def make_private(folder: Path) -> None:
    """Make sure that `folder` is a real folder of ours with mode 0700. Raises Refused where it is not ours."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise Refused(f"{folder} is a symbolic link; name the folder that it leads to")
    if not stat.S_ISDIR(found.st_mode):
        raise Refused(f"{folder} is not a folder")
    if found.st_uid != os.geteuid():
        raise Refused(f"{folder} belongs to another user (uid {found.st_uid})")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)


class Lock:
    """The exclusive right to a home: `flock` on HOME/lock. Taken before any bind and before the ledger is opened.

    The kernel drops the lock with its holder, however that died, so it is never stale. The pid in the file is for
    messages and for `stop`; it is that of the holder whenever the lock is held.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, home: Home) -> Lock:
        """Raises Busy, naming the holder's pid."""
        descriptor = _open(home.lock)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _read_pid(descriptor)
            os.close(descriptor)
            raise Busy(f"a daemon already runs for {home.root} (pid {pid or 'not yet known'})") from None
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(home.lock, descriptor)

    def release(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def lock_holder(home: Home) -> int | None:
    """The pid of the daemon that holds this home, 0 where it has not yet said, None where the lock is free."""
    try:
        descriptor = os.open(home.lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot open {home.lock}: {error.strerror or error}") from None
    try:
        # A shared lock, so that two who ask at once do not take each other for a daemon.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_pid(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"cannot open {path}: {error.strerror or error}") from None


def _read_pid(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def socket_folder(home: Home) -> Path:
    """Where the sockets go: HOME/run, or a fresh private folder where that path would be too long to bind.

    Call it with the lock held; sockets that a killed daemon left there are removed.
    """
    if len(os.fsencode(home.run / REQUESTS_SOCKET)) <= SOCKET_PATH_LIMIT:
        _remove_sockets(home.run)
        return home.run
    return Path(tempfile.mkdtemp(prefix=_RUN_PREFIX))


def remove_sockets(home: Home, folder: Path) -> None:
    """Undo `socket_folder`."""
    _remove_sockets(folder)
    if folder != home.run and folder.name.startswith(_RUN_PREFIX):
        folder.rmdir()


def _remove_sockets(folder: Path) -> None:
    for name in (REQUESTS_SOCKET, EVENTS_SOCKET):
        (folder / name).unlink(missing_ok=True)
