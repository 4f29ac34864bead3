"""Drives a companion on a real display against a running daemon: teach, see, sleep, forget, ask. Prints what it saw.

    DISPLAY=... QT_QPA_PLATFORM=xcb python -m tests.companion.on_a_screen HOME FOLDER

FOLDER receives a picture of every step. A process of its own, for Qt has one platform a process.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sleepc.companion import texts
from sleepc.companion.app import Companion
from sleepc.companion.conversation import Kind
from sleepc.companion.pages.dialogs import Question

STATEMENT, QUESTION = "Idris Larsson works as a carpenter.", "What does Idris Larsson do for work?"

_ENOUGH = 60
"""Characters of a reply that tell whether the answer is in it."""


class Person:
    """Somebody at the screen."""

    def __init__(self, app: QApplication, companion: Companion, folder: Path) -> None:
        self._app, self.companion, self._folder = app, companion, folder
        self._taken = 0

    def wait(self, holds: Callable[[], Any], seconds: float = 900.0) -> None:
        """Until something is seen. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                self.look()
                raise TimeoutError("it did not come about")
            self._app.processEvents()
            time.sleep(0.02)

    def look(self) -> None:
        """Take a picture."""
        self.wait(lambda: True)
        self._taken += 1
        self.companion.window.grab().save(str(self._folder / f"{self._taken}.png"), "PNG")

    def say(self, text: str) -> str:
        """Type into the chat page; the reply."""
        chat = self.companion.chat
        self.companion.window.turn_to("chat")
        QTest.keyClicks(chat.input, text)
        QTest.keyClick(chat.input, Qt.Key.Key_Return)  # type: ignore[call-overload]
        self.wait(lambda: not chat.conversation.busy or len(self._reply()) > _ENOUGH)
        if chat.conversation.busy:  # a small model rambles
            chat.stop_button.click()
        self.wait(lambda: not chat.conversation.busy)
        return self._reply()

    def _reply(self) -> str:
        """The latest, as far as it has come."""
        chat = self.companion.chat
        return [m.text for m in chat.conversation.messages if m.kind is Kind.MODEL][-1]

    def kinds(self) -> set[Kind]:
        """What the conversation holds."""
        return {message.kind for message in self.companion.chat.conversation.messages}


def main(home: Path, folder: Path) -> dict[str, Any]:
    app = QApplication([])
    companion = Companion(app, home)
    companion.start()
    person = Person(app, companion, folder)
    saw: dict[str, Any] = {"platform": app.platformName()}
    person.wait(lambda: companion.state.current is not None and companion.state.current.state in ("awake", "drowsy"))
    saw["before"] = person.say(QUESTION)
    companion.chat.begin_anew()
    person.say(STATEMENT)
    person.wait(lambda: Kind.LEARNED in person.kinds())
    person.look()
    companion.chat.begin_anew()
    saw["after"] = person.say(QUESTION)
    companion.window.turn_to("facts")
    facts = companion.facts
    person.wait(lambda: bool(facts.list.rows.rows))
    saw["fact"] = facts.list.rows.rows[0].title
    facts.list.setCurrentIndex(facts.list.rows.index(0, 0))
    person.wait(facts.card.forget.isVisible)
    person.look()
    companion.actions.sleep.trigger()
    shapes: set[str] = set()

    def slept() -> bool:
        shapes.add(companion.actions.line.text().partition(":")[0])
        return bool(companion.nights.list.rows.rows)

    companion.window.turn_to("nights")
    person.wait(slept, 1500)
    saw["shapes"] = sorted(shapes)
    saw["hypnogram"] = companion.nights.hypnogram.accessibleDescription()
    person.look()
    companion.window.turn_to("facts")
    facts.list.setCurrentIndex(facts.list.rows.index(0, 0))
    person.wait(facts.card.forget.isVisible)
    facts.card.forget.click()
    person.wait(lambda: any(each.isVisible() for each in companion.window.findChildren(Question)))
    next(each for each in companion.window.findChildren(Question) if each.isVisible()).yes.click()
    person.wait(lambda: facts.list.rows.rows == ())
    person.wait(lambda: facts.card.outcome.text() not in ("", texts.WORKING))
    saw["forgotten"] = facts.card.outcome.text()
    person.look()
    companion.chat.begin_anew()
    saw["again"] = person.say(QUESTION)
    person.look()
    companion.window.close()
    companion.close()
    return saw


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
