"""The health page: the need for sleep with its parts, what comes next, memory, disk, device, measurements."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from sleepd.protocol.errors import SleepdError
from sleepd.protocol.messages import HealthReply

from .. import texts
from ..painting.gauge import Gauge
from ..services import Services
from ..state import State
from ..views import Row, health_view, measured_rows
from ..widgets import Card, Rows, button, clear, label, row, scrolled, selectable


class HealthPage(QWidget):
    """Shows the state as it is told; measures only when asked."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        theme = services.theme
        self.gauge = Gauge(theme)
        self._parts, self._memory, self._disk, self._device, self._measured = (Rows(theme) for _ in range(5))
        self.next = label("", size=1.05, bold=True)
        self.next.setAccessibleName(texts.NEXT)
        self._problems = Card(texts.PROBLEMS)
        self._problem_list = QVBoxLayout()
        self._problems.body.addLayout(self._problem_list)
        self.measure = button(texts.MEASURE, self._measure, tip=texts.MEASURE_TIP)
        self._said = label("", "muted")
        self._measuring = False
        self._shown_problems: tuple[str, ...] = ()
        self._problems.hide()
        self._build()

    def _build(self) -> None:
        pressure = Card(texts.PRESSURE)
        side = QVBoxLayout()
        side.setSpacing(14)
        side.addStretch(1)
        side.addWidget(self._parts)
        side.addWidget(self.next)
        side.addStretch(1)
        inner = row(self.gauge, spacing=24)
        inner.addLayout(side, 1)
        pressure.body.addLayout(inner)
        measured = Card(texts.MEASURED)
        measured.body.addWidget(self._measured)
        measured.body.addWidget(self._said)
        measured.body.addLayout(row(self.measure, None))
        columns = []
        for cards in (
            (_card(texts.DEVICE, self._device), _card(texts.MEMORY, self._memory)),
            (_card(texts.DISK, self._disk), measured),
        ):
            column = QVBoxLayout()
            column.setSpacing(12)
            for card in cards:
                column.addWidget(card)
            column.addStretch(1)
            columns.append(column)
        below = row(spacing=12)
        for column in columns:
            below.addLayout(column, 1)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(24, 18, 24, 20)
        column.setSpacing(12)
        column.addWidget(self._problems)
        column.addWidget(pressure)
        column.addLayout(below)
        column.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(inside, texts.HEALTH))

    # --- page -----------------------------------------------------------------------------------------------------

    def show_state(self, state: State) -> None:
        """Everything that is known of now, and nothing that is not."""
        view = health_view(state)
        self.gauge.show_value(view.pressure)
        parts = view.parts
        self._parts.show_rows([Row(part.name, texts.percent(part.value), part.value) for part in parts], colour="awake")
        self.next.setText(view.next)
        self._memory.show_rows(view.memory)
        self._disk.show_rows(view.disk)
        self._device.show_rows(view.device)
        if view.problems != self._shown_problems:
            self._show_problems(view.problems)
        present = state.current is not None
        self.measure.setEnabled(present and not self._measuring)
        if not present:
            self._measured.show_rows(())

    def _show_problems(self, problems: tuple[str, ...]) -> None:
        self._shown_problems = problems
        clear(self._problem_list)
        for problem in problems:
            self._problem_list.addWidget(selectable(problem, "bad"))
        self._problems.setVisible(bool(problems))

    def opened(self) -> None:
        """Time passes without events, too."""
        self._services.bridge.refresh()

    def closed(self) -> None:
        """Nothing to end."""

    def _measure(self) -> None:
        self._measuring = True
        self.measure.setEnabled(False)
        self._said.setText(texts.WORKING)
        self._services.bridge.do(lambda client: client.health(), self._came, self._failed)

    def _came(self, reply: HealthReply) -> None:
        self._ended("")
        self._measured.show_rows(measured_rows(reply))
        self._services.bridge.refresh()

    def _failed(self, error: SleepdError) -> None:
        self._ended(str(error))

    def _ended(self, words: str) -> None:
        self._measuring = False
        self.measure.setEnabled(True)
        self._said.setText(words)
        self._said.setVisible(bool(words))


def _card(title: str, rows: Rows) -> Card:
    card = Card(title)
    card.body.addWidget(rows)
    return card
