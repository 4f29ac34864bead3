"""One companion for each home: the first holds a lock, a second asks it to show its window and leaves."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from sleepd.protocol.errors import Refused, StorageError

_SOCKET, _LOCK = "companion.sock", "companion.lock"
_PATH_LIMIT = 100
"""Bytes that a socket's path may have everywhere."""
_TIMEOUT = 2000  # milliseconds


class Instance(QObject):
    """The one companion of a home; `asked` when another was started and wants it seen."""

    asked = Signal()

    def __init__(self, folder: Path, lock: int) -> None:
        super().__init__()
        self._lock = lock  # the kernel drops it with this process, however that ends
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        path = str(folder / _SOCKET)
        QLocalServer.removeServer(path)  # of one that was killed: the lock is ours
        if not self._server.listen(path):
            raise StorageError(f"cannot listen at {path}: {self._server.errorString()}")
        self._server.newConnection.connect(self._connected)

    @classmethod
    def claim(cls, home: Path) -> Instance | None:
        """Become the one companion of a home, or have the one that there is show itself, and None.

        Raises Refused for a folder that is not safely ours, StorageError where nothing can be written.
        """
        folder = runtime_folder(home)
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"cannot open {folder / _LOCK}: {error.strerror or error}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            _ask(folder)
            return None
        return cls(folder, lock)

    def close(self) -> None:
        """Let another be the one."""
        self._server.close()
        os.close(self._lock)

    def _connected(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            socket.disconnected.connect(socket.deleteLater)
            socket.disconnectFromServer()  # to connect is to ask; nothing is read
            self.asked.emit()


def runtime_folder(home: Path) -> Path:
    """HOME/run, as the daemon has it: of mode 0700 and ours. Where that is too long for a socket, a private folder
    of the session. Raises Refused, StorageError."""
    folder = home / "run"
    if len(os.fsencode(folder / _SOCKET)) > _PATH_LIMIT:
        session = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        name = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
        folder = Path(session) / f"sleepd-companion-{os.geteuid()}-{name}"
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        for each in (home, folder) if folder.parent == home else (folder,):
            each.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if folder.is_symlink() or found.st_uid != os.geteuid():
            raise Refused(f"{folder} is a link or belongs to another user")
        if found.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise StorageError(f"cannot use {folder}: {error.strerror or error}") from None
    return folder


def _ask(folder: Path) -> None:
    socket = QLocalSocket()
    socket.connectToServer(str(folder / _SOCKET))
    socket.waitForConnected(_TIMEOUT)
    socket.waitForDisconnected(_TIMEOUT)
