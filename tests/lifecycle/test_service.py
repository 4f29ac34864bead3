"""The service under a real systemd user instance, which runs in a mount namespace of its own with a /run of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle.conftest import Place, Run, fake_place
from tests.lifecycle.test_daemon_life import CARPENTER, QUESTION, wait_until

SYSTEMD = "/lib/systemd/systemd"
SET_UP = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system {run} && chmod 700 {run} && exec {systemd} --user"


@dataclass
class Session(Place):
    """A home whose commands run beside a user's service manager."""

    manager: int = 0

    def command(self, name: str, *arguments: str, stdin: str | None = "", timeout: float = 60) -> Run:
        return self.within([os.sys.executable, "-m", name, *arguments], timeout)  # type: ignore[attr-defined]

    def within(self, command: list[str], timeout: float = 60) -> Run:
        inside = ["nsenter", f"--mount=/proc/{self.manager}/ns/mnt", *command]
        done = subprocess.run(
            inside, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
            check=False,
        )  # fmt: skip
        return Run(done.returncode, done.stdout, done.stderr)

    def systemctl(self, *arguments: str) -> str:
        return self.within(["systemctl", "--user", "--no-pager", *arguments]).out.strip()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    if os.geteuid() != 0 or not Path(SYSTEMD).exists() or shutil.which("unshare") is None:
        pytest.skip("needs root, systemd and unshare")
    plain = fake_place(tmp_path / "home")
    environment = {
        **plain.environment,
        "XDG_RUNTIME_DIR": "/run/user/0",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "HOME": str(tmp_path),
    }
    environment.pop("DBUS_SESSION_BUS_ADDRESS", None)
    set_up = SET_UP.format(run="/run/user/0", systemd=SYSTEMD)
    with (tmp_path / "systemd.log").open("wb") as log:
        manager = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", set_up],
            env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    here = Session(plain.home, environment, manager.pid)
    try:
        wait_until(lambda: here.systemctl("is-system-running") in ("running", "degraded"), 15)
        yield here
    finally:
        here.sleepd("service", "uninstall")
        here.systemctl("exit")
        try:
            manager.wait(timeout=10)
        except subprocess.TimeoutExpired:
            manager.kill()
            manager.wait()


def main_pid(session: Session) -> int:
    return int(session.systemctl("show", "sleepd", "--property=MainPID", "--value") or 0)


def status(session: Session) -> dict[str, Any]:
    done = session.sleepc("status", "--json")
    return json.loads(done.out) if done.code == 0 else {}


def test_a_service_from_its_installation_to_its_end(session: Session) -> None:
    session.sleepd("config", "set", "limits.beat_seconds", "0.5")
    session.sleepd("config", "set", "limits.host_patience", "2")
    session.environment["SLEEPD_FAKE_STEP_SECONDS"] = "0.3"
    session.systemctl("set-environment", "SLEEPD_FAKE_STEP_SECONDS=0.3")
    installed = session.sleepd("service", "install", "--json")
    assert installed.code == 0, installed.err
    assert installed.json["active"] is True
    assert status(session)["pid"] == main_pid(session)  # ready means that it answers, at once
    assert session.remember(CARPENTER)[0]["state"] == "active"

    killed = main_pid(session)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: status(session).get("pid") not in (None, killed), 15)
    assert session.ask(QUESTION) == CARPENTER

    host = status(session)["host"]["pid"]
    os.kill(host, signal.SIGSTOP)
    wait_until(lambda: (status(session).get("host") or {}).get("pid") not in (None, host), 15)
    assert session.ask(QUESTION) == CARPENTER
    assert status(session)["host"]["restarts"] == 1

    session.sleepc("sleep")
    wait_until(lambda: status(session)["state"] == "sleep")
    began = time.monotonic()
    assert session.sleepd("stop").code == 0
    assert time.monotonic() - began < 20
    assert session.systemctl("is-active", "sleepd") == "inactive"
    assert session.sleepd("service", "status", "--json").json["active"] is False

    assert session.sleepd("start").code == 0
    assert session.systemctl("is-active", "sleepd") == "active"
    assert session.ask(QUESTION) == CARPENTER
    assert session.sleepd("restart").code == 0
    assert status(session)["pid"] == main_pid(session)

    assert session.sleepd("service", "uninstall").code == 0
    assert session.sleepd("status").code == 3
    assert not Path(installed.json["path"]).exists()
    assert session.sleepd("service", "uninstall").code == 6


def test_a_daemon_that_hangs_is_restarted_by_the_watchdog(session: Session) -> None:
    session.sleepd("config", "set", "limits.beat_seconds", "0.5")
    override = Path(session.environment["XDG_CONFIG_HOME"]) / "systemd" / "user" / "sleepd.service.d" / "quick.conf"
    override.parent.mkdir(parents=True)
    override.write_text("[Service]\nWatchdogSec=3\n")
    assert session.sleepd("service", "install").code == 0
    time.sleep(4)
    hanging = main_pid(session)
    assert status(session)["pid"] == hanging, "it was fed"
    os.kill(hanging, signal.SIGSTOP)
    wait_until(lambda: main_pid(session) not in (0, hanging) and bool(status(session)), 30)
