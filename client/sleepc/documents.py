"""Every JSON document that a command writes with `--json`, by the command's name.

Most are the daemon's replies as they came. `docs/json/` has their schemas, made from these types.
"""

from __future__ import annotations

from sleepd.protocol import messages
from sleepd.protocol.messages import Body, Event, StatusReply


class ErrorDocument(Body, frozen=True, kw_only=True):
    """What any command writes when it fails; its exit code belongs to `error.code`."""

    error: messages.Error


class ChatDocument(messages.SayReply, frozen=True, kw_only=True):
    """A line of `chat`: one turn, and what came of it. `asked`: statements that wait for a yes."""

    user: str
    asked: tuple[str, ...] = ()


class WatchDocument(Body, frozen=True, kw_only=True):
    """A line of `watch`: what happened, and how the daemon is since. `event` is null where it is a fresh look."""

    event: Event | None
    status: StatusReply | None
    phase: str | None  # of the cycle that runs
    lost: str | None  # why no daemon answers


class Listening(Body, frozen=True, kw_only=True):
    """Where `serve-openai` listens. `models`: the first does not learn."""

    url: str
    token_file: str
    models: tuple[str, ...]


DOCUMENTS: dict[str, type[Body]] = {
    "ask": messages.AskReply,
    "complete": messages.CompleteReply,
    "chat": ChatDocument,
    "sessions list": messages.SessionsReply,
    "sessions rm": messages.RemoveSessionsReply,
    "remember": messages.RememberReply,
    "facts": messages.FactsReply,
    "why": messages.WhyReply,
    "correct": messages.CorrectReply,
    "forget": messages.ForgetReply,
    "undo": messages.UndoReply,
    "undo ID": messages.TakeBackReply,
    "sleep": messages.SleepReply,
    "nap": messages.SleepReply,
    "wake": messages.WakeReply,
    "unload": messages.UnloadReply,
    "report": messages.SleepReply,
    "export": messages.ExportReply,
    "health": messages.HealthReply,
    "status": messages.StatusReply,
    "events": messages.SnapshotReply,
    "events --follow": Event,
    "watch": WatchDocument,
    "serve-openai": Listening,
    "error": ErrorDocument,
}

WITHOUT = frozenset({"completion", "mcp", "bridge", "companion"})
"""Commands that write what another program reads, whatever is asked of them."""
