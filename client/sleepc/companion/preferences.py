"""The companion's own settings, beside the memory that it shows: HOME/companion.ini, mode 0600."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

FILE_NAME = "companion.ini"


class Appearance(Enum):
    """Light, dark, or as the system has it."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Preferences:
    """Typed access to the file. What cannot be read is its default; where there is no home yet, nothing is written."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._settings = QSettings(str(home / FILE_NAME), QSettings.Format.IniFormat)

    @property
    def appearance(self) -> Appearance:
        value = self._settings.value("appearance")
        return Appearance(value) if value in {a.value for a in Appearance} else Appearance.SYSTEM

    @appearance.setter
    def appearance(self, appearance: Appearance) -> None:
        self._put("appearance", appearance.value)

    @property
    def notify(self) -> bool:
        return self._settings.value("notify", "true") != "false"

    @notify.setter
    def notify(self, notify: bool) -> None:
        self._put("notify", "true" if notify else "false")

    @property
    def geometry(self) -> QByteArray | None:
        """Where the window stood, as Qt encodes it."""
        value = self._settings.value("geometry")
        return value if isinstance(value, QByteArray) else None

    @geometry.setter
    def geometry(self, geometry: QByteArray) -> None:
        self._put("geometry", geometry)

    @property
    def page(self) -> str:
        """The page that was open last; empty where none was."""
        return str(self._settings.value("page", ""))

    @page.setter
    def page(self, page: str) -> None:
        self._put("page", page)

    @property
    def learn_before_pause(self) -> str:
        """How it learned from chat before learning was paused."""
        value = str(self._settings.value("learn-before-pause", "auto"))
        return value if value in ("auto", "ask") else "auto"

    @learn_before_pause.setter
    def learn_before_pause(self, learn: str) -> None:
        self._put("learn-before-pause", learn)

    def _put(self, key: str, value: object) -> None:
        if self._home.is_dir():  # making the home is the daemon's business
            self._settings.setValue(key, value)
            self._settings.sync()
            (self._home / FILE_NAME).chmod(0o600)
