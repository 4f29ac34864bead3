"""Every request, reply and event as a typed value.

A request type is named in `REQUESTS` together with the reply that ends it. Unknown fields are ignored, so that a
newer peer may add some; unknown types are answered with a `protocol` error.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from sleepd.protocol.body import MAX_ID as MAX_ID
from sleepd.protocol.body import Body as Body
from sleepd.protocol.body import Id as Id
from sleepd.protocol.facts import MAX_TEXTS as MAX_TEXTS
from sleepd.protocol.facts import Correct as Correct
from sleepd.protocol.facts import CorrectReply as CorrectReply
from sleepd.protocol.facts import ExportFacts as ExportFacts
from sleepd.protocol.facts import ExportFactsReply as ExportFactsReply
from sleepd.protocol.facts import FactInfo as FactInfo
from sleepd.protocol.facts import Facts as Facts
from sleepd.protocol.facts import FactsReply as FactsReply
from sleepd.protocol.facts import Forget as Forget
from sleepd.protocol.facts import ForgetReply as ForgetReply
from sleepd.protocol.facts import HeardReply as HeardReply
from sleepd.protocol.facts import HearTurns as HearTurns
from sleepd.protocol.facts import HistoryEntry as HistoryEntry
from sleepd.protocol.facts import ImportFacts as ImportFacts
from sleepd.protocol.facts import RefusedText as RefusedText
from sleepd.protocol.facts import Remember as Remember
from sleepd.protocol.facts import RememberReply as RememberReply
from sleepd.protocol.facts import TakeBack as TakeBack
from sleepd.protocol.facts import TakeBackReply as TakeBackReply
from sleepd.protocol.facts import Verified as Verified
from sleepd.protocol.facts import Why as Why
from sleepd.protocol.facts import WhyReply as WhyReply

ViewName = Literal["current", "no-edits", "base"]
MAX_TOKENS = 1 << 16
MAX_TURNS = 1024
"""Turns that an `ask` may say went before."""

Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]

DaemonState = Literal["pulling", "loading", "awake", "drowsy", "nap", "sleep", "unloaded", "degraded", "stopped"]


# --- values -----------------------------------------------------------------------------------------------------


class FactCounts(Body, frozen=True, kw_only=True):
    """Facts by stage, active ones only; `pending` are accepted and not yet learned."""

    active: int = 0
    consolidating: int = 0
    consolidated: int = 0
    pending: int = 0


class PhaseReport(Body, frozen=True, kw_only=True):
    """What a phase measured: perplexity on text that training never sees, recall on phrasings kept for gates."""

    ppl_before: float
    ppl_after: float
    recall_raw: float
    recall_chat: float
    steps: int
    seconds: float
    tokens: int = 0  # trained on
    drift: float = 0.0  # nats a token from the bare base's own answers
    leaked: float = 0.0  # share of near names that got a taught answer
    joint: float | None = None  # share of questions for two facts at once that were answered
    joint_before: float | None = None
    dreams: int = 0
    refusal: str = ""  # why the phase's work was thrown away


class PhaseSpan(Body, frozen=True, kw_only=True):
    phase: str
    start: float  # seconds since the cycle began
    end: float


class FailedFact(Body, frozen=True, kw_only=True):
    id: str
    statement: str
    reason: str


# --- requests and the replies that end them -----------------------------------------------------------------------


class Ping(Body, frozen=True, kw_only=True):
    pass


class Pong(Body, frozen=True, kw_only=True):
    pid: int
    epoch: str


class Status(Body, frozen=True, kw_only=True):
    pass


class HostStatus(Body, frozen=True, kw_only=True):
    pid: int | None = None
    device: str | None = None
    dtype: str | None = None
    restarts: int = 0
    resident_bytes: int = 0  # memory, as last told
    error: str | None = None


class StorageStatus(Body, frozen=True, kw_only=True):
    """Bytes of this memory by part, models not counted; `free` on its disk; `budget` 0 is none.

    `notices` tell of damage and want of room since the daemon started, the latest last.
    """

    ledger: int = 0
    blobs: int = 0
    logs: int = 0
    quarantine: int = 0
    total: int = 0
    free: int = 0
    budget: int = 0
    notices: tuple[str, ...] = ()


class StatusReply(Body, frozen=True, kw_only=True):
    state: DaemonState
    pressure: float  # 0..1
    model: str
    generation: int  # 0: none
    facts: FactCounts
    pid: int
    epoch: str
    version: str
    home: str
    uptime: float  # seconds
    host: HostStatus
    why: str  # one line: what it is doing, or why it will or will not sleep
    cycle: int | None = None  # the one that runs
    storage: StorageStatus = StorageStatus()
    resident_bytes: int = 0  # memory of the daemon itself
    config_error: str | None = None  # why the settings file as it stands is not in force


class Generation(Body, frozen=True, kw_only=True):
    """Fields that every request for text shares; `temperature` 0 is greedy."""

    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=MAX_TOKENS)] = 256
    temperature: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 0.0
    seed: Number | None = None
    view: ViewName = "current"
    wait: bool = True  # false: `busy` at once when the model cannot start answering now


class ChatTurn(Body, frozen=True, kw_only=True):
    role: Literal["user", "assistant"]
    text: str


class Ask(Generation, frozen=True, kw_only=True):
    """One question in a conversation that is not kept: a fresh one, or what the client says went before.

    Streams `chunk`. With `learn` the text is treated as a turn of a kept conversation is.
    """

    text: str
    system: str | None = None
    history: Annotated[tuple[ChatTurn, ...], msgspec.Meta(max_length=MAX_TURNS)] = ()
    learn: bool = False


class AskReply(Body, frozen=True, kw_only=True):
    reply: str
    prompt: str
    tokens: int
    seconds: float
    finish: str
    prompt_tokens: int = 0
    facts: tuple[FactInfo, ...] = ()
    refused: tuple[RefusedText, ...] = ()


class Complete(Generation, frozen=True, kw_only=True):
    """Raw continuation, no chat template. Streams `chunk`."""

    text: str


class CompleteReply(Body, frozen=True, kw_only=True):
    completion: str
    prompt: str
    tokens: int
    seconds: float
    finish: str


class OpenSession(Body, frozen=True, kw_only=True):
    """Begin a conversation, or continue the latest one."""

    resume: bool = False
    system: str | None = None


class OpenSessionReply(Body, frozen=True, kw_only=True):
    session: str
    turns: int


class Sessions(Body, frozen=True, kw_only=True):
    """The conversations that are kept, oldest first."""


class SessionInfo(Body, frozen=True, kw_only=True):
    id: str
    at: str  # when it began; UTC, ISO 8601
    messages: int  # the user's and the model's


class SessionsReply(Body, frozen=True, kw_only=True):
    sessions: tuple[SessionInfo, ...]


class RemoveSessions(Body, frozen=True, kw_only=True):
    """Delete conversations' words; the facts learned from them stay. All must exist, else none is deleted."""

    ids: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=MAX_TEXTS)]


class RemoveSessionsReply(Body, frozen=True, kw_only=True):
    removed: tuple[str, ...]


class Say(Generation, frozen=True, kw_only=True):
    """One user turn of a conversation. Streams `chunk`.

    What it says is learned after the reply (see `heard`), unless `learn` is false. "remember that ...", "forget what I
    said about ..." and their slash forms are obeyed instead of answered.
    """

    session: Id
    text: str
    learn: bool = True


class SayReply(Body, frozen=True, kw_only=True):
    """`said` is the turn as it was written down, secrets masked; clients keep no other form of it."""

    reply: str
    prompt: str
    tokens: int
    seconds: float
    finish: str
    session: str
    facts: tuple[FactInfo, ...] = ()
    refused: tuple[RefusedText, ...] = ()
    said: str = ""


class Sleep(Body, frozen=True, kw_only=True):
    """Begin a cycle. With `wait` it streams `progress` and ends with the report, else with the cycle's number."""

    wait: bool = False


class SleepReply(Body, frozen=True, kw_only=True):
    """A cycle's report. `outcome` is committed, rejected, aborted, nothing, or started (without `wait`)."""

    cycle: int
    kind: str
    outcome: str
    reason: str = ""
    advanced: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    failures: tuple[FailedFact, ...] = ()
    sws: PhaseReport | None = None
    rem: PhaseReport | None = None
    generation: int = 0
    hypnogram: tuple[PhaseSpan, ...] = ()
    drift: float = 0.0
    started: str = ""
    seconds: float = 0.0
    rebuilt: str = ""  # why the adapter was trained from the bare base again; empty: it was trained on
    attempts: int = 1  # runs that were begun; above 1 after a crash
    peak_bytes: int = 0  # the most memory that the model's process held at once


class Nap(Sleep, frozen=True, kw_only=True):
    """Begin a nap: a few training steps that change no edit. Streams and ends like `sleep`."""


class Undo(Body, frozen=True, kw_only=True):
    """Return to the previous generation, with the stages and scales that it found. Streams `progress`."""


class UndoReply(Body, frozen=True, kw_only=True):
    """`learned` are later facts that were edited in again under that generation, `suppressed` ones that no longer
    hold."""

    generation: int
    learned: tuple[str, ...] = ()
    suppressed: tuple[str, ...] = ()


class Wake(Body, frozen=True, kw_only=True):
    """Abort the running cycle at its next safe point."""


class WakeReply(Body, frozen=True, kw_only=True):
    cycle: int | None
    aborted: bool


class Report(Body, frozen=True, kw_only=True):
    """A finished cycle's report; None is the latest."""

    cycle: Number | None = None


class Health(Body, frozen=True, kw_only=True):
    """Perplexity of a text under a view and under the bare base; None is the shipped gate text."""

    text: str | None = None
    view: ViewName = "current"


class CanaryAnswer(Body, frozen=True, kw_only=True):
    question: str
    answer: str
    accepted: bool


class HealthReply(Body, frozen=True, kw_only=True):
    perplexity: float
    base_perplexity: float
    drift: float  # nats a token
    tokens: int
    canaries: tuple[CanaryAnswer, ...]
    seconds: float


class Snapshot(Body, frozen=True, kw_only=True):
    """The state as of an event sequence number, and the events after `since` where they are still kept."""

    since: Number | None = None


class Event(Body, frozen=True, kw_only=True):
    """`type` names what changed: state, model, fact, sleep, host, storage, config, inbox."""

    epoch: str
    seq: int
    type: str
    at: str
    data: dict[str, Any]


class SnapshotReply(Body, frozen=True, kw_only=True):
    """`complete` is false where events after `since` are no longer all kept, or belong to another epoch."""

    epoch: str
    seq: int
    status: StatusReply
    events: tuple[Event, ...] = ()
    complete: bool = True


class Cancel(Body, frozen=True, kw_only=True):
    """Cancel the request with this id, sent by the same client."""

    request: Id


class CancelReply(Body, frozen=True, kw_only=True):
    cancelled: bool


class MetricsRequest(Body, frozen=True, kw_only=True):
    """Message type `metrics`: counts and durations in Prometheus's text format."""


class MetricsReply(Body, frozen=True, kw_only=True):
    text: str


class Unload(Body, frozen=True, kw_only=True):
    """Free the model's memory now; the next request that needs the model loads it again. `busy` during a cycle."""


class UnloadReply(Body, frozen=True, kw_only=True):
    unloaded: bool


class Shutdown(Body, frozen=True, kw_only=True):
    """Stop the daemon at the next safe point."""


class ShutdownReply(Body, frozen=True, kw_only=True):
    pid: int


REQUESTS: dict[str, tuple[type[Body], type[Body]]] = {
    "ping": (Ping, Pong),
    "status": (Status, StatusReply),
    "ask": (Ask, AskReply),
    "complete": (Complete, CompleteReply),
    "open_session": (OpenSession, OpenSessionReply),
    "sessions": (Sessions, SessionsReply),
    "remove_sessions": (RemoveSessions, RemoveSessionsReply),
    "say": (Say, SayReply),
    "remember": (Remember, RememberReply),
    "heard": (HearTurns, HeardReply),
    "facts": (Facts, FactsReply),
    "why": (Why, WhyReply),
    "forget": (Forget, ForgetReply),
    "correct": (Correct, CorrectReply),
    "take_back": (TakeBack, TakeBackReply),
    "export_facts": (ExportFacts, ExportFactsReply),
    "import_facts": (ImportFacts, RememberReply),
    "sleep": (Sleep, SleepReply),
    "nap": (Nap, SleepReply),
    "undo": (Undo, UndoReply),
    "wake": (Wake, WakeReply),
    "report": (Report, SleepReply),
    "health": (Health, HealthReply),
    "snapshot": (Snapshot, SnapshotReply),
    "cancel": (Cancel, CancelReply),
    "metrics": (MetricsRequest, MetricsReply),
    "unload": (Unload, UnloadReply),
    "shutdown": (Shutdown, ShutdownReply),
}

MUTATING = frozenset(
    {
        "remember",
        "forget",
        "correct",
        "take_back",
        "import_facts",
        "say",
        "sleep",
        "nap",
        "undo",
        "wake",
        "shutdown",
        "open_session",
        "remove_sessions",
    }
)
"""Requests whose repetition under the same id returns the first result."""


# --- what a stream carries before its end -------------------------------------------------------------------------


class Chunk(Body, frozen=True, kw_only=True):
    """Message type `chunk`: newly generated text."""

    text: str


class Progress(Body, frozen=True, kw_only=True):
    """Message type `progress`: `done` of `total` steps of `phase`."""

    phase: str
    done: int
    total: int
    detail: str = ""


class Error(Body, frozen=True, kw_only=True):
    """Message type `error`: ends a request. `code` is one of `sleepd.protocol.errors`."""

    code: str
    message: str
