"""How a command writes: documents and text on stdout, progress on stderr."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

import click

from . import render
from .options import Common

if TYPE_CHECKING:
    import msgspec

    from sleepd.protocol.messages import Chunk, Progress


def show(own: Common, reply: msgspec.Struct, text: str) -> None:
    """The reply as one JSON document, or as text for a person."""
    click.echo(to_json(reply) if own.as_json else text)


def to_json(value: object) -> str:
    """One line of JSON, in Unicode."""
    import msgspec

    return msgspec.json.encode(value).decode()


class ProgressLine:
    """Progress of a long request: one line that is rewritten on a terminal, a line a phase elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._phase = ""

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live and self._phase:
            click.echo("\r\x1b[K", nl=False, err=True)

    def __call__(self, step: Chunk | Progress) -> None:
        from sleepd.protocol.messages import Progress

        if not isinstance(step, Progress):
            return
        if self._live:
            click.echo("\r\x1b[K" + render.progress(step)[:100], nl=False, err=True)
        elif step.phase != self._phase:
            click.echo(step.phase, err=True)
        self._phase = step.phase
