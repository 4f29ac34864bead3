"""The hooks that are set into a loaded model once and read a small state on every forward pass.

- Every linear layer of a block becomes a `ViewLinear`: base output plus the low-rank delta that the view in force has
  for it. The base module is kept as it is, quantised or not.
- Every block can be skipped up to some depth, its place taken by a stored residual stream, so that value optimisation
  runs only the layers that its gradient passes.
- A block's output can be kept, and values added to it at chosen tokens: what gated edits read and write.
- The output head can be given just the positions whose logits are wanted.

The state is set around one work item by `Patches.using`; it is not a context variable, because autograd's recomputation
of checkpointed layers would lose it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sleepengine.backends.base import Gate
from sleepengine.backends.sites import LinearSite
from sleepengine.backends.torch_backend.structure import Structure


@dataclass(frozen=True)
class Delta:
    """y += (x @ right.T) @ left, in the layer's dtype. `right` is (rank, d_in), `left` is (rank, d_out)."""

    right: Tensor
    left: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return (x.to(self.right.dtype) @ self.right.T) @ self.left


@dataclass(frozen=True)
class TorchView:
    """A mounted view: for each linear layer's path the delta that stands beside it, and the gate of its gated edits.

    `halves` are weights in bfloat16 that stand in for the base's own where speed counts for more than exactness.
    """

    deltas: Mapping[str, Delta]
    gate: Gate | None = None
    halves: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Values:
    """Values to add after block `layer` at (row, column); `values` is (n, width)."""

    layer: int
    rows: Tensor
    columns: Tensor
    values: Tensor


@dataclass
class PatchState:
    """What the hooks read. `deltas`, `halves` by module path; `recorder` by layer collects down-projection inputs."""

    deltas: Mapping[str, Delta] = field(default_factory=dict)
    halves: Mapping[str, Tensor] = field(default_factory=dict)
    recorder: dict[int, Tensor] | None = None
    resume_after: int | None = None  # blocks up to this one are skipped ...
    resume_with: Tensor | None = None  # ... and this residual stream, (B, T, width), stands in for them
    observe: tuple[int, ...] = ()  # the blocks whose output is kept in `observed`, (B, T, width) each
    observed: dict[int, Tensor] = field(default_factory=dict)
    stop_after: int | None = None  # blocks above this one are skipped
    values: tuple[Values, ...] = ()
    gather: tuple[Tensor, Tensor] | None = None  # (rows, columns) whose logits are wanted


class ViewLinear(nn.Module):
    """A linear layer with the view's delta beside it."""

    def __init__(self, base: nn.Module, site: LinearSite, state: PatchState, is_down: bool) -> None:
        super().__init__()
        self.base = base
        self._site = site
        self._state = state
        self._is_down = is_down

    def forward(self, x: Tensor) -> Tensor:
        """x is (..., d_in); returns (..., d_out)."""
        state = self._state
        if self._is_down and state.recorder is not None:
            state.recorder[self._site.layer] = x
        half = state.halves.get(self._site.path)
        if half is None:
            y: Tensor = self.base(x)
        else:
            y = nn.functional.linear(x.to(half.dtype), half).to(x.dtype)
            bias: Any = self.base.bias
            y = y if bias is None else y + bias
        delta = state.deltas.get(self._site.path)
        return y if delta is None else y + delta(x).to(y.dtype)

    def __getattr__(self, name: str) -> Any:
        # Models look at `.weight` or `.in_features` of their own layers; those are the base's.
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("base"), name)


class Patches:
    """Installs the hooks and sets their state."""

    def __init__(self, model: Any, structure: Structure) -> None:
        self.state = PatchState()
        down = {site.path for site in structure.down}
        for site in structure.linears:
            parent_path, _, name = site.path.rpartition(".")
            parent = model.get_submodule(parent_path)
            setattr(parent, name, ViewLinear(getattr(parent, name), site, self.state, site.path in down))
        for index, block in enumerate(structure.blocks):
            self._patch_block(block, index)
        self._patch_head(model.get_output_embeddings())

    def _patch_block(self, block: Any, index: int) -> None:
        state, inner = self.state, block.forward
        returns_tuple = False

        def forward(hidden: Tensor, *args: Any, **kwargs: Any) -> Any:
            nonlocal returns_tuple
            skipped: Tensor | None = None
            if state.resume_after is not None and index <= state.resume_after:
                skipped = state.resume_with if index == state.resume_after else hidden
            elif state.stop_after is not None and index > state.stop_after:
                skipped = hidden
            if skipped is not None:
                return (skipped,) if returns_tuple else skipped
            output = inner(hidden, *args, **kwargs)
            returns_tuple = isinstance(output, tuple)
            if index in state.observe:
                state.observed[index] = output[0] if returns_tuple else output
            for values in state.values:
                if values.layer == index:
                    stream = _with_values(output[0] if returns_tuple else output, values)
                    output = (stream, *output[1:]) if returns_tuple else stream
            return output

        block.forward = forward

    def _patch_head(self, head: Any) -> None:
        state, inner = self.state, head.forward

        def forward(hidden: Tensor) -> Tensor:
            if state.gather is not None:
                rows, columns = state.gather
                hidden = hidden[rows.to(hidden.device), columns.to(hidden.device)].unsqueeze(0)
            logits: Tensor = inner(hidden)
            return logits

        head.forward = forward

    @contextmanager
    def using(self, view: TorchView, **settings: Any) -> Iterator[PatchState]:
        """Set the state for one work item and clear it afterwards, whatever happens."""
        fresh = PatchState(view.deltas, view.halves, **settings)
        for name, value in vars(fresh).items():
            setattr(self.state, name, value)
        try:
            yield self.state
        finally:
            for name, value in vars(PatchState()).items():
                setattr(self.state, name, value)


def _with_values(stream: Tensor, values: Values) -> Tensor:
    index = (values.rows.to(stream.device), values.columns.to(stream.device))
    return stream.index_put(index, values.values.to(stream.device, stream.dtype), accumulate=True)


NOWHERE = (torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long))
"""A gather of nothing: the forward pass then computes no logits."""
