"""For each program of docs/editors.md, the requests that it makes, sent through the door as it sends them.

They were read in the programs' public sources, in the files named with each: which fields are sent, of which types, and
with which headers; what a program leaves out is left out here. `llm` (test_openai.py) and aider are run themselves, the
latter where it is installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.doors.conftest import Door

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "editors.md").read_text(encoding="utf-8")

SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
USER = {"role": "user", "content": "count to 3"}
TOOL = {"type": "function", "function": {"name": "read", "description": "", "parameters": {"type": "object"}}}


@dataclass(frozen=True)
class Program:
    """`sources` is where its requests were read; `body` goes without the model. `lists` whether it asks for models."""

    sources: str
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    lists: bool = False


PROGRAMS = {
    "Continue": Program(
        # A system message, and parts of nothing but text joined to a string; no tools unless some are enabled. The
        # requests go through OpenAI's own Node client.
        "continuedev/continue: core/llm/openaiTypeConverters.ts, packages/openai-adapters/src/apis/OpenAI.ts",
        {
            "messages": [SYSTEM, USER],
            "max_tokens": 4096,
            "stream": True,
            "tools": [{**TOOL, "function": {**TOOL["function"], "strict": False}}],
            "stream_options": {"include_usage": True},
        },
        {"Accept": "application/json", "User-Agent": "OpenAI/JS 5.13.1", "X-Stainless-Lang": "js"},
        lists=True,
    ),
    "CodeCompanion": Program(
        "olimorris/codecompanion.nvim: lua/codecompanion/adapters/http/openai_compatible.lua and openai.lua",
        {"messages": [SYSTEM, USER], "stream": True, "stream_options": {"include_usage": True}, "tools": [TOOL]},
        lists=True,
    ),
    "gptel": Program(
        "karthink/gptel: gptel-openai.el, gptel--request-data",
        {
            "messages": [SYSTEM, USER],
            "stream": True,
            "temperature": 1.0,
            "tools": [TOOL],
            "parallel_tool_calls": True,
            "max_tokens": 500,
        },
    ),
    "Zed": Program(
        # One part of text is sent as a string, several as parts; empty lists are left out.
        "zed-industries/zed: crates/open_ai/src/open_ai.rs and completion.rs",
        {
            "messages": [SYSTEM, {"role": "user", "content": [{"type": "text", "text": "count to 3"}]}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 1.0,
        },
    ),
    "aider": Program(
        "what aider 0.86.2 was seen to send through litellm",
        {
            "messages": [SYSTEM, USER, {"role": "assistant", "content": "Ok."}, USER],
            "stream": True,
            "temperature": 0,
            "stream_options": {"include_usage": True},
        },
    ),
}


def opened(door: Door, path: str, body: object = None, **headers: str) -> Any:
    all_headers = {"Authorization": f"Bearer {door.token}", "Content-Type": "application/json", **headers}
    data = None if body is None else json.dumps(body).encode()
    return urllib.request.urlopen(urllib.request.Request(door.url + path, data, all_headers), timeout=10)


def streamed(door: Door, program: Program) -> list[dict[str, Any]]:
    body = {"model": door.models[0], **program.body}
    with opened(door, "/v1/chat/completions", body, **program.headers) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        events = answer.read().decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_each_program_sends_is_answered(door: Door, name: str) -> None:
    program = PROGRAMS[name]
    chunks = streamed(door, program)
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == "1 2 3"
    assert choices[0]["delta"]["role"] == "assistant"
    assert choices[-1]["finish_reason"] == "stop"
    assert all(choice["index"] == 0 for choice in choices)
    assert ("usage" in chunks[-1]) == ("stream_options" in program.body)
    if "usage" in chunks[-1]:
        assert set(chunks[-1]["usage"]) >= {"prompt_tokens", "completion_tokens", "total_tokens"}


@pytest.mark.parametrize("name", [name for name, program in PROGRAMS.items() if program.lists])
def test_programs_that_list_models_find_the_one_that_does_not_learn_first(door: Door, name: str) -> None:
    with opened(door, "/v1/models", **PROGRAMS[name].headers) as answer:
        assert [model["id"] for model in json.load(answer)["data"]] == list(door.models)


@pytest.mark.skipif(shutil.which("aider") is None, reason="aider is not installed")
@pytest.mark.parametrize("stream", ["--stream", "--no-stream"])
def test_aider_itself(door: Door, tmp_path: Path, stream: str) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "OPENAI_API_BASE": f"{door.url}/v1",
        "OPENAI_API_KEY": door.token,
        "HOME": str(tmp_path),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the network for prices
    }
    quiet = ("--no-git", "--yes-always", "--no-check-update", "--no-analytics", "--no-show-model-warnings")
    asked = ("--chat-mode", "ask", "--no-pretty", "--map-tokens", "0", "--message", "count to 3")
    command = ["aider", "--model", f"openai/{door.models[0]}", *quiet, *asked, stream]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "\n1 2 3\n" in done.stdout


def test_zeds_settings_name_every_capability_that_it_requires() -> None:
    settings = next(json.loads(block) for block in PAGE.split("```json\n")[1:] for block in [block.split("```")[0]])
    (model,) = settings["language_models"]["openai_compatible"]["sleepd"]["available_models"]
    assert {"name", "max_tokens"} <= set(model)
    assert set(model["capabilities"]) == {"tools", "images", "parallel_tool_calls", "prompt_cache_key"}


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
