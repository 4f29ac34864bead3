"""One life of the host process: starting it, talking with it, and noticing that it is gone.

The host is exec'ed in a session of its own and inherits one end of a socketpair, nothing else. Each side writes
length-prefixed messages (`sleepengine.host.messages`). When the host ends, however that happens, every order still
open fails at once. When the daemon ends, the socketpair closes and the host ends itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from sleepd.errors import HostDied
from sleepd.observing.logs import request_id
from sleepd.protocol.errors import SleepdError, from_code
from sleepengine.host import messages as host

Partial = host.Chunk | host.Progress | host.Saved
OnPartial = Callable[[Partial], None]

_TERM_SECONDS = 3.0
_log = logging.getLogger(__name__)


class _Pending(msgspec.Struct):
    done: asyncio.Future[host.Result]
    on_partial: OnPartial | None


class HostLink:
    """A running host. `spawn` it, await `ready`, then `run` orders, any number at once."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        self.pid = process.pid
        self.loading = "starting"
        self.died: asyncio.Future[str] = loop.create_future()
        self._process = process
        self._reader = reader
        self._writer = writer
        self._ready: asyncio.Future[host.Ready] = loop.create_future()
        self._pending: dict[str, _Pending] = {}
        self._last_order = 0
        self._last_ended = time.monotonic()
        self._reading = asyncio.create_task(self._read(), name="host reader")

    @classmethod
    async def spawn(cls, command: Sequence[str], log: Path, threads: int = 0) -> HostLink:
        """Start `command`, to which `--fd N` is appended. Its stdout and stderr go to `log`.

        `threads` bounds what its numerical libraries use at once; 0 leaves that to them.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    "--fd",
                    str(theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                    env={**os.environ, "OMP_NUM_THREADS": str(threads)} if threads else None,
                )
        except OSError as error:
            ours.close()
            raise SleepdError(f"cannot start the model process: {error.strerror or error}") from None
        finally:
            os.close(output)
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process, reader, writer)

    async def ready(self) -> host.Ready:
        """What the host loaded. Raises the host's own reason where it cannot load, HostDied where it died."""
        return await asyncio.shield(self._ready)

    def new_order(self) -> str:
        """An order id, unique in this host's life, with the id of the request that it serves."""
        self._last_order += 1
        request = request_id.get()
        return f"o{self._last_order}-{request}" if request else f"o{self._last_order}"

    async def run(self, order: host.Order, on_partial: OnPartial | None = None) -> host.Result:
        """Give an order and await its result; partial reports go to `on_partial` as they come.

        Raises the error that the host reported, or HostDied. A caller that is cancelled cancels the order too.
        """
        self._send(order)
        pending = _Pending(asyncio.get_running_loop().create_future(), on_partial)
        self._pending[order.id] = pending
        try:
            return await pending.done
        except asyncio.CancelledError:
            pending.on_partial = None
            if order.id in self._pending and not self.died.done():
                self.cancel(order.id)
            raise
        finally:
            self._pending.pop(order.id, None)
            if not isinstance(order, host.Beat):
                self._last_ended = time.monotonic()

    def cancel(self, target: str) -> None:
        """Ask for an order to stop at its next safe point; it still ends through its own `run`."""
        if not self.died.done():
            self._send(host.Cancel(id=self.new_order(), target=target))

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last order ended; 0 while one is open."""
        return 0.0 if self._pending else time.monotonic() - self._last_ended

    def kill(self) -> None:
        """End a host that hangs; what is open fails as after any other death."""
        if not self.died.done():
            self._signal(signal.SIGKILL)

    async def close(self, grace: float = _TERM_SECONDS) -> None:
        """End the host: close the channel, then SIGTERM, then SIGKILL its process group, `grace` seconds apart."""
        if not self.died.done():
            self._writer.close()
        for ask in (None, signal.SIGTERM, signal.SIGKILL):
            if ask is not None and self._process.returncode is None:
                self._signal(ask)
            try:
                async with asyncio.timeout(grace):
                    await self._process.wait()
                break
            except TimeoutError:
                continue
        await self._reading

    # --- inside ---------------------------------------------------------------------------------------------------

    def _send(self, order: host.Order) -> None:
        if self.died.done():
            raise HostDied(self.died.result())
        self._writer.write(host.encode(order))

    async def _read(self) -> None:
        """Route reports until the channel closes; then tell everyone who still waits."""
        try:
            while True:
                size = int.from_bytes(await self._reader.readexactly(4), "big")
                if size > host.MAX_FRAME:
                    raise ValueError(f"a report of {size} bytes")
                self._route(host.decode_report(await self._reader.readexactly(size)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the ordinary end; the exit status says why
        except (ValueError, msgspec.MsgspecError) as error:
            _log.error("the host sent what is no report (%s); ending it", error)
            self._signal(signal.SIGKILL)
        await self._end()

    def _route(self, report: host.Report) -> None:
        match report:
            case host.Loading():
                self.loading = report.phase
            case host.Ready():
                self._ready.set_result(report)
            case host.Failed(id=""):
                if not self._ready.done():
                    self._ready.set_exception(from_code(report.code, report.message))
            case host.Chunk() | host.Progress() | host.Saved():
                pending = self._pending.get(report.id)
                if pending is not None and pending.on_partial is not None:
                    pending.on_partial(report)
            case host.Done() | host.Failed():
                pending = self._pending.pop(report.id, None)
                if pending is None or pending.done.done():
                    return
                if isinstance(report, host.Done):
                    pending.done.set_result(report.result)
                else:
                    pending.done.set_exception(from_code(report.code, report.message))

    async def _end(self) -> None:
        """The channel is closed. A host that lives on without it is of no use and is killed."""
        try:
            async with asyncio.timeout(_TERM_SECONDS if self._writer.is_closing() else 0.5):
                code = await self._process.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            code = await self._process.wait()
        self._writer.close()
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        reason = f"the model process died ({how}); it is being restarted"
        self.died.set_result(reason)
        for pending in list(self._pending.values()):
            if not pending.done.done():
                pending.done.set_exception(HostDied(reason))
        if not self._ready.done():
            self._ready.set_exception(HostDied(f"the model process died while it loaded ({how})"))
            self._ready.exception()  # nobody may be waiting

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)  # its own session: the group is it and its children, nobody else
        except ProcessLookupError:
            return
