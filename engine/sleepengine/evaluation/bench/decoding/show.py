"""A speed result as text, as Markdown, and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sleepengine.evaluation.bench.decoding.course import Speed, SpeedResult

Row = tuple[str, ...]
HEAD: Row = (
    "",
    "first token, ms",
    "tokens/s",
    "times generate",
    "MB a token",
    "roofline",
    "reached",
    "same text",
)


def as_text(result: SpeedResult) -> str:
    """Columns padded with spaces."""
    rows = list(_rows(result))
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([_heading(result), "", lines[0], "-" * len(lines[0]), *lines[1:], *_notes(result)]) + "\n"


def as_markdown(result: SpeedResult) -> str:
    """The same as a Markdown table."""
    rows = list(_rows(result))
    lines = [rows[0], tuple("---" for _ in HEAD), *rows[1:]]
    table = "\n".join(f"| {' | '.join(row)} |" for row in lines)
    return "\n\n".join([_heading(result), table, *_notes(result)]) + "\n"


def draw(result: SpeedResult, path: Path) -> None:
    """A bar for each contender, and its roofline where that is known. Needs matplotlib."""
    from matplotlib.figure import Figure  # without pyplot: no global state, no display

    speeds = result.speeds[::-1]
    figure = Figure(figsize=(9, 1.2 + 0.5 * len(speeds)), layout="constrained")
    axes = figure.subplots()
    places = range(len(speeds))
    axes.barh(places, [s.rate for s in speeds], color="tab:blue", label="measured")
    known = [(place, s.roofline) for place, s in zip(places, speeds, strict=True) if s.roofline]
    axes.scatter([r for _, r in known], [p for p, _ in known], marker="|", s=300, color="black", label="roofline")
    axes.set_yticks(places, [s.name for s in speeds])
    axes.set(xlabel="tokens a second", title=_heading(result))
    axes.title.set_fontsize(8)
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=150)


def _heading(result: SpeedResult) -> str:
    return (
        f"speed bench {result.version}; {result.model} ({result.identity[:12]}) on {result.device}, "
        f"{result.threads} threads; {result.bandwidth / 1e9:.1f} GB/s read; load {result.load:.1f}; {result.date}"
    )


def _rows(result: SpeedResult) -> Iterator[Row]:
    yield HEAD
    plain = result.speeds[0].rate
    for speed in result.speeds:
        yield (
            speed.name,
            f"{1000 * speed.first:.0f}",
            f"{speed.rate:.1f}",
            f"{speed.rate / plain:.2f}" if plain else "-",
            f"{speed.bytes_a_token / 1e6:.0f}" if speed.bytes_a_token else "-",
            f"{speed.roofline:.0f}" if speed.roofline else "-",
            f"{speed.rate / speed.roofline:.0%}" if speed.roofline else "-",
            _same(speed),
        )


def _same(speed: Speed) -> str:
    return "-" if speed.same_text is None else "yes" if speed.same_text else "no"


def _notes(result: SpeedResult) -> Iterator[str]:
    for dtype, seconds in result.seconds_a_fact.items():
        yield f"{dtype}: {seconds:.1f} s a fact, verified"
    yield f"peak memory of the run, all contenders together: {result.peak_bytes / 1e6:.0f} MB"
    yield from (f"left out: {reason}" for reason in result.left_out)
