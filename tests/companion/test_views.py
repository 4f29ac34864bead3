"""Facts, nights and texts as they are shown. No Qt, no socket."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

import sleepc.companion
from sleepc.companion import fact_views, night_views, texts
from sleepc.companion.fact_views import Shown, rows
from sleepc.companion.night_views import Depth, depth, steps
from sleepd.protocol.facts import HistoryEntry, RefusedText, ValueSpan, WhyReply
from sleepd.protocol.messages import FailedFact, PhaseReport, PhaseSpan, SleepReply
from tests.companion.cases import quick
from tests.unit.client_fake import fact

FACTS = (
    fact("f-1", statement="Idris Larsson works as a carpenter."),
    fact("f-2", statement="Mara Lindqvist lives in Lisbon.", stage=2, scale=0.0),
    fact("f-3", statement="Mara Lindqvist lives in Porto.", state="superseded"),
    fact("f-4", statement="Nils Holm lives in Oslo.", state="pending"),
)
REFUSED = (RefusedText(text="Is it late?", reason="it is a question"),)


def phase(**changes: Any) -> PhaseReport:
    plain = PhaseReport(ppl_before=20.0, ppl_after=19.0, recall_raw=0.5, recall_chat=0.75, steps=9, seconds=12.0)
    return msgspec.structs.replace(plain, **changes)


def report(**changes: Any) -> SleepReply:
    plain = SleepReply(
        cycle=3,
        kind="sleep",
        outcome="committed",
        advanced=("f-1", "f-9"),
        failed=("f-4",),
        failures=(FailedFact(id="f-4", statement="Nils Holm lives in Oslo.", reason="not recalled"),),
        sws=phase(),
        rem=phase(ppl_before=19.0, ppl_after=18.0, recall_chat=0.9, joint=0.5, dreams=4),
        generation=2,
        hypnogram=tuple(
            PhaseSpan(phase=name, start=float(at), end=float(at + 1))
            for at, name in enumerate(("curate", "sws train", "sws gate", "dream", "rem train", "rem gate", "commit"))
        ),
        started="2026-01-02T23:00:00Z",
        seconds=7.0,
    )
    return msgspec.structs.replace(plain, **changes)


def test_each_list_has_its_facts_the_newest_first() -> None:
    assert [row.key for row in rows(FACTS, REFUSED, Shown.KNOWN)] == ["f-4", "f-2", "f-1"]
    assert [row.key for row in rows(FACTS, REFUSED, Shown.REPLACED)] == ["f-3"]
    (refusal,) = rows(FACTS, REFUSED, Shown.REFUSED)
    assert (refusal.title, refusal.detail, refusal.key) == ("Is it late?", "it is a question", None)


@quick
@given(st.text(max_size=20))
def test_a_search_keeps_what_has_every_word_of_it_and_nothing_else(query: str) -> None:
    found = rows(FACTS, REFUSED, Shown.KNOWN, query)
    words = query.casefold().split()
    for row in rows(FACTS, REFUSED, Shown.KNOWN):
        assert (row in found) == all(word in row.title.casefold() for word in words)


def test_a_card_tells_where_a_fact_came_from_and_what_it_was() -> None:
    why = WhyReply(
        **{name: getattr(FACTS[1], name) for name in FACTS[1].__struct_fields__},
        provenance={"text": "Mara lives in\nLisbon", "source": "chat", "at": "2026-01-02T10:00:00Z"},
        history=(HistoryEntry(at="2026-01-02T10:00:00Z", event="learned"),),
        values=(
            ValueSpan(id="f-3", statement="Porto", valid_from="2026-01-01T10:00:00Z", until="2026-01-02T10:00:00Z"),
            ValueSpan(id="f-2", statement="Lisbon", valid_from="2026-01-02T10:00:00Z"),
        ),
    )
    card = fact_views.card(why)
    assert dict(card.rows)[texts.SAID] == "“Mara lives in Lisbon”"
    assert card.badge == "consolidated"
    assert [what for _, what in card.values] == ["Porto", "Lisbon"]
    assert card.values[1][0].endswith("now")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("curate", Depth.DROWSY),
        ("sws train", Depth.SWS),
        ("sws gate", Depth.DROWSY),
        ("dream", Depth.REM),
        ("rem train", Depth.REM),
        ("nap train", Depth.NAP),
        ("commit", Depth.AWAKE),
    ],
)
def test_phases_have_the_depths_of_a_sleep_laboratory(name: str, expected: Depth) -> None:
    assert depth(name) is expected


spans = st.lists(
    st.builds(
        lambda phase, start, length: PhaseSpan(phase=phase, start=start, end=start + length),
        st.sampled_from(["curate", "sws train", "sws gate", "dream", "rem train", "rem gate", "commit", "nap train"]),
        st.floats(0, 1e5),
        st.floats(0, 1e4),
    ),
    max_size=12,
)


@quick
@given(spans)
def test_a_hypnogram_has_no_gap_no_overlap_and_no_step_that_is_none(given_spans: list[PhaseSpan]) -> None:
    drawn = steps(given_spans)
    assert bool(drawn) == bool(given_spans)
    for one, two in itertools.pairwise(drawn):
        assert one.end == two.start
        assert one.depth is not two.depth
    assert all(step.start <= step.end for step in drawn)
    if drawn:
        assert drawn[0].start == min(span.start for span in given_spans)
        assert sum(len(step.phases) for step in drawn) == len(given_spans)


def test_a_night_in_full() -> None:
    view = night_views.night_view(report(), {"f-1": "Idris Larsson works as a carpenter."})
    assert view.learned == ("Idris Larsson works as a carpenter.", "f-9")
    assert view.failed == (("Nils Holm lives in Oslo.", "not recalled"),)
    assert [step.depth for step in view.steps] == [
        Depth.DROWSY, Depth.SWS, Depth.DROWSY, Depth.REM, Depth.DROWSY, Depth.AWAKE,
    ]  # fmt: skip
    assert [name for name, _ in view.measures] == ["SWS", "REM"]
    assert "generation 2" in view.summary


def test_lines_over_nights_pass_over_those_that_trained_nothing() -> None:
    recall, perplexity = night_views.trends([report(), report(cycle=2, sws=None, rem=None), report(cycle=1, rem=None)])
    assert recall.points == ((1, 0.75), (3, 0.9))
    assert perplexity.points == ((1, pytest.approx(0.95)), (3, pytest.approx(0.9)))


def test_nights_are_told_of_where_somebody_needs_to_know() -> None:
    tell = night_views.notification
    assert tell(report(), expected=False) == ("A night is over", "2 facts moved on, one did not")
    rejected = report(outcome="rejected", reason="perplexity rose")
    assert tell(rejected, expected=True) == (
        "A night was rolled back",
        "perplexity rose. Nothing was lost: memory is as it was.",
    )
    assert tell(report(outcome="aborted"), expected=True) is None
    assert tell(report(outcome="aborted"), expected=False) is not None
    assert tell(report(outcome="nothing"), expected=False) is None
    assert tell(report(kind="nap"), expected=False) is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5400, "1.5 h"), (7200, "2 h"), (200_000, "2 days")]
)
def test_durations(seconds: float, words: str) -> None:
    assert texts.duration(seconds) == words


@quick
@given(st.floats(0, 1e16))
def test_sizes_are_short(count: float) -> None:
    assert len(texts.size(count)) <= 8


def test_no_word_that_is_shown_stands_outside_of_texts() -> None:
    """Literal texts with a space or a capital in calls that show them; what a translator would not find."""
    showing = {
        "setText", "setTitle", "setToolTip", "setAccessibleName", "setAccessibleDescription", "setPlaceholderText",
        "setWindowTitle", "addAction", "addItem", "addTab", "addRow", "QLabel", "QPushButton", "QCheckBox", "QAction",
        "QGroupBox", "QRadioButton", "showMessage", "information", "warning", "question", "drawText",
    }  # fmt: skip
    found = []
    for file in Path(sleepc.companion.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            literals = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if name in showing and any(any(c.isalpha() for c in literal) for literal in literals):
                found.append(f"{file.name}:{node.lineno}: {name}({literals})")
    assert found == []
