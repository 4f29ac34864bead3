"""The commands that let other programs in."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

import click

from .options import Common, common

if TYPE_CHECKING:
    from .documents import Listening


@click.command("serve-openai")
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address; no other is accepted.")
@click.option("--port", type=click.IntRange(0, 65535), default=11535, show_default=True, help="0 takes any free port.")
@click.option(
    "--allow-origin", "origins", metavar="ORIGIN", multiple=True, help="Let a web page or webview of this origin in."
)
@common
def serve_openai(own: Common, host: str, port: int, origins: tuple[str, ...]) -> None:
    """Serve OpenAI's chat API on this machine, for editors and chat tools.

    Callers must show the token in HOME/openai.token as their API key. Nothing is learned from what they send, unless
    they name the model with ":learn" at its end. Runs until it is interrupted.
    """
    serving = _extra("serve", "serve")

    def announce(listening: Listening) -> None:
        from .display import show

        text = f"{listening.url}/v1  (API key: {listening.token_file}; models: {', '.join(listening.models)})"
        show(own, listening, text)

    serving.serve(own.home, host, port, origins, announce)


@click.command()
@common
def mcp(own: Common) -> None:
    """Offer memory as tools over the Model Context Protocol, on stdin and stdout.

    For agents: remember, recall, facts, forget, sleep, status. Nothing is learned but by `remember`.
    """
    _extra("mcp_server", "mcp").serve_stdio(own.home)


@click.command()
@common
def bridge(own: Common) -> None:
    """Speak the protocol as JSON lines on stdin and stdout, for plugins without ZeroMQ.

    A line in: {"id": 1, "type": "ask", "body": {"text": "..."}}. Lines out have the same id.
    """
    from .doors.bridge import bridge as run

    run(own.home)


@click.command()
@click.option("--hidden", is_flag=True, help="Begin with the tray icon alone, where the desktop has a tray.")
@common
def companion(own: Common, hidden: bool) -> int:
    """Show the daemon on the desktop: a tray icon, and a window to talk and to govern memory.

    Where one runs already for this home, its window comes up. Needs the extra `desktop`.
    """
    code: int = _extra("app", "desktop", "companion").run(own.home, hidden=hidden)
    return code


def add_to(group: click.Group) -> None:
    """Add every command of this module to a group."""
    for command in (serve_openai, mcp, bridge, companion):
        group.add_command(command)


def _extra(module: str, extra: str, package: str = "doors") -> ModuleType:
    """A module that needs an extra. Raises SleepdError where its libraries are absent, which names the extra."""
    from sleepd.protocol.errors import SleepdError

    try:
        return importlib.import_module(f".{package}.{module}", __package__)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("sleepc", "sleepd"):
            raise
        raise SleepdError(f"{error.name} is not installed; pip install 'sleepd[{extra}]'") from None
    except ImportError as error:  # installed, but something of the system's is not
        raise SleepdError(f"a library of the extra {extra} cannot be loaded: {error}") from None
