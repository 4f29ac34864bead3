"""A sleep result as tables: the columns after the last step by arm, and the steps of each arm one below the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean, stdev

from sleepengine.evaluation.bench import layout
from sleepengine.evaluation.bench.layout import Row, Table
from sleepengine.evaluation.bench.nights import JOINT, ArmNights, SleepResult, StepResult, Viewed
from sleepengine.evaluation.bench.probes import Cell
from sleepengine.evaluation.shares import wilson
from sleepengine.sleep.report import NightReport

TRAJECTORY = (
    ("raw", Cell.RAW), ("raw par.", Cell.RAW_PARAPHRASE), ("chat", Cell.CHAT), ("chat par.", Cell.CHAT_PARAPHRASE),
    ("joint", JOINT), ("near chat", Cell.NEAR_CHAT), ("near raw", Cell.NEAR_RAW), ("other", Cell.OTHER_CHAT),
    ("stranger", Cell.STRANGER_CHAT),
)  # fmt: skip


def as_text(result: SleepResult) -> str:
    """Columns padded with spaces."""
    return layout.text(_heading(result), _tables(result))


def as_markdown(result: SleepResult) -> str:
    """The same as Markdown tables."""
    return layout.markdown(_heading(result), _tables(result))


def _heading(result: SleepResult) -> str:
    seeds = ", ".join(str(s.seed) for s in result.arms[0].seeds)
    return (
        f"sleep bench {result.version}, pool {result.pool[:12]}; {result.model} ({result.identity[:12]}), "
        f"{result.dtype} on {result.device}; seeds {seeds}; {result.date}\n"
        "Shares: mean over the seeds (sd) [Wilson 95 % of all prompts]; leaks are minus the base's count."
    )


def _tables(result: SleepResult) -> Iterator[Table]:
    yield "The adapter alone after the last step, edits silenced", list(_columns(result.arms))
    for arm in result.arms:
        yield (
            f"{arm.arm.name} ({arm.arm.recipe}), step by step, the adapter alone",
            list(_steps(arm, lambda s: s.adapter)),
        )
        if any(step.awake for seed in arm.seeds for step in seed.steps):
            yield f"{arm.arm.name}, step by step, the live view", list(_steps(arm, lambda s: s.awake))


def _columns(arms: Sequence[ArmNights]) -> Iterator[Row]:
    yield ("", *(a.arm.name for a in arms))
    last = [[seed.steps[-1] for seed in a.seeds] for a in arms]
    seen = [[s.adapter for s in steps if s.adapter is not None] for steps in last]
    for name in dict.fromkeys(n for views in seen for v in views for n in v.all):
        yield (name, *(_share(views, name) for views in seen))
    changes = [[100 * v.perplexity_change for v in views] for views in seen]
    yield ("perplexity change, report text", *(_spread(values, "+.2f", " %") for values in changes))
    for title, value, form in (
        ("perplexity change, gate text", _gate_change, "+.2f"),
        ("drift, nats a token", lambda r: r.drift, ".4f"),
        ("seconds of the last cycle", lambda r: r.seconds, ".1f"),
        ("training steps", lambda r: float(sum(m.steps for m in (r.sws, r.rem) if m)), ".0f"),
        ("tokens trained", lambda r: float(sum(m.tokens for m in (r.sws, r.rem) if m)), ".0f"),
        ("peak memory, MB", lambda r: r.peak_bytes / 1e6, ".0f"),
    ):  # fmt: skip
        yield (title, *(_spread([value(s.report) for s in steps if s.report], form) for steps in last))
    yield ("committed", *(_outcomes(steps) for steps in last))
    yield ("facts at stage >= 1", *(_spread([_staged(s, 1) for s in steps], ".2f") for steps in last))
    yield ("facts at stage 2", *(_spread([_staged(s, 2) for s in steps], ".2f") for steps in last))


def _steps(arm: ArmNights, of: Callable[[StepResult], Viewed | None]) -> Iterator[Row]:
    yield (
        "step", "facts", "outcome", "perplexity", *(title for title, _ in TRAJECTORY), "chat, first facts",
        "stage 0 / 1 / 2", "seconds",
    )  # fmt: skip
    for number, step in enumerate(arm.arm.script):
        here = [seed.steps[number] for seed in arm.seeds]
        seen = [v for s in here if (v := of(s)) is not None]
        yield (
            f"{number + 1} {step}",
            str(here[0].facts),
            _outcomes(here),
            _spread([100 * v.perplexity_change for v in seen], "+.2f", " %"),
            *(_spread([v.all[cell].value for v in seen if cell in v.all], ".2f") for _, cell in TRAJECTORY),
            _spread([v.first[Cell.CHAT].value for v in seen if Cell.CHAT in v.first], ".2f"),
            " / ".join(
                f"{fmean(getattr(s.stages, n) for s in here):g}" for n in ("active", "consolidating", "consolidated")
            ),
            _spread([s.seconds for s in here], ".1f"),
        )


def _gate_change(report: NightReport) -> float:
    last = report.rem if report.rem is not None and not report.rem.refusal else report.sws
    return 100 * (last.ppl_after / report.base_ppl - 1.0) if last is not None and report.base_ppl else 0.0


def _staged(step: StepResult, stage: int) -> float:
    counts = step.stages
    reached = counts.consolidated + (counts.consolidating if stage == 1 else 0)
    return reached / max(1, step.facts)


def _outcomes(steps: Sequence[StepResult]) -> str:
    reports = [s.report for s in steps if s.report is not None]
    return f"{sum(r.outcome == 'committed' for r in reports)} of {len(reports)}" if reports else ""


def _share(views: Sequence[Viewed], name: str) -> str:
    found = [v.all[name] for v in views if name in v.all]
    if not found:
        return ""
    low, high = wilson(sum(e.hits for e in found), sum(e.n for e in found))
    return f"{_spread([e.value for e in found], '.3f')} [{low:.2f}, {high:.2f}]"


def _spread(values: Sequence[float], form: str, unit: str = "") -> str:
    if not values:
        return ""
    sd = f" ({stdev(values):{form.lstrip('+')}})" if len(values) > 1 else ""
    return f"{fmean(values):{form}}{unit}{sd}"
