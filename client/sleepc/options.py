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

_MAX_READ = 4 << 20
"""Bytes read of a text; what is longer is refused by the text limits anyway."""


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


view = click.option(
    "--view",
    type=click.Choice(["current", "no-edits", "base"]),
    default="current",
    show_default=True,
    help="What is known now; the adapter alone, every edit silenced; the bare base model.",
)


def generation(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that produces text."""
    options = (
        click.option("--max-tokens", "-n", type=click.IntRange(min=1), default=256, show_default=True),
        click.option(
            "--temperature", type=click.FloatRange(min=0), default=0.0, show_default=True, help="0 is greedy."
        ),
        click.option("--seed", type=int, help="Makes a temperature above 0 repeatable."),
        view,
        click.option("--no-wait", is_flag=True, help="Fail with 5 rather than wait for the model to load."),
        click.option(
            "--deadline",
            type=click.FloatRange(min=0, min_open=True),
            help="Seconds after which to give up (exit code 9).",
        ),
        click.option("--show-prompt", is_flag=True, help="Print the exact text given to the model, on stderr."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def text_or_stdin(text: str) -> str:
    """The argument, or all of stdin for "-"."""
    return decode(sys.stdin.buffer.read(_MAX_READ)) if text == "-" else text


def read_text(file: Path) -> str:
    """A file's text, or stdin's for "-". Raises NotFound, Refused for what is not text, SleepdError."""
    from sleepd.protocol.errors import NotFound, SleepdError

    if str(file) == "-":
        return text_or_stdin("-")
    try:
        with file.open("rb") as opened:
            return decode(opened.read(_MAX_READ), str(file))
    except FileNotFoundError:
        raise NotFound(f"there is no file {file}") from None
    except OSError as error:
        raise SleepdError(f"cannot read {file}: {error.strerror or error}") from None


def decode(data: bytes, source: str = "stdin") -> str:
    """Bytes as text. Raises Refused for what is not UTF-8: guessed words must not be learned."""
    from sleepd.protocol.errors import Refused

    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(data) == _MAX_READ and error.start > _MAX_READ - 4:
            return data[: error.start].decode("utf-8")  # cut in the middle of a character
        raise Refused(f"{source} is not UTF-8 text (byte {error.start})") from None
