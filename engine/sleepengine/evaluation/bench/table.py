"""A result as a table, for a terminal or in Markdown: one row a metric, one column an arm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sleepengine.evaluation.bench.probes import LEAKS
from sleepengine.evaluation.bench.runner import ArmResult, Result, Share, Spread

NUMBERS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("perplexity_base", "perplexity before", lambda v: f"{v:.3f}"),
    ("perplexity", "perplexity after", lambda v: f"{v:.3f}"),
    ("perplexity_change", "perplexity change", lambda v: f"{100 * v:+.2f} %"),
    ("kl_biographies", "KL to base, near-name biographies", lambda v: f"{v:.4f}"),
    ("kl_other_questions", "KL to base, other questions about subjects", lambda v: f"{v:.4f}"),
    ("verified_raw", "verified raw by the editor", lambda v: f"{v:.2f}"),
    ("verified_chat", "verified chat by the editor", lambda v: f"{v:.2f}"),
    ("seconds_per_fact", "seconds a fact, mean", lambda v: f"{v:.2f}"),
    ("seconds_median", "seconds a fact, median", lambda v: f"{v:.2f}"),
    ("bytes_per_fact", "kB a fact", lambda v: f"{v / 1000:.1f}"),
    ("steps_per_fact", "value steps a fact", lambda v: f"{v:.1f}"),
    ("decode_base", "decoding before, tokens/s", lambda v: f"{v:.1f}"),
    ("decode", "decoding after, tokens/s", lambda v: f"{v:.1f}"),
    ("decode_cost", "decoding, share of speed lost", lambda v: f"{100 * v:.1f} %"),
)
Row = tuple[str, ...]


def as_text(result: Result) -> str:
    """Columns padded with spaces, below a line that says what was measured."""
    rows = list(_rows(result))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*_heading(result), "", lines[0], "-" * len(lines[0]), *lines[1:]]) + "\n"


def as_markdown(result: Result) -> str:
    """The same as a Markdown table."""
    header, *rows = _rows(result)
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n\n".join(_heading(result)) + "\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in lines) + "\n"


def _heading(result: Result) -> list[str]:
    seeds = ", ".join(str(s.seed) for s in result.arms[0].seeds)
    return [
        f"{result.bench} bench {result.version}, pool {result.pool[:12]}; {result.model} ({result.identity[:12]}), "
        f"{result.dtype} on {result.device}; seeds {seeds}; {result.date}",
        "Shares: mean over the seeds (sd) [Wilson 95 % of all prompts] base. Leaks are minus the base's count.",
    ]


def _rows(result: Result) -> Iterator[Row]:
    arms = result.arms
    yield ("", *(a.arm.label for a in arms))
    yield from _shares("", arms, lambda a: a.all)
    yield from _shares("listed: ", arms, lambda a: _recall_only(a.listed))
    yield from _shares("unlisted: ", arms, lambda a: _recall_only(a.unlisted))
    for name, title, shown in NUMBERS:
        yield (title, *(_number(a.numbers[name], shown) for a in arms))


def _shares(prefix: str, arms: Sequence[ArmResult], of: Callable[[ArmResult], dict[str, Share]]) -> Iterator[Row]:
    for name in dict.fromkeys(n for a in arms for n in of(a)):
        yield (prefix + name, *(_cell(of(a).get(name)) for a in arms))


def _recall_only(shares: dict[str, Share]) -> dict[str, Share]:
    """Leaks depend on names far more than on relations: the table shows them once."""
    return {name: share for name, share in shares.items() if name not in LEAKS and share.n}


def _cell(share: Share | None) -> str:
    if share is None:
        return ""
    return f"{share.mean:.3f} ({share.sd:.3f}) [{share.low:.2f}, {share.high:.2f}] {share.base:.3f}"


def _number(spread: Spread, shown: Callable[[float], str]) -> str:
    return shown(spread.mean) + (f" ({shown(spread.sd)})" if spread.sd else "")
