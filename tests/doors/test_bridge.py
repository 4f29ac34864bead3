"""`sleepc bridge`: JSON lines in and out, as a plugin would use it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle.conftest import Place


class Plugin:
    """A program at the other end of a bridge."""

    def __init__(self, place: Place) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sleepc", "bridge"],
            env=place.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def send(self, line: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line: dict[str, Any] = json.loads(self.process.stdout.readline())
        return line

    def until_end(self, request_id: object) -> list[dict[str, Any]]:
        """All lines up to the end of a request; others' lines are dropped."""
        lines = []
        while not lines or lines[-1]["type"] not in ("done", "error"):
            line = self.read()
            if line["id"] == request_id:
                lines.append(line)
        return lines


@pytest.fixture
def plugin(place: Place) -> Iterator[Plugin]:
    plugin = Plugin(place)
    yield plugin
    _, err = plugin.process.communicate(timeout=10)
    assert plugin.process.returncode == 0, err
    assert err == ""


def test_a_stream_and_its_end(plugin: Plugin) -> None:
    plugin.send({"id": "a", "type": "ask", "body": {"text": "count to 3"}})
    *chunks, done = plugin.until_end("a")
    assert [(line["type"], line["body"]["text"]) for line in chunks] == [("chunk", t) for t in ("1", " 2", " 3")]
    assert done["type"] == "done"
    assert done["body"]["reply"] == "1 2 3"


def test_two_at_once_and_cancel(plugin: Plugin) -> None:
    plugin.send({"id": 1, "type": "ask", "body": {"text": "count to 100000", "max_tokens": 60000}})
    assert plugin.read()["type"] == "chunk"
    plugin.send({"id": 2, "type": "status"})
    assert plugin.until_end(2)[-1]["body"]["state"] == "awake"
    plugin.send({"id": 1, "type": "status"})
    plugin.send({"id": 3, "type": "cancel", "body": {"request": 1}})
    ends = {}
    while len(ends) < 3:
        line = plugin.read()
        if line["type"] in ("done", "error"):
            ends[line["id"], line["type"]] = line["body"]
    assert "under way" in ends[1, "error"]["message"]
    assert ends[3, "done"] == {"cancelled": True}
    assert ends[1, "done"]["finish"] == "cancelled"


def test_events_are_followed(plugin: Plugin, place: Place) -> None:
    plugin.send({"id": "e", "type": "events"})
    assert plugin.read()["type"] == "snapshot"
    plugin.send({"id": "r", "type": "remember", "body": {"texts": ["Mara Lindqvist lives in Lisbon."]}})
    seen = []
    while ("done", "r") not in seen or not any(kind == "event" for kind, _ in seen):
        line = plugin.read()
        seen.append((line["type"], line["id"]))
    plugin.send({"id": "c", "type": "cancel", "body": {"request": "e"}})
    assert plugin.until_end("e")[-1]["body"]["code"] == "cancelled"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", "usage"),
        ('{"id": 1}', "usage"),
        ('{"id": 1, "type": "sing"}', "protocol"),
        ('{"id": 1, "type": "ask", "body": {"text": 3}}', "usage"),
        ('{"id": 1, "type": "ask", "body": {"text": ""}}', "refused"),
        ('{"id": 1, "type": "cancel", "body": {"request": [1]}}', "usage"),
        ('{"id": 1, "type": "why", "body": {"id": "f-none"}}', "not_found"),
    ],
)
def test_bad_lines_are_errors_and_the_bridge_stays(plugin: Plugin, line: str, code: str) -> None:
    plugin.send(line)
    assert plugin.read()["body"]["code"] == code
    plugin.send({"id": 9, "type": "ping"})
    assert plugin.until_end(9)[-1]["type"] == "done"


def test_input_may_be_a_file_and_what_it_asked_is_answered_to_the_end(place: Place, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text(
        '{"type": "events", "id": 1}\n\n{"type": "ask", "id": 2, "body": {"text": "count to 30"}}'
    )
    with (tmp_path / "lines").open() as lines:
        command = [sys.executable, "-m", "sleepc", "bridge"]
        done = subprocess.run(command, env=place.environment, stdin=lines, capture_output=True, check=True, timeout=20)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["body"]["tokens"] for line in answers if line["type"] == "done"] == [30]


def test_a_reader_that_leaves_ends_the_bridge(place: Place) -> None:
    plugin = Plugin(place)
    plugin.send({"id": 1, "type": "ask", "body": {"text": "count to 100000", "max_tokens": 60000}})
    plugin.read()
    with plugin.process as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_a_line_that_never_ends_ends_the_bridge(place: Place) -> None:
    done = place.sleepc("bridge", stdin="x" * 5_000_000)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1


def test_without_a_daemon_it_ends_with_3(tmp_path: Path, place: Place) -> None:
    assert place.sleepc("bridge", "--home", str(tmp_path)).code == 3
