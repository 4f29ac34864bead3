"""The client: a Python library and a click command line over the daemon's socket.

    from sleepc import Client

    with Client() as client:
        client.remember("Idris Larsson works as a carpenter.")
        print(client.ask("What does Idris Larsson do for work?").reply)

channel     one ZeroMQ socket that knows whether the other side lives
connection  requests and their streamed replies over one channel
events      the event stream without gaps
client      `Client`: one typed method a request
cli         the click group and its commands; `options` what they share, `display` how they write
boundary    errors to exit codes, the one place
render      all text for people
repl        `sleepc chat`

Imports `sleepd.protocol` only of the daemon, never torch or sleepengine; the command line imports even the library
only when a command needs it, so that `sleepc --help` answers at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import Client as Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    if name == "Client":
        from .client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
