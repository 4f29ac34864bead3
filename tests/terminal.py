"""A real pseudo-terminal with a screen: what a person would see, and what they would type."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import pexpect
import pyte

ROOT = Path(__file__).resolve().parent.parent
CTRL_C, CTRL_D, CTRL_G, CTRL_J, CTRL_R = "\x03", "\x04", "\x07", "\x0a", "\x12"
ENTER, TAB, UP = "\r", "\t", "\x1b[A"
PASTE = "\x1b[200~{}\x1b[201~"
"""What a terminal sends for text that is pasted, where a program asked to be told."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's, with the source tree's packages and no sleepd settings but those given."""
    path = os.pathsep.join(str(ROOT / folder) for folder in ("daemon", "client", "engine"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLEEPD_")}
    return {**kept, "PYTHONPATH": path, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(extra or {})}


class Terminal:
    """A Python module run at a terminal of 100 by 40. Use as a context; the process ends with it."""

    def __init__(self, module: str, *arguments: str, env: Mapping[str, str]) -> None:
        self.raw = ""
        self._screen = pyte.HistoryScreen(100, 40, history=2000, ratio=0.5)
        self._screen.write_process_input = self._answer  # the terminal's own answers, such as where the cursor is
        self._stream = pyte.Stream(self._screen)
        command = ["-m", module, *arguments]
        self._child = pexpect.spawn(
            sys.executable, command, env=dict(env), encoding="utf-8", dimensions=(40, 100), timeout=10
        )
        self._child.delaybeforesend = None

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.close(force=True)

    def type(self, text: str) -> None:
        self._child.send(text)

    def line(self, text: str) -> None:
        """Type a text and send it."""
        self.type(text + ENTER)

    def paste(self, text: str) -> None:
        self.type(PASTE.format(text))

    @property
    def text(self) -> str:
        """All that was ever shown and not erased: what scrolled away, then the screen."""
        gone = ["".join(row[x].data for x in range(100)).rstrip() for row in self._screen.history.top]
        return "\n".join([*gone, *(line.rstrip() for line in self._screen.display)]).rstrip()

    def see(self, text: str, times: int = 1, seconds: float = 15) -> None:
        """Wait until a text is shown so many times. Fails with the screen where it is not in time."""
        until = time.monotonic() + seconds
        while self.text.count(text) < times:
            assert time.monotonic() < until, f"{text!r} is not to be seen {times} times in:\n{self.text}"
            self._read(0.05)

    def settle(self, seconds: float = 0.3) -> None:
        """Wait until nothing is written for so long."""
        while self._read(seconds):
            pass

    def end(self, seconds: float = 15) -> int:
        """Wait for the process to end; its exit code."""
        until = time.monotonic() + seconds
        while self._child.isalive():
            assert time.monotonic() < until, f"it has not ended:\n{self.text}"
            self._read(0.05)
        self.settle(0.01)
        self._child.wait()
        code: int = self._child.exitstatus if self._child.exitstatus is not None else -self._child.signalstatus
        return code

    def _read(self, seconds: float) -> bool:
        try:
            data = self._child.read_nonblocking(65536, seconds)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        self.raw += data
        self._stream.feed(data)
        return True

    def _answer(self, data: str) -> None:
        self._child.send(data)
