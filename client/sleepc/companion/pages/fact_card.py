"""One fact in full: where it came from, what holds it, what it was, and what may be done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from .. import texts
from ..fact_views import Card as FactView
from ..widgets import ALIGN_TOP_LEFT, Card, button, clear, label, row, selectable


class FactCard(Card):
    """Shows a fact; `correct` and `forget` are called when a person wants that."""

    def __init__(self, correct: Callable[[], None], forget: Callable[[], None]) -> None:
        super().__init__()
        self.setAccessibleName(texts.FACT_DETAILS)
        self._words = QWidget()
        self._column = QVBoxLayout(self._words)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(10)
        self.correct = button(texts.CORRECT, correct)
        self.forget = button(texts.FORGET, forget, "danger")
        self.outcome = label("", "muted")
        self.body.addWidget(self._words)
        self.body.addWidget(self.outcome)
        self.body.addLayout(row(self.correct, self.forget, None))
        self.body.addStretch(1)
        self.show_nothing(texts.NOTHING_SELECTED)

    def show_nothing(self, words: str) -> None:
        """Nothing is selected."""
        clear(self._column)
        self._column.addWidget(label(words, "muted"))
        self._offer(False)

    def show_refusal(self, text: str, reason: str) -> None:
        """What was not learned, and why."""
        clear(self._column)
        self._column.addWidget(selectable(text, size=1.2, bold=True))
        self._column.addLayout(_grid([(texts.REASON, reason)]))
        self._offer(False)

    def show_fact(self, fact: FactView, *, changeable: bool) -> None:
        """A fact."""
        clear(self._column)
        self._column.addWidget(selectable(fact.title, size=1.2, bold=True))
        badge = label(fact.badge, "badge", size=0.9, wrap=False)
        self._column.addLayout(row(badge, None))
        self._column.addLayout(_grid(fact.rows))
        if fact.values:
            self._column.addWidget(label(texts.VALUES, "muted", bold=True))
            for when, statement in fact.values:
                self._column.addWidget(selectable(statement))
                self._column.addWidget(label(when, "muted", size=0.92))
        if fact.history:
            self._column.addWidget(label(texts.HISTORY, "muted", bold=True))
            self._column.addLayout(_grid(fact.history))
        self._offer(changeable)

    def say(self, words: str, role: str = "muted") -> None:
        """What came of a change."""
        self.outcome.setProperty("role", role)
        self.outcome.style().polish(self.outcome)
        self.outcome.setText(words)
        self.outcome.setVisible(bool(words))

    def _offer(self, changeable: bool) -> None:
        for each in (self.correct, self.forget):
            each.setVisible(changeable)


def _grid(pairs: Iterable[tuple[str, str]]) -> QGridLayout:
    made = QGridLayout()
    made.setHorizontalSpacing(16)
    made.setVerticalSpacing(5)
    made.setColumnStretch(1, 1)
    for at, (name, value) in enumerate(pairs):
        if value:
            made.addWidget(label(name, "muted", wrap=False), at, 0, ALIGN_TOP_LEFT)
            made.addWidget(selectable(value), at, 1)
    return made
