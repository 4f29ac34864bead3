"""The awaited client against a scripted daemon: what differs from the waiting one, and that the two agree."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from sleepc import AsyncClient, Client, exchange, requests
from sleepd.protocol import messages
from sleepd.protocol.errors import DeadlineExceeded, NotFound, Unreachable
from sleepd.protocol.messages import Chunk, Event, SnapshotReply
from tests.unit.client_fake import STATUS, Exchange, fake_daemon

REPLY = messages.AskReply(reply="Hello there.", prompt="P", tokens=3, seconds=0.1, finish="stop")


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 20))


def stream_hello(exchange: Exchange) -> None:
    for text in ("Hello", " there", "."):
        exchange.send("chunk", Chunk(text=text))
    exchange.done(REPLY)


def test_both_clients_have_a_method_for_every_request() -> None:
    built = [
        name
        for name, function in inspect.getmembers(requests, inspect.isfunction)
        if function.__module__ == requests.__name__
        and str(inspect.signature(function).return_annotation).startswith("Request")
    ]
    built.remove("any_request")
    assert len(built) >= 14
    for client in (Client, AsyncClient):
        for name in built:
            assert getattr(client, name).__wrapped__ is getattr(requests, name)


def test_every_message_of_the_protocol_has_a_function() -> None:
    source = inspect.getsource(requests)
    internal = {"cancel", "shutdown"}
    for kind, (body, _) in messages.REQUESTS.items():
        assert kind in internal or f"messages.{body.__name__}(" in source, kind


def test_ask_streams_and_ends_with_the_reply(tmp_path: Path) -> None:
    async def work() -> None:
        said: list[Any] = []
        async with AsyncClient(tmp_path) as client:
            assert await client.ask("hi", on=said.append) == REPLY
            pending = await client.start(requests.ask("hi"))
            assert [part async for part in pending] == said
            assert await pending.result() == REPLY
        assert [chunk.text for chunk in said] == ["Hello", " there", "."]

    with fake_daemon(tmp_path, ask=stream_hello):
        run(work())


def test_many_requests_share_one_connection(tmp_path: Path) -> None:
    held: list[Exchange] = []

    def ask(exchange: Exchange) -> None:
        held.append(exchange)
        if len(held) == 20:
            for waiting in reversed(held):
                assert isinstance(waiting.body, messages.Ask)
                waiting.done(messages.AskReply(reply=waiting.body.text, prompt="", tokens=1, seconds=0, finish="stop"))

    async def work() -> None:
        async with AsyncClient(tmp_path) as client:
            replies = await asyncio.gather(*(client.ask(f"number {n}") for n in range(20)))
        assert [reply.reply for reply in replies] == [f"number {n}" for n in range(20)]

    with fake_daemon(tmp_path, ask=ask):
        run(work())


def test_cancelling_the_task_cancels_the_request(tmp_path: Path) -> None:
    def cancel(exchange: Exchange) -> None:
        exchange.done(messages.CancelReply(cancelled=True))

    async def work() -> None:
        async with AsyncClient(tmp_path) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.ask("hi"), 0.2)
            while "cancel" not in server.kinds():
                await asyncio.sleep(0.01)

    with fake_daemon(tmp_path, ask=lambda exchange: None, cancel=cancel) as server:
        run(work())


def test_errors_deadlines_and_an_absent_daemon(tmp_path: Path) -> None:
    async def work() -> None:
        async with AsyncClient(tmp_path) as client:
            with pytest.raises(NotFound, match="no such fact"):
                await client.why("f-1")
            with pytest.raises(DeadlineExceeded):
                await client.ask("hi", deadline=0.1)
            server.kill()
            with pytest.raises(Unreachable, match="start"):
                await client.status()

    handlers = {"why": lambda exchange: exchange.error("not_found", "no such fact"), "ask": lambda exchange: None}
    with fake_daemon(tmp_path, **handlers) as server:
        run(work())


def test_a_daemon_that_dies_ends_what_is_pending_and_another_is_found(tmp_path: Path) -> None:
    async def work() -> None:
        async with AsyncClient(tmp_path) as client:
            with fake_daemon(tmp_path, ask=lambda exchange: exchange.server.kill()):
                begin = time.monotonic()
                with pytest.raises(Unreachable, match="not acknowledged"):
                    await client.ask("hi")
                assert time.monotonic() - begin < 2
            with fake_daemon(tmp_path, ask=stream_hello):
                assert await client.ask("hi") == REPLY

    run(work())


def test_a_daemon_that_answers_nothing_is_asked_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_SILENCE", 0.05)
    monkeypatch.setattr(exchange, "_GIVE_UP", 0.3)

    async def work() -> None:
        async with AsyncClient(tmp_path) as client:
            await client.ping()
            await asyncio.sleep(0.5)  # idle: silence means nothing
            with pytest.raises(Unreachable, match="answers nothing"):
                await client.ask("hi")

    pong = messages.Pong(pid=1, epoch="e1")
    with fake_daemon(tmp_path, ping=lambda e: e.done(pong) if len(e.server.seen) == 1 else None) as server:
        run(work())
    assert server.kinds().count("ping") >= 3


def test_events_come_in_order_and_a_gap_is_filled(tmp_path: Path) -> None:
    asked: list[int | None] = []

    def snapshot(exchange: Exchange) -> None:
        assert isinstance(exchange.body, messages.Snapshot)
        asked.append(exchange.body.since)
        if len(asked) == 1:
            exchange.done(SnapshotReply(epoch="e1", seq=0, status=STATUS))
            for seq in (1, 3):
                exchange.server.publish(seq)
        else:
            kept = tuple(Event(epoch="e1", seq=seq, type="fact", at="2026-01-01T00:00:00Z", data={}) for seq in (2, 3))
            exchange.done(SnapshotReply(epoch="e1", seq=3, status=STATUS, events=kept))

    async def work() -> list[int]:
        async with AsyncClient(tmp_path) as client:
            numbers: list[int] = []

            async def follow() -> None:
                async for item in client.events():
                    numbers.append(item.seq)
                    if len(numbers) == 4:
                        server.kill()

            with pytest.raises(Unreachable):
                await follow()
            return numbers

    with fake_daemon(tmp_path, snapshot=snapshot) as server:
        assert run(work()) == [0, 1, 2, 3]
    assert asked == [None, 1]
