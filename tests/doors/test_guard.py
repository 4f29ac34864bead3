"""Who is turned away at the HTTP door, with plain sockets: no client library smooths anything over."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from tests.doors.conftest import Door

HELLO = json.dumps({"model": "SmolLM2-135M-Instruct", "messages": [{"role": "user", "content": "Hello."}]})


def send(door: Door, method: str = "POST", path: str = "/v1/chat/completions", **changes: str | None) -> Any:
    """A request as a good client sends it, but for `changes` in its headers (None leaves one out)."""
    headers = {
        "Host": f"127.0.0.1:{door.port}",
        "Authorization": f"Bearer {door.token}",
        "Content-Type": "application/json",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name, value)
        if method == "POST":
            connection.putheader("Content-Length", str(len(HELLO)))
        connection.endheaders()
        if method == "POST":
            connection.send(HELLO.encode())
        answer = connection.getresponse()
        answer.document = answer.read()  # type: ignore[attr-defined]
        return answer
    finally:
        connection.close()


def test_a_good_request_is_served(door: Door) -> None:
    assert send(door).status == 200
    assert send(door, Host=f"localhost:{door.port}").status == 200


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer wrong", "Basic {token}", "Bearer {token}x"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/api/tags", "/nowhere"])
def test_a_wrong_token_is_refused_everywhere(door: Door, authorization: str | None, path: str) -> None:
    shown = authorization and authorization.format(token=door.token)
    refused = send(door, "GET" if path != "/v1/chat/completions" else "POST", path, Authorization=shown)
    assert refused.status == 401
    assert door.token.encode() not in refused.document


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", None])
def test_a_wrong_host_is_refused(door: Door, host: str | None) -> None:
    """DNS rebinding: the page's own name points here, and the browser says that name."""
    refused = send(door, Host=host and host.format(port=door.port))
    assert refused.status in (400, 403)
    assert b"carpenter" not in refused.document


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8000", "http://localhost"])
def test_a_page_of_another_origin_is_refused(door: Door, origin: str) -> None:
    refused = send(door, Origin=origin)
    assert refused.status == 403
    assert refused.getheader("Access-Control-Allow-Origin") is None
    preflight = send(door, "OPTIONS", Origin=origin, Authorization=None, Access_Control_Request_Method="POST")
    assert preflight.status == 403
    assert preflight.getheader("Access-Control-Allow-Origin") is None


def test_an_origin_that_was_allowed_gets_in_with_the_token(door: Door) -> None:
    origin = "vscode-webview://abc"
    preflight = send(door, "OPTIONS", Origin=origin, Authorization=None, Access_Control_Request_Method="POST")
    assert preflight.status == 204
    assert preflight.getheader("Access-Control-Allow-Origin") == origin
    served = send(door, Origin=origin)
    assert served.status == 200
    assert served.getheader("Access-Control-Allow-Origin") == origin
    assert send(door, Origin=origin, Authorization="Bearer wrong").status == 401


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_a_body_that_a_form_could_send_is_refused(door: Door, kind: str | None) -> None:
    assert send(door, Content_Type=kind).status == 415


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_100_megabytes_is_refused_early(door: Door, chunked: bool) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
    connection.putrequest("POST", "/v1/chat/completions")
    connection.putheader("Authorization", f"Bearer {door.token}")
    connection.putheader("Content-Type", "application/json")
    size = 100 * 1024 * 1024
    connection.putheader(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(size))))
    connection.endheaders()
    piece = b"x" * (1 << 18)
    sent = 0
    try:
        while sent < size:
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            sent += len(piece)
    except OSError:
        pass  # closed before it was sent: that is what is hoped for
    assert sent < size / 2
    try:
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        status = 413  # the answer may be lost with the connection
    finally:
        connection.close()
    assert status == 413
    assert send(door).status == 200


def test_a_path_that_is_not_served_says_so(door: Door) -> None:
    missing = send(door, "GET", "/v1/embeddings")
    assert missing.status == 404
    assert json.loads(missing.document)["error"]["code"] == "not_served"
    assert send(door, "GET", "/v1/chat/completions").status == 405
