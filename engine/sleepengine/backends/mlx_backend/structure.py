"""Where a model of mlx-lm keeps its blocks, its linear layers and its MLP down projections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlx import nn
from sleepengine.backends.sites import LinearSite, down_projection
from sleepengine.errors import ModelUnsupported


@dataclass(frozen=True)
class Structure:
    """`stack` is the dotted name of the list of decoder blocks; `down[i]` is block i's MLP down projection.

    Names are those of the checkpoint, so for the architectures whose names mlx-lm keeps, such as Llama's, they are
    those that torch knows, and an adapter made by one backend fits the other.
    """

    stack: str
    blocks: int
    linears: tuple[LinearSite, ...]
    down: tuple[LinearSite, ...]
    width: int


def linear_shape(module: nn.Module) -> tuple[int, int] | None:
    """(d_in, d_out) of a linear layer, quantised or not; None for anything else."""
    if isinstance(module, nn.QuantizedLinear):
        d_out, packed = module.weight.shape
        return packed * 32 // module.bits, d_out
    if isinstance(module, nn.Linear):
        d_out, d_in = module.weight.shape
        return d_in, d_out
    return None


def discover(model: Any, name: str, width: int) -> Structure:
    """Find the parts. Raises ModelUnsupported with the reason where there is no plain stack of blocks with one MLP."""
    blocks = list(model.layers)
    first = next((path for path, module in model.named_modules() if module is blocks[0]), "")
    stack = first.removesuffix(".0")
    if "." not in stack:
        raise ModelUnsupported(f"{name} keeps its blocks in no part of their own")
    linears: list[LinearSite] = []
    down: list[LinearSite] = []
    for index, block in enumerate(blocks):
        here = [
            LinearSite(f"{stack}.{index}.{path}", index, *shape)
            for path, module in block.named_modules()
            if (shape := linear_shape(module)) is not None
        ]
        down.append(down_projection(name, here, width))
        if down[-1].d_in == width:  # mlx does not list modules in the order in which they run
            raise ModelUnsupported(f"{name} has an MLP no wider than its stream, so its projections look alike")
        linears += here
    return Structure(stack, len(blocks), tuple(linears), tuple(down), width)
