"""Facts as rows and as one card: pure functions of what the daemon answered. No Qt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sleepd.protocol.facts import FactInfo, ForgottenFact, RefusedText, WhyReply

from ..printable import printable
from . import texts
from .views import ListRow


class Shown(Enum):
    """Which facts are listed."""

    KNOWN = "known"
    REPLACED = "replaced"
    REFUSED = "refused"


@dataclass(frozen=True)
class Card:
    """One fact in full. `rows` are name and value; `history` and `values` are when and what, oldest first."""

    id: str
    title: str
    badge: str
    rows: tuple[tuple[str, str], ...]
    history: tuple[tuple[str, str], ...]
    values: tuple[tuple[str, str], ...]


def rows(
    facts: Sequence[FactInfo], refused: Sequence[RefusedText], shown: Shown, query: str = ""
) -> tuple[ListRow, ...]:
    """The list, newest first, of what has every word of the query."""
    if shown is Shown.REFUSED:
        found: Iterable[ListRow] = (ListRow(None, _line(text.text), detail=_line(text.reason)) for text in refused)
    else:
        wanted = ("superseded",) if shown is Shown.REPLACED else ("active", "pending")
        found = (_row(fact) for fact in facts if fact.state in wanted)
    words = query.casefold().split()
    kept = [row for row in found if all(word in f"{row.title} {row.detail}".casefold() for word in words)]
    return tuple(reversed(kept))


def badge(fact: FactInfo) -> tuple[str, str]:
    """Where a fact stands, and what that means."""
    match fact.state:
        case "active":
            return texts.STAGES[fact.stage], texts.STAGE_TIPS[fact.stage]
        case "pending":
            return texts.PENDING, texts.PENDING_TIP
        case "superseded":
            return texts.SUPERSEDED, texts.SUPERSEDED_TIP
        case _:
            return texts.FORGOTTEN, ""


def card(why: WhyReply) -> Card:
    """A fact with where it came from and what became of it."""
    source = why.provenance
    return Card(
        id=why.id,
        title=_line(why.statement) or texts.FORGOTTEN,
        badge=badge(why)[0],
        rows=(
            (texts.SAID, f"“{_line(str(source.get('text', '')))}”"),
            (texts.SOURCE, str(source.get("source", ""))),
            (texts.LEARNED_AT, moment(str(source.get("at", "")))),
            (texts.ANSWERS_IN, _answers(why)),
            (texts.HELD_BY, badge(why)[1]),
        ),
        history=tuple((moment(e.at), f"{e.event} {_line(e.detail)}".rstrip()) for e in why.history),
        values=tuple(
            (texts.from_to(moment(v.valid_from), moment(v.until) if v.until else texts.NOW), _line(v.statement))
            for v in why.values
        )
        if len(why.values) > 1
        else (),
    )


def forgotten_line(fact: ForgottenFact) -> str:
    """What came of forgetting."""
    match fact.gone:
        case None:
            return texts.NOT_ASKED
        case True:
            return texts.GONE
        case False:
            return texts.NOT_ALREADY_GONE


def moment(text: str) -> str:
    """A time of the protocol (UTC, ISO 8601) in local time; what is none stays as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (at.astimezone() if at.tzinfo else at).strftime("%Y-%m-%d %H:%M")


def _row(fact: FactInfo) -> ListRow:
    label, tip = badge(fact)
    tone = ("awake", "nap", "accent")[fact.stage] if fact.state == "active" else "line"
    return ListRow(fact.id, _line(fact.statement), badge=label, tip=tip, tone=tone)


def _answers(fact: FactInfo) -> str:
    ways = [
        name
        for name, good in ((texts.ANSWERS_TEXT, fact.verified.raw), (texts.ANSWERS_CHAT, fact.verified.chat))
        if good
    ]
    return texts.AND.join(ways) or texts.ANSWERS_NOWHERE


def _line(text: str) -> str:
    return " ".join(printable(text).split())
