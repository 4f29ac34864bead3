"""The few of Ollama's endpoints by which editors find models and chat with them.

A name without a tag stands there with the tag `latest`; `learn` is the tag that learns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sleepd.protocol.errors import NotFound, SleepdError
from sleepd.protocol.messages import MAX_TOKENS, AskReply

from ..async_client import AsyncClient
from .chat import Reply, Said, Wanted, begin_reply, chat_request, model_names
from .http import json_response, read_body, while_connected

_LATEST = ":latest"


class OllamaMessage(msgspec.Struct, frozen=True):
    role: str
    content: str = ""


class Options(msgspec.Struct, frozen=True):
    temperature: float | None = None
    seed: int | None = None
    num_predict: int | None = None
    stop: list[str] | None = None


class OllamaChat(msgspec.Struct, frozen=True):
    model: str
    messages: list[OllamaMessage]
    stream: bool = True
    options: Options | None = None


class Show(msgspec.Struct, frozen=True):
    model: str = ""
    name: str = ""  # what older clients call it


async def version(request: Request, client: AsyncClient) -> Response:
    """GET /api/version."""
    return json_response({"version": (await client.status()).version})


async def tags(request: Request, client: AsyncClient) -> Response:
    """GET /api/tags, and GET /api/ps: both names are always at hand."""
    return json_response({"models": [_described(name) for name in await model_names(client)]})


async def show(request: Request, client: AsyncClient) -> Response:
    """POST /api/show."""
    body = await read_body(request, Show)
    name = _own_name(body.model or body.name)
    if name not in await model_names(client):
        raise NotFound(f"there is no model {name!r}")
    return json_response({**_described(name), "model_info": {}, "capabilities": ["completion"]})


async def chat(request: Request, client: AsyncClient) -> Response:
    """POST /api/chat: JSON lines, or one document with `stream` false."""
    body = await read_body(request, OllamaChat)
    options = body.options or Options()
    most = options.num_predict if options.num_predict and options.num_predict > 0 else None
    wanted = Wanted(
        _own_name(body.model),
        most and min(most, MAX_TOKENS),
        options.temperature,
        options.seed,
        tuple(options.stop or ()),
    )
    asked = await chat_request(client, [Said(message.role, message.content) for message in body.messages], wanted)
    reply = await begin_reply(client, asked, wanted.stop)
    await while_connected(request, reply.first())
    if body.stream:
        return StreamingResponse(_stream(reply, body.model), media_type="application/x-ndjson")
    text = await while_connected(request, _whole(reply))
    return json_response(_last(body.model, text, await reply.end()))


ROUTES = (
    ("GET", "/api/version", version),
    ("GET", "/api/tags", tags),
    ("GET", "/api/ps", tags),
    ("POST", "/api/show", show),
    ("POST", "/api/chat", chat),
)


async def _whole(reply: Reply) -> str:
    return "".join([text async for text in reply.texts()])


async def _stream(reply: Reply, model: str) -> AsyncIterator[bytes]:
    try:
        async for text in reply.texts():
            yield _line({**_head(model, text), "done": False})
        yield _line(_last(model, "", await reply.end()))
    except SleepdError as error:
        yield _line({"error": str(error)})
    finally:
        reply.cancel()


def _head(model: str, text: str) -> dict[str, Any]:
    return {"model": model, "created_at": _now(), "message": {"role": "assistant", "content": text}}


def _last(model: str, text: str, end: AskReply) -> dict[str, Any]:
    nanoseconds = int(end.seconds * 1e9)
    return {
        **_head(model, text),
        "done": True,
        "done_reason": "length" if end.finish == "length" else "stop",
        "total_duration": nanoseconds,
        "prompt_eval_count": end.prompt_tokens,
        "eval_count": end.tokens,
        "eval_duration": nanoseconds,
    }


def _described(name: str) -> dict[str, Any]:
    shown = name if ":" in name else name + _LATEST
    details = {
        "format": "safetensors",
        "family": "sleepd",
        "families": ["sleepd"],
        "parameter_size": "",
        "quantization_level": "",
    }
    return {"name": shown, "model": shown, "modified_at": _now(), "size": 0, "digest": "", "details": details}


def _own_name(name: str) -> str:
    return name.removesuffix(_LATEST)


def _line(document: object) -> bytes:
    return msgspec.json.encode(document) + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
