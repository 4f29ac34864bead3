"""A revise result as tables: groups and measures below one another, moments side by side, then the bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean, stdev

from sleepengine.evaluation.bench import layout
from sleepengine.evaluation.bench.layout import Row, Table
from sleepengine.evaluation.bench.revise.course import Moment, ReviseResult
from sleepengine.evaluation.bench.scoring import Estimate
from sleepengine.evaluation.shares import wilson


def as_text(result: ReviseResult) -> str:
    """Columns padded with spaces."""
    return layout.text(_heading(result), _tables(result))


def as_markdown(result: ReviseResult) -> str:
    """The same as Markdown tables."""
    return layout.markdown(_heading(result), _tables(result))


def _heading(result: ReviseResult) -> str:
    counts, seeds = result.counts, ", ".join(str(s.seed) for s in result.seeds)
    return (
        f"revise bench {result.version}, pool {result.pool[:12]}; {result.model} ({result.identity[:12]}), "
        f"{result.dtype} on {result.device}; seeds {seeds}; {result.date}\n"
        f"{counts.corrected} corrected, {counts.forgotten} forgotten, {counts.others} untouched, half of each slept on "
        f"before; {counts.forgotten} never taught.\n"
        "Shares of prompts in the report phrasings: mean over the seeds (sd) [Wilson 95 % of all prompts] base."
    )


def _tables(result: ReviseResult) -> Iterator[Table]:
    moments = [[seed.moments[i] for seed in result.seeds] for i in range(len(result.seeds[0].moments))]
    yield "The live view", list(_shares(moments))
    yield "AUC of the objects' log-probability", list(_aucs(moments))
    yield "Bounds, held to the means", list(_bounds(result))
    yield "On the way", list(_course(result))


def _shares(moments: Sequence[Sequence[Moment]]) -> Iterator[Row]:
    first = moments[0][0].figures.shares
    yield ("", *(each[0].name for each in moments))
    for group, measures in first.items():
        for measure in measures:
            cells = [[m.figures.shares[group][measure] for m in each] for each in moments]
            yield (f"{group}: {measure}", *map(_share, cells))


def _aucs(moments: Sequence[Sequence[Moment]]) -> Iterator[Row]:
    yield ("", *(each[0].name for each in moments))
    for group in moments[0][0].figures.aucs:
        for title, name in (
            ("never-taught facts", "controls"),
            ("never-taught facts, base's taken off", "controls_over_base"),
            ("untaught objects of the relation", "matched"),
            ("untaught objects of the relation, base's taken off", "matched_over_base"),
        ):
            yield (
                f"{group} against {title}",
                *(_spread([getattr(m.figures.aucs[group], name) for m in each], ".3f") for each in moments),
            )


def _bounds(result: ReviseResult) -> Iterator[Row]:
    yield ("", "found", "bound", "")
    for moment, found in result.bounds.items():
        for bound in found:
            yield (
                f"{bound.what}, {moment}",
                f"{bound.found:+.3f}" if bound.signed else f"{bound.found:.3f}",
                f"{'at least' if bound.floor else 'at most'} {bound.bound:.2f}",
                "kept" if bound.kept else "broken",
            )


def _course(result: ReviseResult) -> Iterator[Row]:
    yield ("", *(f"seed {seed.seed}" for seed in result.seeds))
    yield ("nights", *("; ".join(f"{n.outcome} {n.reason}".strip() for n in s.nights) for s in result.seeds))
    for group in dict.fromkeys(p.group for p in result.seeds[0].parts if p.stage is not None):
        stages = [[p.stage or 0 for p in s.parts if p.group == group] for s in result.seeds]
        yield (f"{group}: in the adapter when revised", *(f"{sum(x > 0 for x in own)} of {len(own)}" for own in stages))
    yield ("new values whose edit did not come out", *(str(s.not_corrected) for s in result.seeds))
    yield ("forgotten facts that could not be silenced", *(str(s.not_silenced) for s in result.seeds))
    for step in result.seeds[0].seconds:
        yield (f"seconds of {step}", *(f"{s.seconds[step]:.1f}" for s in result.seeds))


def _share(found: Sequence[Estimate]) -> str:
    low, high = wilson(sum(e.hits for e in found), sum(e.n for e in found))
    return f"{_spread([e.value for e in found], '.3f')} [{low:.2f}, {high:.2f}] {fmean(e.base for e in found):.3f}"


def _spread(values: Sequence[float], form: str) -> str:
    sd = f" ({stdev(values):{form}})" if len(values) > 1 else ""
    return f"{fmean(values):{form}}{sd}"
