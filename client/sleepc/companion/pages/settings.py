"""The settings page: the companion's own, and those of the daemon that people change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from PySide6.QtCore import QRegularExpression
from PySide6.QtGui import QRegularExpressionValidator
from PySide6.QtWidgets import QCheckBox, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from sleepd.protocol.errors import SleepdError

from ...async_client import AsyncClient
from .. import texts
from ..autostart import Autostart
from ..control import Document
from ..preferences import Appearance
from ..services import Services
from ..state import State
from ..widgets import Card, Choice, button, label, row, scrolled, selectable

_UNLOAD = (0.0, 300.0, 900.0, 1800.0, 3600.0, 4 * 3600.0)
_HOURS = QRegularExpression(r"|([01]\d|2[0-3]):[0-5]\d")


class SettingsPage(QWidget):
    """Each change takes effect at once. The daemon's are written by `sleepd config set`, which checks them."""

    def __init__(self, services: Services, autostart: Autostart, *, tray: bool) -> None:
        super().__init__()
        self._services, self._autostart = services, autostart
        self._loading = False
        self._settings: Document = {}
        self._version, self._shown = 0, -1
        self._open = False
        self._build_own(tray)
        self._build_daemon()
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(24, 18, 24, 20)
        column.setSpacing(12)
        for card in (self._own, self._daemon, self._service):
            card.setMaximumWidth(640)
            column.addWidget(card)
        column.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(inside, texts.SETTINGS))

    # --- page -----------------------------------------------------------------------------------------------------

    def show_state(self, state: State) -> None:
        """The settings file may have changed."""
        self._version = state.settings_version
        if self._open and self._shown != self._version:
            self._load()

    def opened(self) -> None:
        """Read the settings file."""
        self._open = True
        self._load()

    def closed(self) -> None:
        """Leave it."""
        self._open = False

    # --- the companion's own --------------------------------------------------------------------------------------

    def _build_own(self, tray: bool) -> None:
        preferences = self._services.preferences
        self._own = Card(texts.COMPANION)
        form = _form(self._own)
        self.appearance = _choice(
            texts.THEME,
            (
                (texts.THEME_SYSTEM, Appearance.SYSTEM.value),
                (texts.THEME_LIGHT, Appearance.LIGHT.value),
                (texts.THEME_DARK, Appearance.DARK.value),
            ),
        )
        self.appearance.setCurrentIndex(self.appearance.findData(preferences.appearance.value))
        self.appearance.currentIndexChanged.connect(lambda _: self._appear())
        form.addRow(label(texts.THEME, wrap=False), self.appearance)
        self.autostart = _check(texts.AUTOSTART, self._start_with_session)
        self.autostart.setChecked(self._autostart.enabled())
        form.addRow(self.autostart)
        self.notify = _check(texts.NOTIFY, lambda on: setattr(preferences, "notify", on))
        self.notify.setChecked(preferences.notify)
        self.notify.setEnabled(tray)
        form.addRow(self.notify)
        if not tray:
            form.addRow(label(texts.NO_TRAY, "muted"))
        self._own_said = label("", "bad")
        self._own_said.hide()
        form.addRow(self._own_said)

    def _appear(self) -> None:
        appearance = Appearance(self.appearance.currentData())
        self._services.preferences.appearance = appearance
        self._services.theme.choose(appearance)

    def _start_with_session(self, on: bool) -> None:
        if on == self._autostart.enabled():
            return
        self._own_said.hide()
        try:
            self._autostart.enable() if on else self._autostart.disable()
        except OSError as error:
            self._own_said.setText(f"{texts.AUTOSTART_FAILED}: {error.strerror or error}")
            self._own_said.show()
            self.autostart.setChecked(self._autostart.enabled())

    # --- the daemon's ---------------------------------------------------------------------------------------------

    def _build_daemon(self) -> None:
        self._daemon = Card(texts.DAEMON)
        form = _form(self._daemon)
        self.learn = _choice(
            texts.LEARN, ((texts.LEARN_AUTO, "auto"), (texts.LEARN_ASK, "ask"), (texts.LEARN_OFF, "off"))
        )
        self.learn.currentIndexChanged.connect(lambda _: self._set("learn", str(self.learn.currentData())))
        form.addRow(label(texts.LEARN, wrap=False), self.learn)
        self.automatic = _check(texts.AUTOMATIC, partial(self._switch, "schedule.automatic"))
        self.naps = _check(texts.NAPS, partial(self._switch, "schedule.nap"))
        self.battery = _check(texts.ON_BATTERY, partial(self._switch, "schedule.on_battery"))
        for box in (self.automatic, self.naps, self.battery):
            form.addRow(box)
        self.quiet_from = self._hour(texts.QUIET_FROM, "schedule.quiet_from")
        self.quiet_until = self._hour(texts.QUIET_UNTIL, "schedule.quiet_until")
        form.addRow(label(texts.QUIET_FROM, wrap=False), self.quiet_from)
        form.addRow(label(texts.QUIET_UNTIL, wrap=False), self.quiet_until)
        self.unload = _choice(texts.UNLOAD_AFTER, tuple(_idle(seconds) for seconds in _UNLOAD))
        self.unload.currentIndexChanged.connect(
            lambda _: self._set("limits.unload_after", str(self.unload.currentData()))
        )
        form.addRow(label(texts.UNLOAD_AFTER, wrap=False), self.unload)
        self._fields: tuple[QWidget, ...] = (
            self.learn, self.automatic, self.naps, self.battery, self.quiet_from, self.quiet_until, self.unload,
        )  # fmt: skip
        self._said = label("", "bad")
        self._said.hide()
        form.addRow(self._said)
        form.addRow(label(texts.SETTINGS_FILE, "muted"))
        form.addRow(selectable(str(self._services.control.home / "config.toml"), "muted"))
        self._service = Card(texts.SERVICE)
        self._service_said = label(texts.SERVICE_UNKNOWN, "muted")
        self._service.body.addWidget(self._service_said)
        control = self._services.control
        self.install = button(texts.SERVICE_INSTALL, lambda: self._serve(control.install_service))
        self.remove = button(texts.SERVICE_REMOVE, lambda: self._serve(control.remove_service), "danger")
        self._service.body.addLayout(row(self.install, self.remove, None))
        for each in (*self._fields, self.install, self.remove):
            each.setEnabled(False)

    def _hour(self, name: str, key: str) -> QLineEdit:
        field = QLineEdit()
        field.setAccessibleName(name)
        field.setToolTip(texts.QUIET_TIP)
        field.setPlaceholderText(texts.ANY_TIME)
        field.setMaximumWidth(90)
        field.setValidator(QRegularExpressionValidator(_HOURS, field))
        field.editingFinished.connect(lambda: self._set(key, field.text()))
        return field

    def _load(self) -> None:
        self._shown = self._version
        control = self._services.control

        async def read(_: AsyncClient) -> Document:
            return await control.settings()

        async def service(_: AsyncClient) -> Document:
            return await control.service()

        self._services.bridge.do(read, self._show, self._problem)
        self._services.bridge.do(service, self._show_service, self._no_service)

    def _show(self, settings: Document) -> None:
        self._loading = True
        self._settings = settings
        self.learn.setCurrentIndex(self.learn.findData(settings["learn"]))
        self.automatic.setChecked(bool(settings["schedule.automatic"]))
        self.naps.setChecked(bool(settings["schedule.nap"]))
        self.battery.setChecked(bool(settings["schedule.on_battery"]))
        self.quiet_from.setText(str(settings["schedule.quiet_from"]))
        self.quiet_until.setText(str(settings["schedule.quiet_until"]))
        idle = float(settings["limits.unload_after"])
        if self.unload.findData(str(idle)) < 0:
            self.unload.addItem(*_idle(idle))
        self.unload.setCurrentIndex(self.unload.findData(str(idle)))
        for field in self._fields:
            field.setEnabled(True)
        self._said.hide()
        self._loading = False

    def _switch(self, key: str, on: bool) -> None:
        self._set(key, "true" if on else "false")

    def _set(self, key: str, value: str) -> None:
        known = self._settings.get(key)
        same = str(known).lower() == value if isinstance(known, bool) else str(known) == value
        if self._loading or same:
            return
        control = self._services.control

        async def write(_: AsyncClient) -> Document:
            await control.set(key, value)
            return await control.settings()

        self._services.bridge.do(write, self._show, self._refused)

    def _refused(self, error: SleepdError) -> None:
        self._show(self._settings)
        self._problem(error)

    def _problem(self, error: SleepdError) -> None:
        self._said.setText(str(error))
        self._said.show()

    # --- the service ----------------------------------------------------------------------------------------------

    def _show_service(self, state: Document) -> None:
        installed = bool(state.get("installed"))
        self._service_said.setText(texts.SERVICE_INSTALLED if installed else texts.SERVICE_ABSENT)
        self.install.setEnabled(not installed)
        self.remove.setEnabled(installed)

    def _no_service(self, error: SleepdError) -> None:
        self._service_said.setText(str(error))
        self.install.setEnabled(False)
        self.remove.setEnabled(False)

    def _serve(self, act: Callable[[], Awaitable[Document]]) -> None:
        self._service_said.setText(texts.WORKING)
        self.install.setEnabled(False)
        self.remove.setEnabled(False)
        control = self._services.control

        async def run(_: AsyncClient) -> Document:
            await act()
            return await control.service()

        self._services.bridge.do(run, self._show_service, self._no_service)


def _idle(seconds: float) -> tuple[str, str]:
    return (texts.duration(seconds) if seconds else texts.NEVER), str(seconds)


def _form(card: Card) -> QFormLayout:
    form = QFormLayout()
    form.setHorizontalSpacing(18)
    form.setVerticalSpacing(9)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.FieldsStayAtSizeHint)
    card.body.addLayout(form)
    return form


def _choice(name: str, options: tuple[tuple[str, str], ...]) -> Choice:
    made = Choice(name)
    for text, value in options:
        made.addItem(text, value)
    made.setMinimumWidth(170)
    return made


def _check(text: str, changed: Callable[[bool], object]) -> QCheckBox:
    made = QCheckBox(text)
    made.setAccessibleName(text)
    made.toggled.connect(lambda on: changed(on))
    return made
