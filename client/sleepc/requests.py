"""Requests as values: what is sent, what ends it, how long it may take, and who hears what it streams.

`Client` and `AsyncClient` have a method for each function of this module, with the same parameters; one returns the
reply, the other awaits it. Durations are in seconds. `on` is called with each `Chunk` (new text) and `Progress`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from sleepd.protocol import messages, wire
from sleepd.protocol.errors import Refused
from sleepd.protocol.facts import PortableFact
from sleepd.protocol.messages import Body, Chunk, Progress, SnapshotReply, ViewName

R = TypeVar("R", bound=Body)
Streamed = Callable[[Chunk | Progress], None]

QUICK = 10.0
"""Seconds that a request may take that waits for no model."""


@dataclass(frozen=True)
class Request(Generic[R]):
    """A request that is ready to be sent. `session` stands in the header, for the daemon's log."""

    body: Body
    reply_type: type[R]
    deadline: float | None = None
    on: Streamed | None = None
    session: str | None = None


# --- conversation -------------------------------------------------------------------------------------------------


def ask(
    text: str,
    *,
    system: str | None = None,
    history: Sequence[messages.ChatTurn] = (),
    learn: bool = False,
    max_tokens: int = 256,
    temperature: float = 0.0,
    seed: int | None = None,
    view: ViewName = "current",
    wait: bool = True,
    deadline: float | None = None,
    on: Streamed | None = None,
) -> Request[messages.AskReply]:
    """One question in a conversation that is not kept: a fresh one, or after the turns of `history`.

    With `learn` the text is treated as a turn of a kept conversation is: "remember that ..." learns.
    """
    wire.check_text(text)
    wire.check_size(text, system or "", *(turn.text for turn in history))
    body = messages.Ask(
        text=text,
        system=system,
        history=tuple(history),
        learn=learn,
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
        view=view,
        wait=wait,
    )
    return Request(body, messages.AskReply, deadline, on)


def complete(
    text: str,
    *,
    max_tokens: int = 256,
    temperature: float = 0.0,
    seed: int | None = None,
    view: ViewName = "current",
    wait: bool = True,
    deadline: float | None = None,
    on: Streamed | None = None,
) -> Request[messages.CompleteReply]:
    """Raw continuation of a text, no chat template."""
    wire.check_text(text)
    body = messages.Complete(text=text, max_tokens=max_tokens, temperature=temperature, seed=seed, view=view, wait=wait)
    return Request(body, messages.CompleteReply, deadline, on)


def open_session(*, resume: bool = False, system: str | None = None) -> Request[messages.OpenSessionReply]:
    """Begin a conversation, or continue the latest one."""
    return Request(messages.OpenSession(resume=resume, system=system), messages.OpenSessionReply, QUICK)


def sessions() -> Request[messages.SessionsReply]:
    """The conversations that are kept, oldest first."""
    return Request(messages.Sessions(), messages.SessionsReply, QUICK)


def remove_sessions(*ids: str) -> Request[messages.RemoveSessionsReply]:
    """Delete conversations' words; the facts learned from them stay."""
    return Request(messages.RemoveSessions(ids=ids), messages.RemoveSessionsReply, QUICK)


def say(
    session: str,
    text: str,
    *,
    max_tokens: int = 256,
    temperature: float = 0.0,
    seed: int | None = None,
    view: ViewName = "current",
    wait: bool = True,
    learn: bool = True,
    deadline: float | None = None,
    on: Streamed | None = None,
) -> Request[messages.SayReply]:
    """One user turn of a conversation, learned from after the reply unless `learn` is false; see `heard`.

    "remember that ...", "forget what I said about ..." and their slash forms are obeyed instead of answered.
    """
    wire.check_text(text)
    body = messages.Say(
        session=session, text=text, max_tokens=max_tokens, temperature=temperature, seed=seed, view=view, wait=wait,
        learn=learn,
    )  # fmt: skip
    return Request(body, messages.SayReply, deadline, on, session)


# --- memory -------------------------------------------------------------------------------------------------------


def remember(
    *texts: str, session: str | None = None, deadline: float | None = None, on: Streamed | None = None
) -> Request[messages.RememberReply]:
    """Learn statements; answered when they are committed. A statement may be refused without an error."""
    check_statements(texts)
    return Request(messages.Remember(texts=texts, session=session), messages.RememberReply, deadline, on, session)


def heard(session: str, *, wait: bool = False, deadline: float | None = None) -> Request[messages.HeardReply]:
    """What was learned and refused of a conversation's turns; with `wait`, once all of them have been read."""
    return Request(messages.HearTurns(session=session, wait=wait), messages.HeardReply, deadline)


def facts(query: str | None = None, *, all: bool = False, refused: bool = False) -> Request[messages.FactsReply]:
    """Active, pending and superseded facts; `all` adds the forgotten, `refused` what could not be learned."""
    return Request(messages.Facts(query=query, all=all, refused=refused), messages.FactsReply, QUICK)


def why(fact_id: str) -> Request[messages.WhyReply]:
    """A fact with its provenance and history."""
    return Request(messages.Why(id=fact_id), messages.WhyReply, QUICK)


def forget(
    *ids: str,
    query: str | None = None,
    session: str | None = None,
    since: str | None = None,
    all: bool = False,
    preview: bool = False,
    deadline: float | None = None,
    on: Streamed | None = None,
) -> Request[messages.ForgetReply]:
    """Forget facts by id, words of the statement, conversation or time (ISO 8601); answered when they are gone.

    `preview` names what would be forgotten and changes nothing.
    """
    body = messages.Forget(ids=ids, query=query, session=session, since=since, all=all, preview=preview)
    return Request(body, messages.ForgetReply, deadline, on)


def correct(
    fact_id: str, text: str, *, deadline: float | None = None, on: Streamed | None = None
) -> Request[messages.CorrectReply]:
    """Put a new value in the place of a fact's: a statement, or the new object alone."""
    check_statements([text])
    return Request(messages.Correct(id=fact_id, text=text), messages.CorrectReply, deadline, on)


def take_back(
    fact_id: str | None = None, *, deadline: float | None = None, on: Streamed | None = None
) -> Request[messages.TakeBackReply]:
    """Undo the learning of a fact, by default the last: it is forgotten, and what it superseded holds again."""
    return Request(messages.TakeBack(id=fact_id), messages.TakeBackReply, deadline, on)


def export_facts(after: str | None = None) -> Request[messages.ExportFactsReply]:
    """A page of the facts that are held, those after the fact `after`; `more` asks for another."""
    return Request(messages.ExportFacts(after=after), messages.ExportFactsReply, QUICK)


def import_facts(
    facts: Iterable[PortableFact], *, deadline: float | None = None, on: Streamed | None = None
) -> Request[messages.RememberReply]:
    """Learn exported facts; what was forgotten since, or contradicts what is held, is refused."""
    return Request(messages.ImportFacts(facts=tuple(facts)), messages.RememberReply, deadline, on)


# --- sleep --------------------------------------------------------------------------------------------------------


def sleep(*, wait: bool = False, on: Streamed | None = None) -> Request[messages.SleepReply]:
    """Begin a cycle. With `wait`, answered by its report."""
    return Request(messages.Sleep(wait=wait), messages.SleepReply, None if wait else QUICK, on)


def nap(*, wait: bool = False, on: Streamed | None = None) -> Request[messages.SleepReply]:
    """Begin a nap. With `wait`, answered by its report."""
    return Request(messages.Nap(wait=wait), messages.SleepReply, None if wait else QUICK, on)


def undo(*, on: Streamed | None = None) -> Request[messages.UndoReply]:
    """Return to the generation before the last cycle."""
    return Request(messages.Undo(), messages.UndoReply, None, on)


def wake() -> Request[messages.WakeReply]:
    """Abort the running cycle at its next safe point."""
    return Request(messages.Wake(), messages.WakeReply)


def report(cycle: int | None = None) -> Request[messages.SleepReply]:
    """A finished cycle's report, the latest by default."""
    return Request(messages.Report(cycle=cycle), messages.SleepReply, QUICK)


def metrics() -> Request[messages.MetricsReply]:
    """Counts and durations since the daemon started, as Prometheus reads them."""
    return Request(messages.MetricsRequest(), messages.MetricsReply, QUICK)


def unload() -> Request[messages.UnloadReply]:
    """Free the model's memory until it is needed again."""
    return Request(messages.Unload(), messages.UnloadReply, QUICK)


def export(
    folder: Path, *, merged: bool = False, strict: bool = False, on: Streamed | None = None
) -> Request[messages.ExportReply]:
    """Write what was learned into a folder that is absent or empty: a PEFT adapter, or a `merged` checkpoint.

    `strict` refuses where gated edits would be left out.
    """
    body = messages.Export(folder=str(folder.expanduser().absolute()), merged=merged, strict=strict)
    return Request(body, messages.ExportReply, None, on)


# --- state --------------------------------------------------------------------------------------------------------


def health(
    text: str | None = None,
    *,
    view: ViewName = "current",
    deadline: float | None = None,
    on: Streamed | None = None,
) -> Request[messages.HealthReply]:
    """Perplexity of a text under a view and under the bare base, drift, canary answers."""
    if text is not None:
        wire.check_text(text)
    return Request(messages.Health(text=text, view=view), messages.HealthReply, deadline, on)


def ping() -> Request[messages.Pong]:
    """Whether the daemon's event loop turns."""
    return Request(messages.Ping(), messages.Pong, QUICK)


def status() -> Request[messages.StatusReply]:
    """State, pressure, model, counts."""
    return Request(messages.Status(), messages.StatusReply, QUICK)


def snapshot(since: int | None = None) -> Request[SnapshotReply]:
    """The state as of an event number, and the events after `since` that are still kept."""
    return Request(messages.Snapshot(since=since), SnapshotReply, QUICK)


def any_request(body: Body, *, deadline: float | None = None, session: str | None = None) -> Request[Body]:
    """A request for a message that has no function of its own here."""
    return Request(body, messages.REQUESTS[wire.KIND_OF[type(body)]][1], deadline, session=session)


def check_statements(texts: Iterable[str]) -> None:
    """Raise Refused where there is nothing to remember, or too much to be sent at once."""
    statements = tuple(texts)
    if not any(statement.strip() for statement in statements):
        raise Refused("the text is empty; there is nothing to remember")
    if len(statements) > messages.MAX_TEXTS:
        raise Refused(f"{len(statements)} statements at once; at most {messages.MAX_TEXTS} are accepted")
    wire.check_size(*statements)
