"""A result as a picture: shares with their intervals above, the change of perplexity below. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import Any

from sleepengine.evaluation.bench.probes import Cell
from sleepengine.evaluation.bench.runner import ArmResult, Result

SHOWN = (
    Cell.RAW, Cell.RAW_PARAPHRASE, Cell.CHAT, Cell.CHAT_PARAPHRASE, Cell.AFTER_ONE, Cell.POLITE, Cell.NEAR_CHAT,
    Cell.NEAR_RAW, Cell.OTHER_CHAT, Cell.CONTRAST, Cell.STRANGER_CHAT,
)  # fmt: skip


def drawable() -> bool:
    """Whether matplotlib is installed (the extra `bench`)."""
    return find_spec("matplotlib") is not None


def draw(result: Result, path: Path) -> None:
    """One line for each metric over the arms where a number is swept, else one group of bars for each arm."""
    from matplotlib.figure import Figure  # without pyplot: no global state, no display

    figure = Figure(figsize=(9, 8), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1))
    swept = _swept(result.arms)
    if swept is None:
        _bars(upper, result.arms)
        places, labels = list(range(len(result.arms))), [a.arm.label for a in result.arms]
        lower.bar(places, [100 * a.numbers["perplexity_change"].mean for a in result.arms])
        lower.set_xticks(places, labels)
    else:
        name, by_condition = swept
        _lines(upper, lower, name, by_condition)
    upper.set(ylim=(-0.02, 1.02), ylabel="share of prompts")
    upper.legend(fontsize=7, ncols=2)
    upper.grid(alpha=0.3)
    lower.set(ylabel="perplexity change, %")
    lower.grid(alpha=0.3)
    figure.suptitle(f"{result.model}, {result.bench} bench {result.version}, pool {result.pool[:12]}", fontsize=9)
    figure.savefig(path, dpi=150)


def _colours() -> list[Any]:
    """Twenty colours that can be told apart, more than there are metrics."""
    from matplotlib import colormaps

    return [colormaps["tab20"](index) for index in range(20)]


def _swept(arms: Sequence[ArmResult]) -> tuple[str, dict[str, list[tuple[float, ArmResult]]]] | None:
    """The number that differs between the arms of a line, and the arms by line with their values of it."""
    settings = {name for a in arms for name in a.arm.settings}
    name = next(iter(settings), "facts")
    by_condition: dict[str, list[tuple[float, ArmResult]]] = {}
    for a in arms:
        value = a.arm.settings.get(name, 0.0) if settings else float(a.arm.facts)
        line = f"{a.arm.condition}, {a.arm.facts} facts" if settings else a.arm.condition
        by_condition.setdefault(line, []).append((value, a))
    return (name, by_condition) if max(map(len, by_condition.values())) > 1 else None


def _lines(upper: Any, lower: Any, name: str, by_condition: dict[str, list[tuple[float, ArmResult]]]) -> None:
    colours = _colours()
    for style, (condition, points) in zip(cycle(("-", "--", ":", "-.")), by_condition.items(), strict=False):
        for colour, metric in zip(colours, SHOWN, strict=False):
            there = [(x, a.all[metric]) for x, a in points if metric in a.all]
            if there:
                xs = [x for x, _ in there]
                label = f"{metric}, {condition}" if len(by_condition) > 1 else metric
                upper.plot(xs, [s.mean for _, s in there], style, color=colour, marker="o", markersize=3, label=label)
                upper.fill_between(xs, [s.low for _, s in there], [s.high for _, s in there], color=colour, alpha=0.08)
        changes = [100 * a.numbers["perplexity_change"].mean for _, a in points]
        lower.plot([x for x, _ in points], changes, style, color="black", marker="o", markersize=3, label=condition)
    positive = all(x > 0 for points in by_condition.values() for x, _ in points)
    for axes in (upper, lower):
        axes.set_xlabel(name)
        axes.set_xscale("log" if positive else "linear")
    lower.legend(fontsize=7)


def _bars(axes: Any, arms: Sequence[ArmResult]) -> None:
    metrics = [m for m in SHOWN if any(m in a.all for a in arms)]
    width = 0.8 / len(metrics)
    for number, (colour, metric) in enumerate(zip(_colours(), metrics, strict=False)):
        there = [(place, a.all[metric]) for place, a in enumerate(arms) if metric in a.all]
        means = [s.mean for _, s in there]
        errors = [[max(0.0, s.mean - s.low) for _, s in there], [max(0.0, s.high - s.mean) for _, s in there]]
        places = [place - 0.4 + width * (number + 0.5) for place, _ in there]
        axes.bar(places, means, width, yerr=errors, label=metric, color=colour, error_kw={"linewidth": 0.6})
    axes.set_xticks(range(len(arms)), [a.arm.label for a in arms])
