"""The labelled conversations: enough of them, mostly with nothing to learn, and no label that cannot be met."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.conversation_set import DEVELOP, HELD_BACK, Candidate, read, score

HARD_NEGATIVES = {
    "question", "hypothetical", "quotation", "joke", "negation", "small talk", "recall", "pasted", "hearsay", "hedge",
}  # fmt: skip


def test_the_set_is_large_and_mostly_empty() -> None:
    dialogues = [*read(DEVELOP).values(), *read(HELD_BACK).values()]
    turns = [turn for dialogue in dialogues for turn in dialogue]
    assert len(dialogues) >= 40
    assert len(turns) >= 400
    assert sum(not turn.labels for turn in turns) >= 0.6 * len(turns)


@pytest.mark.parametrize("path", [DEVELOP, HELD_BACK], ids=["develop", "held-back"])
def test_each_half_has_every_kind_of_hard_negative(path: Path) -> None:
    turns = [turn for dialogue in read(path).values() for turn in dialogue]
    assert {turn.kind for turn in turns} >= HARD_NEGATIVES
    assert all(bool(turn.labels) != bool(turn.kind) for turn in turns)


@pytest.mark.parametrize("path", [DEVELOP, HELD_BACK], ids=["develop", "held-back"])
def test_the_labels_themselves_score_full_marks_and_rubbish_none(path: Path) -> None:
    turns = [turn for dialogue in read(path).values() for turn in dialogue]
    perfect = [[Candidate(la.subject[0], la.relation[0], la.object[0]) for la in t.labels] for t in turns]
    assert (score(turns, perfect).precision, score(turns, perfect).recall) == (1.0, 1.0)
    rubbish = [[Candidate("nobody", "do", "nothing")] for _ in turns]
    assert (score(turns, rubbish).precision, score(turns, rubbish).recall) == (0.0, 0.0)
