"""How a command writes: documents and text on stdout, progress on stderr."""

from __future__ import annotations

import re
import shutil
import sys
from types import TracebackType
from typing import TYPE_CHECKING

import click

from . import render
from .options import Common
from .printable import printable

if TYPE_CHECKING:
    import msgspec

    from sleepd.protocol.messages import Chunk, Progress

_C1 = re.compile(rb"\x7f|\xc2[\x80-\x9f]")


def show(own: Common, reply: msgspec.Struct, text: str) -> None:
    """The reply as one JSON document, or as text for a person."""
    if own.as_json:
        click.echo(to_json(reply))
    else:
        say(text)


def say(text: str, *, err: bool = False, newline: bool = True) -> None:
    """Text that others may have written. A terminal gets it printable, a file or pipe as it is."""
    stream = sys.stderr if err else sys.stdout
    click.echo(printable(text) if stream.isatty() else text, err=err, nl=newline)


def to_json(value: object) -> bytes:
    """One line of JSON in UTF-8, whatever the terminal's encoding. It holds no control character, raw or of C1."""
    import msgspec

    return _C1.sub(lambda match: b"\\u%04x" % ord(match[0].decode()), msgspec.json.encode(value))


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
        self.clear()

    def clear(self) -> None:
        """Take the line away, so that text may stand there."""
        if self._live and self._phase:
            click.echo("\r\x1b[K", nl=False, err=True)
        self._phase = ""

    def __call__(self, step: Chunk | Progress) -> None:
        from sleepd.protocol.messages import Progress

        if not isinstance(step, Progress):
            return
        if self._live:
            line = printable(render.progress(step))[: shutil.get_terminal_size().columns - 1]
            click.echo("\r\x1b[K" + line, nl=False, err=True)
        elif step.phase != self._phase:
            click.echo(step.phase, err=True)
        self._phase = step.phase


class TextStream:
    """Generated text on stdout as it comes, ended by a line feed however it ends; progress beside it on stderr."""

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent
        self._open = False
        self._progress = ProgressLine()

    def __enter__(self) -> TextStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.clear()
        if not self._silent and (self._open or error is None):
            click.echo()

    def __call__(self, step: Chunk | Progress) -> None:
        from sleepd.protocol.messages import Chunk

        if not isinstance(step, Chunk):
            self._progress(step)
        elif step.text and not self._silent:
            self._progress.clear()
            say(step.text, newline=False)
            self._open = True
