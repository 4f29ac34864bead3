"""Every command with the daemon absent, gone, busy, or of another protocol: its exit code, and one line of advice."""

from __future__ import annotations

from pathlib import Path

import pytest

from sleepc.cli import cli
from sleepd.protocol import VERSION, messages
from tests.unit.client_fake import Exchange, FakeDaemon, Sleepc, fake_daemon

COMMANDS = (
    ("ask", "hi"),
    ("complete", "hi"),
    ("remember", "a"),
    ("facts",),
    ("facts", "--export", "-"),
    ("why", "f-1"),
    ("correct", "f-1", "b"),
    ("forget", "f-1"),
    ("undo", "f-1"),
    ("undo",),
    ("nap",),
    ("sleep",),
    ("sleep", "--wait"),
    ("wake",),
    ("unload",),
    ("report",),
    ("export", "exported"),
    ("health",),
    ("status",),
    ("events",),
    ("events", "-f"),
    ("watch",),
    ("chat",),
    ("sessions", "list"),
    ("sessions", "rm", "s-1"),
    ("bridge",),
    ("serve-openai",),
)
every_command = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)


def test_no_command_is_left_out() -> None:
    talking = {command[0] for command in COMMANDS}
    assert set(cli.commands) - talking == {
        "completion",
        "mcp",
        "companion",
    }  # one needs no daemon, the others wait for one


def check(sleepc: Sleepc, command: tuple[str, ...], code: int, error: str, advice: str) -> None:
    human, machine = sleepc(*command), sleepc(*command, "--json")
    assert (human.code, human.out) == (code, "")
    assert advice in human.err
    assert len(human.err.splitlines()) == 1
    assert machine.code == code
    assert machine.json["error"]["code"] == error


@every_command
def test_absent(sleepc: Sleepc, command: tuple[str, ...]) -> None:
    check(sleepc, command, 3, "unreachable", "start one with: sleepd start\n")


@every_command
def test_gone_in_the_middle_of_a_restart(sleepc: Sleepc, tmp_path: Path, command: tuple[str, ...]) -> None:
    def die(exchange: Exchange) -> None:
        exchange.server.kill()

    for options in ((), ("--json",)):
        with fake_daemon(tmp_path, **dict.fromkeys(messages.REQUESTS, die)):
            got = sleepc(*command, *options)
        assert got.code == 3
        assert "not acknowledged" in got.err
        assert got.err.endswith("start one again with: sleepd start\n")


@every_command
def test_busy(sleepc: Sleepc, tmp_path: Path, command: tuple[str, ...]) -> None:
    def busy(exchange: Exchange) -> None:
        exchange.error("busy", "too many requests are in work; try again")

    with fake_daemon(tmp_path, **dict.fromkeys(messages.REQUESTS, busy)):
        check(sleepc, command, 5, "busy", "try again")


@every_command
@pytest.mark.parametrize(("protocol", "advice"), [(VERSION + 1, "update sleepc"), (VERSION - 1, "restart it")])
def test_another_protocol(sleepc: Sleepc, tmp_path: Path, command: tuple[str, ...], protocol: int, advice: str) -> None:
    server = FakeDaemon(tmp_path, {}, protocol=protocol)
    try:
        check(sleepc, command, 4, "protocol", advice)
    finally:
        server.kill()


@every_command
def test_an_older_daemon_that_lacks_the_request(sleepc: Sleepc, tmp_path: Path, command: tuple[str, ...]) -> None:
    def unknown(exchange: Exchange) -> None:
        exchange.error("protocol", f"unknown message type '{exchange.header.type}' in protocol {VERSION}")

    with fake_daemon(tmp_path, **dict.fromkeys(messages.REQUESTS, unknown)):
        assert sleepc(*command).code == 4
