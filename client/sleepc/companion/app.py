"""The companion put together: one bridge, one window, a tray where there is a place for one."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path

from PySide6.QtCore import QObject, QSocketNotifier
from PySide6.QtWidgets import QApplication

from sleepd.protocol import endpoint
from sleepd.protocol.errors import Refused
from sleepd.protocol.messages import SleepReply

from . import night_views, texts
from .actions import Actions
from .autostart import autostart
from .bridge import Bridge
from .control import Control
from .instance import Instance
from .pages.chat import ChatPage
from .pages.facts import FactsPage
from .pages.health import HealthPage
from .pages.logs import LogsPage
from .pages.nights import NightsPage
from .pages.settings import SettingsPage
from .painting import icons
from .preferences import Preferences
from .services import Services
from .state import Announcement, NightOver, State, StorageTrouble
from .theme import Theme
from .tray import Tray
from .watcher import DaemonFile
from .window import Absent, Window

_TRAY_PATIENCE = 10.0
"""Seconds."""


class Companion(QObject):
    """The running program, for one home."""

    def __init__(self, app: QApplication, home: Path | None = None, *, tray: bool | None = None) -> None:
        super().__init__()
        self._app = app
        self.home = endpoint.resolve_home(home)
        preferences = Preferences(self.home)
        theme = Theme(app, preferences.appearance)
        self.services = Services(Bridge(home, self), Control(self.home), theme, preferences)
        self.state = State()
        self.actions = Actions(self.services, self.quit)
        with_tray = Tray.possible() if tray is None else tray
        self.chat = ChatPage(self.services, self._show_fact)
        self.facts = FactsPage(self.services)
        self.nights = NightsPage(self.services)
        self.health = HealthPage(self.services)
        self.settings = SettingsPage(self.services, autostart(self.home, texts.WINDOW), tray=with_tray)
        self.logs = LogsPage(self.services)
        absent = Absent(self.actions.install_service, self.actions.start_daemon)
        self.window = Window(
            self.services,
            self.actions,
            {
                "chat": self.chat,
                "facts": self.facts,
                "nights": self.nights,
                "health": self.health,
                "settings": self.settings,
                "logs": self.logs,
            },
            absent,
        )
        self.tray = Tray(self.services, self.actions, self.show) if with_tray else None
        self._file = DaemonFile(self.home, self)
        self._connect()
        app.setQuitOnLastWindowClosed(self.tray is None)
        app.setWindowIcon(icons.app_icon(self.services.theme.colours))
        self.window.restore(preferences.geometry, preferences.page)

    def _connect(self) -> None:
        self.services.bridge.changed.connect(self._changed)
        self._file.changed.connect(self.services.bridge.look_again)
        self._file.watch(True)
        self.actions.opened.connect(self._open)
        self.actions.failed.connect(self.window.complain)
        self.actions.started.connect(lambda: self.window.show_state(self.state))
        self._app.aboutToQuit.connect(self.close)

    def start(self, *, hidden: bool = False) -> None:
        """Follow the daemon, and show the window unless it shall be hidden and a tray can bring it back."""
        self.services.bridge.start()
        if not (hidden and self.tray is not None):
            self.window.show()

    def show(self) -> None:
        """Bring the window up."""
        self.window.bring_up()

    def quit(self) -> None:
        """End the program; the daemon goes on."""
        self.window.close()
        self._app.quit()

    def close(self) -> None:
        """End what runs beside the window; safe to repeat."""
        if self.tray is not None:
            self.tray.close()
        self._file.watch(False)
        self.services.bridge.close()

    # --- news -----------------------------------------------------------------------------------------------------

    def _changed(self, state: State, announced: tuple[Announcement, ...]) -> None:
        self.state = state
        self._file.watch(state.current is None)
        self.actions.show_state(state)
        self.window.show_state(state)
        if self.tray is not None:
            self.tray.show_state(state)
        for announcement in announced:
            self._announce(announcement)

    def _announce(self, announcement: Announcement) -> None:
        match announcement:
            case StorageTrouble(notice=notice):
                self._notify(texts.STORAGE_PROBLEM, notice, bad=True)
            case NightOver(cycle=cycle, expected=expected):

                def came(report: SleepReply) -> None:
                    words = night_views.notification(report, expected=expected)
                    if words is not None:
                        self._notify(*words, bad=report.outcome != "committed")

                self.services.bridge.do(lambda client: client.report(cycle), came)

    def _notify(self, title: str, text: str, *, bad: bool) -> None:
        if self.tray is not None and self.services.preferences.notify:
            self.tray.notify(title, text, bad=bad)

    def _open(self, name: str) -> None:
        if name not in ("report", "undo"):
            self.window.bring_up(name)
            return
        self.window.bring_up("nights")
        if name == "undo":
            self.nights.ask_undo()
        else:
            self.nights.show_latest()

    def _show_fact(self, fact_id: str) -> None:
        self.window.turn_to("facts")
        self.facts.show_fact(fact_id)


def run(home: Path | None, *, hidden: bool = False) -> int:
    """Run the companion until it is quit; at once 0 where another one of this home was asked to show itself.

    Raises Refused where there is no desktop.
    """
    _require_desktop()
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    app.setApplicationName(texts.APP)
    app.setDesktopFileName("sleepd-companion")
    instance = Instance.claim(endpoint.resolve_home(home))
    if instance is None:
        return 0
    companion = Companion(app, home, tray=_tray(app, patient=hidden))
    instance.asked.connect(companion.show)
    signals = _Signals(app)
    companion.start(hidden=hidden)
    try:
        return app.exec()
    finally:
        companion.close()
        instance.close()
        signals.close()


def _require_desktop() -> None:
    """Qt ends the process where it finds no display; say it in our own way first."""
    told = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in told):
        raise Refused("there is no desktop session here (neither DISPLAY nor WAYLAND_DISPLAY is set)")


def _tray(app: QApplication, *, patient: bool) -> bool:
    """Whether there is a tray. At the begin of a session the desktop may take a moment to make one."""
    end = time.monotonic() + (_TRAY_PATIENCE if patient else 0.0)
    while not Tray.possible() and time.monotonic() < end:
        app.processEvents()
        time.sleep(0.2)
    return Tray.possible()


class _Signals(QObject):
    """Ctrl-C and SIGTERM end the program in order, though Python's handlers wait while Qt waits."""

    def __init__(self, app: QApplication) -> None:
        super().__init__()
        self._read, self._write = socket.socketpair()
        for end in (self._read, self._write):
            end.setblocking(False)
        signal.set_wakeup_fd(self._write.fileno())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: app.quit())
        self._notifier = QSocketNotifier(self._read.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(lambda: self._read.recv(64))

    def close(self) -> None:
        """Leave signals to Python again."""
        self._notifier.setEnabled(False)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        self._read.close()
        self._write.close()
