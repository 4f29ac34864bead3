"""The need for sleep as an arc, and shares as bars."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from .. import texts
from ..theme import Theme

_BEGIN, _SPAN = 210.0, 240.0
"""Degrees: where the arc begins, counted from three o'clock, and how far it goes clockwise."""


_NAP, _SLEEP = 0.4, 0.8
"""Where the colour changes: the shares at which, by default, it naps and sleeps."""


class Gauge(QWidget):
    """A share between 0 and 1; None where nothing is known."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._value: float | None = None
        theme.changed.connect(self.update)
        self.setAccessibleName(texts.PRESSURE)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_value(self, value: float | None) -> None:
        """Show a share."""
        self._value = value
        self.setAccessibleDescription(texts.NEXT_UNKNOWN if value is None else texts.gauge(round(100 * value)))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(190, 150)

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = self._theme.colours
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        side = min(self.width(), self.height() * 1.2) - 24
        where = QRectF((self.width() - side) / 2, 12, side, side)
        painter.setPen(QPen(QColor(colours.raised), 13, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawArc(where, round(_BEGIN * 16), round(-_SPAN * 16))
        if self._value:
            levels = ((_SLEEP, colours.rem), (_NAP, colours.awake), (0.0, colours.nap))
            colour = QColor(next(colour for level, colour in levels if self._value >= level))
            painter.setPen(QPen(colour, 13, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.drawArc(where, round(_BEGIN * 16), round(-_SPAN * 16 * min(1.0, self._value)))
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * 2.2)
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(QColor(colours.text if self._value is not None else colours.muted))
        told = "–" if self._value is None else texts.percent(self._value)
        painter.drawText(where, Qt.AlignmentFlag.AlignCenter, told)


class Bar(QWidget):
    """A share as a thin bar. The row that it stands in says it in words."""

    def __init__(self, theme: Theme, value: float, colour: str = "") -> None:
        super().__init__()
        self._theme, self._value, self._colour = theme, max(0.0, min(1.0, value)), colour
        theme.changed.connect(self.update)
        self.setFixedHeight(6)
        self.setMinimumWidth(60)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = self._theme.colours
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.raised))
        painter.drawRoundedRect(QRectF(self.rect()), 3, 3)
        if self._value > 0:
            painter.setBrush(QColor(getattr(colours, self._colour) if self._colour else colours.accent))
            width = max(6.0, self.width() * self._value)
            painter.drawRoundedRect(QRectF(QPointF(0, 0), QPointF(width, self.height())), 3, 3)
