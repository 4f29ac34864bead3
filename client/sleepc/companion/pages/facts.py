"""The facts page: what is remembered, what was replaced, what was refused; correcting and forgetting."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QLineEdit, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from sleepd.protocol.errors import SleepdError
from sleepd.protocol.facts import CorrectReply, FactsReply, ForgetReply, WhyReply

from .. import fact_views, texts
from ..fact_views import Shown
from ..rows import RowList
from ..services import Services
from ..state import State
from ..widgets import Choice, Empty, label, row, scrolled
from .dialogs import Question
from .fact_card import FactCard

_NAMES = {Shown.KNOWN: texts.KNOWN, Shown.REPLACED: texts.OUTDATED, Shown.REFUSED: texts.REFUSED}
_EMPTY = {
    Shown.KNOWN: (texts.FACTS_EMPTY_TITLE, texts.FACTS_EMPTY_TEXT),
    Shown.REPLACED: (texts.REPLACED_EMPTY_TITLE, texts.REPLACED_EMPTY_TEXT),
    Shown.REFUSED: (texts.REFUSED_EMPTY_TITLE, texts.REFUSED_EMPTY_TEXT),
}


class FactsPage(QWidget):
    """Fetches when it is looked at and facts may have changed since it did last."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._reply = FactsReply(facts=())
        self._fetched = -1  # the version of the facts that is shown
        self._version = 0
        self._open = self._present = self._fetching = False
        self._asked = False  # the daemon has answered once
        self._selected: str | None = None
        self.search = QLineEdit()
        self.search.setPlaceholderText(texts.SEARCH_PLACEHOLDER)
        self.search.setAccessibleName(texts.SEARCH)
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(lambda _: self._list())
        self.shown = Choice(texts.SHOWN)
        for which, name in _NAMES.items():
            self.shown.addItem(name, which.value)
        self.shown.currentIndexChanged.connect(lambda _: self._list())
        self._count = label("", "muted", wrap=False)
        self._stale = label(texts.STALE_FACTS, "bad")
        self.list = RowList(services.theme, texts.FACT_LIST)
        self.list.selectionModel().currentChanged.connect(lambda *_: self._choose())
        self._empty = Empty(texts.UNKNOWN_TITLE, texts.UNKNOWN_TEXT)
        self.card = FactCard(self._correct, self._forget)
        self._build()
        self._list()

    def _build(self) -> None:
        self._stack = QStackedWidget()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self.list)
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(10, 0, 0, 0)
        column.addWidget(self.card)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(self._stack)
        split.addWidget(scrolled(side, texts.FACT_DETAILS))
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        split.setChildrenCollapsible(False)
        split.setSizes([440, 330])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 18, 24, 20)
        layout.setSpacing(12)
        layout.addLayout(row(self.search, self.shown, self._count))
        layout.addWidget(self._stale)
        layout.addWidget(split, 1)
        find = QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self)
        find.activated.connect(self.search.setFocus)
        remove = QShortcut(QKeySequence(Qt.Key.Key_Delete), self.list, context=Qt.ShortcutContext.WidgetShortcut)
        remove.activated.connect(self._forget)

    # --- page -----------------------------------------------------------------------------------------------------

    def show_state(self, state: State) -> None:
        """Facts that were heard from a daemon that is gone are said to be so, and cannot be changed."""
        self._present = state.current is not None
        self._version = state.facts_version
        self._stale.setVisible(not self._present and self._asked)
        self.list.setEnabled(self._present)
        for each in (self.card.correct, self.card.forget):
            each.setEnabled(self._present)
        if self._open:
            self._fetch()

    def opened(self) -> None:
        """Fetch what may be old."""
        self._open = True
        self._fetch()

    def closed(self) -> None:
        """Nothing is fetched that nobody looks at."""
        self._open = False

    def show_fact(self, fact_id: str) -> None:
        """Select one fact."""
        self._selected = fact_id
        self.search.clear()
        self.shown.setCurrentIndex(0)
        self._fetched = -1 if not self.list.rows.find(fact_id).isValid() else self._fetched
        self._fetch()
        self._select()

    # --- fetching -------------------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        if not self._present or self._fetching or self._fetched == self._version:
            return
        self._fetching, version = True, self._version

        def came(reply: FactsReply) -> None:
            self._fetching = False
            self._reply, self._fetched, self._asked = reply, version, True
            self._stale.setVisible(not self._present)
            self._list()
            if self._open:
                self._fetch()

        def failed(error: SleepdError) -> None:
            self._fetching = False
            self.card.say(str(error), "bad")

        self._services.bridge.do(lambda client: client.facts(refused=True), came, failed)

    def _list(self) -> None:
        which = Shown(self.shown.currentData())
        query = self.search.text()
        everything = fact_views.rows(self._reply.facts, self._reply.refused, which)
        rows = fact_views.rows(self._reply.facts, self._reply.refused, which, query) if query.strip() else everything
        if rows != self.list.rows.rows:
            place = self.list.verticalScrollBar().value()
            self.list.rows.show_rows(rows)
            self.list.verticalScrollBar().setValue(place)
        filtered = len(rows) != len(everything)
        self._count.setText(texts.found_count(len(rows), len(everything)) if filtered else texts.fact_count(len(rows)))
        if self._asked:
            nothing = (texts.NOTHING_FOUND_TITLE, texts.NOTHING_FOUND_TEXT) if filtered else _EMPTY[which]
            self._empty.show_words(*nothing)
        self._count.setVisible(self._asked)
        self._stack.setCurrentWidget(self.list if rows else self._empty)
        self._select()

    def _select(self) -> None:
        """The fact that was selected stays so where it is still listed, and is asked about anew."""
        index = self.list.rows.find(self._selected) if self._selected else QModelIndex()
        if index.isValid():
            if index != self.list.currentIndex():
                self.list.setCurrentIndex(index)
            else:
                self._show_why()
        elif not self.list.currentIndex().isValid():
            self._selected = None
            self.card.show_nothing(texts.NOTHING_SELECTED)

    # --- one fact -------------------------------------------------------------------------------------------------

    def _choose(self) -> None:
        chosen = self.list.current
        if chosen is None:
            return
        if chosen.key != self._selected:
            self.card.say("")
        self._selected = chosen.key
        if chosen.key is None:
            self.card.show_refusal(chosen.title, chosen.detail)
        else:
            self._show_why()

    def _show_why(self) -> None:
        fact_id = self._selected
        if fact_id is None or not self._present:
            return

        def came(reply: WhyReply) -> None:
            if reply.id == self._selected:
                changeable = reply.state in ("active", "pending")
                self.card.show_fact(fact_views.card(reply), changeable=changeable)

        self._services.bridge.do(lambda client: client.why(fact_id), came, self._failed)

    def _correct(self) -> None:
        chosen = self.list.current
        if chosen is None or chosen.key is None or not self._present:
            return
        fact_id = chosen.key

        def apply(text: str) -> None:
            self.card.say(texts.WORKING)
            self._services.bridge.do(lambda client: client.correct(fact_id, text), self._corrected, self._failed)

        Question(
            self.window(),
            texts.CORRECT_TITLE,
            texts.CORRECT_PROMPT,
            texts.CORRECT.rstrip("…"),
            apply,
            subject=chosen.title,
            value=chosen.title,
        ).open()

    def _corrected(self, reply: CorrectReply) -> None:
        if reply.facts:
            self._selected = reply.facts[0].id
            self.card.say(texts.corrected(reply.facts[0].statement), "good")
        elif reply.refused:
            self.card.say(texts.not_corrected(reply.refused[0].reason), "bad")
        self._again()

    def _forget(self) -> None:
        chosen = self.list.current
        if chosen is None or chosen.key is None or not self._present:
            return
        fact_id = chosen.key

        def apply(_: str) -> None:
            self.card.say(texts.WORKING)
            self._services.bridge.do(lambda client: client.forget(fact_id), self._forgotten, self._failed)

        Question(
            self.window(),
            texts.FORGET_TITLE,
            texts.FORGET_TEXT,
            texts.FORGET_NOW,
            apply,
            subject=chosen.title,
            danger=True,
        ).open()

    def _forgotten(self, reply: ForgetReply) -> None:
        self._selected = None
        self.list.clearSelection()
        self.list.setCurrentIndex(QModelIndex())
        self.card.show_nothing(texts.NOTHING_SELECTED)
        if reply.facts:
            self.card.say(fact_views.forgotten_line(reply.facts[0]), "good")
        self._again()

    def _again(self) -> None:
        self._fetched = -1
        self._fetch()

    def _failed(self, error: SleepdError) -> None:
        self.card.say(str(error), "bad")
