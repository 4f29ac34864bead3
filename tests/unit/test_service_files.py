"""The service's files as they are installed: well-formed, hardened, and for exactly one home."""

from __future__ import annotations

import configparser
import plistlib
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sleepd.paths import Home
from sleepd.service import install as service
from sleepd.service.notify import Notifier

needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")


def parsed(text: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(text)
    return unit


@pytest.mark.parametrize("name", ["home", "a home", 'ho"me', "100%", "cost$"])
def test_the_user_unit_starts_this_interpreter_on_this_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    home = Home(tmp_path / name)
    unit = service.SystemdService(home)
    section = parsed(unit.text())["Service"]
    assert section["ExecStart"].startswith(f'"{sys.executable}" "-m" "sleepd" "serve" "--home" "')
    assert (section["Type"], section["UMask"], section["Restart"]) == ("notify", "0077", "on-failure")
    assert service.installed(home) is None
    unit.path.parent.mkdir(parents=True)
    unit.path.write_text(unit.text())
    assert service.installed(home) is not None
    assert service.installed(Home(tmp_path / f"{name}2")) is None


def test_the_launchd_agent_is_a_property_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "darwin")
    agent = service.LaunchdService(Home(tmp_path / "a & b"))
    document = plistlib.loads(agent.content())
    assert document["ProgramArguments"] == [sys.executable, "-m", "sleepd", "serve", "--home", str(tmp_path / "a & b")]
    assert (document["Umask"], document["ProcessType"]) == (0o077, "Interactive")
    assert document["KeepAlive"] == {"SuccessfulExit": False}
    assert not agent.state().installed


@needs_analyze
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    user, system = tmp_path / "sleepd.service", tmp_path / "sleepd@.service"
    user.write_text(service.SystemdService(Home(tmp_path / "home")).text())
    system.write_text(service.SystemdService(Home(tmp_path / "home"), "root").text())
    for scope, unit in (("--user", user), ("--system", system)):
        done = subprocess.run(["systemd-analyze", "verify", scope, unit], capture_output=True, text=True, check=False)
        complaints = [line for line in (done.stdout + done.stderr).splitlines() if "sleepd" in line]
        assert complaints == []


@needs_analyze
def test_the_system_unit_is_hardened(tmp_path: Path) -> None:
    unit = tmp_path / "sleepd@.service"
    unit.write_text(service.SystemdService(Home(tmp_path / "home"), "root").text().replace("%i", "nobody"))
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=35", "--no-pager", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told(tmp_path: Path, abstract: bool) -> None:
    name = f"@sleepd-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0", 1) if abstract else name)
        manager.settimeout(5)
        environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000", "PATH": "/bin"}
        notifier = Notifier.take(environment)
        assert environment == {"PATH": "/bin"}
        assert notifier.watchdog == 30.0
        notifier.send(READY=1, STATUS="awake\nand well")
        assert manager.recv(1000) == b"READY=1\nSTATUS=awake and well"
    notifier.send(WATCHDOG=1)  # nobody is there any more


def test_without_a_manager_nothing_is_said_and_anothers_watchdog_is_not_ours() -> None:
    Notifier.take({}).send(READY=1)
    assert Notifier.take({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watchdog is None
    assert Notifier.take({"WATCHDOG_USEC": "1000000"}).watchdog is None
