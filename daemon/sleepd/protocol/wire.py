"""Frames: how a message becomes bytes and how bytes become a typed message again.

A message is `[b"SLP1", header, body, ...]`: the header one msgpack map, the body one msgpack map that is
cut over further frames where it exceeds `MAX_FRAME`. This module knows frames and limits; it knows no
sockets. Whatever bytes come in, only ProtocolMismatch (not this protocol) or UsageError (this protocol,
wrong fields) leaves it, or Refused (too much text).
"""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Generic, TypeVar, cast

import msgpack  # type: ignore[import-untyped]
import msgspec

from . import VERSION
from .errors import ProtocolMismatch, Refused, SleepdError, UsageError
from .messages import MAX_ID, REQUESTS, Body, Chunk, Error, Event, Progress

MAGIC = b"SLP1"
"""First frame of every message, and the topic that a subscriber subscribes to."""

MAX_FRAME = 1 << 20
"""Bytes in one frame; also what `ZMQ_MAXMSGSIZE`, which counts frames and not messages, is set to."""

MAX_FRAMES = 8
MAX_MESSAGE = 4 << 20
"""Bytes of all frames of one message."""

MAX_TEXT = 256 << 10
"""Bytes of UTF-8 in all the texts of one request. Anything near it is far beyond every model's window."""

MAX_HEADER = 4 << 10
MAX_DEPTH = 16
MAX_VALUES = 1 << 18
"""Values, keys not counted, in one body: bounds the time that hostile nesting can cost."""

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]

R = TypeVar("R", bound=Body)


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a message is and what it answers.

    `ts` is the sender's wall clock in seconds since 1970, for logs only. `deadline` is the time left in milliseconds.
    `seq` is an event's number. `stream` false collects a streamed answer into its last message; absent means true
    for a socket that sends no empty delimiter.
    """

    v: Annotated[int, msgspec.Meta(ge=1)]
    id: _Id
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    ts: float
    parent: _Id | None = None
    session: _Id | None = None
    deadline: Annotated[int, msgspec.Meta(ge=0)] | None = None
    seq: Annotated[int, msgspec.Meta(ge=0)] | None = None
    stream: bool | None = None


class Message(msgspec.Struct, Generic[R], frozen=True):
    """A decoded message; `body` has the type that `header.type` names."""

    header: Header
    body: R


_REQUEST_BODIES: dict[str, type[Body]] = {kind: request for kind, (request, _) in REQUESTS.items()}
KIND_OF: dict[type[Body], str] = {request: kind for kind, request in _REQUEST_BODIES.items()}
"""The wire name of each request type."""


def new_id() -> str:
    """A fresh message id (64 random bits in hexadecimal)."""
    return secrets.token_hex(8)


def encode(
    kind: str,
    body: Body,
    *,
    id: str,
    parent: str | None = None,
    session: str | None = None,
    deadline_ms: int | None = None,
    seq: int | None = None,
    stream: bool | None = None,
) -> list[bytes]:
    """The frames of a message, without routing frames.

    Raises Refused where the body exceeds the limits, UsageError where it holds what the wire cannot carry
    (text that is not Unicode, a number that is not finite or has more than 64 bits).
    """
    header = Header(
        v=VERSION,
        id=id,
        type=kind,
        ts=time.time(),
        parent=parent,
        session=session,
        deadline=deadline_ms,
        seq=seq,
        stream=stream,
    )
    packed = _pack(kind, body)
    if len(packed) > MAX_MESSAGE - MAX_HEADER:
        raise Refused(f"{kind}: {len(packed)} bytes are too many for one message (limit {MAX_MESSAGE})")
    cuts = range(0, len(packed), MAX_FRAME)
    return [MAGIC, _pack("header", header), *(packed[at : at + MAX_FRAME] for at in cuts)]


def decode(frames: Sequence[bytes]) -> Message[Body]:
    """A request, as the daemon reads it.

    Raises ProtocolMismatch, UsageError (which names the field), or Refused where its texts exceed `MAX_TEXT`.
    """
    message = _decode(frames, _REQUEST_BODIES)
    check_size(*_texts(msgspec.to_builtins(message.body)))
    return message


def decode_reply(frames: Sequence[bytes], reply_type: type[R]) -> Message[R | Chunk | Progress | Error]:
    """An answer, as the client reads it: chunk, progress, error, or `done` with a body of `reply_type`."""
    kinds: dict[str, type[Body]] = {"done": reply_type, "chunk": Chunk, "progress": Progress, "error": Error}
    return cast("Message[R | Chunk | Progress | Error]", _decode(frames, kinds))


def decode_event(frames: Sequence[bytes]) -> Message[Event]:
    """An event, as a subscriber reads it."""
    return cast("Message[Event]", _decode(frames, {"event": Event}))


def sender_id(frames: Sequence[bytes]) -> str | None:
    """The id of a message that may not decode, for its error to name; None where even that is unreadable."""
    try:
        found = _unpack(frames[1], "header").get("id") if len(frames) > 1 else None
    except SleepdError:
        return None
    return found if isinstance(found, str) and 0 < len(found) <= MAX_ID else None


def decode_header(frames: Sequence[bytes]) -> Header:
    """The header alone, after the checks of magic, limits and version."""
    if not frames or frames[0] != MAGIC:
        raise ProtocolMismatch("not a sleepd message: the first frame is not SLP1")
    if not 3 <= len(frames) <= MAX_FRAMES:
        raise ProtocolMismatch(f"{len(frames)} frames in one message; 3 to {MAX_FRAMES} are allowed")
    if max(map(len, frames)) > MAX_FRAME or sum(map(len, frames)) > MAX_MESSAGE:
        raise ProtocolMismatch(f"message too large; {MAX_FRAME} bytes a frame, {MAX_MESSAGE} in all")
    if len(frames[1]) > MAX_HEADER:
        raise ProtocolMismatch(f"header too large; {MAX_HEADER} bytes are allowed")
    fields = _unpack(frames[1], "header")
    version = fields.get("v")  # first, because all else may mean something new in a newer version
    if isinstance(version, int) and version > VERSION:
        raise ProtocolMismatch(f"this side speaks protocol {VERSION}, the other {version}: update this side")
    try:
        return msgspec.convert(fields, Header)
    except msgspec.ValidationError as error:
        raise ProtocolMismatch(f"header: {plain_problem(error)}") from None


def _decode(frames: Sequence[bytes], kinds: dict[str, type[Body]]) -> Message[Body]:
    header = decode_header(frames)
    body_type = kinds.get(header.type)
    if body_type is None:
        raise ProtocolMismatch(f"unknown message type {header.type!r} in protocol {VERSION}")
    fields = _unpack(b"".join(frames[2:]), header.type)
    try:
        return Message(header, msgspec.convert(fields, body_type))
    except msgspec.ValidationError as error:
        raise UsageError(f"{header.type}: {plain_problem(error)}") from None


def check_text(*texts: str) -> None:
    """Raise Refused where a text is blank or all together are too long; both sides call it."""
    if not all(text.strip() for text in texts):
        raise Refused("the text is empty")
    check_size(*texts)


def check_size(*texts: str) -> None:
    """Raise Refused where texts together exceed `MAX_TEXT`."""
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    if size > MAX_TEXT:
        raise Refused(f"the text is too long: {size:,} bytes, at most {MAX_TEXT:,} are accepted")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


# --- msgpack within limits ----------------------------------------------------------------------------------


def _pack(what: str, value: msgspec.Struct) -> bytes:
    builtins = msgspec.to_builtins(value)
    _check(builtins, what)
    try:
        return cast(bytes, msgpack.packb(builtins, use_bin_type=True))
    except UnicodeEncodeError:
        raise UsageError(f"{what}: the text is not valid Unicode") from None
    except (OverflowError, ValueError) as error:
        raise UsageError(f"{what}: {error}") from None


def _unpack(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            object_pairs_hook=_unique,
            ext_hook=_no_extension,
            max_str_len=MAX_MESSAGE,
            max_bin_len=0,
            max_array_len=1 << 16,
            max_map_len=1 << 12,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        # ValueError covers msgpack's format, stack, limit, extra-data and Unicode errors
        raise ProtocolMismatch(f"{what}: not acceptable msgpack ({error or type(error).__name__})") from None
    if not isinstance(value, dict):
        raise ProtocolMismatch(f"{what}: not a map")
    _check(value, what)
    return value


def _unique(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    if not all(isinstance(key, str) for key in found):
        raise ValueError("a key is not text")
    return found


def _no_extension(code: int, data: bytes) -> Any:
    raise ValueError("extension types are not allowed")


def _check(value: Any, what: str) -> None:
    """Refuse what msgpack lets through: depth, sheer number, binary, numbers that are not finite."""
    left = MAX_VALUES
    level = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                deeper.extend(item.values())
            elif isinstance(item, list | tuple):
                deeper.extend(item)
            elif isinstance(item, float) and not math.isfinite(item):
                raise UsageError(f"{what}: a number is not finite")
            elif isinstance(item, bytes):
                raise UsageError(f"{what}: binary data is not allowed")
        left -= len(deeper)
        if left < 0:
            raise UsageError(f"{what}: more than {MAX_VALUES} values")
        if not deeper:
            return
        level = deeper
    raise UsageError(f"{what}: nested deeper than {MAX_DEPTH}")


_AT = re.compile(r"^(?P<problem>.*) - at `\$\.?(?P<path>.*)`$", re.DOTALL)


def plain_problem(error: msgspec.ValidationError) -> str:
    """msgspec's message with the field first: "text: expected `str`, got `int`"."""
    text = str(error)
    match = _AT.match(text)
    if match is None:
        return text[:1].lower() + text[1:]
    problem = match["problem"]
    return f"{match['path']}: {problem[:1].lower()}{problem[1:]}"
