"""The official MCP client against `sleepc mcp`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.lifecycle.conftest import Place, fake_place

STATEMENT = "Idris Larsson works as a carpenter."
QUESTION = "What does Idris Larsson work as?"


def over_stdio(place: Place) -> Client:
    parameters = StdioServerParameters(command=sys.executable, args=["-m", "sleepc", "mcp"], env=place.environment)
    return Client(stdio_client(parameters))


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content


def test_every_tool_is_listed_and_works(place: Place) -> None:
    async def work() -> None:
        async with over_stdio(place) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == {"remember", "recall", "facts", "forget", "sleep", "status"}
            reads = {name for name, tool in tools.items() if tool.annotations and tool.annotations.read_only_hint}
            destroys = {name for name, tool in tools.items() if tool.annotations and tool.annotations.destructive_hint}
            assert (reads, destroys) == ({"recall", "facts", "status"}, {"forget"})
            assert all(tool.description for tool in tools.values())

            assert (await call(client, "recall", question=QUESTION))["reply"] == "I do not know."
            learned = await call(client, "remember", statements=[STATEMENT, "Is this a question?"])
            assert learned["refused"][0]["reason"]
            fact_id = learned["facts"][0]["id"]
            assert (await call(client, "recall", question=QUESTION))["reply"] == STATEMENT
            assert [fact["id"] for fact in (await call(client, "facts", query="idris"))["facts"]] == [fact_id]
            assert (await call(client, "status"))["facts"]["active"] == 1
            forgotten = await call(client, "forget", ids=[fact_id])
            assert [fact["id"] for fact in forgotten["facts"]] == [fact_id]
            assert (await call(client, "recall", question=QUESTION))["reply"] != STATEMENT
            assert (await call(client, "sleep"))["cycle"] == 1

    asyncio.run(asyncio.wait_for(work(), 30))


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("forget", {"ids": ["f-none"]}, "f-none"),
        ("recall", {"question": " "}, "empty"),
        ("remember", {"statements": []}, "at least 1"),
    ],
)
def test_errors_are_words_for_the_agent(place: Place, tool: str, arguments: dict[str, Any], words: str) -> None:
    async def work() -> None:
        async with over_stdio(place) as client:
            result = await client.call_tool(tool, arguments)
            assert result.is_error
            assert words in str(result.content)

    asyncio.run(asyncio.wait_for(work(), 30))


def test_it_starts_without_a_daemon_and_finds_one_later(tmp_path: Any) -> None:
    async def work(home: Place) -> None:
        async with over_stdio(home) as client:
            result = await client.call_tool("status", {})
            assert result.is_error
            assert "sleepd start" in str(result.content)
            home.start()
            assert (await call(client, "status"))["facts"]["active"] == 0

    home = fake_place(tmp_path / "home")
    try:
        asyncio.run(asyncio.wait_for(work(home), 30))
    finally:
        home.sleepd("stop")
