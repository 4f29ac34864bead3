"""`Client`: one typed method a request. The command line is thin over it.

    with Client() as client:
        client.remember("My dog is called Biscuit.")
        print(client.ask("What is my dog called?").reply)

Errors are those of `sleepd.protocol.errors`. A client belongs to one thread.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from sleepd.protocol import endpoint, messages, wire
from sleepd.protocol.errors import Refused, Unreachable
from sleepd.protocol.messages import Body, Chunk, Event, Progress, SnapshotReply, ViewName

from .connection import Connection, Pending
from .events import follow

R = TypeVar("R", bound=Body)
Streamed = Callable[[Chunk | Progress], None]

QUICK = 10.0
"""Seconds that a request may take that waits for no model."""


class Client:
    """A connection to the daemon of a home, made when it is first needed and made anew after the daemon restarted.

    `home` None means `SLEEPD_HOME`, else the platform's folder. Raises nothing until something is asked; then
    Unreachable where no daemon answers, with the command that starts one.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.home = endpoint.resolve_home(home)
        self._named = home is not None
        self._connection: Connection | None = None

    # --- conversation -----------------------------------------------------------------------------------------

    def ask(
        self,
        text: str,
        *,
        system: str | None = None,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int | None = None,
        view: ViewName = "current",
        wait: bool = True,
        deadline: float | None = None,
        on: Streamed | None = None,
    ) -> messages.AskReply:
        """One question in a fresh conversation; `on` is called with each `Chunk` as it comes."""
        wire.check_text(text)
        body = messages.Ask(
            text=text, system=system, max_tokens=max_tokens, temperature=temperature, seed=seed, view=view, wait=wait
        )
        return self._call(body, messages.AskReply, deadline, on)

    def complete(
        self,
        text: str,
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int | None = None,
        view: ViewName = "current",
        wait: bool = True,
        deadline: float | None = None,
        on: Streamed | None = None,
    ) -> messages.CompleteReply:
        """Raw continuation of a text, no chat template."""
        wire.check_text(text)
        body = messages.Complete(
            text=text, max_tokens=max_tokens, temperature=temperature, seed=seed, view=view, wait=wait
        )
        return self._call(body, messages.CompleteReply, deadline, on)

    def open_session(self, *, resume: bool = False, system: str | None = None) -> messages.OpenSessionReply:
        """Begin a conversation, or continue the latest one."""
        return self._call(messages.OpenSession(resume=resume, system=system), messages.OpenSessionReply, QUICK)

    # --- memory -----------------------------------------------------------------------------------------------

    def remember(
        self, *texts: str, session: str | None = None, deadline: float | None = None, on: Streamed | None = None
    ) -> messages.RememberReply:
        """Learn statements; returns when they are committed. A statement may be refused without an error."""
        check_statements(texts)
        return self._call(messages.Remember(texts=texts, session=session), messages.RememberReply, deadline, on)

    def facts(self, query: str | None = None, *, all: bool = False, refused: bool = False) -> messages.FactsReply:
        """Active, pending and superseded facts; `all` adds the forgotten, `refused` what could not be learned."""
        return self._call(messages.Facts(query=query, all=all, refused=refused), messages.FactsReply, QUICK)

    def why(self, fact_id: str) -> messages.WhyReply:
        """A fact with its provenance and history."""
        return self._call(messages.Why(id=fact_id), messages.WhyReply, QUICK)

    # --- sleep ------------------------------------------------------------------------------------------------

    def sleep(self, *, wait: bool = False, on: Streamed | None = None) -> messages.SleepReply:
        """Begin a cycle. With `wait`, returns its report, and `on` is called with each `Progress`."""
        return self._call(messages.Sleep(wait=wait), messages.SleepReply, None if wait else QUICK, on)

    def wake(self) -> messages.WakeReply:
        """Abort the running cycle at its next safe point."""
        return self._call(messages.Wake(), messages.WakeReply)

    def report(self, cycle: int | None = None) -> messages.SleepReply:
        """A finished cycle's report, the latest by default."""
        return self._call(messages.Report(cycle=cycle), messages.SleepReply, QUICK)

    # --- state ------------------------------------------------------------------------------------------------

    def health(
        self,
        text: str | None = None,
        *,
        view: ViewName = "current",
        deadline: float | None = None,
        on: Streamed | None = None,
    ) -> messages.HealthReply:
        """Perplexity of a text under a view and under the bare base, drift, canary answers."""
        if text is not None:
            wire.check_text(text)
        return self._call(messages.Health(text=text, view=view), messages.HealthReply, deadline, on)

    def ping(self) -> messages.Pong:
        """Whether the daemon's event loop turns."""
        return self._call(messages.Ping(), messages.Pong, QUICK)

    def status(self) -> messages.StatusReply:
        """State, pressure, model, counts."""
        return self._call(messages.Status(), messages.StatusReply, QUICK)

    def snapshot(self, since: int | None = None) -> SnapshotReply:
        """The state as of an event number, and the events after `since` that are still kept."""
        return self._call(messages.Snapshot(since=since), SnapshotReply, QUICK)

    def events(self, since: int | None = None) -> Iterator[SnapshotReply | Event]:
        """A snapshot, then every event in order; another snapshot wherever some were lost. Endless."""
        return follow(self._connected().info.events, self.snapshot, since, self.start_command)

    # --- any request ------------------------------------------------------------------------------------------

    def request(
        self, body: Body, *, deadline: float | None = None, session: str | None = None, id: str | None = None
    ) -> Pending[Body]:
        """Send any request: iterate over its `Chunk`s and `Progress`, then take `.result()`.

        `deadline` in seconds. Repeating a mutating request under the same `id` returns the first result.
        """
        reply_type = messages.REQUESTS[wire.KIND_OF[type(body)]][1]
        return self._connected().start(body, reply_type, deadline=deadline, session=session, request_id=id)

    def say(self, body: messages.Say, *, deadline: float | None = None) -> Pending[messages.SayReply]:
        """One user turn of a conversation, as a stream."""
        wire.check_text(body.text)
        return self._connected().start(body, messages.SayReply, deadline=deadline, session=body.session)

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

    def _call(self, body: Body, reply_type: type[R], deadline: float | None = None, on: Streamed | None = None) -> R:
        pending = self._connected().start(body, reply_type, deadline=deadline)
        try:
            for streamed in pending:
                if on is not None:
                    on(streamed)
        except BaseException:
            pending.cancel()  # Ctrl-C, or a reader that left, may have struck inside `on`
            raise
        return pending.result()

    def _connected(self) -> Connection:
        if self._connection is not None and self._connection.lost:
            self.close()
        if self._connection is None:
            try:
                self._connection = Connection(self.home, self.start_command)
            except Unreachable as error:
                raise Unreachable(f"{error}; start one with: {self.start_command}") from None
        return self._connection

    @property
    def start_command(self) -> str:
        """The command that starts the daemon of this home."""
        return f"sleepd start --home {shlex.quote(str(self.home))}" if self._named else "sleepd start"


def check_statements(texts: Iterable[str]) -> None:
    """Raise Refused where there is nothing to remember, or too much to be sent at once."""
    statements = tuple(texts)
    if not any(statement.strip() for statement in statements):
        raise Refused("the text is empty; there is nothing to remember")
    if len(statements) > wire.MAX_TEXTS:
        raise Refused(f"{len(statements)} statements at once; at most {wire.MAX_TEXTS} are accepted")
    wire.check_size(*statements)
