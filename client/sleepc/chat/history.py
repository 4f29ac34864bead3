"""What was typed, kept privately: a file of mode 0600, one JSON string a line, bounded.

A turn is kept only once the daemon has said in which words it keeps it itself, with passwords and keys masked. A line
that begins with a space is not kept, as in a shell.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import History

FILE_NAME = "history"
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
        lines = self._read()
        if len(lines) > 2 * KEPT:
            self._replace(lines[-KEPT:])
        return [*reversed(lines[-KEPT:])]

    def store_string(self, string: str) -> None:
        """Nothing is written when a line is entered, see `keep`; until the chat ends it is offered from memory."""

    def keep(self, text: str) -> None:
        """Write one line down."""
        if text.strip() and not text[0].isspace() and self.problem is None:
            self._append(json.dumps(text, ensure_ascii=False) + "\n")

    def _read(self) -> list[str]:
        try:
            raw = self._path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            self._give_up(error)
            return []
        return [line for line in map(_decode, raw.splitlines()) if line is not None]

    def _append(self, text: str) -> None:
        try:
            # O_NOFOLLOW: a link put in the place of the file must not choose where our words go.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(text)
        except OSError as error:
            self._give_up(error)

    def _replace(self, lines: list[str]) -> None:
        temporary = self._path.with_name(f".{FILE_NAME}.{os.getpid()}")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
                file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            temporary.replace(self._path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.problem = f"what you type is not kept: {self._path}: {error.strerror or error}"


def _decode(line: str) -> str | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None  # cut off by a crash
    return value if isinstance(value, str) else None
