"""OpenAI's own Python client, Ollama's endpoints by hand, and the chat tool `llm`, against `sleepc serve-openai`."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import openai
import pytest

from sleepd.protocol import messages
from sleepd.protocol.messages import Chunk
from tests.doors.conftest import Door, opened
from tests.lifecycle.conftest import Place
from tests.unit.client_fake import STATUS, Exchange, fake_daemon

STATEMENT = "Mara Lindqvist lives in Lisbon."
QUESTION = "Where does Mara Lindqvist live?"


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_models_are_listed_and_the_first_does_not_learn(door: Door) -> None:
    client = door.client()
    assert tuple(model.id for model in client.models.list()) == door.models
    assert door.models[1] == f"{door.models[0]}:learn"
    assert client.models.retrieve(door.models[1]).owned_by == "sleepd"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-7")
    with pytest.raises(openai.NotFoundError, match="gpt-7"):
        client.chat.completions.create(model="gpt-7", messages=[user("Hello.")])


def test_a_reply_with_usage_after_the_turns_before(door: Door) -> None:
    before = [{"role": "system", "content": "Be brief."}, user("Hello."), {"role": "assistant", "content": "Hello!"}]
    done = door.client().chat.completions.create(model=door.models[0], messages=[*before, user("count to 3")])
    assert done.choices[0].message.content == "1 2 3"
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None
    assert done.usage.completion_tokens == 3
    asked = "system: Be brief. user: Hello. assistant: Hello! user: count to 3"  # as the fake engine puts it
    assert done.usage.prompt_tokens == len(asked.split())
    assert done.usage.total_tokens == done.usage.prompt_tokens + 3


def test_a_reply_streams_with_usage_at_the_end(door: Door) -> None:
    stream = door.client().chat.completions.create(
        model=door.models[0],
        messages=[user("count to 9")],
        stream=True,
        max_tokens=4,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert texts == ["1", " 2", " 3", " 4"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 4
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_sequence_ends_the_reply(door: Door, stream: bool) -> None:
    done = door.client().chat.completions.create(
        model=door.models[0], messages=[user("count to 5000")], stop=["12 13", "never"], stream=stream, max_tokens=5000
    )
    if stream:
        parts = list(done)  # type: ignore[arg-type]
        text = "".join(part.choices[0].delta.content or "" for part in parts)
        finish = parts[-1].choices[0].finish_reason
    else:
        text, finish = done.choices[0].message.content, done.choices[0].finish_reason  # type: ignore[union-attr]
    assert text == "1 2 3 4 5 6 7 8 9 10 11 "
    assert finish == "stop"


def test_it_learns_only_from_the_model_that_learns(door: Door) -> None:
    client, place = door.client(), door.place
    said = [{"role": "user", "content": [{"type": "text", "text": f"Remember that {STATEMENT}"}]}]
    client.chat.completions.create(model=door.models[0], messages=said)
    assert place.sleepc("facts", "--json").json["facts"] == []
    done = client.chat.completions.create(model=door.models[1], messages=said)
    assert STATEMENT in (done.choices[0].message.content or "")
    answered = client.chat.completions.create(model=door.models[0], messages=[user(QUESTION)])
    assert answered.choices[0].message.content == STATEMENT


@pytest.mark.parametrize(
    "body",
    [
        {"n": 2},
        {"response_format": {"type": "json_object"}},
        {"tool_choice": "required"},
        {"messages": []},
        {"messages": [user("Hi."), {"role": "assistant", "content": "Hello"}]},
        {"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}, user("Hi.")]},
        {"messages": [user("  ")]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
        {"messages": [user("x" * 300_000)]},
        {"temperature": -1.0},
        {"max_tokens": "many"},
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_refused(door: Door, body: dict[str, Any]) -> None:
    asked = {"messages": [user("Hello.")], **body}
    with pytest.raises(openai.BadRequestError) as caught:
        door.client().chat.completions.create(model=door.models[0], **asked)
    assert caught.value.body["message"]  # type: ignore[index]


def test_whoever_leaves_cancels_the_generation(tmp_path: Path) -> None:
    asked: list[Exchange] = []

    def ask(exchange: Exchange) -> None:
        asked.append(exchange)
        assert isinstance(exchange.body, messages.Ask)
        if exchange.body.text != "silent":
            exchange.send("chunk", Chunk(text="on and on"))

    handlers = {"ask": ask, "status": lambda e: e.done(STATUS), "cancel": lambda e: None}
    with fake_daemon(tmp_path, **handlers) as server:
        place = Place(tmp_path, {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "SLEEPD_HOME": str(tmp_path)})
        with opened(place) as door:
            for count, text, stream in ((1, "loud", True), (2, "loud", False), (3, "silent", True)):
                client = door.client(timeout=0.5)
                with pytest.raises(openai.APITimeoutError):
                    for _ in client.chat.completions.create(model="fake", messages=[user(text)], stream=stream):
                        pass
                until = time.monotonic() + 5
                while server.kinds().count("cancel") < count:
                    assert time.monotonic() < until, f"{text}, stream {stream}: not cancelled"
                    time.sleep(0.01)
    cancelled = [m.body.request for m in server.seen if isinstance(m.body, messages.Cancel)]
    assert cancelled == [exchange.header.id for exchange in asked]


def test_errors_of_the_daemon_have_their_status(tmp_path: Path) -> None:
    def ask(exchange: Exchange) -> None:
        assert isinstance(exchange.body, messages.Ask)
        if exchange.body.text == "later":
            exchange.send("chunk", Chunk(text="a word"))
        exchange.error("busy", "the queue is full")

    handlers = {"ask": ask, "status": lambda e: e.done(STATUS)}
    with fake_daemon(tmp_path, **handlers) as server:
        place = Place(tmp_path, {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "SLEEPD_HOME": str(tmp_path)})
        with opened(place) as door:
            create = door.client().chat.completions.create
            with pytest.raises(openai.RateLimitError, match="the queue is full"):
                create(model="fake", messages=[user("now")])
            stream = create(model="fake", messages=[user("later")], stream=True)
            with pytest.raises(openai.APIError, match="the queue is full"):
                list(stream)
            server.kill()
            with pytest.raises(openai.InternalServerError, match="sleepd start") as caught:
                create(model="fake", messages=[user("now")])
            assert caught.value.status_code == 503


def test_the_door_outlives_the_daemon(door: Door) -> None:
    assert door.place.sleepd("restart").code == 0
    done = door.client().chat.completions.create(model=door.models[0], messages=[user("count to 2")])
    assert done.choices[0].message.content == "1 2"


def fetched(door: Door, path: str, body: object = None) -> bytes:
    headers = {"Authorization": f"Bearer {door.token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(door.url + path, data, headers), timeout=10) as answer:
        read: bytes = answer.read()
        return read


def test_ollamas_endpoints(door: Door) -> None:
    assert json.loads(fetched(door, "/api/version"))["version"]
    names = [model["name"] for model in json.loads(fetched(door, "/api/tags"))["models"]]
    assert names == [f"{door.models[0]}:latest", door.models[1]]
    assert json.loads(fetched(door, "/api/show", {"model": names[0]}))["capabilities"] == ["completion"]
    asked = {"model": names[0], "messages": [user("count to 4")], "options": {"num_predict": 3}}
    lines = [json.loads(line) for line in fetched(door, "/api/chat", asked).splitlines()]
    assert "".join(line["message"]["content"] for line in lines) == "1 2 3"
    assert [line["done"] for line in lines] == [False, False, False, True]
    assert (lines[-1]["eval_count"], lines[-1]["done_reason"]) == (3, "stop")
    whole = json.loads(fetched(door, "/api/chat", {**asked, "stream": False}))
    assert whole["message"]["content"] == "1 2 3"


def test_the_chat_tool_llm(door: Door, tmp_path: Path) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: sleepd\n  model_name: {door.models[0]}\n  api_base: {door.url}/v1\n  api_key_name: sleepd\n"
    )
    (tmp_path / "keys.json").write_text(json.dumps({"sleepd": door.token}))
    environment = {**os.environ, "LLM_USER_PATH": str(tmp_path)}

    def llm(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "llm", *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "sleepd" in llm("models")
    assert llm("-m", "sleepd", "count to 6") == "1 2 3 4 5 6\n"
    assert llm("-m", "sleepd", "--no-stream", "count to 2") == "1 2\n"
    assert llm("-m", "sleepd", "-c", "count to 3") == "1 2 3\n"  # with the turn before


def test_the_token_is_private_and_kept(door: Door) -> None:
    file = door.place.home / "openai.token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with opened(door.place) as second:
        assert second.token == door.token


def test_only_loopback_and_only_a_free_port(door: Door) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "example.org", "::"):
        refused = door.place.sleepc("serve-openai", "--host", host)
        assert refused.code == 2, host
        assert "loopback" in refused.err
    taken = door.place.sleepc("serve-openai", "--port", str(door.port))
    assert taken.code == 1
    assert "see --port" in taken.err
