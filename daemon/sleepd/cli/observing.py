"""`sleepd logs` and `sleepd metrics`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import click

from sleepd.cli.options import Common, common
from sleepd.protocol.errors import NotFound
from sleepengine.logs import as_line


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on as lines are written.")
@click.option("-n", "--lines", type=click.IntRange(min=0), default=40, show_default=True, help="Last lines to show.")
@common
def logs(own: Common, follow: bool, lines: int) -> None:
    """Show the daemon's log, also of a daemon that ended."""
    file = own.place.log_file
    if not file.exists():
        raise NotFound(f"there is no log at {file} yet")
    records = _tail(file, lines)
    if own.as_json and not follow:
        own.show({"records": list(records)}, "")
        return
    for record in [*records] if not follow else _follow(file, lines):
        own.show(record, as_line(record))


@click.command()
@common
def metrics(own: Common) -> None:
    """Print the daemon's counts and durations in Prometheus's text format."""
    from sleepd.cli import launching
    from sleepd.protocol.messages import MetricsReply, MetricsRequest

    text = launching.request(own.place, "metrics", MetricsRequest(), MetricsReply).text
    own.show({"text": text}, text.rstrip("\n"))


def _tail(file: Path, lines: int) -> Iterator[dict[str, Any]]:
    """The last records of a log and of the one before it."""
    earlier = file.with_name(f"{file.name}.1")
    written: list[str] = []
    for part in (earlier, file):
        if part.exists():
            written += part.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in written[len(written) - lines :] if lines else []:
        yield _record(line)


def _follow(file: Path, lines: int) -> Iterator[dict[str, Any]]:
    """The last records, then what is written, across rotation; the operating system tells when to look."""
    from watchdog.events import FileSystemEventHandler
    from watchdog.observers import Observer

    changes: SimpleQueue[None] = SimpleQueue()

    class Told(FileSystemEventHandler):
        def on_any_event(self, event: object) -> None:
            changes.put(None)

    observer = Observer()
    observer.schedule(Told(), str(file.parent))
    observer.start()
    opened = file.open(encoding="utf-8", errors="replace")
    try:
        yield from _tail(file, lines)
        opened.seek(0, 2)
        while True:
            changes.get()
            for line in opened:
                yield _record(line.rstrip("\n"))
            if file.exists() and file.stat().st_ino != os.fstat(opened.fileno()).st_ino:
                opened.close()
                opened = file.open(encoding="utf-8", errors="replace")
    finally:
        opened.close()
        observer.stop()
        observer.join()


def _record(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {"message": line}
    return record if isinstance(record, dict) else {"message": line}
