"""The logs page: the daemon's log as it is written, also that of a daemon that ended."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QFontDatabase
from PySide6.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from sleepd.protocol.errors import NotFound, SleepdError

from ...async_client import AsyncClient
from ...printable import printable
from .. import texts
from ..bridge import Job
from ..control import Document
from ..services import Services
from ..state import State
from ..widgets import Choice, button, label, row

KEPT = 2000
"""Lines that are shown."""

_ERRORS = ("warning", "error", "critical")


class LogsPage(QWidget):
    """Follows the log while it is looked at."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._job: Job | None = None
        self._following = 0
        self._records: list[Document] = []
        self.filter = Choice(texts.LOG_FILTER)
        self.filter.addItem(texts.LOG_ALL)
        self.filter.addItem(texts.LOG_PROBLEMS)
        self.filter.currentIndexChanged.connect(lambda _: self._show_all())
        self.folder = button(texts.OPEN_FOLDER, self._open_folder)
        self._said = label("", "muted")
        self._said.hide()
        self.view = QPlainTextEdit()
        self.view.setObjectName("log")
        self.view.setReadOnly(True)
        self.view.setMaximumBlockCount(KEPT)
        self.view.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.view.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.view.setAccessibleName(texts.LOG)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 18, 24, 20)
        layout.setSpacing(12)
        layout.addLayout(row(self.filter, None, self.folder))
        layout.addWidget(self._said)
        layout.addWidget(self.view, 1)

    def show_state(self, state: State) -> None:
        """The log is a file: it is there without a daemon, too. One that had none may have one now."""
        if self._following and self._job is None and state.current is not None:
            self._follow()

    def opened(self) -> None:
        """Follow it."""
        self._following += 1
        if self._job is None:
            self._follow()

    def closed(self) -> None:
        """Leave it."""
        self._following = 0
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def _follow(self) -> None:
        control, bridge = self._services.control, self._services.bridge
        self._records.clear()
        self.view.clear()
        self._said.hide()

        async def read(_: AsyncClient) -> None:
            async for record in control.log(500):
                bridge.call(partial(self._take, record))

        self._job = bridge.do(read, lambda _: self._ended(""), self._failed)

    def _take(self, record: Document) -> None:
        if self._job is None:
            return
        self._records.append(record)
        del self._records[:-KEPT]
        if self._wanted(record):
            self.view.appendPlainText(_line(record))

    def _show_all(self) -> None:
        self.view.setPlainText("\n".join(_line(record) for record in self._records if self._wanted(record)))
        self.view.verticalScrollBar().setValue(self.view.verticalScrollBar().maximum())

    def _wanted(self, record: Document) -> bool:
        return self.filter.currentIndex() == 0 or record.get("level") in _ERRORS

    def _failed(self, error: SleepdError) -> None:
        self._ended(texts.LOGS_EMPTY if isinstance(error, NotFound) else str(error))

    def _ended(self, words: str) -> None:
        self._job = None
        self._said.setText(words)
        self._said.setVisible(bool(words))

    def _open_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._services.control.home / "logs")))


def _line(record: Document) -> str:
    at, level = str(record.get("at", ""))[:19].replace("T", " "), str(record.get("level", ""))
    return printable(f"{at}  {level:<7}  {record.get('message', '')}".strip())
