"""Logging of the control process: JSON lines in HOME/logs/sleepd.log, which rotates, and beside that on stderr.

stderr is for a person where `sleepd start --foreground` runs at a terminal, and JSON where a service manager collects
it. No record holds what a user said: code logs ids, counts and kinds, never texts. A record carries the id of the
request that it belongs to; the host's orders are named after it, so its log can be read beside this one.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import IO

from sleepengine.logs import HumanFormatter, JsonFormatter

KEPT = 3
request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The request that the present task answers."""


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """A rotating log whose every file is created 0600, whatever the umask."""

    def _open(self) -> IO[str]:  # type: ignore[override]
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return os.fdopen(descriptor, self.mode, encoding="utf-8")


def set_up(file: Path, *, level: str, max_bytes: int, foreground: bool, in_service: bool) -> None:
    """Send all loggers to `file`, and to stderr in the foreground or under a service manager."""
    handlers: list[logging.Handler] = [_PrivateFile(file, maxBytes=max_bytes, backupCount=KEPT)]
    handlers[0].setFormatter(JsonFormatter())
    if foreground or in_service:
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[1].setFormatter(JsonFormatter() if in_service else HumanFormatter())
    root = logging.getLogger()
    root.setLevel(level.upper())
    for handler in handlers:
        handler.addFilter(_with_request)
        root.addHandler(handler)


def rotate(file: Path, max_bytes: int) -> None:
    """Move a log that a child process writes out of the way, before the next child opens it."""
    if file.exists() and file.stat().st_size > max_bytes:
        file.replace(file.with_name(f"{file.name}.1"))


def _with_request(record: logging.LogRecord) -> bool:
    record.request = request_id.get()
    return True
