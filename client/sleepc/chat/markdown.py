"""Markdown that grows: what can no longer change is printed for good, the block that still grows is drawn anew.

The text is a model's, so it is made printable first, and links are written out rather than made clickable.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment
from rich.spinner import Spinner

from ..printable import printable

_PARSER = MarkdownIt(options_update={"html": False}).enable("table").enable("strikethrough")
"""Rich's own parser takes <tags> out; whoever asked about HTML wants to see them."""

_RATE = 12


class MarkdownStream:
    """Use as a context within an event loop; `feed` text as it comes. Until the first of it a spinner turns.

    Drawn at most `_RATE` times a second, and only where something changed.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner = Spinner("dots", style="dim")
        self._live = Live(
            self._spinner,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._rest = ""  # the block that still grows
        self._begun = False
        self._printed = False
        self._drawing: asyncio.TimerHandle | None = None

    def __enter__(self) -> MarkdownStream:
        self._live.start(refresh=True)
        self._draw_soon()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawing is not None:
            self._drawing.cancel()
        self._live.update("")
        self._live.stop()
        self._print(self._rest)
        self._rest = ""

    def feed(self, text: str) -> None:
        """Add newly generated text."""
        self._rest += printable(text)
        settled = settled_length(self._rest)
        if settled:
            self._print(self._rest[:settled])
            self._rest = self._rest[settled:]
        if not self._begun:
            self._begun = True
            self._draw()
        elif self._drawing is None:
            self._draw_soon()

    def note(self, text: str) -> None:
        """What it does before there is text, beside the spinner."""
        self._spinner.update(text=printable(text))

    def _draw_soon(self) -> None:
        self._drawing = asyncio.get_running_loop().call_later(1 / _RATE, self._draw)

    def _draw(self) -> None:
        self._drawing = None
        if self._begun:
            self._live.update(_Tail(self._block(self._rest)), refresh=True)
        else:
            self._live.refresh()
            self._draw_soon()

    def _print(self, text: str) -> None:
        if text.strip():
            self._console.print(self._block(text))
            self._printed = True

    def _block(self, text: str) -> Group:
        block = Markdown("", code_theme="ansi_dark", hyperlinks=False)
        block.parsed = _PARSER.parse(text)
        return Group("", block) if self._printed else Group(block)


def settled_length(text: str) -> int:
    """How much of the text belongs to blocks that more text cannot change: all before the last top-level block."""
    starts = [token.map[0] for token in _PARSER.parse(text) if token.level == 0 and token.map is not None]
    if len(starts) < 2:
        return 0
    return sum(len(line) + 1 for line in text.split("\n")[: starts[-1]])


class _Tail:
    """The last lines of a block, as many as fit the screen: a taller one would leave copies of itself behind."""

    def __init__(self, block: Group) -> None:
        self._block = block

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._block, options, pad=False)
        for line in lines[-max(1, options.size.height - 2) :]:
            yield from line
            yield Segment.line()
