"""What was typed, kept privately in HOME/history and bounded.

A turn is kept only once the daemon has said in which words it keeps it itself, with passwords and keys masked. A line
that begins with a space is not kept, as in a shell. What is forgotten is taken out of the file by the daemon.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import History

from sleepd.protocol import history

KEPT = 1000
"""Lines that are offered again; the file is cut to these when it has twice as many."""


class PrivateHistory(History):
    """A prompt_toolkit history. Where its file cannot be read or written, `problem` says so and nothing is kept."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.problem: str | None = None

    def load_history_strings(self) -> Iterable[str]:
        """The newest first, as prompt_toolkit wants them."""
        try:
            lines = history.lines(self._path)
            if len(lines) > 2 * KEPT:
                history.keep_last(self._path, KEPT)
        except OSError as error:
            self._give_up(error)
            return []
        return [*reversed(lines[-KEPT:])]

    def store_string(self, string: str) -> None:
        """Nothing is written when a line is entered, see `keep`; until the chat ends it is offered from memory."""

    def keep(self, text: str) -> None:
        """Write one line down."""
        if not text.strip() or text[0].isspace() or self.problem is not None:
            return
        try:
            history.append(self._path, text)
        except OSError as error:
            self._give_up(error)

    def reread(self) -> None:
        """Offer only what the file holds by now: something in it was forgotten."""
        self._loaded = False
        self._loaded_strings = []

    def _give_up(self, error: OSError) -> None:
        self.problem = f"what you type is not kept: {self._path}: {error.strerror or error}"
