"""What every backend does with a view's gate, apart from computing what it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sleepengine.backends.base import Array, Gate, Injection, Tokens

PROSE_SEGMENT = 32  # tokens after which the gate decides afresh when prose is scored


def untouched(injections: Sequence[Sequence[Injection]], limit: int) -> int:
    """How many leading tokens, at most `limit`, no value of any row stands in."""
    return min([limit, *(i.position for row in injections for i in row)])


def decisions(
    gate: Gate, sequence: Tokens, start: int, states: Mapping[int, Array]
) -> list[tuple[int, int, tuple[Injection, ...]]]:
    """(begin, end, injections): pieces from `start` to the end, each with what the gate decides before it.

    A continuation is one piece. Prose (`start` 1) has no moment at which somebody asked, so the gate decides afresh
    every `PROSE_SEGMENT` tokens; pieces without a value run as one. `states[layer]` is (len(sequence), width).
    """
    step = PROSE_SEGMENT if start == 1 else len(sequence)
    pieces = []
    for begin in range(start, len(sequence), step):
        before = {layer: states[layer][:begin] for layer in gate.layers}
        pieces.append((begin, min(begin + step, len(sequence)), gate.decide(sequence[:begin], before)))
    if any(injections for _, _, injections in pieces):
        return pieces
    return [(start, len(sequence), ())]
