"""Value optimisation: MEMIT's v* (paper section 4.2).

What stands before the edited position cannot change, so its keys and values are computed once; the blocks up to the
edited layer run once; each step then runs the upper blocks over the few tokens that follow, and the output head at
target positions only. Problems that are solved leave the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np
from mlx.optimizers import Adam

from sleepengine.backends.base import Array, ValueProblem, ValueResult, ValueSettings, Work
from sleepengine.backends.contexts import Row, as_row
from sleepengine.backends.grouping import chunks, common_prefix, families
from sleepengine.backends.mlx_backend.arrays import as_numpy, log_softmax
from sleepengine.backends.mlx_backend.caches import KeyValues, pad
from sleepengine.backends.mlx_backend.patches import MLXView

if TYPE_CHECKING:
    from sleepengine.backends.mlx_backend.backend import MLXBackend


class Bucket:
    """Rows that run together: their past, their residual stream at the edited layer, and what is wanted of each cell.

    A cell is a position whose prediction enters the loss; `columns` names its place in the batch, `problem` its owner.
    """

    def __init__(self, backend: MLXBackend, rows: Sequence[Row], layer: int, view: MLXView) -> None:
        self.backend, self.rows, self.layer, self.view = backend, tuple(rows), layer, view
        self.past = self._past()
        self.batch = pad([r.suffix for r in rows])
        lower = backend.forward(self.batch, view, self.past, observe=(layer,), stop_after=layer)
        self.stream = lower.observed[layer]  # (B, T, width)
        mx.eval(self.stream)
        cells = [(b, i, r) for b, r in enumerate(rows) for i in range(len(r.columns))]
        self.gather = (mx.array([b for b, _, _ in cells]), mx.array([r.columns[i] for _, i, r in cells]))
        self.owners = np.array([r.problem for r in rows])
        self.problem = np.array([r.problem for _, _, r in cells])
        self.is_hold = np.array([not r.wanted for _, _, r in cells])
        self.wanted = np.array([r.wanted[i] if r.wanted else 0 for _, i, r in cells])
        self.weights = np.array([r.weights[i] if r.weights else 1 / len(r.columns) for _, i, r in cells], np.float32)
        self.decides = np.array([bool(r.wanted) and r.weights[i] == max(r.weights) for _, i, r in cells])
        self.reference = self.log_probs(mx.zeros((int(self.owners.max()) + 1, backend.spec.width)))
        if self.is_hold.any():
            mx.eval(self.reference)

    def _past(self) -> KeyValues | None:
        prefixes = [r.ids[: r.edit] for r in self.rows]
        shared = common_prefix(prefixes, limit=min(map(len, prefixes)))
        past = self.backend.prefix([prefixes[0][:shared]], self.view).expand(len(self.rows)) if shared else None
        if any(len(p) > shared for p in prefixes):
            past = self.backend.prefix([p[shared:] for p in prefixes], self.view, after=past)
        return past

    def log_probs(self, values: mx.array) -> mx.array:
        """Log-probabilities (cells, vocab) with each row's value added at its edit position; values is (P, width)."""
        edited = self.stream[:, :1] + values[mx.array(self.owners)][:, None].astype(self.stream.dtype)
        stream = mx.concatenate([edited, self.stream[:, 1:]], axis=1)
        done = self.backend.forward(
            self.batch, self.view, self.past, resume_after=self.layer, resume_with=stream, gather=self.gather
        )
        return log_softmax(done.logits[0])

    def losses(self, values: mx.array, share: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        """The summed loss, each cell's loss, and whether each cell's wanted token is the argmax with what probability
        (0 where it is not the argmax, so that the least of them tells both); `share` weighs each cell (cells,)."""
        logs = self.log_probs(values)
        picked = mx.take_along_axis(logs, mx.array(self.wanted)[:, None], axis=1)[:, 0]
        cells = -picked
        if self.is_hold.any():
            divergence = (mx.exp(self.reference) * (self.reference - logs)).sum(axis=-1)
            cells = mx.where(mx.array(self.is_hold), divergence, cells)
        cells = cells * share
        best = logs.argmax(axis=-1) == mx.array(self.wanted)
        return cells.sum(), cells, mx.where(best, mx.exp(picked), -mx.exp(picked))


@dataclass
class Progress:
    """Per problem: the loss of this step, the least probable deciding token, hits and their count."""

    loss: Array
    least: Array
    hits: Array
    count: Array

    @staticmethod
    def start(problems: int) -> Progress:
        zeros = [np.zeros(problems, np.float32) for _ in range(3)]
        return Progress(zeros[0], np.ones(problems, np.float32), zeros[1], zeros[2])

    def add(self, bucket: Bucket, cells: mx.array, found: mx.array) -> None:
        """Take in one bucket: its cells' losses, and their wanted tokens' probabilities, negative where no argmax."""
        np.add.at(self.loss, bucket.problem, as_numpy(cells))
        # Only a row's heaviest tokens decide: the rest of an answer may be worded as the model likes.
        owners, signed = bucket.problem[bucket.decides], as_numpy(found)[bucket.decides]
        np.minimum.at(self.least, owners, np.abs(signed))
        np.add.at(self.hits, owners, (signed > 0).astype(np.float32))
        np.add.at(self.count, owners, np.float32(1))

    def kept(self, new: Progress, running: np.ndarray) -> Progress:
        """This where a problem no longer runs, else the new one."""
        pairs = zip(vars(self).values(), vars(new).values(), strict=True)
        return Progress(*(np.where(running, fresh, old) for old, fresh in pairs))


def optimise(
    backend: MLXBackend, problems: Sequence[ValueProblem], settings: ValueSettings, view: MLXView
) -> Work[list[ValueResult]]:
    """See `Backend.optimise_values`."""
    count, width = len(problems), backend.spec.width
    buckets: list[Bucket] = []
    for rows in _grouped(problems, backend):
        buckets.append(Bucket(backend, rows, settings.layer, view))
        yield
    # The residual stream's scale differs by orders of magnitude between models, layers and subjects: a problem's value
    # is optimised in units of its own stream's RMS, so that it does not depend on what else is in the batch.
    rms = mx.array(_norms(buckets, count) / width**0.5)[:, None]
    shares = [mx.array(_shares(bucket, problems, settings.hold_weight)) for bucket in buckets]
    units = mx.zeros((count, width))
    optimiser = Adam(learning_rate=settings.learning_rate, bias_correction=True)
    solved = np.zeros(count, np.bool_)
    taken = np.zeros(count, np.int64)
    best = Progress.start(count)
    for step in range(settings.steps + 1):
        progress, gradient = Progress.start(count), mx.zeros_like(units)
        for bucket, share in zip(buckets, shares, strict=True):
            if solved[bucket.owners].all():
                continue

            def losses(u: mx.array, bucket: Bucket = bucket, share: mx.array = share) -> tuple[mx.array, ...]:
                return bucket.losses(u * rms, share)

            if step < settings.steps:
                (_, cells, found), slope = mx.value_and_grad(losses)(units)
                gradient = gradient + slope
                mx.eval(gradient, cells, found)
            else:
                _, cells, found = losses(units)
            progress.add(bucket, cells, found)
            yield
        running = ~solved
        best = best.kept(progress, running)
        solved = solved | (running & (progress.least >= settings.enough) & (progress.hits == progress.count))
        if solved.all() or step == settings.steps:
            break
        moved = optimiser.apply_gradients({"units": gradient}, {"units": units})["units"]
        moved = _clamped(moved, settings.clamp * width**0.5)
        units = mx.where(mx.array(solved)[:, None], units, moved)
        mx.eval(units, optimiser.state)
        taken += ~solved
    values = as_numpy(units * rms)
    return [
        ValueResult(values[p], int(taken[p]), float(best.loss[p]), float(best.hits[p] / best.count[p]))
        for p in range(count)
    ]


def _grouped(problems: Sequence[ValueProblem], backend: MLXBackend) -> list[list[Row]]:
    """Rows in groups that begin alike and fit one work item."""
    rows: list[Row] = []
    for index, problem in enumerate(problems):
        rows += [as_row(index, target) for target in problem.targets]
        rows += [as_row(index, hold) for hold in problem.holds]
    return [
        [rows[family[i]] for i in chunk]
        for family in families([row.ids[: row.edit] for row in rows], backend.on_cpu)
        for chunk in chunks([len(rows[i].suffix) for i in family], backend.micro_tokens())
    ]


def _norms(buckets: Sequence[Bucket], problems: int) -> Array:
    """Mean norm of the residual stream at each problem's edit positions; (problems,)."""
    total, number = np.zeros(problems, np.float32), np.zeros(problems, np.float32)
    for bucket in buckets:
        np.add.at(total, bucket.owners, np.linalg.norm(as_numpy(bucket.stream[:, 0]), axis=-1))
        np.add.at(number, bucket.owners, np.float32(1))
    return (total / np.maximum(number, 1)).astype(np.float32)


def _shares(bucket: Bucket, problems: Sequence[ValueProblem], hold_weight: float) -> Array:
    """How much each cell weighs in its problem's loss: contexts are averaged, and so are holds, which are scaled."""
    targets = np.array([1 / len(p.targets) for p in problems])[bucket.problem]
    holds = np.array([hold_weight / max(1, len(p.holds)) for p in problems])[bucket.problem]
    weights: Array = bucket.weights * np.where(bucket.is_hold, holds, targets).astype(np.float32)
    return weights


def _clamped(values: mx.array, limit: float) -> mx.array:
    norms = mx.maximum(mx.linalg.norm(values, axis=-1, keepdims=True), 1e-12)
    clamped: mx.array = values * mx.minimum(limit / norms, 1.0)
    return clamped
