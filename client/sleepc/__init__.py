"""The client: a Python library and a click command line over the daemon's socket.

    from sleepc import Client

    with Client() as client:
        client.remember("Idris Larsson works as a carpenter.")
        print(client.ask("What does Idris Larsson do for work?").reply)

`AsyncClient` has the same methods, awaited.

requests    each request as a value, with the parameters that both clients' methods have
exchange    requests under way, whose answer a message is, silence: no socket
channel     one ZeroMQ socket that knows whether the other side lives; `async_channel` the same, awaited
line        what a connection is, apart from the waiting
connection  requests over one channel; `async_connection` the same, awaited
events      the event stream without gaps; `async_events` the same, awaited
client      `Client`; `async_client` `AsyncClient`
cli         the click group and its commands, `cli_memory` those on facts; `options` what they share, `display` how
            they write, `portable` facts as JSON Lines
documents   every JSON document that a command writes
render      all text for people; `printable` keeps it from controlling a terminal
live        the daemon as it is now, kept up to date by its events
watch       `sleepc watch`; `completion` what shells complete
chat/       `sleepc chat`
companion/  `sleepc companion`, the desktop program (extra `desktop`)
doors/      `sleepc serve-openai`, `mcp` and `bridge`: ways in for other programs

Imports `sleepd.protocol` only of the daemon, never torch or sleepengine; the command line imports even the library
only when a command needs it, so that `sleepc --help` answers at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .async_client import AsyncClient as AsyncClient
    from .client import Client as Client

__all__ = ["AsyncClient", "Client"]


def __getattr__(name: str) -> Any:
    if name == "Client":
        from .client import Client

        return Client
    if name == "AsyncClient":
        from .async_client import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
