"""Titled tables of words below one another, as plain text and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

Row = tuple[str, ...]
Table = tuple[str, list[Row]]
"""A title and rows of equal length, the first of which heads the columns."""


def text(heading: str, tables: Iterable[Table]) -> str:
    """Columns padded with spaces."""
    parts = [heading]
    for title, rows in tables:
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        parts.append("\n".join([title, lines[0], "-" * len(lines[0]), *lines[1:]]))
    return "\n\n".join(parts) + "\n"


def markdown(heading: str, tables: Iterable[Table]) -> str:
    """The same as Markdown tables."""
    parts = [heading]
    for title, rows in tables:
        lines = [rows[0], tuple("---" for _ in rows[0]), *rows[1:]]
        parts.append(f"**{title}**\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in lines))
    return "\n\n".join(parts) + "\n"
