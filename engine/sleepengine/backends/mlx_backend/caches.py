"""Padded batches and KV caches, as mlx-lm's attention asks for them.

A model of mlx-lm takes positions and mask from its cache. `LayerCache` gives it those of a padded batch that follows a
prefix, and keeps nothing unless asked for; a conversation uses mlx-lm's own growing cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import KVCache
from numpy.typing import NDArray

from sleepengine.backends.base import Tokens

Real = NDArray[np.bool_]
"""Which places of a padded batch hold a token; (B, T)."""


@dataclass(frozen=True)
class Batch:
    """Sequences side by side. `ids` and `real` are (B, T); `shift[b]` is how many pad tokens stand before row b."""

    ids: NDArray[np.int32]
    real: Real
    shift: NDArray[np.int32]


def pad(sequences: Sequence[Tokens], left: bool = False) -> Batch:
    """Pad to the longest. Padding on the right keeps indices, padding on the left aligns the ends."""
    longest = max(map(len, sequences))
    ids = np.zeros((len(sequences), longest), np.int32)
    real = np.zeros((len(sequences), longest), np.bool_)
    shift = np.zeros(len(sequences), np.int32)
    for row, sequence in enumerate(sequences):
        begin = longest - len(sequence) if left else 0
        ids[row, begin : begin + len(sequence)] = sequence
        real[row, begin : begin + len(sequence)] = True
        shift[row] = begin
    return Batch(ids, real, shift)


@dataclass(frozen=True)
class KeyValues:
    """The cache of a batch of prefixes: per layer keys and values (B, heads, T, head_dim), and which tokens are
    real."""

    layers: tuple[tuple[mx.array, mx.array], ...]
    real: Real

    def expand(self, rows: int) -> KeyValues:
        """One row, repeated."""
        layers = tuple(
            (mx.broadcast_to(k, (rows, *k.shape[1:])), mx.broadcast_to(v, (rows, *v.shape[1:]))) for k, v in self.layers
        )
        return KeyValues(layers, np.broadcast_to(self.real, (rows, self.real.shape[1])))


class Attention:
    """Where the tokens of a batch stand and what each may see: its own past, and no padding."""

    def __init__(self, batch: Batch, past: Real | None) -> None:
        rows = batch.ids.shape[0]
        before = past if past is not None else np.zeros((rows, 0), np.bool_)
        self._fresh = batch.ids.shape[1]
        self._real = np.concatenate([before, batch.real], axis=1)
        self._first = (before.sum(axis=1) - batch.shift).astype(np.int32)  # position of each row's first column
        self._masks: dict[int | None, mx.array] = {}
        whole = bool(self._real.all()) and bool((self._first == self._first[0]).all())
        self._whole = whole
        self.offset: int | mx.array = int(self._first[0]) if whole else mx.array(self._first)

    def mask(self, as_array: bool, window: int | None) -> mx.array | str | None:
        """What mlx's attention takes as its mask: (B, 1, T, all), "causal", or None for a lone last token."""
        fits = window is None or self._real.shape[1] <= window
        if self._whole and fits and not as_array:
            return None if self._fresh == 1 else "causal"
        if window not in self._masks:
            self._masks[window] = mx.array(self._allowed(window)[:, None])
        return self._masks[window]

    def _allowed(self, window: int | None) -> Real:
        places = np.cumsum(self._real, axis=1) - 1
        queries = self._first[:, None] + np.arange(self._fresh)
        keys = places[:, None, :]
        allowed = self._real[:, None, :] & (keys <= queries[:, :, None])
        if window is not None:
            allowed &= keys > queries[:, :, None] - window
        # A row's padding sees itself, or its softmax would be over nothing and its NaN spread.
        own = np.arange(self._real.shape[1]) == (np.arange(self._fresh) + self._real.shape[1] - self._fresh)[:, None]
        both: Real = allowed | own
        return both


class LayerCache:
    """One layer's cache during one pass over a batch; `filled` then holds past and batch together."""

    def __init__(self, attention: Attention, past: tuple[mx.array, mx.array] | None) -> None:
        self._attention, self._past = attention, past
        self.offset = attention.offset
        self.filled: tuple[mx.array, mx.array] | None = None

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """Called by mlx-lm's attention with a batch's own keys and values (B, heads, T, head_dim)."""
        if self._past is not None:
            keys = mx.concatenate([self._past[0], keys], axis=2)
            values = mx.concatenate([self._past[1], values], axis=2)
        self.filled = keys, values
        return keys, values

    def make_mask(self, n: int, return_array: bool = False, window_size: int | None = None) -> Any:
        """Called by mlx-lm's models once for each kind of attention."""
        return self._attention.mask(return_array, window_size)


def cropped(caches: Sequence[KVCache], length: int) -> list[KVCache]:
    """Caches of their own that hold the first `length` tokens of a conversation's."""
    found = []
    for cache in caches:
        fresh = KVCache()
        if length:
            fresh.keys, fresh.values = cache.keys[..., :length, :], cache.values[..., :length, :]
            fresh.offset = length
        found.append(fresh)
    return found
