"""LoRA training beside the model: cross-entropy on examples, KL to the bare base on anchors.

The adapter in training is a set of deltas like any other view's, so the live view keeps answering over the same base
weights between two micro-batches. Whatever fits runs in one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np
from mlx.optimizers import AdamW, clip_grad_norm
from mlx.utils import tree_map

from sleepengine.backends.base import Adapter, Anchor, Example, LoraScope, LowRank, Row, Tokens, Work
from sleepengine.backends.grouping import chunks
from sleepengine.backends.mlx_backend.arrays import as_numpy, log_softmax
from sleepengine.backends.mlx_backend.caches import pad
from sleepengine.backends.mlx_backend.patches import Delta, MLXView
from sleepengine.backends.sites import in_scope, same_shape

if TYPE_CHECKING:
    from sleepengine.backends.mlx_backend.backend import MLXBackend

MAX_GRADIENT_NORM = 1.0
BETAS = [0.9, 0.99]
KEPT_BYTES = 256 * 1024 * 1024  # of the base's log-probabilities in half precision

Factors = dict[str, dict[str, mx.array]]
"""`down` and `up`, each by module path: A (rank, d_in), and B transposed (rank, d_out)."""


class LoraTrainer:
    """Implements `sleepengine.backends.base.Trainer`."""

    def __init__(
        self, backend: MLXBackend, init: Adapter | None, rank: int, alpha: float, seed: int, scope: LoraScope
    ) -> None:
        self.backend, self.rank, self.scale = backend, rank, alpha / rank
        sites = list(in_scope(backend.structure.linears, backend.structure.down, scope))
        if init is not None and not same_shape(init, rank, sites):
            init = None
        random = np.random.default_rng(seed)
        down, up = {}, {}
        for site in sites:
            if init is not None:
                down[site.path] = mx.array(init.factors[site.path].right)
                up[site.path] = mx.array(init.factors[site.path].left / np.float32(self.scale))
            else:
                bound = (1.0 / site.d_in) ** 0.5  # Kaiming-uniform as in PEFT (a = sqrt 5)
                down[site.path] = mx.array(random.uniform(-bound, bound, (rank, site.d_in)).astype(np.float32))
                up[site.path] = mx.zeros((rank, site.d_out))
        self.factors: Factors = {"down": down, "up": up}
        self.optimiser = AdamW(learning_rate=0.0, betas=BETAS, weight_decay=0.0, bias_correction=True)
        self._gradient: Factors | None = None
        self._teachers: dict[Anchor, mx.array] = {}

    @property
    def view(self) -> MLXView:
        return MLXView(self._deltas(self.factors))

    def _deltas(self, factors: Factors) -> dict[str, Delta]:
        return {path: Delta(right, factors["up"][path] * self.scale) for path, right in factors["down"].items()}

    def prepare(self, anchors: Sequence[Anchor]) -> Work[None]:
        missing = list(dict.fromkeys(a for a in anchors if a not in self._teachers))
        read = [a.of_base for a in missing]
        for group in chunks([len(ids) for ids, _ in read], 2 * self.backend.micro_tokens()):
            found = self._log_probs([read[g] for g in group], self.backend.bare)
            for g, logs in zip(group, found, strict=True):
                self._teachers[missing[g]] = logs.astype(mx.float16)  # (n, vocab) adds up
            mx.eval([self._teachers[missing[g]] for g in group])
            yield

    def accumulate(self, rows: Sequence[Row], scales: Sequence[float]) -> Work[list[float]]:
        anchors = [r for r in rows if isinstance(r, Anchor)]
        yield from self.prepare(anchors)
        found = [0.0] * len(rows)
        for group in chunks([len(r.ids) for r in rows], self.backend.micro_tokens()):
            members, weights = [rows[i] for i in group], mx.array([scales[i] for i in group])

            def weighed(
                factors: Factors, members: list[Row] = members, weights: mx.array = weights
            ) -> tuple[mx.array, mx.array]:
                losses = self._losses(members, factors)
                return (losses * weights).sum(), losses

            (_, losses), gradient = mx.value_and_grad(weighed)(self.factors)
            self._gradient = gradient if self._gradient is None else tree_map(mx.add, self._gradient, gradient)
            mx.eval(losses, self._gradient)
            for i, loss in zip(group, as_numpy(losses), strict=True):
                found[i] = float(loss)
            yield
        self._release(anchors)
        return found

    def _losses(self, rows: Sequence[Row], factors: Factors) -> mx.array:
        logs = self._log_probs([(r.ids, r.start) for r in rows], MLXView(self._deltas(factors)))
        return mx.stack([self._loss(found, row) for found, row in zip(logs, rows, strict=True)])

    def _loss(self, logs: mx.array, row: Row) -> mx.array:
        """A row's loss; `logs` is (n, vocab) for its n tokens from `start` on."""
        weights = mx.array(row.weights)
        if isinstance(row, Example):
            wanted = mx.array(row.ids[row.start :])
            return -(mx.take_along_axis(logs, wanted[:, None], axis=1)[:, 0] * weights).sum()
        base = self._teachers[row].astype(mx.float32)
        moved = (mx.exp(base) * (base - logs)).sum(axis=-1)
        if row.reverse:
            moved = moved + row.reverse * (mx.exp(logs) * (logs - base)).sum(axis=-1)
        loss = (moved * weights).sum()
        if row.avoid:
            probability = mx.exp(logs[-1, row.ids[-1]])
            loss = loss - row.avoid * mx.log1p(-mx.minimum(probability, 1 - 1e-4))
        return loss

    def _log_probs(self, rows: Sequence[tuple[Tokens, int]], view: MLXView) -> list[mx.array]:
        """For each (ids, start) the log-probabilities (n, vocab) of the predictions of its tokens from start on."""
        cells = [(row, t - 1) for row, (ids, start) in enumerate(rows) for t in range(start, len(ids))]
        gather = (mx.array([row for row, _ in cells]), mx.array([column for _, column in cells]))
        logs = log_softmax(self.backend.forward(pad([ids for ids, _ in rows]), view, gather=gather).logits[0])
        ends = np.cumsum([len(ids) - start for ids, start in rows]).tolist()
        return list(mx.split(logs, ends[:-1], axis=0)) if len(ends) > 1 else [logs]

    def _release(self, anchors: Sequence[Anchor]) -> None:
        """Forget anchors that do not come again, and the longest unused of those that do where they are too many."""
        for anchor in anchors:
            logs = self._teachers.pop(anchor, None)
            if logs is not None and anchor.returns:
                self._teachers[anchor] = logs
        while sum(int(logs.nbytes) for logs in self._teachers.values()) > KEPT_BYTES:
            del self._teachers[next(iter(self._teachers))]

    def step(self, learning_rate: float) -> None:
        if self._gradient is None:
            return
        gradient, _ = clip_grad_norm(self._gradient, MAX_GRADIENT_NORM)
        self.optimiser.learning_rate = learning_rate
        self.factors = self.optimiser.apply_gradients(gradient, self.factors)
        mx.eval(self.factors, self.optimiser.state)
        self._gradient = None

    def adapter(self) -> Adapter:
        down, up = self.factors["down"], self.factors["up"]
        return Adapter(
            self.rank,
            {path: LowRank(as_numpy(right), as_numpy(up[path] * self.scale)) for path, right in down.items()},
        )
