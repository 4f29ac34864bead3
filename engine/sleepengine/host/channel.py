"""Framed messages over the inherited stream socket, from the host's side."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

from sleepengine.host.messages import MAX_FRAME, Order, Report, decode_order, encode


class Closed(Exception):
    """The parent is gone: there is nobody left to work for."""


class Channel:
    """Blocking sends, polled receives. One thread uses it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()

    def send(self, report: Report) -> None:
        """Raises Closed where the parent no longer reads."""
        try:
            self._sock.sendall(encode(report))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def receive(self, timeout: float | None) -> Iterator[Order]:
        """Orders that have arrived, waiting up to `timeout` seconds (None: for ever) for the first one."""
        ready, _, _ = select.select([self._sock], [], [], timeout)
        if not ready:
            return
        try:
            data = self._sock.recv(1 << 20)
        except ConnectionResetError as error:
            raise Closed from error
        if not data:
            raise Closed
        self._buffer += data
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4], "big")
            if length > MAX_FRAME:
                raise ValueError(f"a frame of {length} bytes exceeds {MAX_FRAME}")
            if len(self._buffer) < 4 + length:
                return
            body = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            yield decode_order(body)
