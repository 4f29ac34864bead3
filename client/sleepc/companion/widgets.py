"""Small widgets that several pages use, all with names that a screen reader can say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QFont, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from .painting.gauge import Bar
from .theme import Theme
from .views import Row

_LONG_WORD = re.compile(r"\S{25,}")
_PIECE = 20

ALIGN_TOP_LEFT = Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft


def soft(text: str) -> str:
    """The text with places to break in words that are too long for a line."""
    return _LONG_WORD.sub(lambda word: "\u200b".join(re.findall(f".{{1,{_PIECE}}}", word[0])), text)


def label(text: str = "", role: str = "", *, size: float = 1.0, bold: bool = False, wrap: bool = True) -> QLabel:
    """A line or paragraph of plain text; `size` against the usual one."""
    made = QLabel(soft(text))
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    if role:
        made.setProperty("role", role)
    if size != 1.0 or bold:
        font = made.font()
        font.setPointSizeF(font.pointSizeF() * size)
        font.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
        made.setFont(font)
    return made


def selectable(text: str = "", role: str = "", *, size: float = 1.0, bold: bool = False) -> QLabel:
    """The same, whose words can be selected by mouse and keyboard."""
    made = label(text, role, size=size, bold=bold)
    flags = Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    made.setTextInteractionFlags(flags)
    made.setAccessibleName(text)
    return made


def button(text: str, act: Callable[[], None], role: str = "", tip: str = "") -> QPushButton:
    """A button that can be reached by keyboard; its name is its text."""
    made = QPushButton(text)
    made.setAccessibleName(text.replace("&", ""))
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    if role:
        made.setProperty("role", role)
    if tip:
        made.setToolTip(tip)
    made.clicked.connect(lambda _checked=False: act())
    return made


def set_role(widget: QWidget, name: str, value: object) -> None:
    """Change a property that the style sheet asks for."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def clear(layout: QLayout) -> None:
    """Remove everything from a layout."""
    while layout.count():
        item = layout.takeAt(0)
        if item is None:
            continue
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
        elif (inner := item.layout()) is not None:
            clear(inner)


def row(*widgets: QWidget | None, spacing: int = 8) -> QHBoxLayout:
    """Widgets side by side; None takes the room that is left."""
    made = QHBoxLayout()
    made.setContentsMargins(0, 0, 0, 0)
    made.setSpacing(spacing)
    for widget in widgets:
        if widget is None:
            made.addStretch(1)
        else:
            made.addWidget(widget)
    return made


class Choice(QComboBox):
    """A box of choices under a name, with an arrow that follows the colours."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        role = QPalette.ColorRole.PlaceholderText
        painter.setPen(QPen(self.palette().color(role), 1.6, c=Qt.PenCapStyle.RoundCap, j=Qt.PenJoinStyle.RoundJoin))
        x, y = self.width() - 16.0, self.height() / 2
        painter.drawPolyline([QPointF(x - 4, y - 2), QPointF(x, y + 2), QPointF(x + 4, y - 2)])


class Card(QFrame):
    """A surface with a heading; add to `body`."""

    def __init__(self, title: str = "") -> None:
        super().__init__()
        self.setObjectName("card")
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(16, 14, 16, 14)
        self.body.setSpacing(8)
        self.title = label(title, "muted", bold=True)
        self.title.setVisible(bool(title))
        self.body.addWidget(self.title)
        if title:
            self.setAccessibleName(title)


class Rows(QWidget):
    """Names and values in two columns, with a bar beneath where a share is told."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(18)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(1, 1)
        self._shown: tuple[Row, ...] = ()

    def show_rows(self, rows: Iterable[Row], *, colour: str = "") -> None:
        """Replace what is shown."""
        rows = tuple(rows)
        if rows == self._shown:
            return
        self._shown = rows
        clear(self._grid)
        at = 0
        for each in rows:
            name, value = label(each.name, "muted", wrap=False), selectable(each.value)
            value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
            value.setAccessibleName(f"{each.name}: {each.value}")
            self._grid.addWidget(name, at, 0, ALIGN_TOP_LEFT)
            self._grid.addWidget(value, at, 1)
            at += 1
            if each.share is not None:
                self._grid.addWidget(Bar(self._theme, each.share, colour), at, 0, 1, 2)
                at += 1


class Empty(QWidget):
    """What stands where there is nothing to show."""

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = label(title, size=1.25, bold=True), label(text, "muted")
        column = QVBoxLayout()
        column.addStretch(2)
        for each in (self._title, self._text):
            each.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            column.addWidget(each)
        column.addStretch(3)
        layout = QHBoxLayout(self)
        layout.addStretch(1)
        layout.addLayout(column, 3)
        layout.addStretch(1)

    def show_words(self, title: str, text: str) -> None:
        """Say something else."""
        self._title.setText(title)
        self._text.setText(text)


def scrolled(widget: QWidget, name: str) -> QScrollArea:
    """A widget that may be taller than its place."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    widget.setObjectName("scrolled")
    widget.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
    area.setWidget(widget)
    area.setAccessibleName(name)
    return area
