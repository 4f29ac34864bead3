"""The ledger's conversations: sessions and their turns, kept for `chat -c` until they expire."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from typing import Final

from sleepengine.memory.ledger_facts import Part
from sleepengine.memory.records import SessionRow, Turn

REDACTED: Final = "[forgotten]"


class ConversationRecords(Part):
    """Sessions, oldest first, and their turns, numbered from 0. A system text is turn 0."""

    def open_session(self, at: str, system: str | None) -> str:
        """Begin a conversation; returns its id."""
        session = f"s-{secrets.token_hex(6)}"
        with self._db.transaction():
            self._db.insert("INSERT INTO sessions (id, at) VALUES (?, ?)", (session, at))
            if system is not None:
                self._add_turns(session, [Turn("system", system, at)])
        return session

    def latest_session(self) -> str | None:
        """The session opened last."""
        row = self._db.row("SELECT id FROM sessions ORDER BY position DESC LIMIT 1")
        return None if row is None else row[0]

    def sessions(self) -> list[SessionRow]:
        """All conversations, oldest first."""
        rows = self._db.rows(
            """SELECT s.id, s.at, count(t.number) FROM sessions s LEFT JOIN turns t ON t.session = s.id
               GROUP BY s.position ORDER BY s.position"""
        )
        return [SessionRow(*row) for row in rows]

    def add_turns(self, session: str, turns: Sequence[Turn]) -> None:
        """Append turns in one transaction. Raises ValueError for an unknown session."""
        with self._db.transaction():
            if self._db.row("SELECT 1 FROM sessions WHERE id = ?", (session,)) is None:
                raise ValueError(f"no session {session}")
            self._add_turns(session, turns)

    def turns(self, session: str) -> list[Turn]:
        """The turns of a session in order; none for an unknown one."""
        rows = self._db.rows("SELECT role, text, at FROM turns WHERE session = ? ORDER BY number", (session,))
        return [Turn(*row) for row in rows]

    def redact_turns(self, session: str, numbers: Collection[int]) -> None:
        """Replace the text of turns by a mark, for good."""
        with self._db.transaction():
            for number in numbers:
                self._db.write(
                    "UPDATE turns SET text = ? WHERE session = ? AND number = ?", (REDACTED, session, number)
                )
        self._db.checkpoint()

    def redact_where(self, concerns: Callable[[str], bool]) -> int:
        """Replace every turn whose text `concerns` holds of by a mark, for good; returns how many."""
        with self._db.transaction():
            found = [
                (session, number)
                for session, number, text in self._db.rows("SELECT session, number, text FROM turns")
                if concerns(text)
            ]
            for place in found:
                self._db.write("UPDATE turns SET text = ? WHERE session = ? AND number = ?", (REDACTED, *place))
        self._db.checkpoint()
        return len(found)

    def remove_session(self, session: str) -> bool:
        """Delete a conversation; False when there is none of that id."""
        with self._db.transaction():
            removed = self._db.write("DELETE FROM sessions WHERE id = ?", (session,)) > 0
        self._db.checkpoint()
        return removed

    def expire_sessions(self, before: str) -> int:
        """Delete the conversations whose last turn (or opening) lies before a time; returns how many."""
        with self._db.transaction():
            removed = self._db.write(
                """DELETE FROM sessions WHERE max(at, coalesce(
                       (SELECT max(t.at) FROM turns t WHERE t.session = sessions.id), at)) < ?""",
                (before,),
            )
        self._db.checkpoint()
        return removed

    def _add_turns(self, session: str, turns: Sequence[Turn]) -> None:
        row = self._db.row("SELECT coalesce(max(number) + 1, 0) FROM turns WHERE session = ?", (session,))
        first = int(row[0]) if row else 0
        for number, turn in enumerate(turns, first):
            self._db.insert(
                "INSERT INTO turns (session, number, role, text, at) VALUES (?, ?, ?, ?, ?)",
                (session, number, turn.role, turn.text, turn.at),
            )
