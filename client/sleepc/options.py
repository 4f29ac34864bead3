"""What the commands share: `--home` and `--json` before or after a subcommand, generation options, reading stdin."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .client import Client

MAX_STDIN = 4 << 20
"""Bytes read from stdin; what is longer is refused by the text limits anyway."""


@dataclass
class Common:
    """What every command is given."""

    home: Path | None = None
    as_json: bool = False

    def client(self) -> Client:
        """A client of this home; the library is imported only now."""
        from .client import Client

        return Client(self.home)


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the two options and passes `Common` as the first argument."""

    @click.option("--home", type=click.Path(path_type=Path), help="Folder of the daemon's memory [env: SLEEPD_HOME].")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, all else on stderr.")
    @wraps(command)
    def with_common(*args: Any, home: Path | None, as_json: bool, **kwargs: Any) -> Any:
        context = click.get_current_context()
        inherited = context.find_object(Common) or Common()
        own = Common(home or inherited.home, as_json or inherited.as_json)
        context.obj = own
        return command(own, *args, **kwargs)

    return with_common


def generation(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that produces text."""
    options = (
        click.option("--temperature", default=0.0, show_default=True, help="0 is greedy."),
        click.option("--seed", type=int, help="Makes a temperature above 0 repeatable."),
        click.option(
            "--view",
            type=click.Choice(["current", "no-edits", "base"]),
            default="current",
            show_default=True,
            help="What is known now; the adapter alone, every edit silenced; the bare base model.",
        ),
        click.option("--no-wait", is_flag=True, help="Fail with 5 rather than wait for the model to load."),
        click.option("--deadline", type=float, help="Seconds after which to give up (exit code 9)."),
        click.option("--show-prompt", is_flag=True, help="Print the exact text given to the model, on stderr."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def read_stdin() -> str:
    """Everything on stdin, up to a bound that is far above every limit on texts."""
    return sys.stdin.buffer.read(MAX_STDIN).decode("utf-8", errors="replace")


def text_or_stdin(text: str) -> str:
    """The argument, or stdin for "-"."""
    return read_stdin() if text == "-" else text
