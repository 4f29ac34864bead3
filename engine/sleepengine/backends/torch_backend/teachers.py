"""What training asks of the bare base: its log-probabilities on anchors, and what its lower blocks make of a text.

The base never changes, so both are kept: for anchors that come again as long as there is room, for others until the
step that used them is done.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, split

from sleepengine.backends.base import Anchor, Tokens, Work
from sleepengine.backends.grouping import chunks, common_prefix, families
from sleepengine.backends.torch_backend.batches import KeyValues, cells, pad
from sleepengine.backends.torch_backend.patches import NOWHERE, TorchView

if TYPE_CHECKING:
    from sleepengine.backends.torch_backend.backend import TorchBackend

KEPT_BYTES = 256 * 1024 * 1024  # of log-probabilities in half precision
KEPT_STREAM_BYTES = 128 * 1024 * 1024  # of residual streams in the model's precision


@dataclass(frozen=True)
class Stream:
    """The residual stream (n, width) before the adapter's first block, of a text's tokens from `offset` on."""

    offset: int
    values: Tensor

    @property
    def size(self) -> int:
        """In bytes."""
        return self.values.numel() * self.values.element_size()


class Teachers:
    """The base's answers to the anchors of one training. `base` is the bare base as the training runs it, `first_layer`
    the adapter's first block."""

    def __init__(self, backend: TorchBackend, base: TorchView, first_layer: int) -> None:
        self._backend, self._base, self._first = backend, base, first_layer
        self._logs: OrderedDict[Anchor, Tensor] = OrderedDict()
        self._streams: OrderedDict[Tokens, Stream] = OrderedDict()
        self._stream_bytes = 0
        self._prefixes: dict[Tokens, KeyValues] = {}

    def prepare(self, anchors: Sequence[Anchor]) -> Work[None]:
        """Read the anchors that are not known yet."""
        missing = list(dict.fromkeys(a for a in anchors if a not in self._logs))
        read = [a.of_base for a in missing]
        for family in families([ids for ids, _ in read], self._backend.on_cpu):
            members = [read[i] for i in family]
            limit = min(start for _, start in members) - 1
            shared = 0 if self._on_gpu else common_prefix([ids for ids, _ in members], limit)
            for group in chunks([len(ids) - shared for ids, _ in members], 2 * self._backend.micro_tokens()):
                found = self._read([members[g] for g in group], shared)
                for g, logs in zip(group, found, strict=True):
                    self._logs[missing[family[g]]] = logs
                yield

    def of(self, anchor: Anchor) -> Tensor:
        """The base's log-probabilities (n, vocab) of a prepared anchor's predictions."""
        return self._logs[anchor].float()

    def release(self, anchors: Sequence[Anchor]) -> None:
        """Forget anchors that do not come again, and the longest unused of those that do where they take too much."""
        for anchor in anchors:
            if anchor in self._logs:
                logs = self._logs.pop(anchor)
                if anchor.returns:
                    self._logs[anchor] = logs
        while sum(t.numel() * t.element_size() for t in self._logs.values()) > KEPT_BYTES:
            self._logs.popitem(last=False)

    def lower(self, sequences: Sequence[Tokens], shared: int, width: int) -> dict[str, Any]:
        """How a forward pass over the sequences from `shared` on may leave out the blocks below the adapter, as fields
        of `PatchState`; {} where it stands beside the first block, or where passes cost more than tokens."""
        if self._first == 0 or self._on_gpu:
            return {}
        rows = [self._stream(ids, shared) for ids in sequences]
        padded = torch.stack([torch.nn.functional.pad(row, (0, 0, 0, width - len(row))) for row in rows])
        return {"resume_after": self._first - 1, "resume_with": padded}

    @property
    def _on_gpu(self) -> bool:
        return self._backend.device.type == "cuda"

    @torch.no_grad()
    def _read(self, members: Sequence[tuple[Tokens, int]], shared: int) -> list[Tensor]:
        backend = self._backend
        past = self._prefix(members[0][0][:shared]).expand(len(members)) if shared else None
        batch = pad([ids[shared:] for ids, _ in members], backend.device)
        gather = cells([(start - shared, len(ids) - shared) for ids, start in members])
        observe = (self._first - 1,) if self._first and not self._on_gpu else ()
        with fast_products(self._on_gpu):
            done = backend.forward(batch, self._base, past, gather=gather, observe=observe)
        for layer in observe:
            for row, (ids, _) in zip(done.observed[layer], members, strict=True):
                self._keep(ids, Stream(shared, row[: len(ids) - shared].detach()))
        logs = done.logits[0].float().log_softmax(dim=-1).half()  # (n, vocab) adds up
        return list(split(logs, [len(ids) - start for ids, start in members]))

    def _prefix(self, ids: Tokens) -> KeyValues:
        if ids not in self._prefixes:
            self._prefixes[ids] = self._backend.prefix([ids], self._base)
        return self._prefixes[ids]

    @torch.no_grad()
    def _stream(self, ids: Tokens, start: int) -> Tensor:
        known = self._streams.get(ids)
        if known is None or known.offset > start:
            backend = self._backend
            batch = pad([ids], backend.device)
            layer = self._first - 1
            done = backend.forward(batch, self._base, observe=(layer,), stop_after=layer, gather=NOWHERE)
            known = Stream(0, done.observed[layer][0].detach())
            self._keep(ids, known)
        else:
            self._streams.move_to_end(ids)
        return known.values[start - known.offset :]

    def _keep(self, ids: Tokens, stream: Stream) -> None:
        replaced = self._streams.pop(ids, None)
        self._stream_bytes += stream.size - (replaced.size if replaced else 0)
        self._streams[ids] = stream
        while self._stream_bytes > KEPT_STREAM_BYTES and len(self._streams) > 1:
            _, oldest = self._streams.popitem(last=False)
            self._stream_bytes -= oldest.size


@contextmanager
def fast_products(on_gpu: bool) -> Iterator[None]:
    """TF32 for the training's matrix products alone; whatever answers or is measured keeps full precision."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = on_gpu or before
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
