"""`sleepc serve-openai`: bind, say where, serve until stopped."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import uvicorn

from sleepd.protocol.errors import SleepdError, UsageError

from ..async_client import AsyncClient
from ..documents import Listening
from .chat import model_names
from .guard import Rules
from .http_app import http_app
from .token import token

_CONNECTIONS = 64
"""Open at once; further ones are turned away with 503."""


def serve(
    home: Path | None, host: str, port: int, origins: Iterable[str], announce: Callable[[Listening], None]
) -> None:
    """Serve until interrupted. Raises Unreachable, UsageError for an address that is not loopback, StorageError."""
    if not is_loopback(host):
        raise UsageError(f"{host} is not a loopback address; the door opens on this machine only")
    asyncio.run(_serve(home, host, port, origins, announce))


async def _serve(
    home: Path | None, host: str, port: int, origins: Iterable[str], announce: Callable[[Listening], None]
) -> None:
    client = AsyncClient(home)
    try:
        models = await model_names(client)
        secret, token_file = token(client.home)
        listener = _listen(host, port)
    except BaseException:
        await client.close()
        raise
    bound: int = listener.getsockname()[1]
    rules = Rules(secret, _hosts(host, bound), frozenset(origin.lower() for origin in origins))
    # No access log: paths may name what somebody asked about. Uvicorn stops at SIGINT and SIGTERM by itself.
    config = uvicorn.Config(
        http_app(client, rules),
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=3,
    )
    announce(Listening(url=f"http://{_in_url(host)}:{bound}", token_file=str(token_file), models=models))
    await uvicorn.Server(config).serve(sockets=[listener])


def is_loopback(host: str) -> bool:
    """Whether an address, or the name `localhost`, is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise SleepdError(f"cannot listen on {host} port {port}: {error.strerror or error}; see --port") from None


def _hosts(host: str, port: int) -> frozenset[str]:
    names = {host, "localhost", "127.0.0.1"} if ":" not in host else {host, "localhost"}
    return frozenset(f"{_in_url(name)}:{port}" for name in names)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
