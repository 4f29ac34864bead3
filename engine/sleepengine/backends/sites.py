"""The linear layers of a model's blocks by name and shape, whatever framework holds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sleepengine.backends.base import Adapter, LoraScope
from sleepengine.errors import ModelUnsupported


@dataclass(frozen=True)
class LinearSite:
    """A linear layer of a block. `path` is its dotted name in the model."""

    path: str
    layer: int
    d_in: int
    d_out: int


def down_projection(model: str, linears: Sequence[LinearSite], width: int) -> LinearSite:
    """The MLP down projection among a block's linear layers, found by its shape.

    Raises ModelUnsupported where there is none, or more than one (a mixture of experts). `model` is for the message.
    """
    candidates = [s for s in linears if s.d_out == width and not _in_attention(s.path) and s.d_in > 1]
    wide = [s for s in candidates if s.d_in != width] or candidates[-1:]
    if len(wide) != 1:
        found = "several" if wide else "no"
        where = f" in block {linears[0].layer}" if linears else ""
        raise ModelUnsupported(f"{model} has {found} MLP down projections{where}; one is needed")
    return wide[0]


def in_scope(linears: Sequence[LinearSite], down: Sequence[LinearSite], scope: LoraScope) -> Iterator[LinearSite]:
    """The linear layers that an adapter of this scope stands beside; the MLP's share the down projection's parent."""
    mlps = {site.path.rpartition(".")[0] for site in down}
    for site in linears:
        inside = site.path.rpartition(".")[0] in mlps
        if site.layer >= scope.first_layer and (inside or not scope.mlp_only):
            yield site


def same_shape(adapter: Adapter, rank: int, sites: Sequence[LinearSite]) -> bool:
    """Whether an adapter can be trained on: the same rank beside the same layers."""
    return adapter.rank == rank and set(adapter.factors) == {site.path for site in sites}


def _in_attention(path: str) -> bool:
    return any("attn" in part or "attention" in part for part in path.split("."))
