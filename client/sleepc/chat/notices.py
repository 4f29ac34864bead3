"""Which news deserve a line of their own in a conversation. Pure: news and pictures in, text out."""

from __future__ import annotations

from sleepd.protocol.messages import Event, FactInfo, SnapshotReply, StatusReply

from ..live import Item, Lost, Picture

_LEVELS = (0.5, 0.8, 1.0)
"""Pressures at whose crossing upwards a line is written."""


def notice(before: Picture, after: Picture, news: Item) -> str | None:
    """The line for one piece of news, or None."""
    match news:
        case Lost(reason=reason):
            return reason
        case SnapshotReply() if before.lost is not None:
            return f"the daemon is back ({news.status.state})"
        case Event(type="sleep", data={"phase": "begin", "cycle": cycle, **more}):
            kind = more.get("kind", "sleep")
            return f"a {kind} begins (cycle {cycle}); you can go on talking"
        case Event(type="sleep", data={"phase": "end", "cycle": cycle, "outcome": outcome, **more}):
            kind = more.get("kind", "sleep")
            return f"the {kind} has ended: {outcome} (/report {cycle})"
        case _:
            return _pressure(before.status, after.status)


def learned(fact: FactInfo) -> str:
    """The line for a fact that was learned beside the conversation."""
    return f"learned: {fact.statement} (/undo {fact.id} takes it back)"


def asked(statement: str) -> str:
    """The question whether to learn something that was said."""
    return f"Shall I remember this? {statement} (yes / no)"


def delay(picture: Picture) -> str:
    """Why an answer cannot begin yet, as far as that is known; usually nothing."""
    status = picture.status
    if status is None or status.state not in ("pulling", "loading", "unloaded", "degraded"):
        return ""
    return f"{status.state}: {status.why}"


def toolbar(picture: Picture) -> str:
    """State, facts and pressure in one short line."""
    if picture.lost is not None:
        return "no daemon answers"
    if picture.status is None:
        return "…"
    status = picture.status
    facts = status.facts
    known = facts.active + facts.consolidating + facts.consolidated
    state = f"{status.state} ({picture.phase})" if picture.phase else status.state
    waiting = f", {facts.pending} waiting" if facts.pending else ""
    counted = "1 fact" if known == 1 else f"{known} facts"
    return f"{status.model} · {state} · {counted}{waiting} · sleep pressure {status.pressure:.0%}"


def _pressure(before: StatusReply | None, after: StatusReply | None) -> str | None:
    if before is None or after is None or after.cycle is not None:
        return None
    crossed = [level for level in _LEVELS if before.pressure < level <= after.pressure]
    return f"sleep pressure {after.pressure:.0%}; /sleep when it suits you" if crossed else None
