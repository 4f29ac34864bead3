"""The bytes that docs/protocol.md shows are what this code reads and writes."""

from __future__ import annotations

import re
from pathlib import Path

from sleepd.protocol import messages, wire

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


def shown() -> list[list[bytes]]:
    """The frames of each message of the example."""
    block = re.search(r"```hex\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    found: list[list[bytes]] = []
    for line in block[1].splitlines():
        if line.startswith(" "):
            found[-1].append(bytes.fromhex(line))
        else:
            found.append([])
    return found


def test_the_example_decodes_to_what_it_says() -> None:
    ask, chunk, error = shown()
    request = wire.decode(ask)
    assert (request.header.id, request.body) == ("a1", messages.Ask(text="Hi"))
    answers = [wire.decode_reply(frames, messages.AskReply) for frames in (chunk, error)]
    assert [answer.header.parent for answer in answers] == ["a1", "a1"]
    assert [answer.body for answer in answers] == [
        messages.Chunk(text="Yo"),
        messages.Error(code="busy", message="full"),
    ]


def test_answers_are_encoded_as_shown_but_for_their_time() -> None:
    _, chunk, error = shown()
    for frames, kind, id, body in (
        (chunk, "chunk", "d1", messages.Chunk(text="Yo")),
        (error, "error", "d2", messages.Error(code="busy", message="full")),
    ):
        made = wire.encode(kind, body, id=id, parent="a1")
        assert (made[0], made[2]) == (frames[0], frames[2])
        assert wire.decode_header([*made[:2], b"\x80"]).parent == wire.decode_header([*frames[:2], b"\x80"]).parent
