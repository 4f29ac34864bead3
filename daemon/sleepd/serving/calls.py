"""One request being answered: how its handler streams, and how it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sleepd.protocol.messages import Body
from sleepd.protocol.wire import Header

Handler = Callable[["Call", Body], Awaitable[Body]]


@dataclass
class Call:
    """A request from one client. `emit` streams a chunk or progress to it and never waits."""

    client: bytes
    header: Header
    emit: Callable[[Body], None]
    task: asyncio.Task[None] | None = None
    on_cancel: Callable[[], None] | None = field(default=None)

    def cancel(self) -> None:
        """Stop it: gracefully where the handler has said how (it then ends with what it has), else at once."""
        if self.on_cancel is not None:
            self.on_cancel()
        elif self.task is not None:
            self.task.cancel()
