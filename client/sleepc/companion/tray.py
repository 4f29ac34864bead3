"""The tray icon: its shape tells the state, its menu governs, its messages are few."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from . import texts
from .actions import Actions
from .painting import icons
from .services import Services
from .state import State
from .views import Shape, state_view

_SHOWN = 10_000
"""Milliseconds that a message stays."""


class Tray(QObject):
    """Shown where the desktop has a place for it; `activated` is called when it is clicked."""

    def __init__(self, services: Services, actions: Actions, activated: Callable[[], None]) -> None:
        super().__init__()
        self._services = services
        self._shape: Shape | None = None
        self.menu = QMenu()
        self.menu.setAccessibleName(texts.WINDOW)
        self.menu.addAction(actions.line)
        self.menu.addSeparator()
        self.menu.addActions([actions.sleep, actions.wake, actions.pause])
        self.menu.addSeparator()
        self.menu.addActions([actions.report, actions.undo, actions.facts, actions.chat])
        self.menu.addSeparator()
        self.menu.addActions([actions.settings, actions.logs, actions.quit])
        self.menu.aboutToShow.connect(services.bridge.refresh)
        self.icon = QSystemTrayIcon()
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(lambda reason: self._clicked(reason, activated))
        self.icon.messageClicked.connect(activated)
        services.theme.changed.connect(self._draw)
        self.show_state(State())
        self.icon.show()

    @staticmethod
    def possible() -> bool:
        """Whether the desktop has a tray."""
        return QSystemTrayIcon.isSystemTrayAvailable()

    def show_state(self, state: State) -> None:
        """Show a state."""
        view = state_view(state)
        self.icon.setToolTip(f"{texts.APP}: {view.title}\n{view.line}".rstrip())
        if view.shape is not self._shape:
            self._shape = view.shape
            self._draw()

    def notify(self, title: str, text: str, *, bad: bool = False) -> None:
        """A message of the desktop's."""
        kind = QSystemTrayIcon.MessageIcon.Warning if bad else QSystemTrayIcon.MessageIcon.Information
        self.icon.showMessage(title, text, kind, _SHOWN)

    def close(self) -> None:
        """Take it away."""
        self.icon.hide()

    def _draw(self) -> None:
        self.icon.setIcon(icons.state_icon(self._shape or Shape.UNREACHABLE, self._services.theme.colours))

    def _clicked(self, reason: QSystemTrayIcon.ActivationReason, activated: Callable[[], None]) -> None:
        if reason in (QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick):
            activated()
