"""LoRA training beside the model: cross-entropy on examples, KL to the bare base on anchors.

The adapter in training is a delta like any other, so the live view keeps answering over the same base weights between
two micro-batches. Sequences that begin alike share one prefix, run without gradients under the adapter as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from sleepengine.backends.base import Adapter, Anchor, Example, LowRank, Tokens, Work
from sleepengine.backends.torch_backend.batches import KeyValues, chunks, common_prefix, families, pad
from sleepengine.backends.torch_backend.patches import Delta, TorchView

if TYPE_CHECKING:
    from sleepengine.backends.torch_backend.backend import TorchBackend

S = TypeVar("S", Example, Anchor)

MAX_GRADIENT_NORM = 1.0
KEPT_TEACHERS = 64  # anchors whose base log-probabilities are kept
SHORTEST_SHARED_PREFIX = 8  # tokens; below, a pass of its own costs more than it saves


class LoraTrainer:
    """Implements `sleepengine.backends.base.Trainer` over all linear layers of the blocks."""

    def __init__(self, backend: TorchBackend, init: Adapter | None, rank: int, alpha: float, seed: int) -> None:
        self.backend, self.rank, self.scale = backend, rank, alpha / rank
        random = torch.Generator().manual_seed(seed)
        self.down: dict[str, nn.Parameter] = {}  # A, (rank, d_in)
        self.up: dict[str, nn.Parameter] = {}  # B transposed, (rank, d_out)
        for site in backend.structure.linears:
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
        self.optimiser = torch.optim.AdamW(self.parameters, weight_decay=0.0, foreach=False)
        self._prefixes: dict[Tokens, KeyValues] = {}
        self._base_prefixes: dict[Tokens, KeyValues] = {}
        self._base: dict[Anchor, Tensor] = {}  # the latest used last

    @property
    def view(self) -> TorchView:
        with torch.no_grad():
            return TorchView(self._deltas())

    def _deltas(self) -> dict[str, Delta]:
        return {path: Delta(right, self.up[path] * self.scale) for path, right in self.down.items()}

    def accumulate(self, batch: Sequence[Example], scale: float) -> Work[float]:
        total = 0.0
        for rows in self._micro_batches(batch):
            log_probs = self._log_probs(rows)
            wanted = torch.tensor([t for e in rows for t in e.ids[e.start :]], device=log_probs.device)
            weights = torch.tensor([w for e in rows for w in e.weights], device=log_probs.device)
            loss = -(log_probs.gather(1, wanted[:, None])[:, 0] * weights).sum()
            (loss * scale).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
            yield
        return total

    def accumulate_anchors(self, batch: Sequence[Anchor], scale: float) -> Work[float]:
        total = 0.0
        for rows in self._micro_batches(batch):
            base = self._base_log_probs(rows)
            log_probs = self._log_probs(rows)
            loss = (base.exp() * (base - log_probs)).sum()
            (loss * scale).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
            yield
        return total

    def _micro_batches(self, items: Sequence[S]) -> Iterator[list[S]]:
        """Items that begin alike, as many as one work item may hold beside what they share."""
        for family in families([i.ids for i in items], self.backend.device):
            members = [items[i] for i in family]
            shared = self._shared(members)
            for group in chunks([len(m.ids) - shared for m in members], self.backend.micro_tokens()):
                yield [members[g] for g in group]

    def _shared(self, items: Sequence[Example] | Sequence[Anchor]) -> int:
        shared = common_prefix([i.ids for i in items], limit=min(i.start for i in items) - 1)
        return shared if shared >= SHORTEST_SHARED_PREFIX else 0

    def step(self, learning_rate: float) -> None:
        torch.nn.utils.clip_grad_norm_(self.parameters, MAX_GRADIENT_NORM, foreach=False)
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

    def _log_probs(self, items: Sequence[Example] | Sequence[Anchor], base: bool = False) -> Tensor:
        """Log-probabilities of the predictions of all tokens from each start on, by the student or by the bare base;
        (n, vocab), row by row."""
        view = self.backend.bare if base else TorchView(self._deltas())
        shared = self._shared(items)
        past = self._prefix(items[0].ids[:shared], base).expand(len(items)) if shared else None
        batch = pad([i.ids[shared:] for i in items], self.backend.device)
        spans = [(item.start, len(item.ids)) for item in items]
        cells = [(row, t - 1 - shared) for row, (start, end) in enumerate(spans) for t in range(start, end)]
        gather = (torch.tensor([b for b, _ in cells]), torch.tensor([c for _, c in cells]))
        done = self.backend.forward(batch, view, past, gather=gather)
        return done.logits[0].float().log_softmax(dim=-1)

    def _prefix(self, ids: Tokens, base: bool) -> KeyValues:
        kept = self._base_prefixes if base else self._prefixes
        if ids not in kept:
            kept[ids] = self.backend.prefix([ids], self.backend.bare if base else self.view)
        return kept[ids]

    @torch.no_grad()
    def _base_log_probs(self, rows: Sequence[Anchor]) -> Tensor:
        """The teacher's log-probabilities. The base never changes: those of anchors that come again are kept."""
        missing = [a for a in rows if a not in self._base]
        fresh: dict[Anchor, Tensor] = {}
        if missing:
            pieces = torch.split(self._log_probs(missing, base=True), [len(a.ids) - a.start for a in missing])
            fresh = dict(zip(missing, pieces, strict=True))
        found = [fresh[a] if a in fresh else self._base.pop(a).to(self.backend.device).float() for a in rows]
        for anchor, logs in zip(rows, found, strict=True):
            self._base[anchor] = logs.half().cpu()  # half precision on the host: (n, vocab) adds up
        while len(self._base) > KEPT_TEACHERS:
            del self._base[next(iter(self._base))]
        return torch.cat(found)
