"""Nights as rows, as one card, as a hypnogram and as lines over time: pure functions of reports. No Qt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from sleepd.protocol.messages import PhaseReport, PhaseSpan, SleepReply

from . import texts
from .fact_views import moment
from .views import ListRow, Row


class Depth(IntEnum):
    """The rows of a hypnogram, from the lightest to the deepest, as sleep laboratories order them."""

    AWAKE = 0
    DROWSY = 1
    NAP = 2
    REM = 3
    SWS = 4


@dataclass(frozen=True)
class Step:
    """A stretch at one depth; seconds since the cycle began."""

    start: float
    end: float
    depth: Depth
    phases: tuple[str, ...]


@dataclass(frozen=True)
class NightView:
    """One night in full. `measures` have a heading each."""

    cycle: int
    title: str
    summary: str
    steps: tuple[Step, ...]
    learned: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    measures: tuple[tuple[str, tuple[Row, ...]], ...]


@dataclass(frozen=True)
class Trend:
    """A line over nights: (cycle, value), oldest first."""

    name: str
    points: tuple[tuple[int, float], ...]


def depth(phase: str) -> Depth:
    """How deep a phase is. Choosing and checking are shallow: nothing is trained in them."""
    if phase.endswith("gate") or phase == "curate":
        return Depth.DROWSY
    if phase.startswith("nap"):
        return Depth.NAP
    if phase.startswith(("rem", "dream")):
        return Depth.REM
    return Depth.SWS if phase.startswith("sws") else Depth.AWAKE


def steps(spans: Iterable[PhaseSpan]) -> tuple[Step, ...]:
    """The course of a night without gaps: neighbours of one depth are one step, and what lies between two spans
    belongs to the one before."""
    found: list[Step] = []
    for span in sorted(spans, key=lambda s: (s.start, s.end)):
        end = max(span.end, span.start)
        at = depth(span.phase)
        if found:
            last = found[-1]
            begin = max(span.start, last.start)
            found[-1] = Step(last.start, begin, last.depth, last.phases)
            if last.depth is at:
                found[-1] = Step(last.start, max(end, begin), at, (*last.phases, span.phase))
                continue
            found.append(Step(begin, max(end, begin), at, (span.phase,)))
        else:
            found.append(Step(span.start, end, at, (span.phase,)))
    return tuple(found)


def night_row(report: SleepReply) -> ListRow:
    """A line of the list of nights; its key is the cycle's number."""
    good = "nap" if report.kind == "nap" else "sws"
    return ListRow(
        str(report.cycle),
        texts.night_title(report.kind, report.cycle),
        badge=outcome(report),
        detail=moment(report.started),
        tone={"committed": good, "rejected": "bad"}.get(report.outcome, "line"),
    )


def outcome(report: SleepReply) -> str:
    """How a cycle ended, in a word."""
    return {
        "committed": texts.COMMITTED,
        "rejected": texts.REJECTED,
        "aborted": texts.ABORTED,
        "nothing": texts.NOTHING,
    }.get(report.outcome, report.outcome)


def night_view(report: SleepReply, statements: Mapping[str, str]) -> NightView:
    """A report in full; `statements` by the ids of the facts, as far as they are known."""
    return NightView(
        cycle=report.cycle,
        title=texts.night_title(report.kind, report.cycle),
        summary=_summary(report),
        steps=steps(report.hypnogram),
        learned=tuple(statements.get(fact_id, fact_id) for fact_id in report.advanced),
        failed=tuple((failed.statement or failed.id, failed.reason) for failed in report.failures),
        measures=tuple(_measures(report)),
    )


def trends(reports: Sequence[SleepReply]) -> tuple[Trend, Trend]:
    """Recall in chat (0 to 1) and perplexity after against before, over the nights that trained."""
    trained = sorted((r for r in reports if r.sws is not None), key=lambda r: r.cycle)
    last = [(report.cycle, report.rem or report.sws, report.sws) for report in trained]
    recall = tuple((cycle, phase.recall_chat) for cycle, phase, _ in last if phase is not None)
    perplexity = tuple(
        (cycle, phase.ppl_after / first.ppl_before)
        for cycle, phase, first in last
        if phase is not None and first is not None and first.ppl_before > 0
    )
    return Trend(texts.TREND_RECALL, recall), Trend(texts.TREND_PERPLEXITY, perplexity)


def _summary(report: SleepReply) -> str:
    parts = [moment(report.started), texts.duration(report.seconds), outcome(report)]
    if report.outcome == "committed":
        if report.kind == "sleep":
            parts.append(texts.night_learned(len(report.advanced), len(report.failed)))
        parts.append(texts.generation(report.generation))
    if report.reason:
        parts.append(report.reason)
    return " · ".join(part for part in parts if part)


def _measures(report: SleepReply) -> Iterable[tuple[str, tuple[Row, ...]]]:
    first = texts.HYPNOGRAM_STAGES[Depth.NAP if report.kind == "nap" else Depth.SWS]
    for name, phase in ((first, report.sws), (texts.HYPNOGRAM_STAGES[Depth.REM], report.rem)):
        if phase is not None:
            yield name, tuple(_phase_rows(phase))
    extra = []
    if report.rebuilt:
        extra.append(Row(texts.REBUILT, report.rebuilt))
    if report.attempts > 1:
        extra.append(Row(texts.INTERRUPTIONS, str(report.attempts - 1)))
    if extra:
        yield "", tuple(extra)


def _phase_rows(phase: PhaseReport) -> Iterable[Row]:
    yield Row(texts.RECALL_CHAT, texts.percent(phase.recall_chat), phase.recall_chat)
    yield Row(texts.RECALL_RAW, texts.percent(phase.recall_raw), phase.recall_raw)
    values = texts.before_after(f"{phase.ppl_before:.2f}", f"{phase.ppl_after:.2f}")
    yield Row(texts.PERPLEXITY, f"{values} ({texts.change(phase.ppl_before, phase.ppl_after)})")
    yield Row(texts.DRIFT, f"{phase.drift:.3f}")
    yield Row(texts.LEAKED, texts.percent(phase.leaked), phase.leaked)
    if phase.joint is not None:
        yield Row(texts.JOINT, texts.percent(phase.joint), phase.joint)
        yield Row(texts.DREAMS, str(phase.dreams))
    yield Row(texts.STEPS, f"{phase.steps} · {texts.duration(phase.seconds)}")
    if phase.refusal:
        yield Row(texts.THROWN_AWAY, phase.refusal)


# --- notifications ------------------------------------------------------------------------------------------------


def notification(report: SleepReply, *, expected: bool) -> tuple[str, str] | None:
    """Title and text for a night that has ended, or None where nobody needs to know."""
    if report.kind != "sleep" or report.outcome == "nothing" or (report.outcome == "aborted" and expected):
        return None
    if report.outcome == "committed":
        return texts.NIGHT_FINISHED, texts.night_learned(len(report.advanced), len(report.failed))
    reason = f"{report.reason}. " if report.reason else ""
    return texts.NIGHT_ROLLED_BACK, f"{reason}{texts.NOTHING_LOST}"
