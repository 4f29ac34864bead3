"""The nights page: hypnogram, what was learned, recall and perplexity over time, undo."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter, QStackedWidget, QVBoxLayout, QWidget

from sleepd.protocol.errors import NotFound, SleepdError
from sleepd.protocol.messages import SleepReply, UndoReply

from ...async_client import AsyncClient
from .. import night_views, texts
from ..night_views import NightView
from ..painting.hypnogram import Hypnogram
from ..painting.lines import Lines
from ..rows import RowList
from ..services import Services
from ..state import State
from ..views import state_view
from ..widgets import Card, Empty, Rows, button, clear, label, row, scrolled, selectable
from .dialogs import Question

KEPT = 60
"""Nights that are listed, the latest ones."""

_FEW = 10
"""Statements of a long list that are shown at first."""


class NightsPage(QWidget):
    """A report never changes, so each is fetched once."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._reports: dict[int, SleepReply] = {}
        self._statements: dict[str, str] = {}
        self._version, self._fetched = 0, -1
        self._open = self._present = self._fetching = False
        self.list = RowList(services.theme, texts.NIGHT_LIST)
        self.list.setMinimumWidth(150)
        self.list.selectionModel().currentChanged.connect(lambda *_: self._choose())
        self.undo = button(texts.UNDO_LAST, self.ask_undo)
        self._outcome = label("", "muted")
        self._outcome.hide()
        self._title = label("", size=1.3, bold=True, wrap=False)
        self._summary = label("", "muted")
        self.hypnogram = Hypnogram(services.theme)
        self._learned, self._failed = _Statements(texts.LEARNED_LIST), _Statements(texts.FAILED_LIST)
        self._measures = QVBoxLayout()
        self._measures.setSpacing(12)
        self.recall = Lines(services.theme, "nap", percent=True)
        self.perplexity = Lines(services.theme, "rem", percent=False)
        self._build()
        self._list()

    def _build(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(12, 0, 8, 4)
        column.setSpacing(12)
        column.addLayout(row(self._title, None, self.undo))
        column.addWidget(self._summary)
        column.addWidget(self._outcome)
        graph = Card(texts.HYPNOGRAM)
        graph.body.addWidget(self.hypnogram)
        column.addWidget(graph)
        column.addLayout(row(self._learned, self._failed, spacing=12))
        column.addLayout(self._measures)
        trends = []
        for name, lines in ((texts.TREND_RECALL, self.recall), (texts.TREND_PERPLEXITY, self.perplexity)):
            card = Card(name)
            card.body.addWidget(lines)
            trends.append(card)
        column.addLayout(row(*trends, spacing=12))
        column.addStretch(1)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(self.list)
        split.addWidget(scrolled(inside, texts.NIGHT_DETAILS))
        split.setStretchFactor(1, 1)
        split.setChildrenCollapsible(False)
        split.setSizes([190, 600])
        self._stack = QStackedWidget()
        self._empty = Empty(texts.NIGHTS_EMPTY_TITLE, texts.NIGHTS_EMPTY_TEXT)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(split)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 18, 24, 20)
        layout.addWidget(self._stack)

    # --- page -----------------------------------------------------------------------------------------------------

    def show_state(self, state: State) -> None:
        """What is over stays true, whatever the daemon does; undoing needs it awake."""
        self._present, self._version = state.current is not None, state.nights_version
        self.undo.setEnabled(state_view(state).can_undo)
        if self._open:
            self._fetch()

    def opened(self) -> None:
        """Fetch the nights that are new."""
        self._open = True
        self._fetch()

    def closed(self) -> None:
        """Nothing is fetched that nobody looks at."""
        self._open = False

    def show_latest(self) -> None:
        """Select the last night."""
        self.list.setCurrentIndex(self.list.rows.index(0, 0))
        self._outcome.hide()

    def ask_undo(self) -> None:
        """Ask, then return to the generation before the last sleep."""
        Question(self.window(), texts.UNDO_TITLE, texts.UNDO_TEXT, texts.UNDO_NOW, lambda _: self._undo()).open()

    def _undo(self) -> None:
        def done(reply: UndoReply) -> None:
            self._say(texts.undone(reply.generation))

        self._say(texts.WORKING)
        self._services.bridge.do(lambda client: client.undo(), done, lambda error: self._say(str(error)))

    def _say(self, words: str) -> None:
        self._outcome.setText(words)
        self._outcome.show()

    # --- fetching -------------------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        if not self._present or self._fetching or self._fetched == self._version:
            return
        self._fetching, version, known = True, self._version, frozenset(self._reports)

        def came(found: tuple[list[SleepReply], dict[str, str]]) -> None:
            reports, self._statements = found
            self._fetching, self._fetched = False, version
            self._reports |= {report.cycle: report for report in reports}
            for old in sorted(self._reports)[:-KEPT]:
                del self._reports[old]
            self._list()
            if self._open:
                self._fetch()

        def failed(error: SleepdError) -> None:
            self._fetching = False
            self._say(str(error))

        self._services.bridge.do(lambda client: _nights(client, known), came, failed)

    def _list(self) -> None:
        self._stack.setCurrentIndex(1 if self._reports else 0)
        if self._fetched < 0:
            self._empty.show_words(texts.UNKNOWN_TITLE, texts.UNKNOWN_TEXT)
        else:
            self._empty.show_words(texts.NIGHTS_EMPTY_TITLE, texts.NIGHTS_EMPTY_TEXT)
        chosen, following = self.list.current, self.list.currentIndex().row() <= 0
        cycles = sorted(self._reports, reverse=True)
        self.list.rows.show_rows(tuple(night_views.night_row(self._reports[cycle]) for cycle in cycles))
        kept = self.list.rows.find(chosen.key) if chosen is not None and chosen.key and not following else None
        self.list.setCurrentIndex(kept if kept is not None and kept.isValid() else self.list.rows.index(0, 0))
        recall, perplexity = night_views.trends([*self._reports.values()])
        self.recall.show_trend(recall)
        self.perplexity.show_trend(perplexity)

    def _choose(self) -> None:
        chosen = self.list.current
        if chosen is not None and chosen.key is not None:
            self._show(night_views.night_view(self._reports[int(chosen.key)], self._statements))

    def _show(self, night: NightView) -> None:
        self._title.setText(night.title)
        self._summary.setText(night.summary)
        self.hypnogram.show_steps(night.steps)
        self._learned.show_lines((statement, "") for statement in night.learned)
        self._failed.show_lines(night.failed)
        clear(self._measures)
        cards = []
        for name, rows in night.measures:
            card = Card(name)
            shown = Rows(self._services.theme)
            shown.show_rows(rows, colour="nap")
            card.body.addWidget(shown)
            card.body.addStretch(1)
            cards.append(card)
        side_by_side = row(spacing=12)
        for card in cards:
            side_by_side.addWidget(card, 1)
        self._measures.addLayout(side_by_side)


async def _nights(client: AsyncClient, known: frozenset[int]) -> tuple[list[SleepReply], dict[str, str]]:
    """The reports that are not known yet, and all statements by their ids."""
    try:
        latest = await client.report()
    except NotFound:
        return [], {}
    found = [latest]
    for cycle in range(latest.cycle - 1, max(0, latest.cycle - KEPT), -1):
        if cycle in known:
            continue
        try:
            found.append(await client.report(cycle))
        except NotFound:  # it is under way, or its report is kept no more
            continue
    facts = (await client.facts()).facts
    return found, {fact.id: fact.statement for fact in facts}


class _Statements(Card):
    """A list of statements, each with a reason beneath where there is one; a long one shows its beginning first."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._list = QVBoxLayout()
        self._list.setSpacing(6)
        self.body.addLayout(self._list)
        self.body.addStretch(1)
        self._lines: tuple[tuple[str, str], ...] = ()

    def show_lines(self, lines: Iterable[tuple[str, str]]) -> None:
        """Show other statements."""
        self._lines = tuple(lines)
        self.setVisible(bool(self._lines))
        self._show(_FEW if len(self._lines) > _FEW + 1 else len(self._lines))

    def _show(self, count: int) -> None:
        clear(self._list)
        for statement, reason in self._lines[:count]:
            self._list.addWidget(selectable(statement))
            if reason:
                self._list.addWidget(label(reason, "muted", size=0.92))
        if (left := len(self._lines) - count) > 0:
            more = button(texts.and_more(left), lambda: self._show(len(self._lines)), "link")
            self._list.addLayout(row(more, None))
