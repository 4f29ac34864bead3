"""The click group and its commands, thin over `Client`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import Common, common, generation, read_stdin, text_or_stdin

if TYPE_CHECKING:
    from sleepd.protocol.messages import Chunk, Progress, ViewName


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@common
def cli(own: Common) -> None:
    """Talk with a model that remembers, and look after what it remembers."""


# --- text ---------------------------------------------------------------------------------------------------------


@cli.command()
@click.argument("text")
@click.option("--max-tokens", "-n", default=256, show_default=True)
@click.option("--system", help="A system message in place of the model's own.")
@generation
@common
def ask(own: Common, text: str, **options: Any) -> None:
    """Ask one question in a fresh conversation. TEXT "-" reads stdin."""
    from sleepd.protocol.wire import check_text

    from .display import show

    text = text_or_stdin(text)
    check_text(text)
    show_prompt, no_wait = options.pop("show_prompt"), options.pop("no_wait")
    with own.client() as client:
        reply = client.ask(text, wait=not no_wait, on=None if own.as_json else _echo_chunk, **options)
    _after_text(own, reply.prompt, show_prompt)
    if own.as_json:
        show(own, reply, "")
    else:
        click.echo()


@cli.command()
@click.argument("text")
@click.option("--max-tokens", "-n", default=256, show_default=True)
@generation
@common
def complete(own: Common, text: str, **options: Any) -> None:
    """Continue TEXT as it stands, without the chat template. "-" reads stdin."""
    from sleepd.protocol.wire import check_text

    from .display import show

    text = text_or_stdin(text)
    check_text(text)
    show_prompt, no_wait = options.pop("show_prompt"), options.pop("no_wait")
    with own.client() as client:
        reply = client.complete(text, wait=not no_wait, on=None if own.as_json else _echo_chunk, **options)
    _after_text(own, reply.prompt, show_prompt)
    if own.as_json:
        show(own, reply, "")
    else:
        click.echo()


@cli.command()
@click.option("-c", "--continue", "resume", is_flag=True, help="Continue the latest conversation.")
@click.option("--max-tokens", "-n", default=256, show_default=True)
@click.option("--system", help="A system message in place of the model's own.")
@generation
@common
def chat(own: Common, resume: bool, system: str | None, **options: Any) -> None:
    """Talk. "remember that ..." and /remember learn; /help lists the commands.

    When stdin is not a terminal, each line is one user turn.
    """
    from .repl import Repl

    options.pop("deadline")
    show_prompt, no_wait = options.pop("show_prompt"), options.pop("no_wait")
    with own.client() as client:
        Repl(own, client, options | {"wait": not no_wait}, show_prompt).run(resume=resume, system=system)


# --- memory -------------------------------------------------------------------------------------------------------


@cli.command()
@click.argument("texts", nargs=-1, required=True)
@common
def remember(own: Common, texts: tuple[str, ...]) -> None:
    """Learn statements now; returns when they are committed. "-" reads stdin, one statement a line."""
    from sleepd.protocol.errors import Refused

    from . import render
    from .client import check_statements
    from .display import ProgressLine, show

    statements = [line for text in texts for line in (read_stdin().splitlines() if text == "-" else [text])]
    if texts == ("-",):
        statements = [line for line in statements if line.strip()]
    check_statements(statements)
    with own.client() as client, ProgressLine() as progress:
        reply = client.remember(*statements, on=progress)
    if reply.refused and not reply.facts:
        if own.as_json:
            show(own, reply, "")
        else:
            click.echo(render.learned(reply), err=True)
        raise click.exceptions.Exit(Refused.exit_code)
    show(own, reply, render.learned(reply))


@cli.command()
@click.argument("query", required=False)
@click.option("--all", "all_facts", is_flag=True, help="Forgotten facts too.")
@click.option("--refused", is_flag=True, help="Statements that were not accepted too, with the reasons.")
@common
def facts(own: Common, query: str | None, all_facts: bool, refused: bool) -> None:
    """List what is remembered; QUERY keeps the facts that have all its words."""
    from . import render
    from .display import show

    with own.client() as client:
        reply = client.facts(query, all=all_facts, refused=refused)
    show(own, reply, render.facts(reply))


@cli.command()
@click.argument("fact_id", metavar="ID")
@common
def why(own: Common, fact_id: str) -> None:
    """Show where a fact came from and what happened to it."""
    from . import render
    from .display import show

    with own.client() as client:
        reply = client.why(fact_id)
    show(own, reply, render.why(reply))


# --- sleep --------------------------------------------------------------------------------------------------------


@cli.command()
@click.option("--wait", is_flag=True, help="Return when the cycle has ended, with its report.")
@common
def sleep(own: Common, wait: bool) -> None:
    """Begin a sleep cycle: train what the edits hold into the adapter."""
    from . import render
    from .display import ProgressLine, show

    with own.client() as client, ProgressLine() as progress:
        reply = client.sleep(wait=wait, on=progress)
    show(own, reply, render.report(reply))


@cli.command()
@common
def wake(own: Common) -> None:
    """End the running cycle at its next safe point; memory stays as it was."""
    from .display import show

    with own.client() as client:
        reply = client.wake()
    text = (
        "it was not asleep"
        if reply.cycle is None
        else f"cycle {reply.cycle} " + ("ended" if reply.aborted else "was done")
    )
    show(own, reply, text)


@cli.command()
@click.argument("cycle", type=int, required=False)
@common
def report(own: Common, cycle: int | None) -> None:
    """Show what a cycle did; without a number, the latest."""
    from . import render
    from .display import show

    with own.client() as client:
        reply = client.report(cycle)
    show(own, reply, render.report(reply))


# --- the daemon ---------------------------------------------------------------------------------------------------


@cli.command()
@click.option("--text", "file", type=click.Path(path_type=Path), help="Measure this file's text.")
@click.option("--view", type=click.Choice(["current", "no-edits", "base"]), default="current", show_default=True)
@common
def health(own: Common, file: Path | None, view: ViewName) -> None:
    """Measure perplexity, drift from the base model, and canary answers."""
    from . import render
    from .display import ProgressLine, show

    text = None if file is None else _read(file)
    with own.client() as client, ProgressLine() as progress:
        reply = client.health(text=text, view=view, on=progress)
    show(own, reply, render.health(reply))


@cli.command()
@common
def status(own: Common) -> None:
    """Show the state, the need for sleep, and counts."""
    from . import render
    from .display import show

    with own.client() as client:
        reply = client.status()
    show(own, reply, render.status(reply))


@cli.command()
@click.option("-f", "--follow", is_flag=True, help="Go on as events come (with --json: one document a line).")
@click.option("--since", type=int, help="Begin after this event number, where it is still kept.")
@common
def events(own: Common, follow: bool, since: int | None) -> None:
    """Show what happened: learning, phases of sleep, the host's life."""
    from sleepd.protocol.messages import Event

    from . import render
    from .display import show, to_json

    with own.client() as client:
        if not follow:
            reply = client.snapshot(since if since is not None else 0)
            show(own, reply, "\n".join(render.event(e) for e in reply.events) or "no events are kept")
            return
        for item in client.events(since):
            if isinstance(item, Event):
                click.echo(to_json(item) if own.as_json else render.event(item))


def _echo_chunk(part: Chunk | Progress) -> None:
    from sleepd.protocol.messages import Chunk

    if isinstance(part, Chunk):
        click.echo(part.text, nl=False)


def _after_text(own: Common, prompt: str, show_prompt: bool) -> None:
    if show_prompt and not own.as_json:
        click.echo(f"\n--- prompt ---\n{prompt}\n--- end ---", err=True)


def _read(file: Path) -> str:
    from sleepd.protocol.errors import NotFound, SleepdError

    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"there is no file {file}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SleepdError(f"cannot read {file}: {error}") from None
