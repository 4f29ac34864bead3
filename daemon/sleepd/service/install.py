"""The daemon as a service of the user's session: systemd on Linux, launchd on macOS.

One home has one service. The unit names its home, and by that `start` and `stop` know whether to go through it.
"""

from __future__ import annotations

import os
import plistlib
import pwd
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from sleepd.paths import MODELS_VARIABLE, Home
from sleepd.protocol.errors import NotFound, SleepdError, UsageError

UNIT = "sleepd.service"
SYSTEM_UNIT = "sleepd@.service"
LABEL = "io.sleepd.daemon"
_SYSTEM_FOLDER = Path("/etc/systemd/system")
_SECONDS = 60.0  # that a service manager may take for one command


@dataclass(frozen=True)
class ServiceState:
    """`active` is whether it runs now, `detail` the manager's own word for its state."""

    path: str
    installed: bool
    active: bool
    detail: str


class Service(ABC):
    """A service manager's hold on one home's daemon."""

    path: Path

    @abstractmethod
    def install(self) -> None:
        """Write the unit, enable it and start it; returns when the daemon is ready. Replaces an older one."""

    @abstractmethod
    def uninstall(self) -> None:
        """Stop it, disable it and remove the unit. Raises NotFound where there is none."""

    @abstractmethod
    def state(self) -> ServiceState:
        """As the manager sees it."""

    @abstractmethod
    def start(self) -> None:
        """Returns when the daemon is ready."""

    @abstractmethod
    def stop(self) -> None:
        """Returns when it has ended."""


class SystemdService(Service):
    """A user unit of one home, or with `user` the hardened system unit of that user's own home under /var/lib."""

    def __init__(self, home: Home, user: str | None = None) -> None:
        self._home = home
        self._user = user
        if user is None:
            base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
            self.path, self._unit = Path(base) / "systemd" / "user" / UNIT, UNIT
        else:
            self.path, self._unit = _SYSTEM_FOLDER / SYSTEM_UNIT, f"sleepd@{user}.service"

    def install(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self.text(), encoding="utf-8")
        if self._user is not None:
            self.path.chmod(0o644)
        self._control("daemon-reload")
        self._control("enable", self._unit)
        self._control("restart", self._unit)

    def text(self) -> str:
        """The unit file."""
        command = [sys.executable, "-m", "sleepd", "serve"]
        if self._user is not None:
            return _template(SYSTEM_UNIT).substitute(command=_quoted(command))
        command += ["--home", str(self._home.root)]
        models = os.environ.get(MODELS_VARIABLE)
        shared = f"Environment={_quoted([f'{MODELS_VARIABLE}={models}'])}" if models else ""
        return _template(UNIT).substitute(command=_quoted(command), environment=shared)

    def uninstall(self) -> None:
        if not self.path.exists():
            raise NotFound(f"no service is installed at {self.path}")
        self._control("disable", "--now", self._unit)
        self.path.unlink()
        self._control("daemon-reload")

    def state(self) -> ServiceState:
        if not self.path.exists():
            return ServiceState(str(self.path), False, False, "not installed")
        shown = self._control("show", self._unit, "--property=ActiveState,SubState,StatusText", check=False)
        found = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        detail = f"{found.get('ActiveState', 'unknown')} ({found.get('SubState', '')})"
        if found.get("StatusText"):
            detail += f": {found['StatusText']}"
        return ServiceState(str(self.path), True, found.get("ActiveState") == "active", detail)

    def start(self) -> None:
        self._control("start", self._unit)

    def stop(self) -> None:
        self._control("stop", self._unit)

    def _control(self, *arguments: str, check: bool = True) -> str:
        scope = [] if self._user is not None else ["--user"]
        return _run(["systemctl", *scope, "--no-pager", *arguments], check=check)


class LaunchdService(Service):
    """A launchd agent of the logged-in user. Not tried on macOS; the property list is tested."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.path = Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"
        self._domain = f"gui/{os.getuid()}"

    def install(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(self.content())
        _run(["launchctl", "bootout", f"{self._domain}/{LABEL}"], check=False)
        _run(["launchctl", "bootstrap", self._domain, str(self.path)])

    def content(self) -> bytes:
        """The property list."""
        agent = plistlib.loads(_read(f"{LABEL}.plist").encode())
        agent["ProgramArguments"] = [sys.executable, "-m", "sleepd", "serve", "--home", str(self._home.root)]
        agent["StandardOutPath"] = agent["StandardErrorPath"] = str(self._home.logs / "start.log")
        if models := os.environ.get(MODELS_VARIABLE):
            agent["EnvironmentVariables"] = {MODELS_VARIABLE: models}
        return plistlib.dumps(agent)

    def uninstall(self) -> None:
        if not self.path.exists():
            raise NotFound(f"no service is installed at {self.path}")
        _run(["launchctl", "bootout", f"{self._domain}/{LABEL}"], check=False)
        self.path.unlink()

    def state(self) -> ServiceState:
        if not self.path.exists():
            return ServiceState(str(self.path), False, False, "not installed")
        shown = _run(["launchctl", "print", f"{self._domain}/{LABEL}"], check=False)
        active = "state = running" in shown
        return ServiceState(str(self.path), True, active, "running" if active else "not running")

    def start(self) -> None:
        _run(["launchctl", "kickstart", f"{self._domain}/{LABEL}"])

    def stop(self) -> None:
        _run(["launchctl", "kill", "SIGTERM", f"{self._domain}/{LABEL}"])


def service(home: Home, user: str | None = None) -> Service:
    """The service of this platform. Raises UsageError where there is no service manager that we know."""
    if sys.platform == "darwin" and user is None:
        return LaunchdService(home)
    if shutil.which("systemctl"):
        if user is not None:
            _require_user(user)
        return SystemdService(home, user)
    raise UsageError("no systemd and no launchd here; run `sleepd start` from your session's start-up instead")


def installed(home: Home) -> Service | None:
    """The user's service, where one is installed for exactly this home."""
    if sys.platform == "darwin":
        agent: Service = LaunchdService(home)
    elif shutil.which("systemctl"):
        agent = SystemdService(home)
    else:
        return None
    try:
        text = agent.path.read_text(encoding="utf-8")
    except OSError:  # none, or none that we may look at: then it is not ours
        return None
    marks = (_quoted(["--home", str(home.root)]), f"<string>{home.root}</string>")
    return agent if any(mark in text for mark in marks) else None


def _require_user(user: str) -> None:
    try:
        pwd.getpwnam(user)
    except KeyError:
        raise NotFound(f"there is no user {user!r} on this machine") from None
    if os.geteuid() != 0:
        raise UsageError("a system service is installed by root: sudo sleepd service install --system USER")


def _template(name: str) -> Template:
    return Template(_read(name))


def _read(name: str) -> str:
    return (resources.files("sleepd") / "service_files" / name).read_text(encoding="utf-8")


def _quoted(words: list[str]) -> str:
    """A command line as systemd reads it: quotes around each word, its own signs doubled."""
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$") for word in words)
    return " ".join(f'"{word}"' for word in escaped)


def _run(command: list[str], *, check: bool = True) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except FileNotFoundError:
        raise SleepdError(f"{command[0]} is not there") from None
    except subprocess.TimeoutExpired:
        raise SleepdError(f"`{' '.join(command)}` did not end within {_SECONDS:.0f} s") from None
    if check and done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise SleepdError(f"`{' '.join(command)}` failed: {said or f'exit code {done.returncode}'}")
    return done.stdout
