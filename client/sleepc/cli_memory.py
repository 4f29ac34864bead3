"""The commands on facts: learn, list, explain, correct, forget, take back, export, import."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import Common, common, decode, text_or_stdin

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from sleepd.protocol.messages import RememberReply


def complete_fact_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids that a shell may offer; imported only where a shell asks."""
    from .completion import fact_ids

    return fact_ids(context, parameter, incomplete)


@click.command()
@click.argument("texts", nargs=-1, required=True)
@common
def remember(own: Common, texts: tuple[str, ...]) -> None:
    """Learn statements now; returns when they are committed. "-" reads stdin, one statement a line."""
    from .display import ProgressLine
    from .requests import check_statements

    statements: list[str] = []
    for text in texts:
        statements += [line for line in text_or_stdin("-").splitlines() if line.strip()] if text == "-" else [text]
    check_statements(statements)
    with own.client() as client, ProgressLine() as progress:
        reply = client.remember(*statements, on=progress)
    _show_learned(own, reply)
    if not own.as_json:
        click.echo(f"where it came from: sleepc why {reply.facts[-1].id}", err=True)


@click.command()
@click.argument("query", required=False)
@click.option("--all", "all_facts", is_flag=True, help="Forgotten facts too: that there was one, not what.")
@click.option("--refused", is_flag=True, help="Statements that were not accepted too, with the reasons.")
@click.option("--export", "target", type=click.Path(path_type=Path), help='Write JSON Lines to a file; "-" is stdout.')
@click.option("--import", "source", type=click.Path(path_type=Path), help='Learn from an export; "-" is stdin.')
@common
def facts(
    own: Common, query: str | None, all_facts: bool, refused: bool, target: Path | None, source: Path | None
) -> None:
    """List what is remembered; QUERY keeps the facts that have all its words."""
    from . import render
    from .display import show

    if target is not None and source is not None:
        raise click.UsageError("--export and --import are not for one command")
    if (target is not None or source is not None) and (query or all_facts or refused):
        raise click.UsageError("an export or import is of all facts; leave QUERY, --all and --refused out")
    if target is not None:
        _export(own, target)
    elif source is not None:
        _import(own, source)
    else:
        with own.client() as client:
            reply = client.facts(query, all=all_facts, refused=refused)
        show(own, reply, render.facts(reply))


@click.command()
@click.argument("fact_id", metavar="ID", shell_complete=complete_fact_ids)
@common
def why(own: Common, fact_id: str) -> None:
    """Show where a fact came from, what happened to it, and which values it had over time."""
    from . import render
    from .display import show

    with own.client() as client:
        reply = client.why(fact_id)
    show(own, reply, render.why(reply))


@click.command()
@click.argument("fact_id", metavar="ID", shell_complete=complete_fact_ids)
@click.argument("text")
@common
def correct(own: Common, fact_id: str, text: str) -> None:
    """Put TEXT in the place of a fact: a whole statement, or the new value alone."""
    from sleepd.protocol.errors import Refused

    from . import render
    from .display import ProgressLine, show

    with own.client() as client, ProgressLine() as progress:
        reply = client.correct(fact_id, text_or_stdin(text), on=progress)
    if own.as_json or reply.facts:
        show(own, reply, render.corrected(reply))
    else:
        click.echo(render.corrected(reply), err=True)
    if not reply.facts:
        raise click.exceptions.Exit(Refused.exit_code)


@click.command()
@click.argument("fact_ids", metavar="[ID]...", nargs=-1, shell_complete=complete_fact_ids)
@click.option("--query", help="Facts that have all these words.")
@click.option("--session", help="Facts learned in this conversation.")
@click.option("--since", help="Facts learned at this time (ISO 8601) or later.")
@click.option("--all", "all_facts", is_flag=True, help="Every fact.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask first.")
@common
def forget(
    own: Common,
    fact_ids: tuple[str, ...],
    query: str | None,
    session: str | None,
    since: str | None,
    all_facts: bool,
    yes: bool,
) -> None:
    """Forget facts for good, and say what the model answers when it is asked for them.

    --query, --session and --since narrow one another. On a terminal, what they find is shown and asked about first.
    """
    from . import render
    from .display import ProgressLine, show

    wide = bool(query or session or since or all_facts)
    if not fact_ids and not wide:
        raise click.UsageError("say what to forget: ids, --query, --session, --since or --all")
    with own.client() as client, ProgressLine() as progress:
        if wide and not yes and not own.as_json and sys.stdin.isatty():
            found = client.forget(
                *fact_ids, query=query, session=session, since=since, all=all_facts, preview=True
            ).facts
            click.echo("\n".join(render.fact_line(fact) for fact in found), err=True)
            if not found or not click.confirm(f"Forget these {len(found)}?", err=True):
                return
        reply = client.forget(*fact_ids, query=query, session=session, since=since, all=all_facts, on=progress)
    show(own, reply, render.forgotten(reply))


@click.command()
@click.argument("fact_id", metavar="[ID]", required=False, shell_complete=complete_fact_ids)
@common
def undo(own: Common, fact_id: str | None) -> None:
    """Undo the last cycle: generation, stages and scales as it found them; facts learned since stay.

    With ID, take back the learning of that fact: it is forgotten, and the value that it replaced holds again.
    """
    from . import render
    from .display import ProgressLine, show

    with own.client() as client, ProgressLine() as progress:
        if fact_id is None:
            undone = client.undo(on=progress)
            show(own, undone, render.undone(undone))
            return
        reply = client.take_back(fact_id, on=progress)
    show(own, reply, render.taken_back(reply))


def add_to(group: click.Group) -> None:
    """Add every command of this module to a group."""
    for command in (remember, facts, why, correct, forget, undo):
        group.add_command(command)


def _show_learned(own: Common, reply: RememberReply) -> None:
    """What was learned; exit code 7 where all was refused."""
    from sleepd.protocol.errors import Refused

    from . import render
    from .display import show

    if own.as_json or reply.facts:
        show(own, reply, render.learned(reply))
    else:
        click.echo(render.learned(reply), err=True)
    if not reply.facts:
        raise click.exceptions.Exit(Refused.exit_code)


def _export(own: Common, target: Path) -> None:
    from sleepd.protocol.errors import StorageError

    from .portable import exported

    with own.client() as client:
        lines = list(exported(client))
    if str(target) == "-":
        sys.stdout.buffer.write(b"".join(lines))
        return
    try:
        target.write_bytes(b"".join(lines))
        target.chmod(0o600)
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror or error}") from None
    click.echo(f"{len(lines)} facts written to {target}", err=True)


def _import(own: Common, source: Path) -> None:
    from .display import ProgressLine
    from .portable import decoded, imported

    found = decoded(_whole(source))
    with own.client() as client, ProgressLine() as progress:
        reply = imported(client, found, progress)
    _show_learned(own, reply)


def _whole(source: Path) -> str:
    """All of a file or of stdin, however long. Raises NotFound, Refused for what is not text, SleepdError."""
    from sleepd.protocol.errors import NotFound, SleepdError

    if str(source) == "-":
        return decode(sys.stdin.buffer.read())
    try:
        return decode(source.read_bytes(), str(source))
    except FileNotFoundError:
        raise NotFound(f"there is no file {source}") from None
    except OSError as error:
        raise SleepdError(f"cannot read {source}: {error.strerror or error}") from None
