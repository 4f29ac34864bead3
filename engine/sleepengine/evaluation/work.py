"""Running a backend's work items where nobody else waits for the model."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from sleepengine.backends.base import Work

T = TypeVar("T")


def finish(work: Generator[object, None, T]) -> T:
    """Run work to its end; returns its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def silently(work: Generator[object, None, T]) -> Work[T]:
    """The same work without the progress that it reports."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        yield
