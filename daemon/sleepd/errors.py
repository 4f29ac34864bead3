"""Where errors of the engine become errors that a client understands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sleepd.protocol.errors import SleepdError, from_code
from sleepengine.errors import EngineError


class HostDied(SleepdError):
    """The process that owns the model ended before it answered."""


class HostNotReady(SleepdError):
    """The model cannot be used, and waiting would not help."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise the protocol's error for an engine's error, by its code."""
    try:
        yield
    except EngineError as error:
        raise from_code(error.code, str(error)) from error
