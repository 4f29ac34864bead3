"""One message of a conversation: the user's at the right, the model's Markdown at the left, lines beside the talk."""

from __future__ import annotations

import math
from collections.abc import Callable

from PySide6.QtCore import QByteArray, QSize, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QFontDatabase, QTextDocument, QTextOption, QWheelEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMessageBox, QSizePolicy, QTextBrowser, QVBoxLayout, QWidget

from ...printable import printable
from .. import texts
from ..conversation import OPEN, Delivery, Kind, Message
from ..widgets import button, clear, label, set_role

_FEATURES = QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML

TONES = {Kind.LEARNED: "good", Kind.ASKED: "ask", Kind.PROBLEM: "bad", Kind.REFUSED: ""}


class Words(QTextBrowser):
    """Text as wide and as high as it needs. Loads nothing, and opens a link only after asking."""

    def __init__(self, *, markdown: bool) -> None:
        super().__init__()
        self._markdown = markdown
        self._shown: str | None = None
        self.setOpenLinks(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(0)
        self.document().setIndentWidth(22)
        self.viewport().setAutoFillBackground(False)
        self.anchorClicked.connect(self._clicked)

    def show_words(self, text: str) -> None:
        """Show a text; a model wrote it, so it can control nothing."""
        text = printable(text)
        if text == self._shown:
            return
        self._shown = text
        if self._markdown:
            self.document().setMarkdown(text, _FEATURES)
        else:
            self.setPlainText(text)
        self.setAccessibleName(text)

    def fit(self, width: int) -> None:
        """Take the room that the text needs, within a width."""
        document = self.document()
        document.setTextWidth(width)
        ideal = min(width, math.ceil(document.idealWidth()) + 1)
        if self._markdown and ideal > width * 0.6:
            ideal = width
        document.setTextWidth(ideal)
        size = QSize(max(8, ideal), max(1, math.ceil(document.size().height())))
        if size != self.size():
            self.setFixedSize(size)

    def loadResource(self, type: int, name: QUrl | str) -> object:
        return QByteArray()  # no picture that a text names is ever fetched, not from this disk either

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the conversation scrolls, not a message in it

    def _clicked(self, url: QUrl) -> None:
        if url.scheme() not in ("http", "https"):
            return
        asked = QMessageBox.question(self.window(), texts.OPEN_LINK, f"{texts.OPEN_LINK_TEXT}\n\n{url.toString()}")
        if asked is QMessageBox.StandardButton.Yes:
            QDesktopServices.openUrl(url)


class Bubble(QWidget):
    """Shows one message and what may be done about it."""

    def __init__(self, message: Message, act: Callable[[Message, str], None]) -> None:
        super().__init__()
        self._act = act
        self._message: Message | None = None
        self._side = message.kind
        self._frame = QFrame()
        self._words = Words(markdown=message.kind is Kind.MODEL)
        if message.kind is Kind.OUTPUT:
            self._words.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._tail = label("", "muted", size=0.9, wrap=False)
        self._offers = QHBoxLayout()
        self._offers.setSpacing(4)
        self._inner = inner = QVBoxLayout(self._frame)
        inner.setSpacing(4)
        inner.addWidget(self._words)
        inner.addWidget(self._tail)
        inner.addLayout(self._offers)
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 3, 0, 3)
        mine = message.kind is Kind.USER
        if mine:
            self._frame.setObjectName("mine")
            inner.setContentsMargins(14, 9, 14, 9)
            outer.addStretch(1)
        elif message.kind is Kind.MODEL:
            inner.setContentsMargins(2, 4, 2, 4)
        else:
            self._frame.setObjectName("aside")
            inner.setContentsMargins(12, 2, 6, 2)
        outer.addWidget(self._frame)
        if not mine:
            outer.addStretch(1)
        self.show_message(message)

    def show_message(self, message: Message) -> bool:
        """Show the message as it is now; whether anything changed."""
        if message == self._message:
            return False
        before, self._message = self._message, message
        set_role(self._frame, "tone", TONES.get(message.kind, ""))
        self._words.show_words(_told(message))
        self._words.setVisible(bool(message.text) or message.kind is not Kind.MODEL)
        tail = _tail(message)
        self._tail.setText(tail)
        self._tail.setVisible(bool(tail))
        if before is None or (before.kind, before.fact_id) != (message.kind, message.fact_id):
            self._show_offers(message)
        speaker = {Kind.USER: texts.YOU, Kind.MODEL: texts.MODEL}.get(message.kind)
        self.setAccessibleName(f"{speaker}: {message.text}" if speaker else _told(message))
        return True

    def fit(self, width: int) -> None:
        """Lay out within a width."""
        share = 0.78 if self._side is Kind.USER else 0.94
        margins = self._inner.contentsMargins()
        self._words.fit(max(60, round(width * share) - margins.left() - margins.right()))

    def _show_offers(self, message: Message) -> None:
        clear(self._offers)
        offers: list[tuple[str, str]] = []
        if message.kind is Kind.LEARNED and message.fact_id:
            offers = [(texts.UNDO_FACT, "undo"), (texts.SHOW_FACT, "show")]
        elif message.kind is Kind.ASKED:
            offers = [(texts.YES, "yes"), (texts.NO, "no")]
        for text, name in offers:
            offer = button(text, lambda name=name: self._offered(name), "link")  # type: ignore[misc]
            offer.setAccessibleName(f"{text}: {message.text}")
            self._offers.addWidget(offer)
        if offers:
            self._offers.addStretch(1)

    def _offered(self, name: str) -> None:
        if self._message is not None:
            self._act(self._message, name)


def _told(message: Message) -> str:
    match message.kind:
        case Kind.LEARNED:
            return texts.learned(message.text)
        case Kind.ASKED:
            return texts.asked(message.text)
        case Kind.REFUSED:
            return texts.refused(message.text)
        case Kind.TAKEN_BACK:
            return texts.taken_back(message.text)
        case _:
            return message.text


def _tail(message: Message) -> str:
    if message.delivery is Delivery.WAITING:
        return message.doing or texts.THINKING
    if message.delivery in OPEN:
        return ""
    return {
        Delivery.STOPPED: texts.STOPPED_REPLY,
        Delivery.CUT: texts.CUT_REPLY,
        Delivery.FAILED: texts.FAILED_REPLY,
    }.get(message.delivery, "")
