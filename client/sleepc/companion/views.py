"""What the tray, the side bar and the health page show: pure functions of the state. No Qt.

Everything that is shown as present comes from `State.current`, which is None wherever the daemon is not heard.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sleepd.protocol.messages import FactCounts, HealthReply, StatusReply

from . import texts
from .state import Link, State


class Shape(Enum):
    """What the tray's icon looks like; each differs in form, not in colour alone."""

    AWAKE = "awake"
    LEARNING = "learning"
    DROWSY = "drowsy"
    NAPPING = "napping"
    SWS = "sws"
    REM = "rem"
    UNREACHABLE = "unreachable"
    LOADING = "loading"
    RESTING = "resting"
    TROUBLE = "trouble"


@dataclass(frozen=True)
class StateView:
    """The state in one picture and two lines, and what may be asked for in it."""

    shape: Shape
    title: str
    line: str
    present: bool  # the daemon is heard
    can_sleep: bool = False
    can_wake: bool = False
    can_undo: bool = False
    can_report: bool = False
    can_learn: bool = False
    paused: bool = False


def state_view(state: State) -> StateView:
    """The state for tray and side bar."""
    status = state.current
    if status is None:
        return _absent(state)
    shape = _shape(status, state.phase)
    asleep = shape in (Shape.NAPPING, Shape.SWS, Shape.REM)
    ready = status.state in ("awake", "drowsy", "unloaded")
    return StateView(
        shape=shape,
        title=_title(shape, status),
        line=_line(shape, status, state.phase),
        present=True,
        can_sleep=ready and not asleep,
        can_wake=asleep,
        can_undo=not asleep and status.generation > 0 and status.state in ("awake", "drowsy"),
        can_report=True,
        can_learn=True,
        paused=status.learn == "off",
    )


def known(counts: FactCounts) -> int:
    """Facts that the model answers with."""
    return counts.active + counts.consolidating + counts.consolidated


def _absent(state: State) -> StateView:
    title = {
        Link.CONNECTING: texts.CONNECTING,
        Link.FOREIGN: texts.FOREIGN,
    }.get(state.link, texts.UNREACHABLE)
    line = "" if state.link is Link.CONNECTING else texts.NO_DAEMON_LINE
    return StateView(Shape.UNREACHABLE, title, state.reason if state.link is Link.FOREIGN else line, present=False)


def _shape(status: StatusReply, phase: str | None) -> Shape:
    if phase is not None or status.state in ("sleep", "nap"):
        return _asleep(status, phase)
    if status.state in ("degraded", "stopped"):
        return Shape.TROUBLE
    if status.state in ("loading", "pulling"):
        return Shape.LOADING
    if status.learning:
        return Shape.LEARNING
    return {"drowsy": Shape.DROWSY, "unloaded": Shape.RESTING}.get(status.state, Shape.AWAKE)


def _asleep(status: StatusReply, phase: str | None) -> Shape:
    if status.state == "nap" or (phase or "").startswith("nap"):
        return Shape.NAPPING
    return Shape.REM if (phase or "").startswith(("rem", "dream")) else Shape.SWS


def _title(shape: Shape, status: StatusReply) -> str:
    match shape:
        case Shape.LOADING:
            return texts.PULLING if status.state == "pulling" else texts.LOADING
        case Shape.TROUBLE:
            return texts.STOPPED if status.state == "stopped" else texts.DEGRADED
        case _:
            return {
                Shape.LEARNING: texts.LEARNING,
                Shape.DROWSY: texts.DROWSY,
                Shape.NAPPING: texts.NAPPING,
                Shape.SWS: texts.SWS,
                Shape.REM: texts.REM,
                Shape.RESTING: texts.RESTING,
            }.get(shape, texts.AWAKE)


def _line(shape: Shape, status: StatusReply, phase: str | None) -> str:
    match shape:
        case Shape.LEARNING:
            return texts.learning_line(status.learning)
        case Shape.NAPPING | Shape.SWS | Shape.REM:
            return texts.phase_line(phase or "begin")
        case Shape.RESTING:
            return texts.RESTING_LINE
        case Shape.TROUBLE | Shape.LOADING:
            return status.host.error or status.why
        case _:
            return texts.known_line(known(status.facts))


@dataclass(frozen=True)
class ListRow:
    """A line of a list. `key` names what it stands for, None where nothing more is known of it; `tone` is the name of
    a colour, empty for none."""

    key: str | None
    title: str
    badge: str = ""
    detail: str = ""
    tip: str = ""
    tone: str = ""


# --- health -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """One part of the need for sleep: how full it is, 0 to 1."""

    name: str
    value: float


@dataclass(frozen=True)
class Row:
    """A name and a value; `share` 0 to 1 where a bar says more."""

    name: str
    value: str
    share: float | None = None


@dataclass(frozen=True)
class HealthView:
    """The health page. `pressure` None: nothing is known of now."""

    pressure: float | None
    parts: tuple[Part, ...]
    next: str
    memory: tuple[Row, ...]
    disk: tuple[Row, ...]
    device: tuple[Row, ...]
    problems: tuple[str, ...]


def health_view(state: State) -> HealthView:
    """Pressure with its parts, what comes next, memory, disk, device, problems."""
    status = state.current
    if status is None:
        return HealthView(None, (), texts.NEXT_UNKNOWN, (), (), (), (state.reason,) if state.reason else ())
    need = status.need
    return HealthView(
        pressure=status.pressure,
        parts=(
            Part(texts.PART_EDITS, need.edits),
            Part(texts.PART_TIME, need.time),
            Part(texts.PART_DRIFT, need.drift),
        ),
        next=_next(status),
        memory=_memory(status),
        disk=_disk(status),
        device=_device(status),
        problems=_problems(status),
    )


def measured_rows(reply: HealthReply) -> tuple[Row, ...]:
    """What a measurement found."""
    right = sum(canary.accepted for canary in reply.canaries)
    return (
        Row(texts.PERPLEXITY, f"{reply.perplexity:.2f} ({texts.change(reply.base_perplexity, reply.perplexity)})"),
        Row(texts.BASE_PERPLEXITY, f"{reply.base_perplexity:.2f}"),
        Row(texts.DRIFT, f"{reply.drift:.4f}"),
        Row(texts.CANARIES, texts.canaries(right, len(reply.canaries))),
    )


def _next(status: StatusReply) -> str:
    if status.cycle is not None:
        return texts.next_asleep("nap" if status.state == "nap" else "sleep")
    coming = status.next
    if coming is None:
        return texts.NEXT_NEVER
    when = "" if coming.seconds is None else texts.duration(coming.seconds) if coming.seconds else ""
    return texts.next_cycle(coming.kind, when, coming.facts)


def _memory(status: StatusReply) -> tuple[Row, ...]:
    host = texts.size(status.host.resident_bytes) if status.host.resident_bytes else texts.NOT_LOADED
    rows = [Row(texts.MODEL_MEMORY, host), Row(texts.DAEMON_MEMORY, texts.size(status.resident_bytes))]
    if status.host.device_bytes:
        rows.insert(1, Row(texts.DEVICE_MEMORY, texts.size(status.host.device_bytes)))
    return tuple(rows)


def _disk(status: StatusReply) -> tuple[Row, ...]:
    storage = status.storage
    rows = [Row(texts.LEDGER, texts.size(storage.ledger)), Row(texts.BLOBS, texts.size(storage.blobs))]
    rows.append(Row(texts.LOG_FILES, texts.size(storage.logs)))
    if storage.quarantine:
        rows.append(Row(texts.QUARANTINE, texts.size(storage.quarantine)))
    if storage.budget:
        used = texts.budget_of(texts.size(storage.total), texts.size(storage.budget))
        rows.append(Row(texts.BUDGET, used, min(1.0, storage.total / storage.budget)))
    rows.append(Row(texts.FREE, texts.size(storage.free)))
    return tuple(rows)


def _device(status: StatusReply) -> tuple[Row, ...]:
    host = status.host
    device = f"{host.device} ({host.dtype})" if host.device else texts.NOT_LOADED
    rows = [
        Row(texts.MODEL, status.model),
        Row(texts.DEVICE, device),
        Row(texts.GENERATION, str(status.generation) if status.generation else texts.NONE),
        Row(texts.VERSION, status.version),
        Row(texts.UPTIME, texts.duration(status.uptime)),
    ]
    if host.restarts:
        rows.append(Row(texts.RESTARTS, str(host.restarts)))
    return tuple(rows)


def _problems(status: StatusReply) -> tuple[str, ...]:
    found = (status.host.error, status.config_error, *status.storage.notices)
    return tuple(problem for problem in found if problem)
