"""`Client`: one typed method a request, for programs that wait. The command line is thin over it.

    with Client() as client:
        client.remember("My dog is called Biscuit.")
        print(client.ask("What is my dog called?").reply)

Errors are those of `sleepd.protocol.errors`. A client belongs to one thread.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, TypeVar

from sleepd.protocol import endpoint
from sleepd.protocol.errors import Unreachable
from sleepd.protocol.messages import Body, Event, SnapshotReply

from . import requests
from .connection import Connection, Pending
from .events import follow
from .requests import Request

P = ParamSpec("P")
R = TypeVar("R", bound=Body)


def _waiting(build: Callable[P, Request[R]]) -> Callable[Concatenate[Client, P], R]:
    """The method that sends what `build` makes and waits for its reply."""

    @wraps(build)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.call(build(*args, **kwargs))

    return method


class Client:
    """A connection to the daemon of a home, made when it is first needed and made anew after the daemon restarted.

    `home` None means `SLEEPD_HOME`, else the platform's folder. Raises nothing until something is asked; then
    Unreachable where no daemon answers, with the command that starts one.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.home = endpoint.resolve_home(home)
        self.start_command = start_command(home)
        """The command that starts the daemon of this home."""
        self._connection: Connection | None = None

    ask = _waiting(requests.ask)
    complete = _waiting(requests.complete)
    open_session = _waiting(requests.open_session)
    sessions = _waiting(requests.sessions)
    remove_sessions = _waiting(requests.remove_sessions)
    say = _waiting(requests.say)
    remember = _waiting(requests.remember)
    heard = _waiting(requests.heard)
    facts = _waiting(requests.facts)
    why = _waiting(requests.why)
    forget = _waiting(requests.forget)
    correct = _waiting(requests.correct)
    take_back = _waiting(requests.take_back)
    export_facts = _waiting(requests.export_facts)
    import_facts = _waiting(requests.import_facts)
    sleep = _waiting(requests.sleep)
    nap = _waiting(requests.nap)
    undo = _waiting(requests.undo)
    wake = _waiting(requests.wake)
    unload = _waiting(requests.unload)
    metrics = _waiting(requests.metrics)
    report = _waiting(requests.report)
    export = _waiting(requests.export)
    health = _waiting(requests.health)
    ping = _waiting(requests.ping)
    status = _waiting(requests.status)
    snapshot = _waiting(requests.snapshot)

    def events(self, since: int | None = None) -> Iterator[SnapshotReply | Event]:
        """A snapshot, then every event in order; another snapshot wherever some were lost. Endless."""
        return follow(self._connected().info, self.snapshot, since, self.start_command)

    # --- any request ----------------------------------------------------------------------------------------------

    def start(self, request: Request[R], *, id: str | None = None) -> Pending[R]:
        """Send a request of `sleepc.requests`: iterate over what it streams, then take `.result()`.

        Repeating a mutating request under the same `id` returns the first result.
        """
        return self._connected().start(request, id)

    def call(self, request: Request[R]) -> R:
        """Send a request and wait for its reply; what is streamed goes to its `on`."""
        pending = self.start(request)
        try:
            for streamed in pending:
                if request.on is not None:
                    request.on(streamed)
        except BaseException:
            pending.cancel()  # Ctrl-C, or a reader that left, may have struck inside `on`
            raise
        return pending.result()

    def close(self) -> None:
        """Close the connection; the daemon cancels what it still does for this client."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connected(self) -> Connection:
        if self._connection is not None and self._connection.lost:
            self.close()
        if self._connection is None:
            try:
                self._connection = Connection(self.home, self.start_command)
            except Unreachable as error:
                raise Unreachable(f"{error}; start one with: {self.start_command}") from None
        return self._connection


def start_command(home: Path | None) -> str:
    """The command that starts the daemon of a home; None is the default one."""
    return "sleepd start" if home is None else f"sleepd start --home {shlex.quote(str(endpoint.resolve_home(home)))}"
