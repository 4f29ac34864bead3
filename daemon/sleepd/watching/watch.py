"""Word of changed files, from the operating system to the event loop: nothing polls.

Watches a few folders, not what lies below them, and calls back in the event loop when a file was closed after
writing, moved in, or removed. Several changes in a row make one call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from watchdog.events import (
    FileClosedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

SETTLED: Final = 0.3  # seconds without a further change after which the call comes
_KINDS = [FileClosedEvent, FileMovedEvent, FileDeletedEvent]
_KINDS_ELSEWHERE = [FileModifiedEvent, FileMovedEvent, FileDeletedEvent]  # only inotify tells of closing


class Watch:
    """Calls back about folders until it is closed. Made and used in the event loop's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._observer = Observer()
        self._due: dict[Callable[[], None], asyncio.TimerHandle] = {}

    def add(self, folder: Path, concerns: Callable[[str], bool], changed: Callable[[], None]) -> None:
        """Call `changed` after changes to files of `folder` whose name `concerns` accepts."""
        handler = _Handler(self._loop, concerns, lambda: self._soon(changed))
        inotify = "Inotify" in type(self._observer).__name__
        self._observer.schedule(handler, str(folder), event_filter=_KINDS if inotify else _KINDS_ELSEWHERE)

    def start(self) -> None:
        self._observer.start()

    async def close(self) -> None:
        for timer in self._due.values():
            timer.cancel()
        if self._observer.is_alive():
            self._observer.stop()
            await asyncio.to_thread(self._observer.join)

    def _soon(self, changed: Callable[[], None]) -> None:
        if (earlier := self._due.pop(changed, None)) is not None:
            earlier.cancel()
        self._due[changed] = self._loop.call_later(SETTLED, changed)


class _Handler(FileSystemEventHandler):
    """Runs in the observer's thread; touches the loop by its one thread-safe door."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, concerns: Callable[[str], bool], tell: Callable[[], None]
    ) -> None:
        self._loop, self._concerns, self._tell = loop, concerns, tell

    def on_any_event(self, event: FileSystemEvent) -> None:
        names = {Path(str(path)).name for path in (event.src_path, event.dest_path) if path}
        if any(self._concerns(name) for name in names) and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell)
