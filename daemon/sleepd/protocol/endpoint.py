"""`daemon.json`: how clients find the daemon, and where the home is when nobody says.

The daemon writes it after its sockets are bound and removes it when it stops; a client reads it and never
guesses. A file that outlives its daemon is harmless: its sockets no longer answer.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .errors import Unreachable

if TYPE_CHECKING:
    import zmq

FILE_NAME = "daemon.json"
HOME_VARIABLE = "SLEEPD_HOME"
_MAX_BYTES = 64 << 10


class CurveKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What a client needs for an encrypted socket: the server's public key and a key pair of its own, in Z85."""

    server: str
    public: str
    secret: str

    def apply(self, socket: zmq.Socket[Any]) -> None:
        """Set them on a client's socket, before it connects."""
        socket.curve_serverkey = self.server.encode()
        socket.curve_publickey = self.public.encode()
        socket.curve_secretkey = self.secret.encode()


class DaemonInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the daemon. `epoch` is new at every start; `requests` and `events` are ZeroMQ endpoints."""

    pid: int
    epoch: str
    protocol: int
    requests: str
    events: str
    curve: CurveKeys | None = None  # for endpoints that are reached through the network


def resolve_home(explicit: Path | None = None) -> Path:
    """The home to use: the one given, else `SLEEPD_HOME`, else the platform's folder for application data.

    The last equals `platformdirs.user_data_path("sleepd", appauthor=False)`, which is not imported here:
    every start of a client would pay for it.
    """
    if explicit is not None:
        return explicit.expanduser().absolute()
    if named := os.environ.get(HOME_VARIABLE):
        return Path(named).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "sleepd"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "sleepd"
    data = os.environ.get("XDG_DATA_HOME", "").strip()
    return (Path(data) if data else Path.home() / ".local" / "share") / "sleepd"


def read(home: Path) -> DaemonInfo:
    """Where the daemon of this home listens. Raises Unreachable where that is absent, foreign or invalid."""
    path = home / FILE_NAME
    try:
        data = _read_own(path)
    except FileNotFoundError:
        raise Unreachable(f"no daemon runs for {home}") from None
    except OSError as error:
        raise Unreachable(f"cannot read {path}: {error.strerror or error}") from None
    try:
        return msgspec.json.decode(data, type=DaemonInfo)
    except msgspec.DecodeError as error:
        raise Unreachable(f"{path} is not valid: {error}") from None


def write(home: Path, info: DaemonInfo) -> None:
    """Replace `daemon.json` in one step, mode 0600; call it when the sockets are bound."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{FILE_NAME}.", dir=home)  # created 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(info))
        os.replace(temporary, home / FILE_NAME)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def remove(home: Path) -> None:
    """Remove `daemon.json`; nothing happens where it is gone already."""
    (home / FILE_NAME).unlink(missing_ok=True)


def _read_own(path: Path) -> bytes:
    # A link or another user's file could send our words to somebody else's socket.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError(0, "not a regular file")
        if hasattr(os, "geteuid") and os.geteuid() not in (0, status.st_uid):
            raise PermissionError(0, "it belongs to another user")
        return file.read(_MAX_BYTES)
