"""One ZeroMQ socket with its monitor: what comes in, and whether the other side still lives.

A channel never reconnects. Behind a reconnect there may be another daemon, which knows nothing of what is pending
here; whoever holds the channel must hear of the loss and decide.
"""

from __future__ import annotations

import math
import struct
from enum import Enum

import zmq

from sleepd.protocol import wire
from sleepd.protocol.endpoint import CurveKeys
from sleepd.protocol.errors import Unreachable

OPEN_TIMEOUT = 2.0
"""Seconds within which a daemon that wrote `daemon.json`, hence has bound its sockets, accepts a connection."""

HEARTBEAT = 10.0
"""Seconds between two of ZeroMQ's own pings to who publishes, and until one that is not answered is a loss."""

_CLOSE_LINGER = 250  # milliseconds that a last `cancel` has to leave the process

_NEVER = 24 * 3600 * 1000
"""Milliseconds. ZeroMQ's own "never" (-1) throws away what arrived before a disconnection and was not yet read, and
aborts the process where a message was half read."""

_MONITOR_EVENT = struct.Struct("=HI")
"""Event and value, see zmq_socket_monitor(3). pyzmq's own parser costs an import of asyncio at every start."""

_OPENED = zmq.EVENT_HANDSHAKE_SUCCEEDED
_LOST = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


class Signal(Enum):
    """What ended a wait."""

    MESSAGE = "message"
    LOST = "lost"
    TIMEOUT = "timeout"


class Channel:
    """A connected DEALER or SUB socket. Raises Unreachable where nobody answers at `endpoint`. One thread only."""

    def __init__(
        self, kind: int, endpoint: str, *, keys: CurveKeys | None = None, subscribe: bytes | None = None
    ) -> None:
        self._lost = False
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(kind)
        self._socket.set(zmq.RECONNECT_IVL, _NEVER)
        self._socket.set(zmq.MAXMSGSIZE, wire.MAX_FRAME)
        self._socket.set(zmq.HANDSHAKE_IVL, int(OPEN_TIMEOUT * 1000))
        if keys is not None:
            keys.apply(self._socket)
        if subscribe is not None:
            self._socket.set(zmq.SUBSCRIBE, subscribe)
            # Whoever only listens asks nothing, and would take a stopped daemon's silence for peace.
            self._socket.set(zmq.HEARTBEAT_IVL, int(HEARTBEAT * 1000))
            self._socket.set(zmq.HEARTBEAT_TIMEOUT, int(HEARTBEAT * 1000))
        self._monitor = self._socket.get_monitor_socket(_OPENED | _LOST)
        self._poller = zmq.Poller()
        self._poller.register(self._monitor, zmq.POLLIN)
        try:
            self._socket.connect(endpoint)
            self._wait_open()
        except zmq.ZMQError as error:
            self.close()
            raise Unreachable(f"cannot connect to {endpoint}: {error.strerror}") from None
        except BaseException:
            self.close()
            raise
        self._poller.register(self._socket, zmq.POLLIN)

    def send(self, frames: list[bytes]) -> None:
        """Hand a message to the I/O thread. Raises Unreachable where the connection is gone or takes no more."""
        if self.lost:
            raise Unreachable("the daemon is gone")
        try:
            self._socket.send_multipart(frames, zmq.DONTWAIT)
        except zmq.ZMQError:
            raise Unreachable("the daemon does not take messages") from None

    def wait(self, timeout: float | None) -> Signal:
        """Wait for a message or for the loss of the other side; messages that arrived before the loss come first."""
        if not self._lost:
            ready = dict(self._poller.poll(None if timeout is None else _milliseconds(timeout)))
            if self._socket in ready:
                return Signal.MESSAGE
            if self._monitor not in ready:
                return Signal.TIMEOUT
            self._lost = True  # only losses can follow the opening
        # The loss may be announced a moment before the last messages are readable.
        return Signal.MESSAGE if self._socket.poll(0) else Signal.LOST

    @property
    def lost(self) -> bool:
        """Whether the other side is known to be gone; messages that came before may still wait."""
        if not self._lost and self._monitor.poll(0):
            self._lost = True
        return self._lost

    def receive(self) -> list[bytes]:
        """The message that `wait` announced."""
        return self._socket.recv_multipart(zmq.DONTWAIT)

    @property
    def closed(self) -> bool:
        return self._context.closed

    def close(self) -> None:
        """Close sockets and context; safe to repeat."""
        if self.closed:
            return
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0 if self._lost else _CLOSE_LINGER)
        self._context.term()

    def _wait_open(self) -> None:
        if not self._poller.poll(_milliseconds(OPEN_TIMEOUT)):
            self._lost = True
            raise Unreachable("the daemon does not accept connections")
        event, _ = _MONITOR_EVENT.unpack(self._monitor.recv_multipart(zmq.DONTWAIT)[0])
        if event != _OPENED:
            self._lost = True
            raise Unreachable("the daemon is gone and left its daemon.json behind")


def _milliseconds(seconds: float) -> int:
    return max(0, math.ceil(seconds * 1000))
