"""A daemon's two sockets in a thread, scripted by a test: one handler a request type."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq

from sleepd.protocol import VERSION, endpoint, messages, wire
from sleepd.protocol.messages import Body

Send = Callable[[str, Body], None]
Handler = Callable[["Exchange"], None]


class Exchange:
    """One request and the way back to who sent it."""

    def __init__(self, server: FakeDaemon, client: bytes, message: wire.Message[Body]) -> None:
        self.server, self.client = server, client
        self.header, self.body = message.header, message.body
        self._seq = 0

    def send(self, kind: str, body: Body) -> None:
        frames = wire.encode(kind, body, id=wire.new_id(), parent=self.header.id, seq=self._seq)
        self._seq += 1
        self.raw(frames)

    def raw(self, frames: list[bytes]) -> None:
        self.server.router.send_multipart([self.client, *frames])

    def done(self, body: Body) -> None:
        self.send("done", body)

    def error(self, code: str, message: str) -> None:
        self.send("error", messages.Error(code=code, message=message))


def nothing_heard(exchange: Exchange) -> None:
    exchange.done(messages.HeardReply(facts=(), refused=(), asked=(), settled=True))


class FakeDaemon:
    """Runs until `kill`, which closes the sockets without a word, as the kernel does for a killed process."""

    def __init__(
        self, home: Path, handlers: dict[str, Handler], *, protocol: int = VERSION, welcome: bool = True
    ) -> None:
        self.home, self.handlers = home, {"heard": nothing_heard, **handlers}
        self.seen: list[wire.Message[Body]] = []
        self.context = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.events = self.context.socket(zmq.XPUB)
        self.events.set(zmq.XPUB_VERBOSE, 1)
        self.welcome = welcome
        for socket in (self.router, self.events):
            socket.set(zmq.LINGER, 0)
        self.router.bind(f"ipc://{home}/r.sock")
        self.events.bind(f"ipc://{home}/e.sock")
        self.info = endpoint.DaemonInfo(
            pid=1, epoch="e1", protocol=protocol, requests=f"ipc://{home}/r.sock", events=f"ipc://{home}/e.sock"
        )
        endpoint.write(home, self.info)
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def kinds(self) -> list[str]:
        return [message.header.type for message in self.seen]

    def publish(self, seq: int, type: str = "fact", epoch: str = "e1", **data: Any) -> None:
        """Only from a handler: the sockets belong to the serving thread."""
        event = messages.Event(epoch=epoch, seq=seq, type=type, at="2026-01-01T00:00:00Z", data=data)
        self.events.send_multipart(wire.encode("event", event, id=wire.new_id(), seq=seq))

    def kill(self) -> None:
        self._stop.set()
        if threading.current_thread() is not self.thread:
            self.thread.join(5)

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self.router, zmq.POLLIN)
        poller.register(self.events, zmq.POLLIN)
        while not self._stop.is_set():
            ready = dict(poller.poll(10))
            if self.events in ready and self.events.recv()[:1] == b"\x01" and self.welcome:
                self.publish(0, "welcome")
            if self.router in ready:
                client, *frames = self.router.recv_multipart()
                message = wire.decode(frames)
                self.seen.append(message)
                handler = self.handlers.get(message.header.type)
                if handler is not None:
                    handler(Exchange(self, client, message))
        self.context.destroy(linger=0)


@contextmanager
def fake_daemon(home: Path, **handlers: Handler) -> Iterator[FakeDaemon]:
    server = FakeDaemon(home, handlers)
    try:
        yield server
    finally:
        server.kill()


STATUS = messages.StatusReply(
    state="awake",
    pressure=0.25,
    model="fake",
    generation=2,
    facts=messages.FactCounts(active=3, consolidated=1),
    pid=1,
    epoch="e1",
    version="0.1.0",
    home="/home",
    uptime=65.0,
    host=messages.HostStatus(pid=2, device="cpu", dtype="float32"),
    why="nothing to do",
)


def fact(id: str = "f-1", **changes: Any) -> messages.FactInfo:
    fields: dict[str, Any] = {
        "id": id,
        "subject": "Idris Larsson",
        "relation": "work as",
        "object": "carpenter",
        "statement": "Idris Larsson works as a carpenter.",
        "state": "active",
        "stage": 0,
        "scale": 1.0,
        "verified": messages.Verified(raw=True, chat=True),
    }
    return messages.FactInfo(**{**fields, **changes})


@dataclass(frozen=True)
class Out:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Fails unless stdout is exactly one JSON document."""
        return json.loads(self.out)


Sleepc = Callable[..., Out]
