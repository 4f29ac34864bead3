"""The client library against a scripted daemon: streams, errors, cancel, deadlines, and the daemon's death."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sleepc import Client, exchange, requests
from sleepd.protocol import VERSION, endpoint, messages, wire
from sleepd.protocol.errors import (
    BY_CODE,
    Cancelled,
    DeadlineExceeded,
    ProtocolMismatch,
    Refused,
    SleepdError,
    Unreachable,
)
from sleepd.protocol.messages import Chunk, Event, Progress, SnapshotReply
from tests.unit.client_fake import STATUS, Exchange, FakeDaemon, fact, fake_daemon

REPLY = messages.AskReply(reply="Hello there.", prompt="P", tokens=3, seconds=0.1, finish="stop")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with Client(tmp_path) as client:
        yield client


def stream_hello(exchange: Exchange) -> None:
    for text in ("Hello", " there", "."):
        exchange.send("chunk", Chunk(text=text))
    exchange.done(REPLY)


def test_ask_streams_and_ends_with_the_reply(client: Client, tmp_path: Path) -> None:
    said: list[str] = []
    with fake_daemon(tmp_path, ask=stream_hello) as server:
        reply = client.ask("hi", seed=4, on=lambda chunk: said.append(chunk.text))  # type: ignore[union-attr]
    assert reply == REPLY
    assert said == ["Hello", " there", "."]
    assert server.seen[0].body == messages.Ask(text="hi", seed=4)
    assert server.seen[0].header.stream is True


def test_a_request_is_an_iterator_and_then_a_result(client: Client, tmp_path: Path) -> None:
    with fake_daemon(tmp_path, ask=stream_hello):
        pending = client.start(requests.ask("hi"))
        assert next(iter(pending)) == Chunk(text="Hello")
        assert [item.text for item in pending if isinstance(item, Chunk)] == [" there", "."]
        assert pending.result() == REPLY
        assert pending.result() == REPLY


def test_two_requests_at_once_get_their_own_messages(client: Client, tmp_path: Path) -> None:
    held: list[Exchange] = []

    def status(exchange: Exchange) -> None:
        held[0].send("chunk", Chunk(text="a"))
        exchange.done(STATUS)
        held[0].done(REPLY)

    with fake_daemon(tmp_path, ask=held.append, status=status):
        ask = client.start(requests.ask("hi"))
        assert client.status() == STATUS
        assert list(ask) == [Chunk(text="a")]
        assert ask.result() == REPLY


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_error_frames_become_their_errors(client: Client, tmp_path: Path, code: str) -> None:
    with (
        fake_daemon(tmp_path, why=lambda exchange: exchange.error(code, "so it is")),
        pytest.raises(BY_CODE[code], match="so it is") as caught,
    ):
        client.why("f-1")
    assert type(caught.value) is BY_CODE[code]


def test_an_error_of_a_newer_daemon_is_still_an_error(client: Client, tmp_path: Path) -> None:
    with (
        fake_daemon(tmp_path, why=lambda exchange: exchange.error("moonstruck", "too bright")),
        pytest.raises(SleepdError, match="too bright"),
    ):
        client.why("f-1")


def test_an_error_after_chunks_comes_after_the_chunks(client: Client, tmp_path: Path) -> None:
    def ask(exchange: Exchange) -> None:
        exchange.send("chunk", Chunk(text="Hel"))
        exchange.error("other", "the host died")

    with fake_daemon(tmp_path, ask=ask):
        pending = client.start(requests.ask("hi"))
        assert next(pending) == Chunk(text="Hel")
        with pytest.raises(SleepdError, match="the host died"):
            next(pending)


def test_without_a_daemon_the_command_that_starts_it_is_named(client: Client, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=f"start one with: sleepd start --home {tmp_path}"):
        client.status()


def test_the_default_home_needs_no_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLEEPD_HOME", str(tmp_path))
    with Client() as client, pytest.raises(Unreachable, match=r"start one with: sleepd start$"):
        client.status()


def test_a_leftover_daemon_json_is_noticed_at_once(client: Client, tmp_path: Path) -> None:
    with fake_daemon(tmp_path) as server:
        server.kill()
    begin = time.monotonic()
    with pytest.raises(Unreachable, match=r"left its daemon\.json behind"):
        client.status()
    assert time.monotonic() - begin < 1


def test_a_daemon_that_dies_ends_the_pending_request_within_a_second(client: Client, tmp_path: Path) -> None:
    died: list[float] = []

    def die(exchange: Exchange) -> None:
        exchange.send("progress", Progress(phase="values", done=1, total=4))
        died.append(time.monotonic())
        exchange.server.kill()

    with fake_daemon(tmp_path, remember=die), pytest.raises(Unreachable, match="not acknowledged"):
        client.remember("Idris Larsson works as a carpenter.")
    assert time.monotonic() - died[0] < 1


def test_what_was_sent_before_the_death_still_arrives(client: Client, tmp_path: Path) -> None:
    def last_words(exchange: Exchange) -> None:
        stream_hello(exchange)
        time.sleep(0.05)  # the I/O thread writes what is queued before its socket closes
        exchange.server.kill()

    with fake_daemon(tmp_path, ask=last_words):
        pending = client.start(requests.ask("hi"))
        time.sleep(0.3)
        assert len(list(pending)) == 3
        assert pending.result() == REPLY


def test_a_client_finds_the_daemon_again_after_a_restart(client: Client, tmp_path: Path) -> None:
    for _ in range(2):
        with fake_daemon(tmp_path, status=lambda exchange: exchange.done(STATUS)):
            assert client.status() == STATUS
            before = client._connection
            assert before is not None
        wait_for(lambda before=before: before.lost)  # nothing is pending meanwhile, so nothing is to be told
    endpoint.remove(tmp_path)
    with pytest.raises(Unreachable, match="no daemon runs"):
        client.status()


def test_closing_ends_what_is_pending(client: Client, tmp_path: Path) -> None:
    with fake_daemon(tmp_path, ask=lambda exchange: None):
        pending = client.start(requests.ask("hi"))
        client.close()
        with pytest.raises(Unreachable, match="connection was closed"):
            pending.result()


def test_a_daemon_that_answers_nothing_is_asked_and_then_given_up(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_SILENCE", 0.05)
    monkeypatch.setattr(exchange, "_GIVE_UP", 0.2)
    with fake_daemon(tmp_path) as server:
        with pytest.raises(Unreachable, match="answers nothing"):
            client.ask("hi")
        assert server.kinds().count("ping") >= 2


def test_a_long_silence_is_fine_while_the_daemon_lives(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_SILENCE", 0.05)
    monkeypatch.setattr(exchange, "_GIVE_UP", 0.2)
    held: list[Exchange] = []

    def ping(exchange: Exchange) -> None:
        exchange.done(messages.Pong(pid=1, epoch="e1"))
        if exchange.server.kinds().count("ping") == 8:
            held[0].done(REPLY)

    with fake_daemon(tmp_path, ask=held.append, ping=ping):
        assert client.ask("hi") == REPLY


@pytest.mark.parametrize(("protocol", "advice"), [(VERSION + 1, "update sleepc"), (VERSION - 1, "restart it")])
def test_another_protocol_version_is_named(client: Client, tmp_path: Path, protocol: int, advice: str) -> None:
    server = FakeDaemon(tmp_path, {}, protocol=protocol)
    try:
        with pytest.raises(ProtocolMismatch, match=advice):
            client.status()
    finally:
        server.kill()


@pytest.mark.parametrize("bad", ["garbage", "wrong type", "wrong field"])
def test_an_answer_that_is_not_understood_ends_the_request(client: Client, tmp_path: Path, bad: str) -> None:
    def status(exchange: Exchange) -> None:
        if bad == "garbage":
            exchange.raw([b"SLP1", b"\xc1", b"\xc1"])
        elif bad == "wrong type":
            exchange.send("sing", Chunk(text="la"))
        else:
            exchange.done(messages.Pong(pid=1, epoch="e"))

    with fake_daemon(tmp_path, status=status), pytest.raises(ProtocolMismatch, match="not understood"):
        client.status()


def test_a_deadline_is_sent_and_kept_on_this_side_too(client: Client, tmp_path: Path) -> None:
    with fake_daemon(tmp_path, ask=lambda exchange: None) as server:
        begin = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            client.ask("hi", deadline=0.1)
        assert 0.1 <= time.monotonic() - begin < 2
        wait_for(lambda: "cancel" in server.kinds())
        assert server.seen[0].header.deadline == 100


def test_cancel_names_the_request_and_the_rest_still_arrives(client: Client, tmp_path: Path) -> None:
    asked: list[Exchange] = []

    def ask(exchange: Exchange) -> None:
        asked.append(exchange)
        exchange.send("chunk", Chunk(text="Hello"))

    def cancel(exchange: Exchange) -> None:
        assert isinstance(exchange.body, messages.Cancel)
        assert exchange.body.request == asked[0].header.id
        exchange.done(messages.CancelReply(cancelled=True))
        asked[0].done(messages.AskReply(reply="Hello", prompt="P", tokens=1, seconds=0, finish="cancelled"))

    with fake_daemon(tmp_path, ask=ask, cancel=cancel):
        pending = client.start(requests.ask("hi"))
        assert next(pending) == Chunk(text="Hello")
        pending.cancel()
        reply = pending.result()
        assert isinstance(reply, messages.AskReply)
        assert reply.finish == "cancelled"


def test_ctrl_c_cancels_on_its_way_out(client: Client, tmp_path: Path) -> None:
    main = threading.main_thread().ident
    assert main is not None
    with fake_daemon(tmp_path, ask=lambda exchange: None, cancel=lambda exchange: None) as server:
        pending = client.start(requests.ask("hi"))
        threading.Timer(0.2, signal.pthread_kill, [main, signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            pending.result()
        wait_for(lambda: "cancel" in server.kinds())


def test_what_interrupts_the_callback_cancels_too(client: Client, tmp_path: Path) -> None:
    def leave(part: Chunk | Progress) -> None:
        raise BrokenPipeError

    with fake_daemon(tmp_path, ask=lambda exchange: exchange.send("chunk", Chunk(text="a"))) as server:
        with pytest.raises(BrokenPipeError):
            client.ask("hi", on=leave)
        wait_for(lambda: server.kinds() == ["ask", "cancel"])


def test_a_cancelled_request_can_end_as_an_error(client: Client, tmp_path: Path) -> None:
    with (
        fake_daemon(tmp_path, ask=lambda exchange: exchange.error("cancelled", "cancelled")),
        pytest.raises(Cancelled),
    ):
        client.ask("hi")


def test_bad_text_is_refused_before_anything_is_sent(client: Client) -> None:
    # no daemon runs: reaching for one would raise Unreachable
    for text in ("", "  \n", "x" * (wire.MAX_TEXT + 1)):
        for use in (client.ask, client.complete, client.remember, client.health):
            with pytest.raises(Refused):
                use(text)
    with pytest.raises(Refused, match="at most"):
        client.remember(*["a"] * (messages.MAX_TEXTS + 1))
    with pytest.raises(Refused, match="nothing to remember"):
        client.remember()


def test_the_session_and_a_repeated_id_travel_in_the_header(client: Client, tmp_path: Path) -> None:
    reply = messages.RememberReply(facts=(fact(),), refused=(), seconds=0.1)
    with fake_daemon(tmp_path, remember=lambda exchange: exchange.done(reply)) as server:
        for _ in range(2):
            client.start(requests.remember("a", session="s1"), id="same").result()
    assert [(m.header.id, m.header.session) for m in server.seen] == [("same", "s1")] * 2


def test_events_come_after_a_snapshot_and_without_what_it_covers(client: Client, tmp_path: Path) -> None:
    def snapshot(exchange: Exchange) -> None:
        exchange.done(SnapshotReply(epoch="e1", seq=4, status=STATUS))
        for seq in (3, 4, 5, 6):
            exchange.server.publish(seq)

    with fake_daemon(tmp_path, snapshot=snapshot):
        events = client.events()
        first = next(events)
        assert isinstance(first, SnapshotReply)
        assert [numbered(next(events)) for _ in range(2)] == [5, 6]


def test_a_gap_is_filled_from_the_replay_and_a_loss_is_a_new_snapshot(client: Client, tmp_path: Path) -> None:
    asked: list[int | None] = []

    def snapshot(exchange: Exchange) -> None:
        assert isinstance(exchange.body, messages.Snapshot)
        asked.append(exchange.body.since)
        if len(asked) == 1:
            exchange.done(SnapshotReply(epoch="e1", seq=0, status=STATUS))
            for seq in (1, 3):
                exchange.server.publish(seq)
        elif len(asked) == 2:
            kept = tuple(Event(epoch="e1", seq=seq, type="fact", at="2026-01-01T00:00:00Z", data={}) for seq in (2, 3))
            exchange.done(SnapshotReply(epoch="e1", seq=3, status=STATUS, events=kept))
            exchange.server.publish(9)
        else:
            exchange.done(SnapshotReply(epoch="e1", seq=9, status=STATUS, complete=False))
            exchange.server.publish(10)

    with fake_daemon(tmp_path, snapshot=snapshot):
        events = client.events()
        assert [numbered(next(events)) for _ in range(6)] == ["snapshot 0", 1, 2, 3, "snapshot 9", 10]
    assert asked == [None, 1, 3]


def test_another_subscribers_welcome_is_no_event_but_shows_a_loss(client: Client, tmp_path: Path) -> None:
    asked: list[int | None] = []

    def snapshot(exchange: Exchange) -> None:
        assert isinstance(exchange.body, messages.Snapshot)
        asked.append(exchange.body.since)
        if len(asked) == 1:
            exchange.done(SnapshotReply(epoch="e1", seq=4, status=STATUS))
            exchange.server.publish(4, "welcome")
            exchange.server.publish(5, "welcome")  # so event 5 was published, and did not come
        else:
            kept = Event(epoch="e1", seq=5, type="fact", at="2026-01-01T00:00:00Z", data={})
            exchange.done(SnapshotReply(epoch="e1", seq=5, status=STATUS, events=(kept,)))

    with fake_daemon(tmp_path, snapshot=snapshot):
        events = client.events()
        assert numbered(next(events)) == "snapshot 4"
        event = next(events)
        assert isinstance(event, Event)
        assert (event.seq, event.type) == (5, "fact")
    assert asked == [None, 4]


def test_the_event_stream_ends_when_the_daemon_dies(client: Client, tmp_path: Path) -> None:
    with fake_daemon(
        tmp_path, snapshot=lambda exchange: exchange.done(SnapshotReply(epoch="e1", seq=0, status=STATUS))
    ) as server:
        events = client.events()
        next(events)
        server.kill()
        begin = time.monotonic()
        with pytest.raises(Unreachable):
            next(events)
        assert time.monotonic() - begin < 1


def test_no_welcome_only_costs_its_timeout(client: Client, tmp_path: Path) -> None:
    server = FakeDaemon(
        tmp_path,
        {"snapshot": lambda exchange: exchange.done(SnapshotReply(epoch="e1", seq=0, status=STATUS))},
        welcome=False,
    )
    try:
        assert isinstance(next(client.events()), SnapshotReply)
    finally:
        server.kill()


def test_a_home_of_a_file_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with Client(tmp_path / "file") as client, pytest.raises(Unreachable):
        client.ping()


def test_an_endpoint_that_is_no_endpoint_is_unreachable(tmp_path: Path) -> None:
    endpoint.write(tmp_path, endpoint.DaemonInfo(pid=1, epoch="e", protocol=VERSION, requests="gopher", events="x"))
    with Client(tmp_path) as client, pytest.raises(Unreachable, match="gopher"):
        client.ping()


def numbered(item: SnapshotReply | Event) -> int | str:
    return item.seq if isinstance(item, Event) else f"snapshot {item.seq}"


def wait_for(condition: object, seconds: float = 2) -> None:
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "did not happen in time"
        time.sleep(0.01)
