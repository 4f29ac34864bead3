"""Between Qt and the client: an event loop in a thread of its own does all talking, Qt's thread only hears of it.

Nothing here blocks the interface. Callbacks run in Qt's thread, in the order in which their news came.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, Qt, Signal

from sleepd.protocol.errors import SleepdError

from ..live import Lost
from .state import News

if TYPE_CHECKING:
    from ..async_client import AsyncClient
    from .feed import Feed

T = TypeVar("T")
Work = Callable[["AsyncClient"], Coroutine[Any, Any, T]]

_PATIENCE = 3.0
"""Seconds that the thread may take to end."""


class Job:
    """Something under way in the other thread."""

    def __init__(self, future: Future[None]) -> None:
        self._future = future

    def cancel(self) -> None:
        """Stop it; neither of its callbacks runs any more, unless one is on its way already."""
        self._future.cancel()


class Bridge(QObject):
    """The client of one home. `changed` carries each new `State` and its announcements."""

    changed = Signal(object, object)
    _call = Signal(object)

    def __init__(self, home: Path | None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._home = home
        self._call.connect(self._perform, Qt.ConnectionType.QueuedConnection)
        self._loop = asyncio.new_event_loop()
        self._stop, self._ready = asyncio.Event(), asyncio.Event()
        self._client: AsyncClient | None = None
        self._feed: Feed | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._main, name="sleepc companion", daemon=True)

    def start(self) -> None:
        """Begin to follow the daemon."""
        self._thread.start()

    def close(self) -> None:
        """End everything that is under way. No callback runs afterwards."""
        self._closed = True
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_PATIENCE)

    def do(
        self,
        work: Work[T],
        done: Callable[[T], None] | None = None,
        failed: Callable[[SleepdError], None] | None = None,
    ) -> Job:
        """Run `work` with the client in the other thread; then `done` or `failed` here. Nothing, once it is closed."""

        async def run() -> None:
            try:
                result = await work(await self._when_ready())
            except SleepdError as error:
                if failed is not None:
                    self.call(lambda error=error: failed(error))  # type: ignore[misc]
            else:
                if done is not None:
                    self.call(lambda: done(result))

        if self._closed:
            return Job(Future())
        future = asyncio.run_coroutine_threadsafe(run(), self._loop)
        future.add_done_callback(self._defect)
        return Job(future)

    def call(self, function: Callable[[], None]) -> None:
        """Run a function in Qt's thread; from any thread."""
        if not self._closed:
            self._call.emit(function)

    def there(self, function: Callable[[], None]) -> None:
        """Run a function in the client's thread; it must not wait."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(function)

    def tell(self, news: News) -> None:
        """Something that the state should know, of our own doing."""
        self._with_feed(lambda feed: feed.take(news))

    def refresh(self) -> None:
        """Have the status asked for, or the daemon looked for."""
        self._with_feed(lambda feed: feed.refresh())

    def look_again(self) -> None:
        """The daemon's file has changed."""
        self._with_feed(lambda feed: feed.look_again())

    # --- the other thread -----------------------------------------------------------------------------------------

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        from ..async_client import AsyncClient  # its libraries load while the window is being made
        from .feed import Feed

        async with AsyncClient(self._home) as client:
            self._client = client
            self._ready.set()
            self._feed = Feed(client, lambda state, announced: self.changed.emit(state, announced))
            following = asyncio.create_task(self._feed.run())
            following.add_done_callback(self._feed_ended)
            await self._stop.wait()
            following.cancel()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                if not task.cancelling():  # a second time would interrupt how it ends
                    task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    async def _when_ready(self) -> AsyncClient:
        await self._ready.wait()
        assert self._client is not None
        return self._client

    def _feed_ended(self, following: asyncio.Task[None]) -> None:
        """A feed that fell over must not leave its last state standing."""
        if not following.cancelled() and (error := following.exception()) is not None:
            assert self._feed is not None
            self._feed.take(Lost(f"{type(error).__name__}: {error}"))
            self.call(partial(_raise, error))

    def _defect(self, future: Future[None]) -> None:
        """What is no error of the daemon's is ours, and is to be seen."""
        if not future.cancelled() and (error := future.exception()) is not None:
            self.call(partial(_raise, error))

    def _with_feed(self, act: Callable[[Feed], None]) -> None:
        def act_there() -> None:
            if self._feed is not None:
                act(self._feed)

        self.there(act_there)

    def _perform(self, function: Callable[[], None]) -> None:
        if not self._closed:
            function()


def _raise(error: BaseException) -> None:
    raise error
