"""A wall clock that is wrong by the seconds in the file that MOVED_CLOCK names. Monotonic time goes on as ever.

Python imports this module by itself where its folder is on the path.
"""

import datetime
import os
import time
from pathlib import Path

_file, _time, _time_ns, _datetime = Path(os.environ["MOVED_CLOCK"]), time.time, time.time_ns, datetime.datetime


def _moved() -> float:
    return float(_file.read_text(encoding="ascii") or 0)


class _AnyDatetime(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _datetime)


class _Datetime(_datetime, metaclass=_AnyDatetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return _datetime.fromtimestamp(time.time(), tz)


time.time = lambda: _time() + _moved()
time.time_ns = lambda: _time_ns() + int(_moved() * 1e9)
datetime.datetime = _Datetime  # type: ignore[misc]
