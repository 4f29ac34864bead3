"""Where a causal LM keeps its blocks, its linear layers and its MLP down projections.

Found by shape and nesting, not by the architecture's name, so that any decoder with one MLP a block will do. A model
whose blocks hold several down projections (a mixture of experts) is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from sleepengine.backends.sites import LinearSite, down_projection
from sleepengine.errors import ModelUnsupported


@dataclass(frozen=True)
class Structure:
    """`blocks` are the decoder blocks in order; `down[i]` is the path of block i's MLP down projection."""

    blocks: tuple[nn.Module, ...]
    linears: tuple[LinearSite, ...]
    down: tuple[LinearSite, ...]
    width: int


def linear_shape(module: nn.Module) -> tuple[int, int] | None:
    """(d_in, d_out) of nn.Linear, its quantised kin or GPT-2's Conv1D; None for anything else."""
    d_in, d_out = getattr(module, "in_features", None), getattr(module, "out_features", None)
    if isinstance(d_in, int) and isinstance(d_out, int):
        return d_in, d_out
    nx, nf = getattr(module, "nx", None), getattr(module, "nf", None)
    if input_first(module) and isinstance(nx, int) and isinstance(nf, int):
        return nx, nf
    return None


def input_first(module: nn.Module) -> bool:
    """Whether its weight is (d_in, d_out): GPT-2's Conv1D, unlike nn.Linear."""
    return type(module).__name__ == "Conv1D"


def discover(model: Any) -> Structure:
    """Find the parts. Raises ModelUnsupported with the reason where there is no plain stack of blocks with one MLP."""
    config = model.config.get_text_config()
    name, depth, width = type(model).__name__, config.num_hidden_layers, config.hidden_size
    stacks = [
        (path, module)
        for path, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == depth
    ]
    if not stacks:
        raise ModelUnsupported(f"{name} has no stack of {depth} decoder blocks")
    stack_path, stack = max(stacks, key=lambda item: sum(p.numel() for p in item[1].parameters()))

    linears: list[LinearSite] = []
    down: list[LinearSite] = []
    for index, block in enumerate(stack):
        here = [
            LinearSite(f"{stack_path}.{index}.{path}", index, *shape)
            for path, module in block.named_modules()
            if (shape := linear_shape(module)) is not None
        ]
        down.append(down_projection(name, here, width))
        linears += here
    return Structure(tuple(stack), tuple(linears), tuple(down), width)
