"""Pictures of every page of the companion: light and dark, empty and full, long names, a thousand facts, 1x and 2x.

    QT_QPA_PLATFORM=offscreen python -m tests.companion.shots OUT [NAME...]

Everything is told to the pages by a scripted daemon, so the pictures are the same every time. NAME is a page
(`chat`), a state (`full`, `empty`, `long`, `absent`) or both (`full-chat`). QT_SCALE_FACTOR=2 makes them twice as fine.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SCALE = os.environ.setdefault("QT_SCALE_FACTOR", "1")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtWidgets import QApplication  # noqa: E402

from sleepc.companion import conversation as chat  # noqa: E402
from sleepc.companion.app import Companion  # noqa: E402
from sleepc.companion.conversation import Conversation, Kind  # noqa: E402
from sleepc.companion.preferences import Appearance  # noqa: E402
from tests.companion.scripted import EMPTY, FULL, LONG, Script, scripted_daemon  # noqa: E402

PAGES = ("chat", "facts", "nights", "health", "settings", "logs")


def settle(app: QApplication, until: Callable[[], bool], seconds: float = 10.0) -> None:
    """Let events pass until something holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        app.processEvents()
        time.sleep(0.01)
    for _ in range(20):
        app.processEvents()
        time.sleep(0.005)


def talked(long: bool) -> Conversation:
    """A conversation with everything that can stand in one."""
    c = chat.opened(Conversation(), "s-1")
    c = chat.said(c, "Hi! My dog is called Biscuit, and I moved to Lisbon last spring.")
    c = chat.streamed(c, "That sounds lovely. **Lisbon** in spring is a fine place for a dog:\n\n- long walks by the "
                         "river,\n- plenty of shade,\n- and `pastéis` for you.")  # fmt: skip
    c = _done(c)
    c = chat.outcomes(c, (_fact("f-1", "Your dog is called Biscuit."),), ())
    c = chat.noted(c, "I live in Lisbon.", Kind.ASKED)
    c = chat.said(c, "What is my dog called?")
    c = _done(chat.streamed(c, "Your dog is called Biscuit."))
    if long:
        c = chat.said(
            c, "x" * 220 + " and then some words that go on for quite a while, to see how a long turn is laid out."
        )
        c = chat.streamed(c, "```python\ndef reply(x):\n    return x\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
        c = chat.failed(c, "the daemon went away (not acknowledged); start one again with: sleepd start")
    else:
        c = chat.said(c, "Tell me about the sea there.")
        c = chat.streamed(c, "The Atlantic at Lisbon is cold and bright. The river Tejo widens into a")
    return c


def _done(c: Conversation) -> Conversation:
    from sleepd.protocol.messages import SayReply

    return chat.answered(c, SayReply(reply="", prompt="", tokens=1, seconds=0.0, finish="stop", session="s-1"))


def _fact(id: str, statement: str) -> Any:
    from tests.unit.client_fake import fact

    return fact(id, statement=statement)


def take(app: QApplication, out: Path, name: str, script: Script | None, appearance: Appearance, pages: Any) -> None:
    """Every page of one companion."""
    with TemporaryDirectory(prefix="shots") as folder:
        home = Path(folder) / "h"
        home.mkdir(mode=0o700)
        server = scripted_daemon(home, script) if script is not None else None
        companion = Companion(app, home, tray=False)
        companion.services.theme.choose(appearance)
        companion.start()
        companion.window.resize(1020, 700)
        try:
            settle(app, lambda: companion.state.link.value not in ("connecting",))
            if script is not None and script is not EMPTY:
                companion.chat.show_conversation(talked(script is LONG))
            for page in pages:
                companion.window.turn_to(page)
                if page == "facts" and script is not None and script.facts:
                    settle(app, lambda: bool(companion.facts.list.rows.rows))
                    companion.facts.list.setCurrentIndex(companion.facts.list.rows.index(1, 0))
                if page == "nights" and script is not None and script.reports:
                    settle(app, lambda: bool(companion.nights.list.rows.rows))
                if page == "health" and script is not None and script is not EMPTY:
                    companion.health.measure.click()
                settle(app, lambda: False, 1.2 if page in ("settings", "logs") else 0.35)
                picture = companion.window.grab()
                target = out / f"{name}-{page}-{appearance.value}-{SCALE}x.png"
                picture.save(str(target), "PNG")
                print(target)
        finally:
            companion.window.close()
            companion.close()
            if server is not None:
                server.kill()
            companion.window.deleteLater()


def main(arguments: list[str]) -> None:
    out = Path(arguments[0])
    out.mkdir(parents=True, exist_ok=True)
    names = arguments[1:]
    app = QApplication([])
    for name, script in (("full", FULL), ("empty", EMPTY), ("long", LONG), ("absent", None)):
        for appearance in (Appearance.LIGHT, Appearance.DARK):
            pages = [page for page in PAGES if not names or f"{name}-{page}" in names or page in names or name in names]
            if pages:
                take(app, out, name, script, appearance, pages)


if __name__ == "__main__":
    main(sys.argv[1:])
