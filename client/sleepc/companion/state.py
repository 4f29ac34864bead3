"""What the companion knows of the daemon: a pure reducer over snapshots, statuses, events and losses. No Qt, no socket.

Only a snapshot makes the daemon present, and only a status of the same run of it is taken in afterwards. Once it is
lost, `State.current` is None until another snapshot came: no view has a way to show old figures as present ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from sleepd.protocol.messages import Event, SnapshotReply, StatusReply

from .. import live
from ..live import Lost, Picture


class Link(Enum):
    """How the companion stands with the daemon."""

    CONNECTING = "connecting"
    LIVE = "live"
    LOST = "lost"
    FOREIGN = "foreign"  # it speaks another version of the protocol


@dataclass(frozen=True)
class Foreign:
    """The daemon speaks another version of the protocol."""

    reason: str


@dataclass(frozen=True)
class WakeAsked:
    """The user asked that the running cycle end: its end is no surprise."""


News = SnapshotReply | StatusReply | Event | Lost | Foreign | WakeAsked


@dataclass(frozen=True)
class State:
    """`facts_version`, `nights_version` and `settings_version` grow whenever what was fetched of them may be old."""

    link: Link = Link.CONNECTING
    picture: Picture = field(default_factory=Picture)
    epoch: str | None = None
    wake_asked: bool = False
    facts_version: int = 0
    nights_version: int = 0
    settings_version: int = 0

    @property
    def current(self) -> StatusReply | None:
        """The status, if it is one of now."""
        return self.picture.status if self.link is Link.LIVE else None

    @property
    def phase(self) -> str | None:
        """Of the cycle that runs now."""
        return self.picture.phase if self.link is Link.LIVE else None

    @property
    def reason(self) -> str:
        """Why there is no current status; empty while there is one."""
        return "" if self.link is Link.LIVE else self.picture.lost or ""


def reduce(state: State, news: News) -> State:
    """The state after one more piece of news."""
    match news:
        case Lost(reason=reason) | Foreign(reason=reason):
            link = Link.FOREIGN if isinstance(news, Foreign) else Link.LOST
            lost = live.reduce(state.picture, Lost(reason))
            return replace(state, link=link, picture=lost, wake_asked=False)
        case SnapshotReply():
            return _all_changed(
                replace(state, link=Link.LIVE, picture=live.reduce(state.picture, news), epoch=news.epoch)
            )
        case StatusReply():
            if state.link is not Link.LIVE or news.epoch != state.epoch:
                return state  # an answer of a daemon that is gone
            return replace(state, picture=live.reduce(state.picture, news))
        case WakeAsked():
            return replace(state, wake_asked=state.link is Link.LIVE)
        case Event():
            if state.link is not Link.LIVE or news.epoch != state.epoch:
                return state
            return _noted(replace(state, picture=live.reduce(state.picture, news)), news)


def _all_changed(state: State) -> State:
    return replace(
        state,
        facts_version=state.facts_version + 1,
        nights_version=state.nights_version + 1,
        settings_version=state.settings_version + 1,
    )


def _noted(state: State, event: Event) -> State:
    match event:
        case Event(type="fact" | "inbox"):
            return replace(state, facts_version=state.facts_version + 1)
        case Event(type="sleep", data={"phase": "begin"}):
            return replace(state, wake_asked=False)
        case Event(type="sleep", data={"phase": "end" | "undo"}):
            return replace(
                state, facts_version=state.facts_version + 1, nights_version=state.nights_version + 1, wake_asked=False
            )
        case Event(type="config"):
            return replace(state, settings_version=state.settings_version + 1)
        case _:
            return state


# --- what deserves a notification ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class NightOver:
    """A cycle has ended, its report tells how. `expected`: the user ended it."""

    cycle: int
    expected: bool = False


@dataclass(frozen=True)
class StorageTrouble:
    """The daemon's own words about damage or want of room."""

    notice: str


Announcement = NightOver | StorageTrouble


def announcements(before: State, after: State, news: News) -> tuple[Announcement, ...]:
    """What a piece of news has to tell a person who looks elsewhere: the end of a night, a storage problem."""
    match news:
        case Event(type="sleep", data={"phase": "end", "cycle": int(cycle), **more}) if _taken(after, news):
            return (NightOver(cycle, before.wake_asked),) if more.get("kind") == "sleep" else ()
        case Event(type="storage", data={"notice": str(notice)}) if _taken(after, news):
            return (StorageTrouble(notice),)
        case SnapshotReply(status=status):
            return (*_ended_unseen(before, status), *_new_notices(before, news))
        case _:
            return ()


def _taken(after: State, event: Event) -> bool:
    return after.link is Link.LIVE and after.epoch == event.epoch


def _ended_unseen(before: State, status: StatusReply) -> tuple[NightOver, ...]:
    """A sleep whose end fell where events were lost, or the daemon."""
    was = before.picture.status
    if was is None or was.cycle is None or was.state != "sleep" or status.cycle == was.cycle:
        return ()
    return (NightOver(was.cycle, before.wake_asked),)


def _new_notices(before: State, snapshot: SnapshotReply) -> tuple[StorageTrouble, ...]:
    same_run = before.epoch == snapshot.epoch and before.picture.status is not None
    told = set(before.picture.status.storage.notices) if same_run and before.picture.status else set()
    return tuple(StorageTrouble(notice) for notice in snapshot.status.storage.notices if notice not in told)
