"""`sleepc chat`: a plain line-by-line conversation.

On a terminal, Ctrl-C stops the reply and stays, Ctrl-D leaves. Elsewhere each line of stdin is one user turn; a turn
ends only when what it said has been learned or refused, so the end of input waits for everything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from sleepd.protocol.errors import SleepdError, Unreachable
from sleepd.protocol.messages import SayReply

from . import render, requests
from .client import Client
from .display import TextStream, to_json
from .options import Common, decode

HELP = """\
/remember TEXT   learn a statement
/facts [WORDS]   list what is remembered
/why ID          show where a fact came from
/status          show the state and the need for sleep
/sleep           begin a sleep cycle
/wake            end it
/help, /quit     this list; leave (also Ctrl-D)"""


class Repl:
    """One conversation at a terminal or over a pipe."""

    def __init__(
        self, own: Common, client: Client, options: dict[str, Any], *, show_prompt: bool, deadline: float | None
    ) -> None:
        self._own, self._client, self._options = own, client, options
        self._show_prompt, self._deadline = show_prompt, deadline
        self._terminal = sys.stdin.isatty() and not own.as_json
        self._session = ""

    def run(self, *, resume: bool, system: str | None) -> None:
        """Until the end of input or /quit. Raises what ends the connection."""
        opened = self._client.open_session(resume=resume, system=system)
        self._session = opened.session
        if self._terminal:
            import readline  # noqa: F401 - line editing for input()

            click.echo("Say something; /help lists the commands, Ctrl-D leaves.", err=True)
        while (line := self._read()) is not None:
            if not line.strip():
                continue
            if line.strip() in ("/quit", "/bye", "/exit"):
                return
            self._turn(line.strip())

    def _read(self) -> str | None:
        if not self._terminal:
            return decode(sys.stdin.buffer.readline()) or None
        try:
            return input("> ")
        except EOFError:
            click.echo(err=True)
            return None
        except KeyboardInterrupt:
            click.echo(err=True)  # an idle Ctrl-C clears the line
            return ""

    def _turn(self, line: str) -> None:
        try:
            self._obey_or_say(line)
        except KeyboardInterrupt:
            if not self._terminal:
                raise
            click.echo("\nstopped", err=True)
        except SleepdError as error:
            # One failed turn does not end a conversation; a lost daemon does.
            if isinstance(error, Unreachable) or not self._terminal:
                raise
            click.echo(f"sleepc: {error}", err=True)

    def _obey_or_say(self, line: str) -> None:
        command, _, rest = line.partition(" ")
        if command in self._commands:
            click.echo(self._commands[command](rest.strip()), err=self._own.as_json)
        elif command == "/remember" and not rest.strip():
            click.echo("say what: /remember TEXT", err=True)
        elif command.startswith("/") and command != "/remember":
            click.echo(f"there is no command {command}; /help lists them", err=True)
        else:
            self._say(line)

    def _say(self, line: str) -> None:
        pending = self._client.start(requests.say(self._session, line, deadline=self._deadline, **self._options))
        with TextStream(silent=self._own.as_json) as stream:
            try:
                for part in pending:
                    stream(part)
            except KeyboardInterrupt:
                pending.cancel()
                if not self._terminal:
                    raise
            reply = pending.result()  # after a cancel, what was said until then
        self._show(line, reply)

    def _show(self, line: str, reply: SayReply) -> None:
        if self._own.as_json:
            import msgspec

            click.echo(to_json({"user": line} | msgspec.to_builtins(reply)))
        elif self._show_prompt and reply.prompt:
            click.echo(render.prompt(reply.prompt), err=True)

    @property
    def _commands(self) -> dict[str, Callable[[str], str]]:
        client = self._client
        return {
            "/help": lambda _: HELP,
            "/facts": lambda words: render.facts(client.facts(words or None)),
            "/why": lambda fact_id: render.why(client.why(fact_id)),
            "/status": lambda _: render.status(client.status()),
            "/sleep": lambda _: f"cycle {client.sleep().cycle} begins; you can go on talking",
            "/wake": lambda _: "awake" if client.wake().aborted else "it was not asleep",
        }
