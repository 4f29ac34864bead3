"""The two sockets: requests in and answers out on a ROUTER, events on an XPUB.

Every request runs as a task of its own and ends with exactly one `done` or `error`. A client that is gone or does not
read is not waited for: its conversation's generation is cancelled. Malformed frames are answered where they name an
id, and dropped where they do not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import zmq
import zmq.asyncio

from sleepd.config import LimitSettings
from sleepd.observing import crashes
from sleepd.observing.logs import request_id
from sleepd.observing.metrics import Metrics
from sleepd.paths import EVENTS_SOCKET, REQUESTS_SOCKET
from sleepd.protocol import wire
from sleepd.protocol.endpoint import CurveKeys
from sleepd.protocol.errors import (
    Busy,
    Cancelled,
    DeadlineExceeded,
    NotFound,
    SleepdError,
    StorageError,
    UsageError,
)
from sleepd.protocol.messages import MUTATING, Body, Cancel, CancelReply, Error
from sleepd.serving.calls import Call, Handler
from sleepd.serving.curve import Curve

HIGH_WATER = 1024  # messages queued for a client that does not read
_LISTEN = re.compile(r"tcp://(?P<host>[\w.\-]+|\[[\da-fA-F:]+\]):(?P<port>\d{1,5}|\*)")
_STOPPED_WITH_CLIENT = frozenset({"ask", "complete", "say"})
_log = logging.getLogger(__name__)


class Server:
    """Owns the sockets. `handlers` maps request types to coroutines."""

    def __init__(
        self, handlers: Mapping[str, Handler], limits: LimitSettings, metrics: Metrics, crash_folder: Path
    ) -> None:
        self._handlers = handlers
        self._metrics = metrics
        self._crash_folder = crash_folder
        self.limits = limits
        self._context = zmq.asyncio.Context()
        self._router = self._socket(zmq.ROUTER)
        self._router.set(zmq.ROUTER_MANDATORY, 1)
        self._router.set(zmq.ROUTER_HANDOVER, 0)
        self.events = self._socket(zmq.XPUB)
        self.events.set(zmq.XPUB_VERBOSE, 1)
        self._curve: Curve | None = None
        self._calls: dict[tuple[bytes, str], Call] = {}
        self._busy: Counter[bytes] = Counter()
        self._results: OrderedDict[str, asyncio.Future[Body]] = OrderedDict()

    def bind(self, folder: Path) -> tuple[str, str]:
        """Bind both sockets in a private folder, for this user alone; returns their endpoints."""
        endpoints = f"ipc://{folder / REQUESTS_SOCKET}", f"ipc://{folder / EVENTS_SOCKET}"
        mask = os.umask(0o077)
        try:
            for socket, place in zip((self._router, self.events), endpoints, strict=True):
                socket.set(zmq.IPC_FILTER_UID, os.geteuid())  # asks the kernel who connects, whatever the modes say
                self._bind(socket, place)
        finally:
            os.umask(mask)
        return endpoints

    def bind_network(self, listen: str, key_file: Path, authorized: Path) -> tuple[str, str, CurveKeys]:
        """Bind both sockets to `tcp://HOST:PORT` and the port after it (`*`: any two), for listed keys alone.

        Returns the endpoints and the keys for clients of this home. Raises UsageError, StorageError.
        """
        match = _LISTEN.fullmatch(listen)
        if match is None:
            raise UsageError(f"network.listen is {listen!r}; it must be empty or like tcp://127.0.0.1:11530")
        self._curve = Curve(self._context, key_file, authorized)
        ports = ("*", "*") if match["port"] == "*" else (match["port"], str(int(match["port"]) + 1))
        for socket, port in zip((self._router, self.events), ports, strict=True):
            self._curve.protect(socket)
            self._bind(socket, f"tcp://{match['host']}:{port}")
        places = [socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0") for socket in (self._router, self.events)]
        return places[0], places[1], self._curve.client_keys

    def _bind(self, socket: zmq.asyncio.Socket, place: str) -> None:
        try:
            socket.bind(place)
        except zmq.ZMQError as error:
            raise StorageError(f"cannot bind {place}: {error.strerror}") from None

    @property
    def in_work(self) -> int:
        """Requests that are being answered."""
        return len(self._calls)

    async def serve(self) -> None:
        """Take requests until cancelled."""
        while True:
            client, *frames = await self._router.recv_multipart()
            delimited = bool(frames) and frames[0] == b""
            self._take(client, frames[1:] if delimited else frames, delimited)

    async def close(self) -> None:
        """End every request in work and close the sockets."""
        tasks = [call.task for call in self._calls.values() if call.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._curve is not None:
            self._curve.close()
        self._context.destroy(linger=500)

    # --- requests -------------------------------------------------------------------------------------------------

    def _take(self, client: bytes, frames: list[bytes], delimited: bool) -> None:
        try:
            message = wire.decode(frames)
        except SleepdError as error:
            self._metrics.dropped += 1
            if (sender := wire.sender_id(frames)) is not None:
                self._send_error(client, sender, delimited, error)
            return
        header, body = message.header, message.body
        key = (client, header.id)
        if isinstance(body, Cancel):
            self._cancel(client, header, body, delimited)
            return
        if key in self._calls:
            return  # the same request again while it is in work: its answer is on the way
        if len(self._calls) >= self.limits.requests or self._busy[client] >= self.limits.requests_per_client:
            self._send_error(client, header.id, delimited, Busy("too many requests are in work; try again"))
            return
        stream = header.stream if header.stream is not None else not delimited
        call = Call(client, header, emit=lambda _: None)
        if stream:
            call.emit = lambda part: self._emit(call, part, delimited)
        self._calls[key] = call
        self._busy[client] += 1
        call.task = asyncio.create_task(self._answer(call, body, delimited), name=f"{header.type} {header.id}")

    async def _answer(self, call: Call, body: Body, delimited: bool) -> None:
        header, began, outcome = call.header, time.monotonic(), "done"
        request_id.set(header.id)
        try:
            left = None if header.deadline is None else header.deadline / 1000
            async with asyncio.timeout(left):
                reply = await self._result(call, body)
            self._send(call.client, wire.encode("done", reply, id=wire.new_id(), parent=header.id), delimited)
        except TimeoutError:
            late = DeadlineExceeded("the answer did not come within the deadline")
            outcome = late.code
            self._send_error(call.client, header.id, delimited, late)
        except asyncio.CancelledError:
            outcome = Cancelled.code
            self._send_error(call.client, header.id, delimited, Cancelled("cancelled"))
        except SleepdError as error:
            outcome = error.code
            self._send_error(call.client, header.id, delimited, error)
        except Exception as error:  # noqa: BLE001
            # A defect in one handler must not take the daemon down; it is reported and told as what it is.
            outcome = SleepdError.code
            _log.exception("a request of type %s failed", header.type)
            crashes.report(self._crash_folder, f"a request of type {header.type} failed", error, request=header.id)
            self._send_error(call.client, header.id, delimited, SleepdError(f"{type(error).__name__}: {error}"))
        finally:
            self._metrics.ended(header.type, outcome, time.monotonic() - began)
            del self._calls[(call.client, header.id)]
            self._busy[call.client] -= 1
            if not self._busy[call.client]:
                del self._busy[call.client]

    async def _result(self, call: Call, body: Body) -> Body:
        """A handler's reply; a mutating request that comes again under its id gets the first result."""
        handler = self._handlers.get(call.header.type)
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            raise NotFound(f"this daemon does not serve {call.header.type!r}; it serves {known}")
        if call.header.type not in MUTATING:
            return await handler(call, body)
        if call.header.id in self._results:
            return await asyncio.shield(self._results[call.header.id])
        future: asyncio.Future[Body] = asyncio.get_running_loop().create_future()
        self._results[call.header.id] = future
        while len(self._results) > self.limits.replies_kept:
            self._results.popitem(last=False)
        try:
            reply = await handler(call, body)
        except BaseException as error:
            self._results.pop(call.header.id, None)  # what failed may be tried again
            if isinstance(error, SleepdError):
                future.set_exception(error)
                future.exception()  # nobody else may be waiting
            else:
                future.cancel()
            raise
        future.set_result(reply)
        return reply

    def _cancel(self, client: bytes, header: wire.Header, body: Cancel, delimited: bool) -> None:
        call = self._calls.get((client, body.request))
        if call is not None:
            call.cancel()
        reply = CancelReply(cancelled=call is not None)
        self._send(client, wire.encode("done", reply, id=wire.new_id(), parent=header.id), delimited)

    # --- answers --------------------------------------------------------------------------------------------------

    def _emit(self, call: Call, part: Body, delimited: bool) -> None:
        kind = type(part).__name__.lower()
        if not self._send(call.client, wire.encode(kind, part, id=wire.new_id(), parent=call.header.id), delimited):
            call.emit = lambda _: None  # gone, or not reading
            if call.header.type in _STOPPED_WITH_CLIENT:
                call.cancel()

    def _send_error(self, client: bytes, parent: str, delimited: bool, error: SleepdError) -> None:
        body = Error(code=error.code, message=str(error))
        self._send(client, wire.encode("error", body, id=wire.new_id(), parent=parent), delimited)

    def _send(self, client: bytes, frames: list[bytes], delimited: bool) -> bool:
        """Whether the message went out; never waits."""
        delimiter = [b""] if delimited else []
        sent = self._router.send_multipart([client, *delimiter, *frames], flags=zmq.NOBLOCK)
        error = cast("asyncio.Future[None]", sent).exception()  # resolved at once, because of NOBLOCK
        if error is not None:
            self._metrics.dropped += 1
            _log.info("an answer was not delivered: %s", error)
        return error is None

    def _socket(self, kind: int) -> zmq.asyncio.Socket:
        socket = self._context.socket(kind)
        socket.set(zmq.LINGER, 500)
        socket.set(zmq.SNDHWM, HIGH_WATER)
        socket.set(zmq.RCVHWM, HIGH_WATER)
        socket.set(zmq.MAXMSGSIZE, wire.MAX_FRAME)
        return socket
