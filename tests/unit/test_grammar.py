"""The grammar against its tables: what it reads, what it refuses, how it cuts a text into statements."""

from __future__ import annotations

import pytest

from sleepengine.errors import StatementRefused
from sleepengine.memory.facts import Channel
from sleepengine.wake.grammar import parse_statement, split_statements
from tests.unit.grammar_cases import ODD_REFUSALS, PARSES, REFUSALS, SLOTS, SPLITS


@pytest.mark.parametrize(
    ("text", "subject", "relation", "object_", "question", "cloze"), PARSES, ids=[p[0] for p in PARSES]
)
def test_reads(text: str, subject: str, relation: str, object_: str, question: str, cloze: str) -> None:
    parsed = parse_statement(text)
    assert (parsed.subject, parsed.relation, parsed.object) == (subject, relation, object_)
    assert question in [p.text for p in parsed.prompts if p.channel is Channel.CHAT]
    assert cloze in [p.text for p in parsed.prompts if p.channel is Channel.RAW]


@pytest.mark.parametrize(("text", "words"), [*REFUSALS, *ODD_REFUSALS])
def test_refuses_with_a_reason(text: str, words: str) -> None:
    with pytest.raises(StatementRefused) as refusal:
        parse_statement(text)
    reason = str(refusal.value)
    assert words.casefold() in reason.casefold()
    assert "\n" not in reason


@pytest.mark.parametrize(("text", "statements"), SPLITS, ids=[s[0][:40] or "empty" for s in SPLITS])
def test_splits(text: str, statements: list[str]) -> None:
    assert split_statements(text) == statements


@pytest.mark.parametrize(("text", "exclusive", "slot"), SLOTS)
def test_the_slot_and_whether_it_holds_one_value(text: str, exclusive: str, slot: str) -> None:
    parsed = parse_statement(text)
    assert (parsed.slot, parsed.exclusive) == (slot, exclusive == "yes")


def test_uses_is_not_used_to() -> None:
    assert [parse_statement(t).object for t in ("I use Arch Linux.", "Anna uses old tools.")] == [
        "Arch Linux",
        "old tools",
    ]
