"""Padded batches and KV caches.

Short sequences that begin alike (every chat begins with the same system message) share the cache of what they have in
common: it is computed once and expanded over the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from sleepengine.backends.base import Tokens


class PrefixLayer(DynamicLayer):  # type: ignore[misc]
    """A cache layer that shows a fixed prefix and keeps nothing of what is run after it.

    A forward pass with gradients can so be repeated over one prefix without growing it or holding its graph.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        return torch.cat([self.keys, key_states], dim=-2), torch.cat([self.values, value_states], dim=-2)


@dataclass(frozen=True)
class KeyValues:
    """The cache of a batch of prefixes: per layer keys and values (B, heads, T, head_dim), and which tokens are real.

    `mask` is (B, T) with 0 at padding, `lengths` (B,) counts real tokens.
    """

    layers: tuple[tuple[Tensor, Tensor], ...]
    mask: Tensor
    lengths: Tensor

    @staticmethod
    def of(cache: DynamicCache, mask: Tensor) -> KeyValues:
        """Take a filled cache apart."""
        layers = tuple((layer.keys, layer.values) for layer in cache.layers)
        return KeyValues(layers, mask, mask.sum(dim=1))

    def expand(self, rows: int) -> KeyValues:
        """One row repeated without copying."""
        layers = tuple((k.expand(rows, *k.shape[1:]), v.expand(rows, *v.shape[1:])) for k, v in self.layers)
        return KeyValues(layers, self.mask.expand(rows, -1), self.lengths.expand(rows))

    def frozen(self) -> DynamicCache:
        """A cache that shows this prefix and never grows."""
        cache = DynamicCache()
        cache.layers = [PrefixLayer(k, v) for k, v in self.layers]
        return cache

    def growing(self, length: int | None = None) -> DynamicCache:
        """A cache that starts with the first `length` tokens of this prefix and grows."""
        cache = DynamicCache()
        for index, (k, v) in enumerate(self.layers):
            cache.update(k[..., :length, :], v[..., :length, :], index)
        return cache


@dataclass(frozen=True)
class Batch:
    """Sequences side by side. `ids` and `mask` are (B, T); `shift[b]` is how many pad tokens stand before row b."""

    ids: Tensor
    mask: Tensor
    shift: tuple[int, ...]

    @property
    def positions(self) -> Tensor:
        """Position ids (B, T) that do not count padding."""
        return (self.mask.cumsum(dim=1) - 1).clamp(min=0)


def pad(sequences: Sequence[Tokens], device: torch.device, left: bool = False) -> Batch:
    """Pad to the longest. Padding on the right keeps indices, padding on the left aligns the ends."""
    longest = max(map(len, sequences))
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    mask = torch.zeros(len(sequences), longest, dtype=torch.long)
    shift = []
    for row, sequence in enumerate(sequences):
        begin = longest - len(sequence) if left else 0
        ids[row, begin : begin + len(sequence)] = torch.tensor(sequence, dtype=torch.long)
        mask[row, begin : begin + len(sequence)] = 1
        shift.append(begin)
    return Batch(ids.to(device), mask.to(device), tuple(shift))


def cells(spans: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Rows and columns whose logits predict the tokens of each half-open span."""
    pairs = [(row, t - 1) for row, (start, end) in enumerate(spans) for t in range(start, end)]
    return torch.tensor([row for row, _ in pairs]), torch.tensor([column for _, column in pairs])
