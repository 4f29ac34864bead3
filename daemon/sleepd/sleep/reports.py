"""A cycle's report as clients see it and as the ledger keeps it."""

from __future__ import annotations

from collections.abc import Sequence

from sleepd.protocol.messages import FailedFact, PhaseReport, PhaseSpan, SleepReply
from sleepengine.memory.facts import Fact
from sleepengine.sleep.report import NightReport, PhaseMetrics


def as_reply(number: int, started: str, facts: Sequence[Fact], report: NightReport, attempts: int) -> SleepReply:
    """The generation's number is known only when it is committed."""
    statements = {fact.id: fact.statement for fact in facts}
    failures = tuple(
        FailedFact(id=o.fact_id, statement=statements[o.fact_id], reason=o.reason) for o in report.facts if not o.passed
    )
    return SleepReply(
        cycle=number,
        kind=report.kind,
        outcome=report.outcome,
        reason=report.reason,
        advanced=tuple(o.fact_id for o in report.facts if o.passed) if report.kind == "sleep" else (),
        failed=tuple(f.id for f in failures),
        failures=failures,
        sws=None if report.sws is None else phase_report(report.sws),
        rem=None if report.rem is None else phase_report(report.rem),
        hypnogram=tuple(PhaseSpan(phase=s.phase, start=s.start, end=s.end) for s in report.spans),
        drift=report.drift,
        started=started,
        seconds=report.seconds,
        rebuilt=report.rebuilt,
        attempts=attempts,
        peak_bytes=report.peak_bytes,
    )


def phase_report(metrics: PhaseMetrics) -> PhaseReport:
    """One training phase's figures."""
    return PhaseReport(
        ppl_before=metrics.ppl_before,
        ppl_after=metrics.ppl_after,
        recall_raw=metrics.recall_raw,
        recall_chat=metrics.recall_chat,
        steps=metrics.steps,
        seconds=metrics.seconds,
        tokens=metrics.tokens,
        drift=metrics.drift,
        leaked=metrics.leaked,
        joint=metrics.joint,
        joint_before=metrics.joint_before,
        dreams=metrics.dreams,
        refusal=metrics.refusal,
    )
