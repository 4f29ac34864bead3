"""`--home` and `--json`, accepted before and after a subcommand, and how a command prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from sleepd.paths import Home


@dataclass
class Common:
    """What every command is given."""

    home: Path | None = None
    as_json: bool = False

    @property
    def place(self) -> Home:
        return Home.resolve(self.home)

    def show(self, document: dict[str, Any], text: str) -> None:
        """One JSON document, or the text, on stdout."""
        click.echo(json.dumps(document, ensure_ascii=False) if self.as_json else text)

    def note(self, text: str) -> None:
        """A line for a person, on stderr."""
        click.echo(text, file=sys.stderr)


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the two options and passes `Common` as the first argument."""

    @click.option("--home", type=click.Path(path_type=Path), help="Folder of this memory [env: SLEEPD_HOME].")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @wraps(command)
    def with_common(*args: Any, home: Path | None, as_json: bool, **kwargs: Any) -> Any:
        context = click.get_current_context()
        inherited = context.find_object(Common) or Common()
        own = Common(home or inherited.home, as_json or inherited.as_json)
        context.obj = own
        return command(own, *args, **kwargs)

    return with_common
