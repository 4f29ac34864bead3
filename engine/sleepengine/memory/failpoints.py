"""Named places where a test may kill the process or make a write fail. Costs one test of a global when unarmed.

A specification is `NAME[:N][=ACTION]`, several joined by commas: at the N-th hit (default 1) of the failpoint NAME the
ACTION happens (default `kill`): `kill` sends SIGKILL to this process, `enospc` and `eio` raise that OSError. Example:
`blob.before_rename:2=kill`. The process arms itself from the environment variable SLEEPD_FAILPOINT when it starts.

A point whose step begins with `after_` stands behind the operation that makes a change durable. Failing there would
deny a change that happened, which no real disk does, so only `kill` is allowed at such a point.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

ENVIRONMENT_VARIABLE: Final = "SLEEPD_FAILPOINT"
_ERRNO: Final = {"enospc": errno.ENOSPC, "eio": errno.EIO}


@dataclass
class _Trigger:
    remaining: int
    action: str


def _parse(specification: str) -> dict[str, _Trigger]:
    triggers = {}
    for part in filter(None, (p.strip() for p in specification.split(","))):
        place, _, action = part.partition("=")
        name, _, count = place.partition(":")
        action = action or "kill"
        if action != "kill" and action not in _ERRNO:
            raise ValueError(f"failpoint {part!r}: the action must be kill, enospc or eio")
        if action != "kill" and name.rpartition(".")[2].startswith("after_"):
            raise ValueError(f"failpoint {part!r}: the change is already durable, only kill makes sense")
        triggers[name] = _Trigger(int(count or 1), action)
        if triggers[name].remaining < 1:
            raise ValueError(f"failpoint {part!r}: hits are counted from 1")
    return triggers


_armed: dict[str, _Trigger] = _parse(os.environ.get(ENVIRONMENT_VARIABLE, ""))


def hit(site: str, step: str) -> None:
    """Pass the failpoint `site.step`; does nothing unless it is armed and due."""
    if _armed:
        _fire(f"{site}.{step}")


def _fire(name: str) -> None:
    trigger = _armed.get(name)
    if trigger is None or trigger.remaining == 0:
        return
    trigger.remaining -= 1
    if trigger.remaining:
        return
    if trigger.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    code = _ERRNO[trigger.action]
    raise OSError(code, os.strerror(code))


@contextmanager
def armed(specification: str) -> Iterator[None]:
    """Arm failpoints within a block of this process, and put the earlier ones back after it."""
    global _armed
    before, _armed = _armed, _parse(specification)
    try:
        yield
    finally:
        _armed = before
