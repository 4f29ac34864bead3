"""What steers the daemon itself, and what a stream carries before and at its end."""

from __future__ import annotations

from sleepd.protocol.body import Body, Id


class Ping(Body, frozen=True, kw_only=True):
    pass


class Pong(Body, frozen=True, kw_only=True):
    pid: int
    epoch: str


class Cancel(Body, frozen=True, kw_only=True):
    """Cancel the request with this id, sent by the same client."""

    request: Id


class CancelReply(Body, frozen=True, kw_only=True):
    cancelled: bool


class Unload(Body, frozen=True, kw_only=True):
    """Free the model's memory now; the next request that needs the model loads it again. `busy` during a cycle."""


class UnloadReply(Body, frozen=True, kw_only=True):
    unloaded: bool


class Shutdown(Body, frozen=True, kw_only=True):
    """Stop the daemon at the next safe point."""


class ShutdownReply(Body, frozen=True, kw_only=True):
    pid: int


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
