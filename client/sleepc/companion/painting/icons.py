"""Icons, drawn: one for each state of the daemon, told apart by their form, and those of the pages."""

from __future__ import annotations

import math
from collections.abc import Callable

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap

from ..theme import Colours
from ..views import Shape

_SIZES = (16, 22, 24, 32, 48, 64, 128)
_GRID = 64.0
"""All shapes are drawn in a square of this side."""


def state_icon(shape: Shape, colours: Colours) -> QIcon:
    """The icon of a state, in every size that a tray may want."""
    return _icon(lambda painter: draw_state(painter, shape, colours))


def state_pixmap(shape: Shape, colours: Colours, side: int, ratio: float) -> QPixmap:
    """One picture of a state; `side` in device-independent pixels."""
    return _pixmap(lambda painter: draw_state(painter, shape, colours), side, ratio)


def page_icon(name: str, colour: str) -> QIcon:
    """The icon of a page by its name, in one colour."""
    return _icon(lambda painter: _PAGES[name](painter, QColor(colour)))


def app_icon(colours: Colours) -> QIcon:
    """The program's own: the moon, whatever the state."""
    return _icon(lambda painter: draw_state(painter, Shape.SWS, colours))


def state_colour(shape: Shape, colours: Colours) -> QColor:
    """The colour that goes with a state."""
    return QColor(
        {
            Shape.AWAKE: colours.awake,
            Shape.LEARNING: colours.awake,
            Shape.DROWSY: colours.drowsy,
            Shape.NAPPING: colours.nap,
            Shape.SWS: colours.sws,
            Shape.REM: colours.rem,
            Shape.LOADING: colours.drowsy,
            Shape.RESTING: colours.drowsy,
            Shape.TROUBLE: colours.bad,
        }.get(shape, colours.muted)
    )


def draw_state(painter: QPainter, shape: Shape, colours: Colours) -> None:
    """Draw a state into a square of side 64."""
    colour = state_colour(shape, colours)
    match shape:
        case Shape.AWAKE:
            _sun(painter, colour)
        case Shape.LEARNING:
            _sun(painter, colour)
            _plus(painter, colour)
        case Shape.DROWSY:
            _half_sun(painter, colour)
        case Shape.NAPPING:
            _moon(painter, colour, QRectF(14, 22, 38, 38))
            _zed(painter, colour, QPointF(42, 6), 14)
        case Shape.SWS:
            _moon(painter, colour, QRectF(8, 8, 48, 48))
        case Shape.REM:
            _moon(painter, colour, QRectF(6, 12, 44, 44))
            _star(painter, colour, QPointF(48, 18), 12)
            _star(painter, colour, QPointF(34, 34), 6)
        case Shape.LOADING:
            _dots(painter, colour)
        case Shape.RESTING:
            painter.setPen(_pen(colour, 5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(QRectF(17, 17, 30, 30))
        case Shape.TROUBLE:
            _triangle(painter, colour)
        case Shape.UNREACHABLE:
            painter.setPen(_pen(colour, 5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPath(_moon_path(QRectF(10, 8, 46, 46)))
            painter.drawLine(QPointF(10, 56), QPointF(54, 8))


# --- parts --------------------------------------------------------------------------------------------------------


def _pen(colour: QColor, width: float) -> QPen:
    return QPen(colour, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)


def _sun(painter: QPainter, colour: QColor) -> None:
    painter.setPen(_pen(colour, 5))
    for ray in range(8):
        angle = ray * math.pi / 4
        inner, outer = QPointF(math.cos(angle), math.sin(angle)) * 21, QPointF(math.cos(angle), math.sin(angle)) * 28
        painter.drawLine(QPointF(32, 32) + inner, QPointF(32, 32) + outer)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawEllipse(QRectF(18, 18, 28, 28))


def _plus(painter: QPainter, colour: QColor) -> None:
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Clear)
    painter.drawEllipse(QRectF(34, 34, 30, 30))
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceOver)
    painter.setPen(_pen(colour, 6))
    painter.drawLine(QPointF(49, 39), QPointF(49, 59))
    painter.drawLine(QPointF(39, 49), QPointF(59, 49))


def _half_sun(painter: QPainter, colour: QColor) -> None:
    painter.setPen(_pen(colour, 5))
    for ray in range(5):
        angle = math.pi + ray * math.pi / 4
        way = QPointF(math.cos(angle), math.sin(angle))
        painter.drawLine(QPointF(32, 44) + way * 21, QPointF(32, 44) + way * 28)
    painter.drawLine(QPointF(6, 50), QPointF(58, 50))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawChord(QRectF(17, 28, 30, 32), 0, 180 * 16)


def _moon_path(where: QRectF) -> QPainterPath:
    full, bite = QPainterPath(), QPainterPath()
    full.addEllipse(where)
    side = where.width()
    bite.addEllipse(where.translated(side * 0.34, -side * 0.20))
    return full.subtracted(bite)


def _moon(painter: QPainter, colour: QColor, where: QRectF) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawPath(_moon_path(where))


def _star(painter: QPainter, colour: QColor, at: QPointF, radius: float) -> None:
    path = QPainterPath()
    for corner in range(8):
        reach = radius if corner % 2 == 0 else radius * 0.34
        angle = corner * math.pi / 4 - math.pi / 2
        point = at + QPointF(math.cos(angle), math.sin(angle)) * reach
        if corner:
            path.lineTo(point)
        else:
            path.moveTo(point)
    path.closeSubpath()
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawPath(path)


def _zed(painter: QPainter, colour: QColor, at: QPointF, side: float) -> None:
    painter.setPen(_pen(colour, 4.5))
    painter.drawPolyline([at, at + QPointF(side, 0), at + QPointF(0, side), at + QPointF(side, side)])


def _dots(painter: QPainter, colour: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    for column in range(3):
        painter.drawEllipse(QPointF(14 + 18 * column, 32), 6.5, 6.5)


def _triangle(painter: QPainter, colour: QColor) -> None:
    path = QPainterPath(QPointF(32, 8))
    path.lineTo(QPointF(58, 54))
    path.lineTo(QPointF(6, 54))
    path.closeSubpath()
    painter.setPen(_pen(colour, 5))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(path)
    painter.drawLine(QPointF(32, 26), QPointF(32, 38))
    painter.drawPoint(QPointF(32, 46))


# --- the pages ----------------------------------------------------------------------------------------------------


def _chat(painter: QPainter, colour: QColor) -> None:
    painter.setPen(_pen(colour, 5))
    path = QPainterPath()
    path.addRoundedRect(QRectF(8, 12, 48, 32), 9, 9)
    painter.drawPath(path)
    painter.drawPolyline([QPointF(20, 44), QPointF(20, 55), QPointF(31, 44)])


def _facts(painter: QPainter, colour: QColor) -> None:
    painter.setPen(_pen(colour, 5))
    for row in range(3):
        y = 16 + 16 * row
        painter.drawPoint(QPointF(12, y))
        painter.drawLine(QPointF(24, y), QPointF(54, y))


def _nights(painter: QPainter, colour: QColor) -> None:
    painter.setPen(_pen(colour, 5))
    painter.drawPath(_moon_path(QRectF(10, 10, 44, 44)))


def _health(painter: QPainter, colour: QColor) -> None:
    painter.setPen(_pen(colour, 5))
    painter.drawPolyline(
        [QPointF(6, 34), QPointF(20, 34), QPointF(27, 14), QPointF(37, 52), QPointF(44, 34), QPointF(58, 34)]
    )


def _settings(painter: QPainter, colour: QColor) -> None:
    painter.setPen(_pen(colour, 5))
    for row, knob in enumerate((24, 42, 18)):
        y = 16 + 16 * row
        painter.drawLine(QPointF(8, y), QPointF(knob - 7, y))
        painter.drawEllipse(QPointF(knob, y), 5, 5)
        painter.drawLine(QPointF(knob + 7, y), QPointF(56, y))


def _logs(painter: QPainter, colour: QColor) -> None:
    painter.setPen(_pen(colour, 5))
    painter.drawPolyline([QPointF(10, 18), QPointF(24, 32), QPointF(10, 46)])
    painter.drawLine(QPointF(32, 48), QPointF(54, 48))


_PAGES: dict[str, Callable[[QPainter, QColor], None]] = {
    "chat": _chat,
    "facts": _facts,
    "nights": _nights,
    "health": _health,
    "settings": _settings,
    "logs": _logs,
}


def _icon(draw: Callable[[QPainter], None]) -> QIcon:
    icon = QIcon()
    for side in _SIZES:
        icon.addPixmap(_pixmap(draw, side, 1.0))
    return icon


def _pixmap(draw: Callable[[QPainter], None], side: int, ratio: float) -> QPixmap:
    pixels = round(side * ratio)
    pixmap = QPixmap(QSize(pixels, pixels))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(pixels / _GRID, pixels / _GRID)
    draw(painter)
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    return pixmap
