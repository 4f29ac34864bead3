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


def add_to(group: click.Group) -> None:
    """Add every command of this module to a group."""
    for command in (serve_openai, mcp, bridge):
        group.add_command(command)


def _extra(module: str, extra: str) -> ModuleType:
    """A door's module. Raises SleepdError, which names the extra to install, where its libraries are absent."""
    from sleepd.protocol.errors import SleepdError

    try:
        return importlib.import_module(f".doors.{module}", __package__)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("sleepc", "sleepd"):
            raise
        raise SleepdError(f"{error.name} is not installed; pip install 'sleepd[{extra}]'") from None
