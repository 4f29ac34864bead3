"""A list whose rows are painted: a model over them, and how one looks. Only rows in sight cost anything."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from .theme import Theme, mixed
from .views import ListRow

Index = QModelIndex | QPersistentModelIndex

_MARGIN, _GUTTER = 10, 18


class RowModel(QAbstractListModel):
    """Rows as Qt asks for them; the text of a row says everything, for screen readers."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[ListRow, ...] = ()

    def show_rows(self, rows: tuple[ListRow, ...]) -> None:
        """Replace them all."""
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def at(self, index: Index) -> ListRow | None:
        """The row of an index."""
        return self.rows[index.row()] if index.isValid() and index.row() < len(self.rows) else None

    def find(self, key: str) -> QModelIndex:
        """Where a row is; invalid where it is not listed."""
        found = (number for number, row in enumerate(self.rows) if row.key == key)
        return self.index(next(found, -1), 0)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  (Qt's own signature)
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.at(index)
        if row is None:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return row.title
            case Qt.ItemDataRole.AccessibleTextRole:
                return ", ".join(part for part in (row.title, row.detail, row.badge) if part)
            case Qt.ItemDataRole.ToolTipRole:
                return row.tip
            case _:
                return None


class RowDelegate(QStyledItemDelegate):
    """A dot in the colour of a row's tone, its title and badge, its detail beneath."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        row = _row(index)
        lines = 2 if row is not None and row.detail else 1
        return QSize(120, option.fontMetrics.height() * lines + 2 * _MARGIN)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row = _row(index)
        if row is None:
            return
        colours, metrics, state = self._theme.colours, option.fontMetrics, option.state
        where = QRectF(option.rect)
        enabled = bool(state & QStyle.StateFlag.State_Enabled)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_ground(painter, where, state)
        line = QRectF(where.left() + _MARGIN, where.top() + _MARGIN, where.width() - 2 * _MARGIN, metrics.height())
        if row.tone:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(getattr(colours, row.tone) if enabled else colours.muted))
            painter.drawEllipse(QRectF(line.left(), line.center().y() - 3.5, 7, 7))
            line.setLeft(line.left() + _GUTTER)
        painter.setPen(QColor(colours.muted))
        badge = metrics.horizontalAdvance(row.badge) + 12 if row.badge else 0
        painter.drawText(line, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, row.badge)
        if row.detail:
            beneath = line.translated(0, metrics.height())
            painter.drawText(beneath, Qt.AlignmentFlag.AlignVCenter, _elided(metrics, row.detail, line.width()))
        painter.setPen(QColor(colours.text if enabled else colours.muted))
        title = _elided(metrics, row.title, line.width() - badge)
        painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, title)
        painter.restore()

    def _paint_ground(self, painter: QPainter, where: QRectF, state: QStyle.StateFlag) -> None:
        colours = self._theme.colours
        chosen = bool(state & QStyle.StateFlag.State_Selected)
        if not chosen and not state & QStyle.StateFlag.State_MouseOver:
            return
        focused = chosen and bool(state & QStyle.StateFlag.State_HasFocus)
        painter.setPen(QPen(QColor(colours.accent), 1) if focused else Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.tint) if chosen else mixed(colours.surface, colours.raised, 0.6))
        painter.drawRoundedRect(where.adjusted(1, 1, -1, -1), 7, 7)


class RowList(QListView):
    """A list of rows under a name."""

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        self.rows = RowModel()
        self._delegate = RowDelegate(theme)
        self.setAccessibleName(name)
        self.setModel(self.rows)
        self.setItemDelegate(self._delegate)
        self.setMouseTracking(True)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        theme.changed.connect(self.viewport().update)

    @property
    def current(self) -> ListRow | None:
        """The row that is selected."""
        return self.rows.at(self.currentIndex())


def _row(index: Index) -> ListRow | None:
    model = index.model()
    return model.at(index) if isinstance(model, RowModel) else None


def _elided(metrics: QFontMetrics, text: str, width: float) -> str:
    return metrics.elidedText(text, Qt.TextElideMode.ElideRight, int(width))
