"""How both processes write their logs: for a person, or one JSON object a line; never with what a user said.

An exception's message may quote the text that it stumbled over, so of an exception only its type and the places of its
traceback are written. Times are UTC.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from types import TracebackType
from typing import Any

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def places(error: BaseException) -> list[str]:
    """Where an error passed: `file:line function`, innermost last; then its type, and those of what caused it."""
    told: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        frames = traceback.extract_tb(seen.__traceback__)
        told = [*(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames), type(seen).__name__, *told]
        seen = seen.__cause__
    return told


class HumanFormatter(logging.Formatter):
    """`2026-01-02T03:04:05Z INFO    sleepd.app: ...`, with the request where there is one."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        request = getattr(record, "request", "")
        return super().format(record) + (f" [{request}]" if request else "")

    def formatException(self, ei: Any) -> str:
        return "\n".join(f"  {place}" for place in places(ei[1]))


class JsonFormatter(logging.Formatter):
    """One object a line: `at`, `level`, `logger`, `message`, and `request` and `places` where there are any."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "at": f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := getattr(record, "request", ""):
            told["request"] = request
        if record.exc_info and record.exc_info[1] is not None:
            told["places"] = places(record.exc_info[1])
        return json.dumps(told, ensure_ascii=False)


def as_line(told: dict[str, Any]) -> str:
    """A JSON record as the other formatter would have written it."""
    request = f" [{told['request']}]" if told.get("request") else ""
    head = f"{told.get('at', '')} {str(told.get('level', '')).upper():<7} {told.get('logger', '')}"
    lines = [f"{head}: {told.get('message', '')}{request}"]
    return "\n".join([*lines, *(f"  {place}" for place in told.get("places", ()))])


def hide_messages_of_crashes(log: logging.Logger) -> None:
    """What would end the process is logged by its places; the interpreter's own report would quote its message."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        log.critical("the process ends", exc_info=(kind, error, trace))

    sys.excepthook = hook
