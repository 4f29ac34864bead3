"""`sleepc mcp`: what is remembered, as tools for any agent that speaks the Model Context Protocol, over stdio.

Nothing is learned unless the tool `remember` is called. Tools that change memory say so in their annotations, so that
a host can ask its user first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import msgspec
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from sleepd import __version__
from sleepd.protocol.errors import SleepdError
from sleepd.protocol.messages import Body

from ..async_client import AsyncClient

P = ParamSpec("P")
Answer = dict[str, Any]

INSTRUCTIONS = """\
A local language model that keeps facts about its user in its own weights. Use recall to ask it a question in words;
it answers from memory and may be wrong or not know. Use facts to read the list of what was taught. Call remember only
for what the user states about themselves or their world, one plain sentence a fact."""

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_DESTROYS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
_WORKS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)


def mcp_server(client: AsyncClient) -> MCPServer[Any]:
    """The server over a client, which it closes when it ends."""

    @asynccontextmanager
    async def lifespan(server: MCPServer[Any]) -> AsyncIterator[None]:
        async with client:
            yield

    server: MCPServer[Any] = MCPServer(
        "sleepd", instructions=INSTRUCTIONS, version=__version__, lifespan=lifespan, log_level="WARNING"
    )

    @server.tool(annotations=_ADDS)
    @_told
    async def remember(
        statements: Annotated[list[str], Field(description="Plain sentences, one fact each", min_length=1)],
    ) -> Body:
        """Teach facts that the user states. Answers when they are in the model; each may be refused with a reason."""
        return await client.remember(*statements)

    @server.tool(annotations=_READS)
    @_told
    async def recall(
        question: Annotated[str, Field(description="A question in words, as a person would ask it")],
    ) -> Body:
        """Ask the model a question. It answers from its weights alone: nothing is looked up."""
        return await client.ask(question, max_tokens=128)

    @server.tool(annotations=_READS)
    @_told
    async def facts(
        query: Annotated[str | None, Field(description="Words that the statement must have; all facts without")] = None,
    ) -> Body:
        """List what was taught, with ids."""
        return await client.facts(query)

    @server.tool(annotations=_DESTROYS)
    @_told
    async def forget(
        ids: Annotated[list[str], Field(description="Ids of facts, as `facts` lists them", min_length=1)],
    ) -> Body:
        """Forget facts for good. Answers what the model says now when it is asked for them."""
        return await client.forget(*ids)

    @server.tool(annotations=_WORKS)
    @_told
    async def sleep() -> Body:
        """Begin a sleep cycle, which consolidates what was learned. Returns at once; see `status`."""
        return await client.sleep()

    @server.tool(annotations=_READS)
    @_told
    async def status() -> Body:
        """The state of the daemon, how much it knows, and its need for sleep."""
        return await client.status()

    return server


def _told(tool: Callable[P, Awaitable[Body]]) -> Callable[P, Awaitable[Answer]]:
    """A tool's reply as plain data, and its errors as words for the agent."""

    @wraps(tool)
    async def call(*args: P.args, **kwargs: P.kwargs) -> Answer:
        try:
            answer: Answer = msgspec.to_builtins(await tool(*args, **kwargs))
        except SleepdError as error:
            raise ToolError(str(error)) from None
        return answer

    call.__annotations__["return"] = Answer
    return call


def serve_stdio(home: Path | None) -> None:
    """Run over this process's stdin and stdout. A daemon may come and go meanwhile; each call looks for it."""
    asyncio.run(mcp_server(AsyncClient(home)).run_stdio_async())
