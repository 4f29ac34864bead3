"""A pull's progress on stderr: a bar on a terminal, a line a phase elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sleepengine.models.messages import Phase, PullProgress

_WORDS = {
    Phase.PREPARE: "preparing",
    Phase.DOWNLOAD: "downloading",
    Phase.VERIFY: "verifying",
    Phase.CONVERT: "converting",
}


@contextmanager
def pull_progress(name: str) -> Iterator[Callable[[PullProgress], None]]:
    """A function to show progress with, until the block ends."""
    if sys.stderr.isatty():
        with _bar(name) as show:
            yield show
    else:
        yield _lines(name)


def _lines(name: str) -> Callable[[PullProgress], None]:
    shown: list[Phase] = []

    def show(step: PullProgress) -> None:
        if shown[-1:] != [step.phase]:
            shown.append(step.phase)
            print(f"{name}: {_WORDS[step.phase]}", file=sys.stderr, flush=True)  # noqa: T201

    return show


@contextmanager
def _bar(name: str) -> Iterator[Callable[[PullProgress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=None)

        def show(step: PullProgress) -> None:
            description = f"{name}: {_WORDS[step.phase]}"
            progress.update(task, description=description, completed=step.done, total=step.total or None)

        yield show
