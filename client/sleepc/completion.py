"""Completion in shells: the script that a shell loads, and the ids of facts as a daemon knows them now."""

from __future__ import annotations

from dataclasses import replace

import click
from click.shell_completion import CompletionItem, get_completion_class

SHELLS = ("bash", "zsh", "fish")
_DEADLINE = 0.5  # seconds: a shell waits for this


def script(command: click.Command, name: str, shell: str) -> str:
    """What a shell is to evaluate."""
    made = get_completion_class(shell)
    assert made is not None, shell  # click knows all of SHELLS
    return made(command, {}, name, f"_{name.upper()}_COMPLETE").source()


def fact_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids that begin so, with their statements; none where no daemon answers at once."""
    from sleepd.protocol.errors import SleepdError

    from .client import Client
    from .printable import printable
    from .requests import facts

    home = next((c.params["home"] for c in (context, context.parent) if c is not None and c.params.get("home")), None)
    try:
        with Client(home) as client:
            request = replace(facts(), deadline=_DEADLINE)
            found = [fact for fact in client.call(request).facts if fact.id.startswith(incomplete)]
    except SleepdError:
        return []
    return [CompletionItem(fact.id, help=printable(fact.statement)) for fact in found]
