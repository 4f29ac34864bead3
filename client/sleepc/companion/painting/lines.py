"""One figure over nights, as a line with a point for each."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from .. import texts
from ..night_views import Trend
from ..theme import Theme
from .axes import bounds

_TOP, _BOTTOM, _RIGHT = 10.0, 24.0, 14.0


class Lines(QWidget):
    """Draws a trend. `percent`: values are shares of one, and the axis ends at 0 and 100 %."""

    def __init__(self, theme: Theme, colour: str, *, percent: bool) -> None:
        super().__init__()
        self._theme, self._colour, self._percent = theme, colour, percent
        self._trend = Trend("", ())
        theme.changed.connect(self.update)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_trend(self, trend: Trend) -> None:
        """Show a line."""
        self._trend = trend
        self.setAccessibleName(trend.name)
        points = "; ".join(f"{cycle}: {self._label(value, 0.01)}" for cycle, value in trend.points)
        self.setAccessibleDescription(points or texts.NONE)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(260, 150)

    def minimumSizeHint(self) -> QSize:
        return QSize(180, 150)

    def paintEvent(self, event: QPaintEvent) -> None:
        colours, points = self._theme.colours, self._trend.points
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not points:
            painter.setPen(QColor(colours.muted))
            painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter, texts.NONE)
            return
        values = [value for _, value in points]
        low, high, step = (0.0, 1.0, 0.5) if self._percent else bounds(min(*values, 0.99), max(*values, 1.01))
        metrics = self.fontMetrics()
        left = 10.0 + max(metrics.horizontalAdvance(self._label(v, step)) for v in (low, high, low + step))
        bottom, right = self.height() - _BOTTOM, self.width() - _RIGHT

        def y(value: float) -> float:
            return bottom - (bottom - _TOP) * (value - low) / (high - low)

        def x(at: int) -> float:
            return left + 8 + (right - left - 16) * (at / (len(points) - 1) if len(points) > 1 else 0.5)

        for row in range(round((high - low) / step) + 1):
            value = low + row * step
            painter.setPen(QPen(QColor(colours.line), 1))
            painter.drawLine(QPointF(left, y(value)), QPointF(right, y(value)))
            painter.setPen(QColor(colours.muted))
            label = QRectF(0, y(value) - metrics.height() / 2, left - 6, metrics.height())
            align = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(label, align, self._label(value, step))
        colour = QColor(getattr(colours, self._colour))
        places = [QPointF(x(at), y(value)) for at, (_, value) in enumerate(points)]
        painter.setPen(QPen(colour, 2.0, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
        painter.drawPolyline(places)
        painter.setPen(QPen(QColor(colours.surface), 1.5))
        painter.setBrush(colour)
        for place in places:
            painter.drawEllipse(place, 4.0, 4.0)
        painter.setPen(QColor(colours.muted))
        every = max(1, round(len(points) * 34 / max(1.0, right - left)))
        for at, (cycle, _) in enumerate(points):
            if at % every == 0:
                number = QRectF(x(at) - 30, bottom + 5, 60, metrics.height())
                painter.drawText(number, Qt.AlignmentFlag.AlignHCenter, str(cycle))

    def _label(self, value: float, step: float) -> str:
        if self._percent:
            return texts.percent(value)
        digits = 2 if abs(100 * step) < 0.1 else 1
        return f"{100 * (value - 1):+.{digits}f} %"
