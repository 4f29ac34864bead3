"""Logging of the control process: to HOME/logs/sleepd.log, which rotates, and to stderr in the foreground.

No record holds what a user said: code logs ids, counts and kinds, never texts.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
import time
from pathlib import Path
from typing import IO

KEPT = 3
_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """A rotating log whose every file is created 0600, whatever the umask."""

    def _open(self) -> IO[str]:  # type: ignore[override]
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return os.fdopen(descriptor, self.mode, encoding="utf-8")


def set_up(file: Path, *, level: str, max_bytes: int, foreground: bool) -> None:
    """Send the `sleepd` loggers to `file`, and to stderr in the foreground. Times are UTC."""
    formatter = logging.Formatter(_FORMAT, datefmt="%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handlers: list[logging.Handler] = [_PrivateFile(file, maxBytes=max_bytes, backupCount=KEPT)]
    if foreground:
        handlers.append(logging.StreamHandler(sys.stderr))
    root = logging.getLogger()
    root.setLevel(level.upper())
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
