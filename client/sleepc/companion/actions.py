"""What may be asked for from anywhere: the tray's menu and the window share these actions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction

from sleepd.protocol.errors import SleepdError

from ..async_client import AsyncClient
from . import texts
from .control import Document
from .services import Services
from .state import State, WakeAsked
from .views import state_view


class Actions(QObject):
    """`failed` carries what went wrong, `opened` the name of a page that is wanted."""

    failed = Signal(str)
    opened = Signal(str)
    started = Signal()

    def __init__(self, services: Services, quit: Callable[[], None]) -> None:
        super().__init__()
        self._services = services
        self._state = State()
        self.starting = ""
        """What is being done so that a daemon runs; empty: nothing."""
        self.line = self._action("", lambda: self.opened.emit("health"))
        self.sleep = self._action(texts.SLEEP_NOW, self._sleep)
        self.wake = self._action(texts.WAKE, self._wake)
        self.pause = self._action(texts.PAUSE_LEARNING, self._pause)
        self.pause.setCheckable(True)
        self.report = self._action(texts.LAST_REPORT, lambda: self.opened.emit("report"))
        self.undo = self._action(texts.UNDO_SLEEP, lambda: self.opened.emit("undo"))
        self.facts = self._action(texts.OPEN_FACTS, lambda: self.opened.emit("facts"))
        self.chat = self._action(texts.OPEN_CHAT, lambda: self.opened.emit("chat"))
        self.settings = self._action(texts.OPEN_SETTINGS, lambda: self.opened.emit("settings"))
        self.logs = self._action(texts.OPEN_LOGS, lambda: self.opened.emit("logs"))
        self.quit = self._action(texts.QUIT, quit)
        self.show_state(self._state)

    def show_state(self, state: State) -> None:
        """Offer what is possible now."""
        self._state = state
        view = state_view(state)
        self.line.setText(f"{view.title}: {view.line}" if view.line else view.title)
        self.sleep.setEnabled(view.can_sleep)
        self.wake.setEnabled(view.can_wake)
        self.sleep.setVisible(not view.can_wake)
        self.wake.setVisible(view.can_wake)
        self.pause.setEnabled(view.can_learn)
        self.pause.setChecked(view.paused)
        self.report.setEnabled(view.can_report)
        self.undo.setEnabled(view.can_undo)

    def install_service(self) -> None:
        """Install and start the service."""
        self._start(self._services.control.install_service)

    def start_daemon(self) -> None:
        """Start the daemon for this session."""
        self._start(self._services.control.start)

    def _start(self, act: Callable[[], Awaitable[Document]]) -> None:
        async def run(_: AsyncClient) -> Document:
            return await act()

        def ended(error: SleepdError | None) -> None:
            self.starting = ""
            self.started.emit()
            if error is not None:
                self.failed.emit(str(error))

        self.starting = texts.STARTING
        self.started.emit()
        self._services.bridge.do(run, lambda _: ended(None), ended)

    def _sleep(self) -> None:
        self._services.bridge.do(lambda client: client.sleep(), failed=self._failed)

    def _wake(self) -> None:
        self._services.bridge.tell(WakeAsked())
        self._services.bridge.do(lambda client: client.wake(), failed=self._failed)

    def _pause(self) -> None:
        status, preferences = self._state.current, self._services.preferences
        if status is None:
            return
        pausing = status.learn != "off"
        if pausing:
            preferences.learn_before_pause = status.learn
        learn = "off" if pausing else preferences.learn_before_pause
        control = self._services.control

        async def write(_: AsyncClient) -> Document:
            return await control.set("learn", learn)

        self.pause.setChecked(status.learn == "off")  # as it is, until the daemon says otherwise
        self._services.bridge.do(write, lambda _: self._services.bridge.refresh(), self._failed)

    def _failed(self, error: SleepdError) -> None:
        self.failed.emit(str(error))

    def _action(self, text: str, act: Callable[[], None]) -> QAction:
        made = QAction(text, self)
        made.triggered.connect(lambda _checked=False: act())
        return made
