"""The token that a caller of the HTTP door must show: made once, in a file that only its owner can read."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from sleepd.protocol.errors import StorageError

FILE_NAME = "openai.token"
_BYTES = 32


def token(home: Path) -> tuple[str, Path]:
    """The home's token and its file. Raises StorageError where the file cannot be made, or is not ours alone."""
    path = home / FILE_NAME
    try:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return _read(path), path
        with os.fdopen(descriptor, "w") as file:
            fresh = secrets.token_urlsafe(_BYTES)
            file.write(fresh + "\n")
        return fresh, path
    except OSError as error:
        raise StorageError(f"cannot use {path}: {error.strerror or error}") from None


def _read(path: Path) -> str:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "r") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise StorageError(f"{path} is not a file of yours; remove it, and a new one will be made")
        if status.st_mode & 0o077:
            os.fchmod(file.fileno(), 0o600)
        found = file.read(4096).strip()
    if len(found) < _BYTES:
        raise StorageError(f"{path} holds no token; remove it, and a new one will be made")
    return found
