"""Whether the companion starts with the session: an XDG autostart entry, or a launchd agent. No Qt.

Off unless asked for. On macOS this is not tried; the property list is tested.
"""

from __future__ import annotations

import os
import plistlib
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

NAME = "sleepd-companion"
LABEL = "io.sleepd.companion"


class Autostart(ABC):
    """One home's entry."""

    @property
    @abstractmethod
    def path(self) -> Path:
        """Where the entry lies."""

    def enabled(self) -> bool:
        """Whether there is an entry."""
        return self.path.is_file()

    def enable(self) -> None:
        """Write the entry. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(self.content())

    def disable(self) -> None:
        """Remove the entry. Raises OSError."""
        self.path.unlink(missing_ok=True)

    @abstractmethod
    def content(self) -> bytes:
        """The entry's file."""


@dataclass(frozen=True)
class DesktopEntry(Autostart):
    """`$XDG_CONFIG_HOME/autostart/sleepd-companion.desktop`, as desktops on Linux read it."""

    command: tuple[str, ...]
    name: str

    @property
    def path(self) -> Path:
        base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return Path(base) / "autostart" / f"{NAME}.desktop"

    def content(self) -> bytes:
        lines = (
            "[Desktop Entry]",
            "Type=Application",
            f"Name={self.name}",
            f"Exec={' '.join(_quoted(word) for word in self.command)}",
            "Icon=weather-clear-night",
            "Terminal=false",
            "X-GNOME-Autostart-enabled=true",
            "",
        )
        return "\n".join(lines).encode()


@dataclass(frozen=True)
class LaunchAgent(Autostart):
    """`~/Library/LaunchAgents/io.sleepd.companion.plist`."""

    command: tuple[str, ...]

    @property
    def path(self) -> Path:
        return Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"

    def content(self) -> bytes:
        agent = {"Label": LABEL, "ProgramArguments": [*self.command], "RunAtLoad": True, "ProcessType": "Interactive"}
        return plistlib.dumps(agent)


def autostart(home: Path, name: str) -> Autostart:
    """The entry of this platform; `name` is shown in lists of such entries."""
    command = (sys.executable, "-m", "sleepc", "companion", "--hidden", "--home", str(home))
    return LaunchAgent(command) if sys.platform == "darwin" else DesktopEntry(command, name)


def _quoted(word: str) -> str:
    """A word of Exec: quoted for Exec itself, then escaped again as every string of a desktop entry is."""
    for sign in ("\\", '"', "`", "$"):
        word = word.replace(sign, f"\\{sign}")
    return '"' + word.replace("%", "%%").replace("\\", "\\\\") + '"'
