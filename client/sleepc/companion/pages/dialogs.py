"""Questions that are asked before something is changed."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QLineEdit, QVBoxLayout, QWidget

from .. import texts
from ..widgets import button, label, row


class Question(QDialog):
    """A title, a text, perhaps a line to write in, and two buttons. `yes` is called with what was written.

    It does not stop the program: the rest of the window waits, events do not.
    """

    def __init__(
        self,
        parent: QWidget,
        title: str,
        text: str,
        accept: str,
        yes: Callable[[str], None],
        *,
        subject: str = "",
        value: str | None = None,
        danger: bool = False,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setModal(True)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(400)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(22, 20, 22, 18)
        layout.setSpacing(12)
        layout.addWidget(label(title, size=1.2, bold=True))
        if subject:
            layout.addWidget(label(subject, bold=True))
        layout.addWidget(label(text, "muted"))
        self.input: QLineEdit | None = None
        if value is not None:
            self.input = QLineEdit(value)
            self.input.setAccessibleName(text)
            self.input.selectAll()
            layout.addWidget(self.input)
        self.cancel = button(texts.CANCEL, self.reject)
        self.yes = button(accept, self._accept, "danger" if danger else "primary")
        self.yes.setDefault(not danger)
        self.cancel.setDefault(danger)
        layout.addLayout(row(None, self.cancel, self.yes))
        self._yes = yes

    def _accept(self) -> None:
        written = "" if self.input is None else self.input.text().strip()
        if self.input is not None and not written:
            return
        self.accept()
        self._yes(written)
