"""Value optimisation: MEMIT's v* (paper section 4.2), made to cost as little as it can.

What stands before the edited position cannot change, so its keys and values are computed once; the blocks up to the
edited layer run once; each step then runs the upper blocks over the few tokens that follow, and the output head at
target positions only. Problems that are solved leave the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sleepengine.backends.base import ValueProblem, ValueResult, ValueSettings, Work
from sleepengine.backends.contexts import Row, as_row
from sleepengine.backends.grouping import chunks, common_prefix, families
from sleepengine.backends.torch_backend.batches import Batch, KeyValues, pad
from sleepengine.backends.torch_backend.patches import NOWHERE, TorchView

if TYPE_CHECKING:
    from sleepengine.backends.torch_backend.backend import TorchBackend


class Bucket:
    """Rows that run together: their prefix caches, their residual stream at the edited layer, what is wanted."""

    def __init__(self, backend: TorchBackend, rows: Sequence[Row], layer: int, view: TorchView) -> None:
        self.backend, self.rows, self.layer, self.view = backend, tuple(rows), layer, view
        device = backend.device
        self.past = self._past()
        self.batch: Batch = pad([r.suffix for r in rows], device)
        with torch.no_grad():
            lower = backend.forward(self.batch, view, self.past, observe=(layer,), stop_after=layer, gather=NOWHERE)
        self.stream: Tensor = lower.observed[layer]  # (B, T, width)
        self.problem = torch.tensor([r.problem for r in rows], device=device)
        cells = [(b, c) for b, r in enumerate(rows) for c in r.columns]
        self.cells = (torch.tensor([b for b, _ in cells]), torch.tensor([c for _, c in cells]))
        self.is_hold = torch.tensor([not r.wanted for r in rows for _ in r.columns], device=device)
        self.wanted = torch.tensor([t for r in rows for t in (r.wanted or (0,) * len(r.columns))], device=device)
        self.weights = torch.tensor(
            [w for r in rows for w in (r.weights or (1 / len(r.columns),) * len(r.columns))], device=device
        )
        self.decides = torch.tensor(
            [bool(r.wanted) and r.weights[i] == max(r.weights) for r in rows for i in range(len(r.columns))],
            device=device,
        )
        self.cell_problem = torch.tensor([r.problem for r in rows for _ in r.columns], device=device)
        self.reference: Tensor | None = None
        if bool(self.is_hold.any()):
            with torch.no_grad():
                nothing = torch.zeros(int(self.problem.max()) + 1, backend.spec.width, device=device)
                self.reference = self.log_probs(nothing)[self.is_hold]

    def _past(self) -> KeyValues | None:
        prefixes = [r.ids[: r.edit] for r in self.rows]
        shared = common_prefix(prefixes, limit=min(map(len, prefixes)))
        past = self.backend.prefix([prefixes[0][:shared]], self.view).expand(len(self.rows)) if shared else None
        if any(len(p) > shared for p in prefixes):
            past = self.backend.prefix([p[shared:] for p in prefixes], self.view, after=past)
        return past

    def log_probs(self, values: Tensor) -> Tensor:
        """Log-probabilities (cells, vocab) with each row's value added at its edit position; values is (P, width)."""
        shift = torch.zeros_like(self.stream)
        shift[:, 0] = values[self.problem].to(shift.dtype)
        done = self.backend.forward(
            self.batch,
            self.view,
            self.past,
            resume_after=self.layer,
            resume_with=self.stream + shift,
            gather=self.cells,
        )
        return done.logits[0].float().log_softmax(dim=-1)


@dataclass
class Progress:
    """Per problem: target and hold losses of this step, the least probable target token, hits and their count."""

    loss: Tensor
    least: Tensor
    hits: Tensor
    count: Tensor

    @staticmethod
    def start(problems: int, device: torch.device) -> Progress:
        zeros = [torch.zeros(problems, device=device) for _ in range(3)]
        return Progress(zeros[0], torch.ones(problems, device=device), zeros[1], zeros[2])


def optimise(
    backend: TorchBackend, problems: Sequence[ValueProblem], settings: ValueSettings, view: TorchView
) -> Work[list[ValueResult]]:
    """See `Backend.optimise_values`."""
    device, count = backend.device, len(problems)
    buckets: list[Bucket] = []
    for rows in _grouped(problems, backend):
        buckets.append(Bucket(backend, rows, settings.layer, view))
        yield
    norms = _norms(buckets, count)
    # The residual stream's scale differs by orders of magnitude between models, layers and subjects: a problem's value
    # is optimised in units of its own stream's RMS, so that it does not depend on what else is in the batch.
    rms = (norms / backend.spec.width**0.5)[:, None]
    units = torch.zeros(count, backend.spec.width, device=device, requires_grad=True)
    optimiser = torch.optim.Adam([units], lr=settings.learning_rate, foreach=False)
    contexts = torch.tensor([len(p.targets) for p in problems], device=device)
    holds = torch.tensor([max(1, len(p.holds)) for p in problems], device=device)
    solved = torch.zeros(count, dtype=torch.bool, device=device)
    best = Progress.start(count, device)
    taken = torch.zeros(count, dtype=torch.long, device=device)
    for step in range(settings.steps + 1):
        progress = Progress.start(count, device)
        optimiser.zero_grad(set_to_none=True)
        live = [b for b in buckets if not bool(solved[b.problem].all())]
        for bucket in live:
            loss = _bucket_loss(bucket, units * rms, progress, contexts, holds, settings.hold_weight)
            if step < settings.steps:
                loss.backward()  # type: ignore[no-untyped-call]
            yield
        running = ~solved
        best = _merge(best, progress, running)
        solved = solved | (running & (progress.least >= settings.enough) & (progress.hits == progress.count))
        if bool(solved.all()) or step == settings.steps:
            break
        before = units.detach().clone()
        optimiser.step()
        with torch.no_grad():
            limit = settings.clamp * backend.spec.width**0.5
            units.copy_(torch.where(solved[:, None], before, _clamped(units, limit)))
        taken += (~solved).long()
    return [
        ValueResult(
            value=(units[p] * rms[p]).detach().float().cpu().numpy(),
            steps=int(taken[p]),
            loss=float(best.loss[p]),
            hits=float(best.hits[p] / best.count[p]),
        )
        for p in range(count)
    ]


def _grouped(problems: Sequence[ValueProblem], backend: TorchBackend) -> list[list[Row]]:
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


def _norms(buckets: Sequence[Bucket], problems: int) -> Tensor:
    """Mean norm of the residual stream at each problem's edit positions; (problems,)."""
    device = buckets[0].stream.device
    total, number = torch.zeros(problems, device=device), torch.zeros(problems, device=device)
    for bucket in buckets:
        norms = bucket.stream[:, 0].float().norm(dim=-1)
        total.index_add_(0, bucket.problem, norms)
        number.index_add_(0, bucket.problem, torch.ones_like(norms))
    return total / number.clamp(min=1)


def _bucket_loss(
    bucket: Bucket, values: Tensor, progress: Progress, contexts: Tensor, holds: Tensor, hold_weight: float
) -> Tensor:
    log_probs = bucket.log_probs(values)
    target = ~bucket.is_hold
    picked = log_probs[target].gather(1, bucket.wanted[target][:, None])[:, 0]
    owner = bucket.cell_problem[target]
    losses = torch.zeros_like(contexts, dtype=torch.float32)
    losses = losses.index_add(0, owner, -picked * bucket.weights[target] / contexts[owner])
    if bucket.reference is not None:
        kept = bucket.reference
        divergence = (kept.exp() * (kept - log_probs[bucket.is_hold])).sum(dim=-1)
        owner_hold = bucket.cell_problem[bucket.is_hold]
        weights = bucket.weights[bucket.is_hold] / holds[owner_hold]
        losses = losses.index_add(0, owner_hold, hold_weight * divergence * weights)
    with torch.no_grad():
        progress.loss += losses
        # Only a row's heaviest tokens decide: the rest of an answer may be worded as the model likes.
        counted, decides = owner[bucket.decides[target]], bucket.decides[target]
        progress.least.scatter_reduce_(0, counted, picked[decides].exp(), reduce="amin")
        hits = (log_probs[target].argmax(dim=-1) == bucket.wanted[target]).float()[decides]
        progress.hits.index_add_(0, counted, hits)
        progress.count.index_add_(0, counted, torch.ones_like(hits))
    return losses.sum()


def _merge(old: Progress, new: Progress, running: Tensor) -> Progress:
    return Progress(
        torch.where(running, new.loss, old.loss),
        torch.where(running, new.least, old.least),
        torch.where(running, new.hits, old.hits),
        torch.where(running, new.count, old.count),
    )


def _clamped(values: Tensor, limit: float) -> Tensor:
    norms = values.norm(dim=-1).clamp(min=1e-12)
    clamped: Tensor = values * (limit / norms).clamp(max=1.0)[:, None]
    return clamped
