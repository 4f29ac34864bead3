"""For each program of docs/editors.md, the request that it makes, sent through the door.

The bodies follow the programs' own sources or documentation: which fields they send and of which types.
"""

from __future__ import annotations

import json
import tomllib
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.doors.conftest import Door

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "editors.md").read_text(encoding="utf-8")

SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
USER = {"role": "user", "content": "count to 3"}
TOOL = {"type": "function", "function": {"name": "read", "description": "", "parameters": {"type": "object"}}}

PROGRAMS: dict[str, dict[str, Any]] = {
    "Continue": {
        "messages": [SYSTEM, {"role": "user", "content": [{"type": "text", "text": "count to 3"}]}],
        "max_tokens": 4096,
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [TOOL],
        "parallel_tool_calls": False,
    },
    "CodeCompanion": {
        "messages": [SYSTEM, USER],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [TOOL],
    },
    "gptel": {
        "messages": [SYSTEM, USER],
        "stream": True,
        "temperature": 1.0,
        "tools": [TOOL],
        "parallel_tool_calls": True,
    },
    "Zed": {
        "messages": [SYSTEM, {"role": "user", "content": [{"type": "text", "text": "count to 3"}]}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 2048,
        "temperature": 1.0,
        "stop": [],
        "tools": [],
    },
    "aider": {
        "messages": [SYSTEM, USER, {"role": "assistant", "content": "1 2 3"}, USER],
        "stream": True,
        "temperature": 0,
        "stream_options": {"include_usage": True},
    },
}


def streamed(door: Door, body: dict[str, Any]) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {door.token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{door.url}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        events = answer.read().decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_each_program_sends_is_answered(door: Door, program: str) -> None:
    body = {"model": door.models[0], **PROGRAMS[program]}
    chunks = streamed(door, body)
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == "1 2 3"
    assert choices[-1]["finish_reason"] == "stop"
    assert all(choice["index"] == 0 for choice in choices)
    assert ("usage" in chunks[-1]) == ("stream_options" in body)


def test_each_program_has_its_section_and_its_configuration_is_well_formed() -> None:
    for program in (*PROGRAMS, "llm"):
        assert f"### {program}" in PAGE
    blocks = [block.partition("\n") for block in PAGE.split("```")[1::2]]
    for language, _, text in blocks:
        if language == "yaml":
            assert yaml.safe_load(text)
        elif language == "json":
            assert json.loads(text)
        elif language == "lua":
            assert text.count("{") == text.count("}")
        elif language == "elisp":
            assert text.count("(") == text.count(")")


def test_the_page_names_the_door_as_it_is(door: Door) -> None:
    assert PAGE.count("127.0.0.1:11535") >= 6
    for path in ("/v1/models", "/api/version", "/api/tags", "/api/ps", "/api/show", "/api/chat"):
        assert path in PAGE
    extras = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())
    for extra in ("serve", "mcp"):
        assert extra in extras["project"]["optional-dependencies"]
        assert f"sleepd[{extra}]" in PAGE
