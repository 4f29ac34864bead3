"""A night as sleep laboratories draw it: stages from the lightest to the deepest, time to the right, steps between."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from .. import texts
from ..night_views import Depth, Step
from ..theme import Colours, Theme
from .axes import ticks

_TOP, _BOTTOM, _RIGHT = 14.0, 30.0, 18.0
_LEAD = 0.02
"""Share of the width for being awake before and after."""


class Hypnogram(QWidget):
    """Draws the steps of one night. Where the pointer rests, a step tells its phases and its length."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._steps: tuple[Step, ...] = ()
        theme.changed.connect(self.update)
        self.setAccessibleName(texts.HYPNOGRAM)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_steps(self, steps: tuple[Step, ...]) -> None:
        """Show a night."""
        self._steps = steps
        self.setAccessibleDescription("; ".join(_told(step) for step in steps) or texts.NO_HYPNOGRAM)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(560, 210)

    def minimumSizeHint(self) -> QSize:
        return QSize(300, 210)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            step = next((s for s in self._steps if self._x(s.start) <= event.pos().x() < self._x(s.end)), None)
            QToolTip.showText(event.globalPos(), "" if step is None else _told(step), self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = self._theme.colours
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_grid(painter, colours)
        if not self._steps:
            painter.setPen(QColor(colours.muted))
            painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter, texts.NO_HYPNOGRAM)
            return
        self._draw_fill(painter, colours)
        self._draw_line(painter, colours)

    # --- places ---------------------------------------------------------------------------------------------------

    @property
    def _left(self) -> float:
        metrics = self.fontMetrics()
        return 14.0 + max(metrics.horizontalAdvance(name) for name in texts.HYPNOGRAM_STAGES)

    @property
    def _span(self) -> tuple[float, float]:
        return (self._steps[0].start, self._steps[-1].end) if self._steps else (0.0, 1.0)

    def _x(self, seconds: float) -> float:
        first, last = self._span
        across = self.width() - self._left - _RIGHT
        lead = across * _LEAD
        return self._left + lead + (across - 2 * lead) * (seconds - first) / max(1e-9, last - first)

    def _y(self, depth: Depth) -> float:
        return _TOP + (self.height() - _TOP - _BOTTOM) * depth / (len(Depth) - 1)

    # --- drawing --------------------------------------------------------------------------------------------------

    def _draw_grid(self, painter: QPainter, colours: Colours) -> None:
        right = self.width() - _RIGHT
        height = self.fontMetrics().height()
        for depth in Depth:
            y = self._y(depth)
            painter.setPen(QPen(QColor(colours.line), 1))
            painter.drawLine(QPointF(self._left, y), QPointF(right, y))
            painter.setPen(QColor(colours.muted))
            name = QRectF(0, y - height / 2, self._left - 10, height)
            painter.drawText(name, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, _name(depth))
        if not self._steps:
            return
        first, last = self._span
        bottom = self.height() - _BOTTOM
        for seconds in ticks(last - first, most=max(2, round((right - self._left) / 90))):
            x = self._x(first + seconds)
            painter.setPen(QPen(QColor(colours.line), 1))
            painter.drawLine(QPointF(x, bottom), QPointF(x, bottom + 5))
            painter.setPen(QColor(colours.muted))
            label = QRectF(x - 50, bottom + 8, 100, height)
            painter.drawText(label, Qt.AlignmentFlag.AlignHCenter, texts.duration(seconds))

    def _draw_fill(self, painter: QPainter, colours: Colours) -> None:
        """Each stage's time as a faint area beneath its line."""
        painter.setPen(Qt.PenStyle.NoPen)
        for step in self._steps:
            if step.depth is Depth.AWAKE:
                continue
            colour = _colour(step.depth, colours)
            colour.setAlphaF(0.13)
            painter.setBrush(colour)
            y = self._y(step.depth)
            painter.drawRect(QRectF(QPointF(self._x(step.start), y), QPointF(self._x(step.end), self._y(Depth.SWS))))

    def _draw_line(self, painter: QPainter, colours: Colours) -> None:
        """The steps: thin risers, and a bold stretch for each stage, as REM is drawn in laboratories."""
        first, last = self._span
        right = self.width() - _RIGHT
        path = [QPointF(self._left, self._y(Depth.AWAKE)), QPointF(self._x(first), self._y(Depth.AWAKE))]
        for step in self._steps:
            y = self._y(step.depth)
            path += [QPointF(self._x(step.start), y), QPointF(self._x(step.end), y)]
        path += [QPointF(self._x(last), self._y(Depth.AWAKE)), QPointF(right, self._y(Depth.AWAKE))]
        painter.setPen(QPen(QColor(colours.muted), 1.4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
        painter.drawPolyline(path)
        for step in self._steps:
            width = 7.0 if step.depth is Depth.REM else 4.0
            pen = QPen(_colour(step.depth, colours), width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap)
            painter.setPen(pen)
            y = self._y(step.depth)
            left, right_end = self._x(step.start), self._x(step.end)
            painter.drawLine(QPointF(left, y), QPointF(max(right_end, left + 1.5), y))


def _name(depth: Depth) -> str:
    return texts.HYPNOGRAM_STAGES[depth]


def _colour(depth: Depth, colours: Colours) -> QColor:
    return QColor((colours.awake, colours.drowsy, colours.nap, colours.rem, colours.sws)[depth])


def _told(step: Step) -> str:
    return f"{_name(step.depth)}: {', '.join(step.phases)}, {texts.duration(step.end - step.start)}"
