"""How the daemon is, in the protocol: status, health, metrics, and the events that tell of changes."""

from __future__ import annotations

from typing import Any, Literal

from sleepd.protocol.body import Body, Number, ViewName

DaemonState = Literal["pulling", "loading", "awake", "drowsy", "nap", "sleep", "unloaded", "degraded", "stopped"]


class FactCounts(Body, frozen=True, kw_only=True):
    """Facts by stage, active ones only; `pending` are accepted and not yet learned."""

    active: int = 0
    consolidating: int = 0
    consolidated: int = 0
    pending: int = 0


class HostStatus(Body, frozen=True, kw_only=True):
    pid: int | None = None
    backend: str | None = None  # the framework that holds the model: torch or mlx
    device: str | None = None
    dtype: str | None = None
    restarts: int = 0
    resident_bytes: int = 0  # memory, as last told
    device_bytes: int = 0  # what the model and its views hold on its device, as last told
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


class SleepNeed(Body, frozen=True, kw_only=True):
    """The parts of the need for sleep, each 0..1: new facts, time since the last sleep, drift from the base."""

    edits: float = 0.0
    time: float = 0.0
    drift: float = 0.0


class NextCycle(Body, frozen=True, kw_only=True):
    """The next likely cycle. `seconds` until it begins if nobody says anything, null where time alone brings none;
    `facts`: how many more facts would bring it about, 0 where none are needed."""

    kind: Literal["nap", "sleep"]
    seconds: float | None = None
    facts: int = 0


class Status(Body, frozen=True, kw_only=True):
    pass


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
    why: str  # to stand after the state: what it is doing, or why it will or will not sleep
    cycle: int | None = None  # the one that runs
    phase: str | None = None  # of that cycle
    need: SleepNeed = SleepNeed()
    next: NextCycle | None = None  # null while one runs, and where none begins of its own accord
    learn: Literal["auto", "ask", "off"] = "auto"  # from chat, as the settings have it
    learning: int = 0  # facts that are being edited in now
    storage: StorageStatus = StorageStatus()
    resident_bytes: int = 0  # memory of the daemon itself
    config_error: str | None = None  # why the settings file as it stands is not in force


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


class Event(Body, frozen=True, kw_only=True):
    """`type` names what changed: state, model, fact, sleep, host, storage, config, inbox."""

    epoch: str
    seq: int
    type: str
    at: str
    data: dict[str, Any]


class Snapshot(Body, frozen=True, kw_only=True):
    """The state as of an event sequence number, and the events after `since` where they are still kept."""

    since: Number | None = None


class SnapshotReply(Body, frozen=True, kw_only=True):
    """`complete` is false where events after `since` are no longer all kept, or belong to another epoch."""

    epoch: str
    seq: int
    status: StatusReply
    events: tuple[Event, ...] = ()
    complete: bool = True


class MetricsRequest(Body, frozen=True, kw_only=True):
    """Message type `metrics`: counts and durations in Prometheus's text format."""


class MetricsReply(Body, frozen=True, kw_only=True):
    text: str
