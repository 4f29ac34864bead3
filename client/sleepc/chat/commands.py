"""What follows a slash: each command is a request and the text of its reply. No socket, no terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sleepd.protocol.errors import UsageError
from sleepd.protocol.messages import SleepReply, WakeReply

from .. import render, requests
from ..requests import Request


@dataclass(frozen=True)
class Command:
    """`arguments` as a person reads them. `takes_fact`: the first argument is a fact's id."""

    name: str
    arguments: str
    help: str
    request: Callable[[str], Request[Any]]
    text: Callable[[Any], str]
    takes_fact: bool = False

    def build(self, rest: str) -> Request[Any]:
        """The request for what stood after the name. Raises UsageError where an argument is missing."""
        if self.arguments and not self.arguments.startswith("[") and not rest:
            raise UsageError(f"say what: /{self.name} {self.arguments}")
        return self.request(rest)


def _began(reply: SleepReply) -> str:
    return f"cycle {reply.cycle} begins; you can go on talking"


def _woke(reply: WakeReply) -> str:
    return "awake" if reply.aborted else "it was not asleep"


def _cycle(rest: str) -> Request[SleepReply]:
    if rest and not rest.isdigit():
        raise UsageError("say which by its number: /report 3")
    return requests.report(int(rest) if rest else None)


COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("facts", "[WORDS]", "list what is remembered", lambda q: requests.facts(q or None), render.facts),
        Command("why", "ID", "show where a fact came from", requests.why, render.why, takes_fact=True),
        Command("status", "", "show the state and the need for sleep", lambda _: requests.status(), render.status),
        Command("sleep", "", "begin a sleep cycle", lambda _: requests.sleep(), _began),
        Command("nap", "", "begin a nap", lambda _: requests.nap(), _began),
        Command("wake", "", "end it", lambda _: requests.wake(), _woke),
        Command("report", "[N]", "show what a cycle did", _cycle, render.report),
    )
}

SAID = {
    "remember": ("TEXT", "learn a statement"),
    "forget": ("ID...|WORDS", "forget facts for good"),
    "correct": ("ID TEXT", "put another value in the place of a fact's"),
    "undo": ("[ID]", "take back what was learned last"),
    "private": ("TEXT", "say something that is not learned from"),
}
"""No requests of their own: the turn is said as it stands, so that the conversation knows of it. Arguments and help."""

TAKE_FACTS = frozenset({"forget", "correct", "undo", *(c.name for c in COMMANDS.values() if c.takes_fact)})
"""Commands whose first argument may be a fact's id."""

LEAVE = frozenset({"quit", "exit", "bye"})

EXTRA = {
    "help": ("", "show this list"),
    "quit": ("", "leave (also Ctrl-D)"),
}
"""Commands that are no requests: arguments and help by name."""


@dataclass(frozen=True)
class Line:
    """What was typed: a turn (`command` None), or a command and what follows it."""

    text: str
    command: str | None = None
    rest: str = ""


def read(text: str) -> Line:
    """Tell turns from commands. Raises UsageError for an unknown command, or one that lacks its argument."""
    text = text.strip()
    if not text.startswith("/"):
        return Line(text)
    name, _, rest = text[1:].partition(" ")
    if name not in (*COMMANDS, *SAID, *EXTRA, *LEAVE):
        raise UsageError(f"there is no command /{name}; /help lists them")
    if name in SAID:
        arguments = SAID[name][0]
        if not rest.strip() and not arguments.startswith("["):
            raise UsageError(f"say what: /{name} {arguments}")
        return Line(text)
    return Line(text, name, rest.strip())


def help_text(extra: dict[str, tuple[str, str]] | None = None) -> str:
    """The list that /help shows."""
    rows = SAID | {c.name: (c.arguments, c.help) for c in COMMANDS.values()}
    rows |= (extra or {}) | EXTRA
    forms = {f"/{name} {arguments}".rstrip(): what for name, (arguments, what) in rows.items()}
    width = max(map(len, forms))
    return "\n".join(f"{form:<{width}}  {what}" for form, what in forms.items())
