"""Frames: round trips, limits, and hostile bytes."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from sleepd.protocol import VERSION, messages, wire
from sleepd.protocol.errors import ProtocolMismatch, Refused, UsageError

BODIES = [*messages.REQUESTS.items()]


def pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


def header(**fields: Any) -> bytes:
    return pack({"v": VERSION, "id": "r1", "type": "ping", "ts": 0.0, **fields})


def text() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(text(), st.integers(1, messages.MAX_TOKENS), st.none() | st.integers(0, 10**9), st.none() | st.booleans())
def test_a_request_comes_back_as_it_was(said: str, limit: int, deadline: int | None, stream: bool | None) -> None:
    body = messages.Ask(text=said, max_tokens=limit, view="no-edits")
    frames = wire.encode("ask", body, id="r1", session="s", deadline_ms=deadline, stream=stream)
    message = wire.decode(frames)
    assert message.body == body
    assert (message.header.type, message.header.id, message.header.session) == ("ask", "r1", "s")
    assert (message.header.deadline, message.header.stream) == (deadline, stream)
    assert message.header.parent is None


def test_every_request_type_is_known_by_its_name() -> None:
    assert {wire.KIND_OF[request] for request, _ in messages.REQUESTS.values()} == set(messages.REQUESTS)


def test_a_reply_is_typed_by_its_request() -> None:
    reply = messages.Pong(pid=7, epoch="e")
    message = wire.decode_reply(wire.encode("done", reply, id="a", parent="r1", seq=0), messages.Pong)
    assert message.body == reply
    assert message.header.parent == "r1"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("chunk", messages.Chunk(text="he")),
        ("progress", messages.Progress(phase="sws", done=1, total=9)),
        ("error", messages.Error(code="busy", message="full")),
    ],
)
def test_streamed_messages_decode_on_the_client(kind: str, body: messages.Body) -> None:
    assert wire.decode_reply(wire.encode(kind, body, id="a"), messages.Pong).body == body


def test_events_decode_for_subscribers() -> None:
    event = messages.Event(epoch="e", seq=3, type="fact", at="2026-01-01T00:00:00Z", data={"id": "f-1", "n": [1]})
    assert wire.decode_event(wire.encode("event", event, id="a", seq=3)).body == event


def test_a_large_body_is_cut_over_frames_and_joined() -> None:
    reply = messages.CompleteReply(completion="x" * (2 << 20), prompt="", tokens=1, seconds=0, finish="stop")
    frames = wire.encode("done", reply, id="a")
    assert len(frames) == 5
    assert max(map(len, frames)) <= wire.MAX_FRAME
    assert wire.decode_reply(frames, messages.CompleteReply).body == reply


def test_a_body_over_the_limit_is_refused_before_it_is_sent() -> None:
    with pytest.raises(Refused, match="too many for one message"):
        wire.encode("ask", messages.Ask(text="x" * wire.MAX_MESSAGE), id="a")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused_both_ways(number: float) -> None:
    with pytest.raises(UsageError, match="not finite"):
        wire.encode("ask", messages.Ask(text="a", temperature=number), id="a")
    with pytest.raises(UsageError, match="not finite"):
        wire.decode([wire.MAGIC, header(type="ask"), pack({"text": "a", "temperature": number})])


def test_text_that_is_not_unicode_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="Unicode"):
        wire.encode("ask", messages.Ask(text="\udcff"), id="a")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "ask: .*`text`"),
        ({"text": 1}, "ask: text: expected `str`"),
        ({"text": "a", "view": "x"}, "ask: view: invalid"),
        ({"text": "a", "wait": 1}, "ask: wait: expected `bool`"),
        ({"text": b"a"}, "max_bin_len"),
        ({"text": b""}, "binary"),
    ],
)
def test_a_wrong_field_is_named(body: dict[str, Any], problem: str) -> None:
    with pytest.raises((UsageError, ProtocolMismatch), match=problem):
        wire.decode([wire.MAGIC, header(type="ask"), pack(body)])


def test_unknown_fields_of_a_newer_peer_are_ignored() -> None:
    frames = [wire.MAGIC, header(type="ask", colour="red"), pack({"text": "a", "mood": 1})]
    assert wire.decode(frames).body == messages.Ask(text="a")


@pytest.mark.parametrize(
    ("frames", "problem"),
    [
        ([], "first frame"),
        ([b"HTTP", header(), pack({})], "first frame"),
        ([wire.MAGIC], "1 frames"),
        ([wire.MAGIC, header()], "2 frames"),
        ([wire.MAGIC, header(), *[b""] * 7], "9 frames"),
        ([wire.MAGIC, header(), b"x" * (wire.MAX_FRAME + 1)], "too large"),
        ([wire.MAGIC, header(), *[b"x" * wire.MAX_FRAME] * 5], "too large"),
        ([wire.MAGIC, b"x" * 5000, pack({})], "header too large"),
        ([wire.MAGIC, header(v=VERSION + 1), pack({})], f"the other {VERSION + 1}"),
        ([wire.MAGIC, pack({"v": VERSION + 1}), pack({})], "update"),
        ([wire.MAGIC, header(type="levitate"), pack({})], "unknown message type 'levitate'"),
        ([wire.MAGIC, header(id=""), pack({})], "header: id"),
        ([wire.MAGIC, header(deadline=-1), pack({})], "header: deadline"),
        ([wire.MAGIC, pack([]), pack({})], "not a map"),
        ([wire.MAGIC, header(), pack([])], "not a map"),
        ([wire.MAGIC, header(), b""], "not acceptable"),
        ([wire.MAGIC, header(), pack({}) + b"\x00"], "not acceptable"),
        ([wire.MAGIC, header(), b"\x82\xa1a\x01\xa1a\x02"], "twice"),
        ([wire.MAGIC, header(), b"\x81\x01\x02"], "not acceptable"),
        ([wire.MAGIC, header(), b"\x81\xa1a\xd4\x05\x00"], "not acceptable"),
        ([wire.MAGIC, header(), b"\x81\xa1a\xc7\x00\x05"], "extension"),
        ([wire.MAGIC, header(), b"\x81\xa1a\xd6\xff\x00\x00\x00\x00"], "not acceptable"),
        ([wire.MAGIC, header(), b"\x81\xa1a\xa1\xff"], "not acceptable"),
        ([wire.MAGIC, header(), b"\x91" * 5000], "not acceptable"),
        ([wire.MAGIC, header(), b"\xdd\xff\xff\xff\xff"], "not acceptable"),
    ],
)
def test_what_is_not_this_protocol_is_a_mismatch(frames: list[bytes], problem: str) -> None:
    with pytest.raises(ProtocolMismatch, match=problem):
        wire.decode(frames)


def test_a_daemon_takes_no_replies_and_a_client_no_requests() -> None:
    pong = wire.encode("done", messages.Pong(pid=1, epoch="e"), id="a")
    with pytest.raises(ProtocolMismatch, match="unknown message type 'done'"):
        wire.decode(pong)
    with pytest.raises(ProtocolMismatch, match="unknown message type 'ping'"):
        wire.decode_reply(wire.encode("ping", messages.Ping(), id="a"), messages.Pong)


def test_depth_and_number_of_values_are_bounded() -> None:
    deep: Any = 0
    for _ in range(wire.MAX_DEPTH + 1):
        deep = [deep]
    with pytest.raises(UsageError, match="nested"):
        wire.decode([wire.MAGIC, header(), pack({"x": deep})])
    wide = [[0] * 60_000] * 5
    with pytest.raises(UsageError, match="more than"):
        wire.decode([wire.MAGIC, header(), pack({"x": wide})])


def test_the_sender_is_known_even_where_the_message_does_not_decode() -> None:
    assert wire.sender_id([wire.MAGIC, header(v=99), b"?"]) == "r1"
    assert wire.sender_id([wire.MAGIC, header(type="levitate"), pack({})]) == "r1"
    assert wire.sender_id([wire.MAGIC, header(id=5), pack({})]) is None
    assert wire.sender_id([wire.MAGIC, b"\xc1"]) is None
    assert wire.sender_id([]) is None


@pytest.mark.parametrize("texts", [("",), (" \t\n",), ("a", "")])
def test_blank_text_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="the text is empty"):
        wire.check_text(*texts)


def test_long_text_is_refused_by_its_bytes() -> None:
    wire.check_text("x" * wire.MAX_TEXT)
    for texts in (("x" * wire.MAX_TEXT, "x"), ("\u00e9" * (wire.MAX_TEXT // 2 + 1),)):
        with pytest.raises(Refused, match="too long"):
            wire.check_text(*texts)


def test_new_ids_differ_and_fit_the_header() -> None:
    ids = {wire.new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(one) <= 64 for one in ids)


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=60), max_size=9), st.booleans())
def test_arbitrary_bytes_raise_protocol_errors_only(frames: list[bytes], with_magic: bool) -> None:
    only_protocol_errors([wire.MAGIC, *frames] if with_magic else frames)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | text() | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["v", "id", "type", "ts", "parent", "session", "deadline", "seq", "stream"])


@settings(max_examples=300)
@given(st.dictionaries(FIELDS, VALUES, max_size=4), VALUES, st.sampled_from([*messages.REQUESTS, "event"]))
def test_wellformed_msgpack_of_any_shape_raises_protocol_errors_only(fields: Any, body: Any, kind: str) -> None:
    only_protocol_errors([wire.MAGIC, header(**{"type": kind, **fields}), pack(body)])


@settings(max_examples=300)
@given(st.data())
def test_mutated_messages_raise_protocol_errors_only(data: st.DataObject) -> None:
    frames = wire.encode("say", messages.Say(session="s", text="hello", seed=3), id="r1", deadline_ms=5)
    at = data.draw(st.integers(1, 2))
    broken = bytearray(frames[at])
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    frames[at] = bytes(broken)
    only_protocol_errors(frames)


def only_protocol_errors(frames: list[bytes]) -> None:
    readers = (
        lambda: wire.decode(frames),
        lambda: wire.decode_reply(frames, messages.WhyReply),
        lambda: wire.decode_event(frames),
    )
    for reader in readers:
        try:
            message = reader()
        except (ProtocolMismatch, UsageError):
            continue
        assert isinstance(message.body, msgspec.Struct)
    wire.sender_id(frames)


@pytest.mark.parametrize(
    ("kind", "fields", "named"),
    [
        ("ask", {"text": "x", "max_tokens": 0}, "max_tokens"),
        ("ask", {"text": "x", "max_tokens": messages.MAX_TOKENS + 1}, "max_tokens"),
        ("ask", {"text": "x", "temperature": -0.5}, "temperature"),
        ("complete", {"text": "x", "temperature": 1e9}, "temperature"),
        ("ask", {"text": "x", "seed": -1}, "seed"),
        ("ask", {"text": "x", "seed": 1 << 63}, "seed"),
        ("report", {"cycle": -1}, "cycle"),
        ("snapshot", {"since": -1}, "since"),
        ("why", {"id": "x" * (messages.MAX_ID + 1)}, "id"),
        ("remember", {"texts": ["x"] * (messages.MAX_TEXTS + 1)}, "texts"),
    ],
)
def test_values_out_of_range_are_refused_by_field(kind: str, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=f"{kind}: {named}"):
        wire.decode([wire.MAGIC, header(type=kind), pack(fields)])


def test_the_texts_of_a_request_are_bounded_together() -> None:
    with pytest.raises(Refused, match="too long"):
        wire.decode([wire.MAGIC, header(type="ask"), pack({"text": "x", "system": "y" * wire.MAX_TEXT})])
