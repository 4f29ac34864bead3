"""The window: the state and the pages' names at the left, a page at the right, and what to do where no daemon runs."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QByteArray, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from . import texts
from .actions import Actions
from .painting import icons
from .services import Page, Services
from .state import Link, State
from .views import Shape, StateView, state_view
from .widgets import button, label, row

_PAGES = (
    ("chat", texts.CHAT),
    ("facts", texts.FACTS),
    ("nights", texts.NIGHTS),
    ("health", texts.HEALTH),
    ("settings", texts.SETTINGS),
    ("logs", texts.LOGS),
)
_SIDE = 216
_COMPLAINT = 12_000
"""Milliseconds that a complaint stays."""


class StateCard(QWidget):
    """The state in the side bar."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._view = StateView(Shape.UNREACHABLE, texts.CONNECTING, "", present=False)
        self._picture = QLabel()
        self._picture.setFixedSize(44, 44)
        self._title, self._line = label("", size=1.2, bold=True), label("", "muted", size=0.93)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(6)
        layout.addWidget(self._picture)
        layout.addWidget(self._title)
        layout.addWidget(self._line)
        services.theme.changed.connect(self._draw)
        self._draw()

    def show_view(self, view: StateView) -> None:
        """Show a state."""
        if view != self._view:
            self._view = view
            self._draw()

    def _draw(self) -> None:
        ratio = self.devicePixelRatioF()
        self._picture.setPixmap(icons.state_pixmap(self._view.shape, self._services.theme.colours, 44, ratio))
        self._title.setText(self._view.title)
        self._line.setText(self._view.line)
        self._line.setVisible(bool(self._view.line))
        self.setAccessibleName(f"{texts.STATE}: {self._view.title}. {self._view.line}")


class Absent(QFrame):
    """Over the page while no daemon answers: why, and what may be done."""

    def __init__(self, install: Callable[[], None], start: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("notice")
        self._title, self._text = label("", bold=True, size=1.1), label("", "muted")
        self.install = button(texts.INSTALL_SERVICE, install, "primary", texts.INSTALL_SERVICE_TIP)
        self.start = button(texts.START_ONCE, start)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 14, 18, 14)
        layout.setSpacing(8)
        layout.addWidget(self._title)
        layout.addWidget(self._text)
        layout.addLayout(row(self.install, self.start, None))

    def show_state(self, state: State, doing: str) -> None:
        """Why there is no daemon."""
        foreign = state.link is Link.FOREIGN
        self._title.setText(texts.FOREIGN_TITLE if foreign else texts.ABSENT_TITLE)
        self._text.setText(doing or (state.reason if foreign else texts.ABSENT_TEXT))
        for each in (self.install, self.start):
            each.setVisible(not foreign)
            each.setEnabled(not doing)
        self.setVisible(state.link in (Link.LOST, Link.FOREIGN))


class Window(QWidget):
    """`pages` by their names; `absent` stands above them while no daemon answers."""

    def __init__(self, services: Services, actions: Actions, pages: dict[str, Page], absent: Absent) -> None:
        super().__init__()
        self._services, self._actions, self._pages, self.absent = services, actions, pages, absent
        self._current = ""
        self._state = State()
        self.setWindowTitle(texts.WINDOW)
        self.setMinimumSize(720, 480)
        self.resize(1020, 700)
        self._card = StateCard(services)
        self._stack = QStackedWidget()
        self._buttons: dict[str, QPushButton] = {}
        self._complaint = label("", "bad")
        self._complaint.hide()
        self._complaining = QTimer(self, singleShot=True, interval=_COMPLAINT)
        self._complaining.timeout.connect(lambda: self.complain(""))
        self._build()
        services.theme.changed.connect(self._draw_icons)
        self._draw_icons()

    def _build(self) -> None:
        side = QFrame()
        side.setObjectName("sidebar")
        side.setFixedWidth(_SIDE)
        column = QVBoxLayout(side)
        column.setContentsMargins(14, 18, 14, 16)
        column.setSpacing(4)
        column.addWidget(self._card)
        column.addSpacing(14)
        for number, (name, title) in enumerate(_PAGES, 1):
            page = self._pages[name]
            assert isinstance(page, QWidget)
            self._stack.addWidget(page)
            made = button(title, lambda name=name: self.turn_to(name), "page")  # type: ignore[misc]
            made.setCheckable(True)
            made.setAutoExclusive(True)
            key = QKeySequence(f"Ctrl+{number}")
            made.setToolTip(key.toString(QKeySequence.SequenceFormat.NativeText))
            QShortcut(key, self).activated.connect(lambda name=name: self.turn_to(name))
            self._buttons[name] = made
            if name == "settings":
                column.addStretch(1)
            column.addWidget(made)
        sleep = QPushButton()
        sleep.setCursor(Qt.CursorShape.PointingHandCursor)
        self._sleep = sleep
        sleep.clicked.connect(self._sleep_or_wake)
        column.insertSpacing(2, 8)
        column.insertWidget(2, sleep)
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        self._above = QWidget()
        above = QVBoxLayout(self._above)
        above.setContentsMargins(24, 18, 24, 0)
        above.addWidget(self.absent)
        above.addWidget(self._complaint)
        right.addWidget(self._above)
        right.addWidget(self._stack, 1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(side)
        layout.addLayout(right, 1)
        for standard in (QKeySequence.StandardKey.Close, QKeySequence.StandardKey.Quit):
            act = self.close if standard is QKeySequence.StandardKey.Close else self._actions.quit.trigger
            QShortcut(QKeySequence(standard), self).activated.connect(act)

    # --- pages ----------------------------------------------------------------------------------------------------

    @property
    def current(self) -> str:
        """The name of the page that is shown."""
        return self._current

    def turn_to(self, name: str) -> None:
        """Show a page."""
        if name not in self._buttons:
            return
        self._buttons[name].setChecked(True)
        if name == self._current:
            return
        if self._current:
            self._pages[self._current].closed()
        self._current = name
        page = self._pages[name]
        assert isinstance(page, QWidget)
        self._stack.setCurrentWidget(page)
        self._services.preferences.page = name
        if self.isVisible():
            page.opened()

    def bring_up(self, name: str = "") -> None:
        """Show the window before all others, on a page."""
        if name:
            self.turn_to(name)
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()

    def show_state(self, state: State) -> None:
        """Tell everything that shows the state."""
        self._state = state
        view = state_view(state)
        self._card.show_view(view)
        self._sleep.setText((texts.WAKE if view.can_wake else texts.SLEEP_NOW).replace("&", ""))
        self._sleep.setAccessibleName(self._sleep.text())
        self._sleep.setEnabled(view.can_wake or view.can_sleep)
        self.absent.show_state(state, self._actions.starting)
        self._settle_above()
        for page in self._pages.values():
            page.show_state(state)

    def complain(self, words: str) -> None:
        """Say for a while what went wrong."""
        self._complaint.setText(words)
        self._complaint.setVisible(bool(words))
        self._settle_above()
        if words:
            self._complaining.start()

    @property
    def complaint(self) -> str:
        """What is said to have gone wrong."""
        return self._complaint.text()

    def _settle_above(self) -> None:
        self._above.setVisible(not (self.absent.isHidden() and self._complaint.isHidden()))

    def _sleep_or_wake(self) -> None:
        action = self._actions.wake if state_view(self._state).can_wake else self._actions.sleep
        action.trigger()

    # --- the window itself ----------------------------------------------------------------------------------------

    def restore(self, geometry: QByteArray | None, page: str) -> None:
        """As it was left."""
        if geometry is not None:
            self.restoreGeometry(geometry)
        self.turn_to(page if page in self._buttons else "chat")

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._current:
            self._pages[self._current].opened()
        self._services.bridge.refresh()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._services.preferences.geometry = self.saveGeometry()
        if self._current:
            self._pages[self._current].closed()
        event.accept()

    def _draw_icons(self) -> None:
        colours = self._services.theme.colours
        for name, made in self._buttons.items():
            made.setIcon(icons.page_icon(name, colours.text))
