"""The contexts of a value that is being optimised, as rows that a batch can hold."""

from __future__ import annotations

from dataclasses import dataclass

from sleepengine.backends.base import Hold, Target, Tokens


@dataclass(frozen=True)
class Row:
    """One context of one problem. `columns` are positions after the edit whose predictions enter the loss."""

    problem: int
    ids: Tokens
    edit: int
    columns: tuple[int, ...]
    wanted: tuple[int, ...]  # token ids; empty for a hold
    weights: tuple[float, ...]

    @property
    def suffix(self) -> Tokens:
        return self.ids[self.edit :]


def as_row(problem: int, context: Target | Hold) -> Row:
    """Flatten a context. A target's weights are normalised to sum to one; zero-weight tokens leave the loss."""
    positions = range(context.start, len(context.ids))
    if context.start <= context.edit:
        raise ValueError("a value cannot change the prediction of tokens before its own position")
    if isinstance(context, Hold):
        columns = tuple(i - 1 - context.edit for i in positions)
        return Row(problem, context.ids, context.edit, columns, (), ())
    total = sum(context.weights)
    kept = [(i, w / total) for i, w in zip(positions, context.weights, strict=True) if w > 0]
    return Row(
        problem,
        context.ids,
        context.edit,
        tuple(i - 1 - context.edit for i, _ in kept),
        tuple(context.ids[i] for i, _ in kept),
        tuple(w for _, w in kept),
    )
