"""A cycle's hypnogram as a drawing: depth of sleep over time, as sleep laboratories draw it."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from sleepd.protocol.errors import Refused, StorageError
from sleepd.protocol.messages import PhaseSpan, SleepReply

STAGES = ("awake", "REM", "gate", "nap", "SWS")
"""From the lightest to the deepest, top to bottom."""

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 860, 300, 70, 50, 40
_ACROSS, _ROW = _WIDTH - _LEFT - 20, (_HEIGHT - _TOP - _BOTTOM) / (len(STAGES) - 1)
_COLOURS = {"awake": "#b0b7c3", "REM": "#d1495b", "gate": "#edae49", "nap": "#66a182", "SWS": "#2e4057"}


def stage(phase: str) -> str:
    """Where a phase stands in the drawing."""
    if phase.endswith("gate"):
        return "gate"
    if phase.startswith("sws"):
        return "SWS"
    if phase.startswith("nap"):
        return "nap"
    return "REM" if phase.startswith(("rem", "dream")) else "awake"


def svg(reply: SleepReply) -> str:
    """The drawing as SVG text. Raises Refused where the cycle ended before its first phase."""
    spans = _spans(reply)
    total = max(span.end for span in spans) or 1.0
    title = escape(f"{_title(reply)}, {total:.0f} s")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
        f"<title>{title}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="15">{title}</text>',
    ]
    for name in STAGES:
        parts.append(f'<text x="{_LEFT - 8}" y="{_y(name) + 4:.1f}" font-size="12" text-anchor="end">{name}</text>')
        parts.append(f'<path d="M{_LEFT} {_y(name):.1f}H{_LEFT + _ACROSS}" stroke="#e4e7ec"/>')
    parts += [_bar(span, total) for span in spans]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at, seconds = _LEFT + _ACROSS * share, share * total
        parts.append(
            f'<text x="{at:.1f}" y="{_HEIGHT - 12}" font-size="11" text-anchor="middle">{seconds:.0f} s</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def write_svg(reply: SleepReply, path: Path) -> None:
    """Raises Refused where there is nothing to draw, StorageError where the file cannot be written."""
    drawing = svg(reply)
    try:
        path.write_text(drawing, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from None


def write_png(reply: SleepReply, path: Path) -> None:
    """The same as a picture. Raises Refused where matplotlib is not installed or there is nothing to draw."""
    spans = _spans(reply)
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise Refused("pictures need matplotlib: pip install 'sleepd[bench]'; --svg needs nothing") from None
    figure = Figure(figsize=(8.6, 3.0), layout="constrained")
    axes = figure.add_subplot()
    depth = {name: -i for i, name in enumerate(STAGES)}
    for span in spans:
        name = stage(span.phase)
        axes.plot([span.start, span.end], [depth[name]] * 2, color=_COLOURS[name], linewidth=6, solid_capstyle="butt")
    axes.set_yticks(list(depth.values()), list(depth))
    axes.set_xlabel("seconds")
    axes.set_title(_title(reply), loc="left")
    try:
        figure.savefig(path, format="png", dpi=150)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from None


def _title(reply: SleepReply) -> str:
    return f"cycle {reply.cycle} ({reply.kind}): {reply.outcome}"


def _y(name: str) -> float:
    return _TOP + _ROW * STAGES.index(name)


def _bar(span: PhaseSpan, total: float) -> str:
    """One phase, wide enough to be seen, with its name and seconds where the pointer rests on it."""
    name = stage(span.phase)
    begin, end = (_LEFT + _ACROSS * t / total for t in (span.start, span.end))
    told = escape(f"{span.phase}, {span.end - span.start:.1f} s")
    line = f'd="M{begin:.1f} {_y(name):.1f}H{max(end, begin + 1):.1f}"'
    return f'<path {line} stroke="{_COLOURS[name]}" stroke-width="8"><title>{told}</title></path>'


def _spans(reply: SleepReply) -> tuple[PhaseSpan, ...]:
    if not reply.hypnogram:
        raise Refused(f"cycle {reply.cycle} has no phases to draw")
    return reply.hypnogram
