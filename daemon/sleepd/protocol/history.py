"""HOME/history: what was typed in chats. The client adds lines, the daemon takes out those that tell what is forgotten.

One JSON string a line, mode 0600. Whoever reads it to write it holds its lock (flock), so that no line that was taken
out comes back. It is rewritten in place: no copy with the old words stays behind.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

FILE_NAME = "history"


def lines(path: Path) -> list[str]:
    """All lines, oldest first; damaged ones are left out. Raises OSError."""
    try:
        with _locked(path, os.O_RDONLY) as file:
            return _decoded(file)
    except FileNotFoundError:
        return []


def append(path: Path, line: str) -> None:
    """Add a line. Raises OSError."""
    with _locked(path, os.O_RDWR | os.O_CREAT) as file:
        os.fchmod(file.fileno(), 0o600)
        file.seek(0, os.SEEK_END)
        file.write(_encoded(line))


def keep_last(path: Path, count: int) -> None:
    """Drop all but the latest lines. Raises OSError."""
    _rewrite(path, lambda found: found[-count:])


def take_out(path: Path, concerns: Callable[[str], bool]) -> int:
    """Drop every line of which `concerns` holds; returns how many. Raises OSError."""
    before = after = 0

    def others(found: list[str]) -> list[str]:
        nonlocal before, after
        kept = [line for line in found if not concerns(line)]
        before, after = len(found), len(kept)
        return kept

    _rewrite(path, others)
    return before - after


def _rewrite(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    try:
        with _locked(path, os.O_RDWR) as file:
            found = _decoded(file)
            kept = change(found)
            if kept != found:
                file.seek(0)
                file.write(b"".join(map(_encoded, kept)))
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
    except FileNotFoundError:
        return


@contextmanager
def _locked(path: Path, flags: int) -> Iterator[BinaryIO]:
    # O_NOFOLLOW: a link put in the place of the file must not choose where our words go.
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "rb" if flags == os.O_RDONLY else "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_SH if flags == os.O_RDONLY else fcntl.LOCK_EX)
        yield file


def _encoded(line: str) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode(errors="replace") + b"\n"


def _decoded(file: BinaryIO) -> list[str]:
    found = []
    for raw in file.read().decode(errors="replace").splitlines():
        try:
            value = json.loads(raw)
        except ValueError:
            continue  # cut off by a crash
        if isinstance(value, str):
            found.append(value)
    return found
