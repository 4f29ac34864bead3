"""LoRA training beside the model: cross-entropy on examples, KL to the bare base on anchors.

The adapter in training is a delta like any other, so the live view keeps answering over the same base weights between
two micro-batches. On a CPU, sequences that begin alike share one prefix, run without gradients under the adapter as it
is; on a GPU, where launches cost more than tokens, everything that fits runs in one pass. Blocks below the adapter's
first layer never change, so what they make of a sequence that comes again is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn, split

from sleepengine.backends.base import Adapter, Anchor, Example, LoraScope, LowRank, Row, Tokens, Work
from sleepengine.backends.grouping import chunks, common_prefix, families
from sleepengine.backends.sites import in_scope, same_shape
from sleepengine.backends.torch_backend.batches import KeyValues, cells, pad
from sleepengine.backends.torch_backend.patches import Delta, TorchView
from sleepengine.backends.torch_backend.teachers import Teachers, fast_products

if TYPE_CHECKING:
    from sleepengine.backends.torch_backend.backend import TorchBackend

MAX_GRADIENT_NORM = 1.0
BETAS = (0.9, 0.99)
WORTH_HALVING = 64 * 1024  # elements of a weight; below, the casts cost what the products save
SHORTEST_SHARED_PREFIX = 8  # tokens; below, a pass of its own costs more than it saves


class LoraTrainer:
    """Implements `sleepengine.backends.base.Trainer`."""

    def __init__(
        self, backend: TorchBackend, init: Adapter | None, rank: int, alpha: float, seed: int, scope: LoraScope
    ) -> None:
        self.backend, self.rank, self.scale, self.scope = backend, rank, alpha / rank, scope
        sites = list(in_scope(backend.structure.linears, backend.structure.down, scope))
        if init is not None and not same_shape(init, rank, sites):
            init = None
        random = torch.Generator().manual_seed(seed)
        self.down: dict[str, nn.Parameter] = {}  # A, (rank, d_in)
        self.up: dict[str, nn.Parameter] = {}  # B transposed, (rank, d_out)
        for site in sites:
            device = backend.device_of(site.path)
            if init is not None:
                right = torch.from_numpy(init.factors[site.path].right.copy())
                left = torch.from_numpy(init.factors[site.path].left / self.scale)
            else:
                bound = (1.0 / site.d_in) ** 0.5  # Kaiming-uniform as in PEFT (a = sqrt 5)
                right = (torch.rand(rank, site.d_in, generator=random) * 2 - 1) * bound
                left = torch.zeros(rank, site.d_out)
            self.down[site.path] = nn.Parameter(right.to(device, torch.float32))
            self.up[site.path] = nn.Parameter(left.to(device, torch.float32))
        self.parameters = [*self.down.values(), *self.up.values()]
        # One kernel for all tensors where launches are what costs.
        self._many = backend.device.type == "cuda"
        self.optimiser = torch.optim.AdamW(self.parameters, betas=BETAS, weight_decay=0.0, foreach=self._many)
        self._budget = min(backend.micro_tokens(), affordable_tokens(backend))
        self._prefixes: dict[Tokens, KeyValues] = {}
        self._halves = half_weights(backend)
        self._teachers = Teachers(backend, TorchView({}, halves=self._halves), scope.first_layer)

    @property
    def view(self) -> TorchView:
        with torch.no_grad():
            return self._student()

    def _student(self) -> TorchView:
        return TorchView(self._deltas(), halves=self._halves)

    def _deltas(self) -> dict[str, Delta]:
        return {path: Delta(right, self.up[path] * self.scale) for path, right in self.down.items()}

    def prepare(self, anchors: Sequence[Anchor]) -> Work[None]:
        return self._teachers.prepare(anchors)

    def accumulate(self, rows: Sequence[Row], scales: Sequence[float]) -> Work[list[float]]:
        anchors = [r for r in rows if isinstance(r, Anchor)]
        yield from self._teachers.prepare(anchors)
        found = [0.0] * len(rows)
        for group in self._micro_batches(rows):
            with fast_products(self._many):
                members = [rows[i] for i in group]
                log_probs = split(self._log_probs(members), [len(r.ids) - r.start for r in members])
                losses = torch.stack([self._loss(p, r) for p, r in zip(log_probs, members, strict=True)])
                weights = torch.tensor([scales[i] for i in group], device=losses.device)
                (losses * weights).sum().backward()  # type: ignore[no-untyped-call]
            for i, loss in zip(group, losses.detach().tolist(), strict=True):
                found[i] = loss
            yield
        self._teachers.release(anchors)
        return found

    def _loss(self, log_probs: Tensor, row: Row) -> Tensor:
        return cross_entropy(log_probs, row) if isinstance(row, Example) else self._moved(log_probs, row)

    def _moved(self, log_probs: Tensor, anchor: Anchor) -> Tensor:
        """An anchor's weighted divergence from the base, with its last token's avoidance where one is asked for."""
        base = self._teachers.of(anchor)
        weights = torch.tensor(anchor.weights, device=log_probs.device)
        moved = (base.exp() * (base - log_probs)).sum(dim=-1)
        if anchor.reverse:
            moved = moved + anchor.reverse * (log_probs.exp() * (log_probs - base)).sum(dim=-1)
        loss = (moved * weights).sum()
        if anchor.avoid:
            probability = log_probs[-1, anchor.ids[-1]].exp()
            loss = loss - anchor.avoid * torch.log1p(-probability.clamp(max=1 - 1e-4))
        return loss

    def _micro_batches(self, rows: Sequence[Row]) -> Iterator[list[int]]:
        """Indices of what one work item may hold: on a CPU rows that begin alike, elsewhere whatever fits."""
        for family in families([r.ids for r in rows], self.backend.on_cpu):
            shared = self._shared([rows[i] for i in family])
            for group in chunks([len(rows[i].ids) - shared for i in family], self._budget):
                yield [family[g] for g in group]

    def _shared(self, items: Sequence[Row]) -> int:
        if self._many:
            return 0
        shared = common_prefix([i.ids for i in items], limit=min(i.start for i in items) - 1)
        return shared if shared >= SHORTEST_SHARED_PREFIX else 0

    def step(self, learning_rate: float) -> None:
        torch.nn.utils.clip_grad_norm_(self.parameters, MAX_GRADIENT_NORM, foreach=self._many)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._prefixes.clear()

    def adapter(self) -> Adapter:
        return Adapter(
            self.rank,
            {
                path: LowRank(right.detach().cpu().numpy().copy(), (self.up[path].detach() * self.scale).cpu().numpy())
                for path, right in self.down.items()
            },
        )

    def _log_probs(self, items: Sequence[Row]) -> Tensor:
        """The student's log-probabilities of the predictions of all tokens from each start on; (n, vocab), row by
        row."""
        shared = self._shared(items)
        past = self._prefix(items[0].ids[:shared]).expand(len(items)) if shared else None
        batch = pad([i.ids[shared:] for i in items], self.backend.device)
        skipped = self._teachers.lower([i.ids for i in items], shared, batch.ids.shape[1])
        gather = cells([(i.start - shared, len(i.ids) - shared) for i in items])
        return (
            self.backend.forward(batch, self._student(), past, gather=gather, **skipped)
            .logits[0]
            .float()
            .log_softmax(dim=-1)
        )

    def _prefix(self, ids: Tokens) -> KeyValues:
        if ids not in self._prefixes:
            self._prefixes[ids] = self.backend.prefix([ids], self.view)
        return self._prefixes[ids]


def half_weights(backend: TorchBackend) -> dict[str, Tensor]:
    """The blocks' linear weights in bfloat16 where the processor multiplies such twice as fast; elsewhere nothing.

    Student and teacher read the same weights, so the rounding moves neither from the other; gates measure without.
    """
    if not backend.on_cpu or backend.dtype != torch.float32 or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return {}
    modules = ((site.path, backend.model.get_submodule(site.path).base) for site in backend.structure.linears)
    return {
        path: module.weight.to(torch.bfloat16)
        for path, module in modules
        if isinstance(module, nn.Linear) and module.weight.numel() >= WORTH_HALVING
    }


def affordable_tokens(backend: TorchBackend) -> int:
    """How many tokens one pass with gradients may hold in half of what is free on the device; at least one short row.

    Counted a token: what autograd keeps of a block (about 14 vectors of its width and 4 of its MLP's), and logits with
    their log-probabilities and gradients for a third of the tokens.
    """
    if backend.device.type != "cuda":
        return backend.micro_tokens()
    free, _ = torch.cuda.mem_get_info(backend.device)
    spec, size = backend.spec, 4
    a_token = size * (spec.layers * (14 * spec.width + 4 * spec.mlp_width) + spec.vocab)
    return max(64, int(0.5 * free / a_token))


def cross_entropy(log_probs: Tensor, row: Example) -> Tensor:
    """An example's weighted cross-entropy; `log_probs` is (n, vocab) for its n tokens from `start` on."""
    wanted = torch.tensor(row.ids[row.start :], device=log_probs.device)
    weights = torch.tensor(row.weights, device=log_probs.device)
    return -(log_probs.gather(1, wanted[:, None])[:, 0] * weights).sum()
