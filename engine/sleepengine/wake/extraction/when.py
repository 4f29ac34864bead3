""" "Since March": from when on a statement holds, in ISO 8601 as far as it is said."""

from __future__ import annotations

import re
from datetime import date

from sleepengine.wake.grammar.closed import MONTHS_IN_ORDER as _MONTHS

_SINCE = re.compile(
    rf"\bsince\s+(?:(?:early|late|mid)\s+)?(?:(?P<day>\d{{1,2}})\s+)?(?:(?P<month>{'|'.join(_MONTHS)})(?:\s+(?P<year>\d{{4}}))?|(?P<only>\d{{4}}))\b",
    re.IGNORECASE,
)


def since(text: str, today: date) -> str | None:
    """A year, month or day; a month without a year is the latest of that name. None where nothing is said."""
    match = _SINCE.search(text)
    if match is None:
        return None
    if match["only"]:
        return match["only"]
    month = _MONTHS.index(match["month"].lower()) + 1
    year = int(match["year"]) if match["year"] else today.year - (month > today.month)
    if match["day"] is None:
        return f"{year:04}-{month:02}"
    try:
        return date(year, month, int(match["day"])).isoformat()
    except ValueError:
        return f"{year:04}-{month:02}"
