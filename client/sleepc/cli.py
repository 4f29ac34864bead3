"""The click group and its commands, thin over `Client`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sleepd import __version__

from . import cli_doors, cli_memory
from .options import Common, common, generation, read_text, text_or_stdin, view

if TYPE_CHECKING:
    from sleepd.protocol.messages import ViewName


_EPILOG = """\b
Exit codes: 0 done; 1 other; 2 usage; 3 daemon unreachable; 4 protocol
mismatch; 5 busy; 6 not found; 7 refused; 8 storage; 9 deadline;
130 interrupted. Errors are one line on stderr.
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.version_option(__version__, prog_name="sleepc")
@common
def cli(own: Common) -> None:
    """Talk with a model that remembers, and look after what it remembers."""


# --- text ---------------------------------------------------------------------------------------------------------


@cli.command()
@click.argument("text")
@click.option("--system", help="A system message in place of the model's own.")
@generation
@common
def ask(own: Common, text: str, **options: Any) -> None:
    """Ask one question in a fresh conversation. TEXT "-" reads stdin."""
    from sleepd.protocol.wire import check_text

    from . import render
    from .display import TextStream, show

    text = text_or_stdin(text)
    check_text(text)
    show_prompt, no_wait = options.pop("show_prompt"), options.pop("no_wait")
    with own.client() as client, TextStream(silent=own.as_json) as stream:
        reply = client.ask(text, wait=not no_wait, on=stream, **options)
    if own.as_json:
        show(own, reply, "")
    elif show_prompt:
        click.echo(render.prompt(reply.prompt), err=True)


@cli.command()
@click.argument("text")
@generation
@common
def complete(own: Common, text: str, **options: Any) -> None:
    """Continue TEXT as it stands, without the chat template. "-" reads stdin."""
    from sleepd.protocol.wire import check_text

    from . import render
    from .display import TextStream, show

    text = text_or_stdin(text)
    check_text(text)
    show_prompt, no_wait = options.pop("show_prompt"), options.pop("no_wait")
    with own.client() as client, TextStream(silent=own.as_json) as stream:
        reply = client.complete(text, wait=not no_wait, on=stream, **options)
    if own.as_json:
        show(own, reply, "")
    elif show_prompt:
        click.echo(render.prompt(reply.prompt), err=True)


@cli.command()
@click.option("-c", "--continue", "resume", is_flag=True, help="Continue the latest conversation.")
@click.option("--system", help="A system message in place of the model's own.")
@click.option("--learn/--no-learn", default=True, help="Whether what you say is learned; commands are obeyed anyway.")
@generation
@common
def chat(own: Common, resume: bool, system: str | None, **options: Any) -> None:
    """Talk. "remember that ..." and /remember learn; /help lists the commands.

    Enter sends; Alt-Enter, Ctrl-J or a backslash at the end of a line begins a new one. Ctrl-R searches what you typed
    before, Ctrl-G opens your editor, Ctrl-C stops a reply, Ctrl-D leaves. When stdin is not a terminal, each line is
    one user turn.
    """
    from .chat import converse

    deadline, show_prompt = options.pop("deadline"), options.pop("show_prompt")
    options["wait"] = not options.pop("no_wait")
    converse(own, options, resume=resume, system=system, show_prompt=show_prompt, deadline=deadline)


cli_memory.add_to(cli)


# --- conversations ------------------------------------------------------------------------------------------------


@cli.group()
@common
def sessions(own: Common) -> None:
    """List the conversations that are kept, and delete them."""


@sessions.command("list")
@common
def list_sessions(own: Common) -> None:
    """List conversations, the latest last; `sleepc chat -c` continues that one."""
    from . import render
    from .display import show

    with own.client() as client:
        reply = client.sessions()
    show(own, reply, render.sessions(reply))


@sessions.command("rm")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@common
def remove_sessions(own: Common, ids: tuple[str, ...]) -> None:
    """Delete the words of conversations. What was learned from them stays; see `sleepc forget --session`."""
    from .display import show

    with own.client() as client:
        reply = client.remove_sessions(*ids)
    show(own, reply, f"deleted {', '.join(reply.removed)}")


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
@click.option("--wait", is_flag=True, help="Return when the nap has ended, with its report.")
@common
def nap(own: Common, wait: bool) -> None:
    """Begin a nap: a few training steps on what no sleep has consolidated. Every edit stays."""
    from . import render
    from .display import ProgressLine, show

    with own.client() as client, ProgressLine() as progress:
        reply = client.nap(wait=wait, on=progress)
    show(own, reply, render.report(reply))


@cli.command()
@common
def unload(own: Common) -> None:
    """Free the model's memory; the next question loads it again."""
    from .display import show

    with own.client() as client:
        reply = client.unload()
    show(own, reply, "the model is unloaded" if reply.unloaded else "no model was loaded")


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
@click.option("--svg", type=click.Path(path_type=Path), help="Draw the hypnogram into this file.")
@click.option("--png", type=click.Path(path_type=Path), help="The same as a picture (needs the extra `bench`).")
@common
def report(own: Common, cycle: int | None, svg: Path | None, png: Path | None) -> None:
    """Show what a cycle did; without a number, the latest."""
    from . import render
    from .display import show

    with own.client() as client:
        reply = client.report(cycle)
    if svg is not None or png is not None:
        from . import hypnogram

        if svg is not None:
            hypnogram.write_svg(reply, svg)
        if png is not None:
            hypnogram.write_png(reply, png)
    show(own, reply, render.report(reply))


@cli.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--merged", is_flag=True, help="A whole checkpoint, in place of an adapter to go beside the base model.")
@click.option("--strict", is_flag=True, help="Fail with 7 rather than leave gated edits out.")
@common
def export(own: Common, folder: Path, merged: bool, strict: bool) -> None:
    """Write what was learned for other programs into DIR, which must be absent or empty.

    It becomes a PEFT adapter: what sleep trained, and MEMIT edits as further rank. Gated edits are not linear; they are
    left out and listed in DIR/NOT_EXPORTED.json. Sleep first: it moves facts from edits into the adapter.
    """
    from . import render
    from .display import ProgressLine, say, show

    with own.client() as client, ProgressLine() as progress:
        reply = client.export(folder, merged=merged, strict=strict, on=progress)
    show(own, reply, render.exported(reply))
    if reply.left_out:
        say(render.left_out(reply), err=True)


# --- the daemon ---------------------------------------------------------------------------------------------------


@cli.command()
@click.option("--text", "file", type=click.Path(path_type=Path), help='Measure this file\'s text; "-" is stdin.')
@view
@common
def health(own: Common, file: Path | None, view: ViewName) -> None:
    """Measure perplexity, drift from the base model, and canary answers."""
    from . import render
    from .display import ProgressLine, show

    text = None if file is None else read_text(file)
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
        for number, item in enumerate(client.events(since)):
            if isinstance(item, Event) or number:  # a later snapshot says that events were lost
                event = item if isinstance(item, Event) else render.as_event(item)
                click.echo(to_json(event) if own.as_json else render.event(event))


@cli.command()
@common
def watch(own: Common) -> None:
    """Watch state, pressure, phase, facts and events on one screen, until Ctrl-C."""
    from .watch import watch as run

    run(own.home, as_json=own.as_json)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common
def completion(own: Common, shell: str) -> None:
    """Print the script that completes commands, options and fact ids in a shell.

    \b
    bash:  eval "$(sleepc completion bash)"        in ~/.bashrc
    zsh:   eval "$(sleepc completion zsh)"         in ~/.zshrc, after compinit
    fish:  sleepc completion fish | source         in ~/.config/fish/config.fish
    """
    from .completion import script

    click.echo(script(cli, "sleepc", shell))


# --- other programs -----------------------------------------------------------------------------------------------

cli_doors.add_to(cli)
