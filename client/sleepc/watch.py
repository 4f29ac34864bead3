"""`sleepc watch`: the daemon as it is, on one screen that keeps itself up to date."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sleepd.protocol.errors import DeadlineExceeded, Unreachable
from sleepd.protocol.messages import Event, FactInfo, SnapshotReply

from . import render
from .async_client import AsyncClient
from .display import say, to_json
from .documents import WatchDocument
from .live import Item, Lost, Picture, pictures
from .printable import printable

_FACTS = 8
_EVENTS = 10


def board(picture: Picture, facts: Sequence[FactInfo]) -> RenderableType:
    """The whole screen: state and pressure, the newest facts, the latest events. Pure."""
    return Group(_state(picture), _facts(facts), _events(picture))


def _state(picture: Picture) -> RenderableType:
    if picture.status is None:
        text = Text("waiting for the daemon")
    else:
        text = Text(printable(render.status(picture.status)))
        if picture.phase is not None:
            text.append(f"\nphase      {printable(picture.phase)}", style="bold magenta")
    if picture.lost is not None:
        text.append(f"\n{printable(picture.lost)}", style="bold red")
    return Panel(text, title="sleepd", title_align="left")


def _facts(facts: Sequence[FactInfo]) -> RenderableType:
    rows = "\n".join(render.fact_line(fact) for fact in facts[-_FACTS:]) or "nothing is remembered yet"
    return Panel(Text(printable(rows), no_wrap=True, overflow="ellipsis"), title="facts", title_align="left")


def _events(picture: Picture) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for event in picture.recent[-_EVENTS:]:
        what = "  ".join(f"{name}={value}" for name, value in event.data.items())
        table.add_row(event.at[11:19], event.type, Text(printable(what), no_wrap=True, overflow="ellipsis"))
    return Panel(table, title="events", title_align="left")


def as_line(news: Item) -> str:
    """One piece of news for a screen that cannot be drawn on."""
    match news:
        case Event():
            return render.event(news)
        case SnapshotReply():
            return render.event(render.as_event(news))
        case Lost(reason=reason):
            return reason
        case _:
            return news.why


def watch(home: Path | None, *, as_json: bool) -> None:
    """Watch until interrupted. Raises Unreachable where there is no daemon to begin with."""
    asyncio.run(_watch(home, as_json=as_json))


async def _watch(home: Path | None, *, as_json: bool) -> None:
    async with AsyncClient(home) as client:
        await client.ping()
        if as_json or not sys.stdout.isatty():
            await _lines(client, as_json=as_json)
        else:
            await _screen(client)


async def _lines(client: AsyncClient, *, as_json: bool) -> None:
    async for picture, news in pictures(client):
        if as_json:
            event = news if isinstance(news, Event) else None
            click.echo(
                to_json(WatchDocument(event=event, status=picture.status, phase=picture.phase, lost=picture.lost))
            )
        else:
            say(as_line(news))


async def _screen(client: AsyncClient) -> None:
    facts: Sequence[FactInfo] = ()
    with Live(console=Console(highlight=False), auto_refresh=False, screen=True) as screen:
        async for picture, news in pictures(client):
            if isinstance(news, SnapshotReply) or (isinstance(news, Event) and news.type == "fact"):
                with suppress(Unreachable, DeadlineExceeded):  # the next picture tells of it
                    facts = (await client.facts()).facts
            screen.update(board(picture, facts), refresh=True)
