"""Capacity: the largest number of facts, learned together, before recall or locality falls off."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sleepengine.evaluation.calibration.trial import Figures

KEPT_RECALL = 0.8  # of the recall at the smallest number of facts
ADDED_LEAK = 0.1  # more than at the smallest number of facts
DIVERGENCE = 0.05  # nats a token: about five per cent of perplexity


def counts(limit: int, smallest: int = 10) -> list[int]:
    """Doubling numbers of facts up to `limit`, which is the last."""
    found = [min(smallest, limit)]
    while found[-1] < limit:
        found.append(min(2 * found[-1], limit))
    return found


def capacity(
    measure: Callable[[int], Figures], numbers: Sequence[int], announce: Callable[[str], None]
) -> tuple[int, list[Figures]]:
    """The last of `numbers` before the first at which something falls off, and the figures of all that were tried.

    A capacity equal to the last number says that no limit was reached. 0 where even the first is too many.
    """
    found: list[Figures] = []
    for number in numbers:
        found.append(measure(number))
        announce(f"{number} facts: recall {found[-1].recall:.2f}, near leak {found[-1].near_leak:.2f}")
        if not holds(found[-1], found[0]):
            return (found[-2].facts if len(found) > 1 else 0), found
    return found[-1].facts, found


def holds(figures: Figures, first: Figures) -> bool:
    """Whether recall and locality are still about what they were at the smallest number."""
    return (
        figures.recall >= KEPT_RECALL * first.recall > 0
        and figures.near_leak <= first.near_leak + ADDED_LEAK
        and figures.other_leak <= first.other_leak + ADDED_LEAK
        and figures.divergence <= DIVERGENCE
    )
