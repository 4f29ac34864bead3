"""OpenAI's API, as far as it means something here: the list of models, and chat completions.

A parameter that would change what the answer means and cannot be honoured is refused; one that only tunes it is
ignored. Temperature is 0 where none is given, as everywhere in sleepd.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sleepd.protocol import wire
from sleepd.protocol.errors import NotFound, SleepdError, UsageError
from sleepd.protocol.messages import MAX_TOKENS, AskReply

from ..async_client import AsyncClient
from .chat import Reply, Said, Wanted, begin_reply, chat_request, model_names
from .guard import error_document
from .http import json_response, read_body, while_connected


class Part(msgspec.Struct, frozen=True):
    type: str
    text: str = ""


class ChatMessage(msgspec.Struct, frozen=True):
    role: str
    content: str | list[Part] | None = None

    def said(self) -> Said:
        """Its text. Raises UsageError for images, sound and files."""
        if isinstance(self.content, list):
            other = [part.type for part in self.content if part.type != "text"]
            if other:
                raise UsageError(f"messages: content of type {other[0]!r} is not understood; only text is")
            return Said(self.role, "\n".join(part.text for part in self.content))
        return Said(self.role, self.content or "")


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False


class ResponseFormat(msgspec.Struct, frozen=True):
    type: str = "text"


class ChatBody(msgspec.Struct, frozen=True):
    """The fields of a chat completion request that are looked at."""

    model: str
    messages: list[ChatMessage]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    tool_choice: Any = None

    def wanted(self) -> Wanted:
        """How the reply is to be made. Raises UsageError for what cannot be honoured."""
        if self.n not in (None, 1):
            raise UsageError("n: only one choice is made")
        if self.response_format is not None and self.response_format.type != "text":
            raise UsageError(f"response_format: {self.response_format.type!r} is not supported; only text is")
        if self.logprobs:
            raise UsageError("logprobs: they are not told")
        if self.tool_choice not in (None, "none", "auto"):
            raise UsageError("tool_choice: there are no tools here")
        most = self.max_completion_tokens or self.max_tokens
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Wanted(self.model, most and min(most, MAX_TOKENS), self.temperature, self.seed, tuple(stop))


async def models(request: Request, client: AsyncClient) -> Response:
    """GET /v1/models: the first name does not learn, the second does."""
    names = await model_names(client)
    return json_response({"object": "list", "data": [_model(name) for name in names]})


async def model(request: Request, client: AsyncClient) -> Response:
    """GET /v1/models/NAME."""
    name = request.path_params["name"]
    if name not in await model_names(client):
        raise NotFound(f"there is no model {name!r}")
    return json_response(_model(name))


async def chat_completions(request: Request, client: AsyncClient) -> Response:
    """POST /v1/chat/completions. Whoever leaves before the end cancels the generation."""
    body = await read_body(request, ChatBody)
    wanted = body.wanted()
    asked = await chat_request(client, [message.said() for message in body.messages], wanted)
    reply = await begin_reply(client, asked, wanted.stop)
    head = {"id": f"chatcmpl-{wire.new_id()}", "created": int(time.time()), "model": body.model}
    if body.stream:
        await while_connected(request, reply.first())
        usage = body.stream_options is not None and body.stream_options.include_usage
        return StreamingResponse(_stream(reply, head, usage), media_type="text/event-stream", headers=_UNBUFFERED)
    text = await while_connected(request, _whole(reply))
    end = await reply.end()
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": _finish(reply, end)}
    return json_response({**head, "object": "chat.completion", "choices": [choice], "usage": _usage(end)})


ROUTES = (
    ("GET", "/v1/models", models),
    ("GET", "/v1/models/{name:path}", model),
    ("POST", "/v1/chat/completions", chat_completions),
)

_UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def _whole(reply: Reply) -> str:
    await reply.first()
    return "".join([text async for text in reply.texts()])


async def _stream(reply: Reply, head: dict[str, Any], with_usage: bool) -> AsyncIterator[bytes]:
    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _event({**head, "object": "chat.completion.chunk", "choices": [choice]})

    try:
        yield chunk({"role": "assistant", "content": ""})
        async for text in reply.texts():
            yield chunk({"content": text})
        end = await reply.end()
        yield chunk({}, _finish(reply, end))
        if with_usage:
            yield _event({**head, "object": "chat.completion.chunk", "choices": [], "usage": _usage(end)})
        yield b"data: [DONE]\n\n"
    except SleepdError as error:
        yield _event(error_document(error.code, str(error)))  # the status line is sent long since
    finally:
        reply.cancel()


def _event(document: object) -> bytes:
    return b"data: " + msgspec.json.encode(document) + b"\n\n"


def _finish(reply: Reply, end: AskReply) -> str:
    return "length" if end.finish == "length" and not reply.stopped else "stop"


def _usage(end: AskReply) -> dict[str, int]:
    return {
        "prompt_tokens": end.prompt_tokens,
        "completion_tokens": end.tokens,
        "total_tokens": end.prompt_tokens + end.tokens,
    }


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "sleepd"}
