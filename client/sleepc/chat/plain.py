"""A conversation of a turn a line: over a pipe, or at a terminal that can do nothing but lines.

At a terminal, Ctrl-C stops the reply and stays, Ctrl-D leaves. Over a pipe a turn ends only when what it said has
been learned or refused, so the end of input waits for everything, and an error ends the conversation with its code.
"""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from sleepd.protocol.errors import SleepdError, UsageError
from sleepd.protocol.messages import HeardReply, SayReply

from .. import render, requests
from ..client import Client
from ..display import TextStream, say, to_json
from ..documents import ChatDocument
from ..options import Common, decode
from . import commands, notices


class PlainChat:
    """One conversation over a pipe or at a dumb terminal."""

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
            click.echo("Say something; /help lists the commands, Ctrl-D leaves.", err=True)
        while (typed := self._read()) is not None:
            if not typed.strip():
                continue
            try:
                line = commands.read(typed)
            except UsageError as error:
                say(str(error), err=True)
                continue
            if line.command in commands.LEAVE:
                return
            self._turn(line)

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

    def _turn(self, line: commands.Line) -> None:
        try:
            if line.command is None:
                self._say(line.text)
            elif line.command == "help":
                click.echo(commands.help_text(), err=self._own.as_json)
            else:
                command = commands.COMMANDS[line.command]
                say(command.text(self._client.call(command.build(line.rest))), err=self._own.as_json)
        except KeyboardInterrupt:
            if not self._terminal:
                raise
            click.echo("\nstopped", err=True)
        except SleepdError as error:
            # One failed turn does not end a conversation with a person; also a daemon that is gone may come back.
            if not self._terminal and not (line.command is not None and isinstance(error, UsageError)):
                raise
            say(f"sleepc: {error}", err=True)

    def _say(self, text: str) -> None:
        pending = self._client.start(requests.say(self._session, text, deadline=self._deadline, **self._options))
        with TextStream(silent=self._own.as_json) as stream:
            try:
                for part in pending:
                    stream(part)
            except KeyboardInterrupt:
                pending.cancel()
                if not self._terminal:
                    raise
            reply = pending.result()  # after a cancel, what was said until then
        heard = self._client.heard(self._session, wait=not self._terminal)
        self._show(text, reply, heard)

    def _show(self, text: str, reply: SayReply, heard: HeardReply) -> None:
        if self._own.as_json:
            whole = msgspec.structs.replace(
                reply, facts=(*reply.facts, *heard.facts), refused=(*reply.refused, *heard.refused)
            )
            click.echo(to_json(ChatDocument(user=text, asked=heard.asked, **msgspec.structs.asdict(whole))))
            return
        for fact in heard.facts:
            say(notices.learned(fact), err=True)
        for statement in heard.asked:
            say(notices.asked(statement), err=True)
        if self._show_prompt and reply.prompt:
            say(render.prompt(reply.prompt), err=True)
