"""The chat page: a conversation that streams, with what was learned of it beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QFocusEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QStackedWidget, QVBoxLayout, QWidget

from sleepd.protocol.errors import SleepdError, UsageError

from ...chat import commands
from .. import conversation as chat, talk, texts
from ..conversation import Conversation, Kind, Message
from ..services import Services
from ..state import State
from ..talk import Step, Turn
from ..views import state_view
from ..widgets import Empty, button, row, scrolled, set_role
from .bubbles import Bubble

_FRAME = 50
"""Milliseconds between two looks of a reply that streams."""


class Composer(QPlainTextEdit):
    """Enter sends, Shift+Enter begins a new line. As high as its text, up to a few lines."""

    def __init__(self, send: Callable[[], None]) -> None:
        super().__init__()
        self._send = send
        self.setAccessibleName(texts.CHAT_INPUT)
        self.setPlaceholderText(texts.CHAT_PLACEHOLDER)
        self.setTabChangesFocus(True)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.document().setDocumentMargin(2)
        self.textChanged.connect(self._fit)
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and not event.modifiers() & (Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.AltModifier):
            self._send()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._frame_active(True)
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._frame_active(False)
        super().focusOutEvent(event)

    def _frame_active(self, active: bool) -> None:
        parent = self.parentWidget()
        if parent is not None:
            set_role(parent, "active", "true" if active else "false")

    def _fit(self) -> None:
        lines = max(1, min(6, self.document().size().toSize().height()))
        self.setFixedHeight(self.fontMetrics().lineSpacing() * lines + 10)


class ChatPage(QWidget):
    """`show_fact` is called with the id of a fact that a person wants to see."""

    def __init__(self, services: Services, show_fact: Callable[[str], None]) -> None:
        super().__init__()
        self._services, self._show_fact = services, show_fact
        self._conversation = Conversation()
        self._bubbles: dict[int, Bubble] = {}
        self._turn: Turn | None = None
        self._present = False
        self._at_end = True
        self._column = QWidget()
        self._list = QVBoxLayout(self._column)
        self._list.setContentsMargins(4, 4, 10, 4)
        self._list.setSpacing(2)
        self._list.addStretch(1)
        self._area = scrolled(self._column, texts.CONVERSATION)
        self._area.verticalScrollBar().rangeChanged.connect(self._follow)
        self._area.verticalScrollBar().valueChanged.connect(self._scrolled)
        self._area.viewport().installEventFilter(self)
        self._empty = Empty(texts.CHAT_EMPTY_TITLE, texts.CHAT_EMPTY_TEXT)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._area)
        self._drawing = QTimer(self, singleShot=True, interval=_FRAME)
        self._drawing.timeout.connect(self._draw)
        self._build()
        self._draw()

    def _build(self) -> None:
        self.new = button(texts.NEW_CHAT, self.begin_anew)
        self.resume = button(texts.CONTINUE_CHAT, self._continue)
        self.private = button(texts.PRIVATE, self._draw_soon, "toggle", texts.PRIVATE_TIP)
        self.private.setCheckable(True)
        self.input = Composer(self.send)
        self.send_button = button(texts.SEND, self.send, "primary")
        self.stop_button = button(texts.STOP, self.stop)
        frame = QFrame()
        frame.setObjectName("composer")
        inside = QHBoxLayout(frame)
        inside.setContentsMargins(12, 8, 8, 8)
        inside.addWidget(self.input, 1)
        inside.addWidget(self.stop_button, 0, Qt.AlignmentFlag.AlignBottom)
        inside.addWidget(self.send_button, 0, Qt.AlignmentFlag.AlignBottom)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 18, 24, 20)
        layout.setSpacing(12)
        layout.addLayout(row(self.new, self.resume, None, self.private))
        layout.addWidget(self._stack, 1)
        layout.addWidget(frame)
        self.setFocusProxy(self.input)

    # --- page -----------------------------------------------------------------------------------------------------

    def show_state(self, state: State) -> None:
        """Talking waits for a daemon; what was said stays in sight."""
        self._present = state_view(state).present
        self._draw_soon()

    def opened(self) -> None:
        """Write at once."""
        self.input.setFocus()

    def closed(self) -> None:
        """A reply goes on."""

    # --- talking --------------------------------------------------------------------------------------------------

    @property
    def conversation(self) -> Conversation:
        """As it is now."""
        return self._conversation

    def show_conversation(self, conversation: Conversation) -> None:
        """Show a conversation as it is."""
        self._conversation = conversation
        self._draw()

    def send(self) -> None:
        """Say what was written, or obey it where it is a command."""
        text = self.input.toPlainText().strip()
        if not text or self._conversation.busy or not self._present:
            return
        try:
            line = commands.read(text)
        except UsageError as error:
            self._take(partial(chat.noted, text=str(error), kind=Kind.PROBLEM))
            return
        self.input.clear()
        self._at_end = True
        if line.command is None:
            self._say(line.text)
        elif line.command == "help":
            self._take(partial(chat.noted, text=commands.help_text(), kind=Kind.OUTPUT))
        elif line.command in commands.LEAVE:
            self.window().close()
        else:
            self._obey(line)

    def stop(self) -> None:
        """End the reply under way."""
        if self._turn is not None:
            self._services.bridge.there(self._turn.stop)

    def begin_anew(self) -> None:
        """Another conversation, with nothing before it."""
        self.stop()
        self._turn = None
        self._conversation = Conversation(next_key=self._conversation.next_key)
        self._draw()
        self.input.setFocus()

    def _say(self, text: str) -> None:
        self._take(partial(chat.said, text=text))
        bridge = self._services.bridge
        mine = self._conversation.next_key

        def tell(step: Step) -> None:
            bridge.call(lambda: self._take(step, mine))

        self._turn = Turn(text, self._conversation.session, learn=not self.private.isChecked(), tell=tell)
        bridge.do(self._turn.run)

    def _obey(self, line: commands.Line) -> None:
        command = commands.COMMANDS[line.command or ""]
        try:
            request = command.build(line.rest)
        except UsageError as error:
            self._take(partial(chat.noted, text=str(error), kind=Kind.PROBLEM))
            return
        self._services.bridge.do(
            lambda client: client.call(request),
            lambda reply: self._take(partial(chat.noted, text=command.text(reply), kind=Kind.OUTPUT)),
            self._problem,
        )

    def _continue(self) -> None:
        def opened(session: str, turns: int) -> None:
            self.begin_anew()
            self._take(partial(chat.opened, session=session))
            self._take(partial(chat.noted, text=texts.continued(turns)))

        self._services.bridge.do(
            lambda client: client.open_session(resume=True),
            lambda reply: opened(reply.session, reply.turns),
            self._problem,
        )

    def _act(self, message: Message, name: str) -> None:
        bridge, session = self._services.bridge, self._conversation.session

        def tell(step: Step) -> None:
            bridge.call(lambda: self._take(step))

        if name == "show" and message.fact_id:
            self._show_fact(message.fact_id)
        elif name == "undo" and message.fact_id:
            fact_id = message.fact_id
            bridge.do(lambda client: talk.take_back(client, fact_id, message.key, tell))
        elif session is not None:
            bridge.do(lambda client: talk.answer(client, session, message.key, name == "yes", tell))

    def _problem(self, error: SleepdError) -> None:
        self._take(partial(chat.noted, text=str(error), kind=Kind.PROBLEM))

    def _take(self, step: Step, since: int = 0) -> None:
        """One step on. What belongs to a conversation that was left is dropped."""
        first = self._conversation.messages[0].key if self._conversation.messages else self._conversation.next_key
        if since and first >= since:
            return
        self._conversation = step(self._conversation)
        self._draw_soon()

    # --- showing --------------------------------------------------------------------------------------------------

    def _draw_soon(self) -> None:
        if not self._drawing.isActive():
            self._drawing.start()

    def _draw(self) -> None:
        self._drawing.stop()
        shown = self._conversation.messages
        kept = {message.key for message in shown}
        for key in [key for key in self._bubbles if key not in kept]:
            bubble = self._bubbles.pop(key)
            self._list.removeWidget(bubble)
            bubble.hide()
            bubble.deleteLater()
        width = self._room()
        for message in shown:
            known = self._bubbles.get(message.key)
            if known is None:
                bubble = self._bubbles[message.key] = Bubble(message, self._act)
                self._list.insertWidget(self._list.count() - 1, bubble)
                bubble.fit(width)
            elif known.show_message(message):
                known.fit(width)
        busy = self._conversation.busy
        self._stack.setCurrentWidget(self._area if shown else self._empty)
        self.stop_button.setVisible(busy)
        self.send_button.setVisible(not busy)
        self.send_button.setEnabled(self._present)
        self.resume.setEnabled(self._present and not busy)
        self.resume.setVisible(not shown)
        self.new.setEnabled(bool(shown))
        self.input.setPlaceholderText(texts.CHAT_PLACEHOLDER if self._present else texts.CHAT_PLACEHOLDER_OFF)

    def _room(self) -> int:
        return max(200, self._area.viewport().width() - 14)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_all()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._fit_all()
        return super().eventFilter(watched, event)

    def _fit_all(self) -> None:
        width = self._room()
        for bubble in self._bubbles.values():
            bubble.fit(width)

    def _follow(self) -> None:
        if self._at_end:
            bar = self._area.verticalScrollBar()
            bar.setValue(bar.maximum())

    def _scrolled(self, value: int) -> None:
        self._at_end = value >= self._area.verticalScrollBar().maximum() - 12
