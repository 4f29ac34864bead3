"""The ledger, used from one thread of its own so that no fsync ever stalls the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sleepd.errors import translated
from sleepengine.memory.ledger import Ledger

T = TypeVar("T")


class Store:
    """The daemon's only way to the ledger. Each `run` is one visit: nothing else touches the ledger meanwhile.

    A visit that began is finished even where its caller was cancelled, so a transaction is never left open.
    """

    def __init__(self, ledger: Ledger, thread: ThreadPoolExecutor) -> None:
        self._ledger = ledger
        self._thread = thread

    @classmethod
    async def open(cls, path: Path) -> Store:
        """Raises StorageError where the ledger is corrupt, too new, or cannot be opened."""
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        try:
            with translated():
                ledger = await asyncio.get_running_loop().run_in_executor(thread, Ledger.open, path)
        except BaseException:
            thread.shutdown()
            raise
        return cls(ledger, thread)

    async def run(self, work: Callable[[Ledger], T]) -> T:
        """Do `work` on the ledger's thread. Errors of the engine arrive as errors of the protocol."""
        with translated():
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._ledger)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._ledger.close)
        self._thread.shutdown()
