"""The wrappers that are set into a loaded model once and read a small state on every forward pass.

The same hooks as torch's: a delta beside every linear layer, blocks that can be skipped, streams that are kept and
values that are added to them, and an output head that is given the wanted positions alone. mlx looks a module's call up
on its class, so each hook is a module around the original.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx

from mlx import nn
from sleepengine.backends.base import Gate
from sleepengine.backends.mlx_backend.structure import Structure
from sleepengine.backends.sites import LinearSite


@dataclass(frozen=True)
class Delta:
    """y += (x @ right.T) @ left. `right` is (rank, d_in), `left` is (rank, d_out)."""

    right: mx.array
    left: mx.array

    def __call__(self, x: mx.array) -> mx.array:
        return (x.astype(self.right.dtype) @ self.right.T) @ self.left


@dataclass(frozen=True)
class MLXView:
    """A mounted view: for each linear layer's path the delta that stands beside it, and the gate of its gated edits."""

    deltas: Mapping[str, Delta]
    gate: Gate | None = None


@dataclass(frozen=True)
class Values:
    """Values to add after block `layer` at (row, column); `values` is (n, width)."""

    layer: int
    rows: mx.array
    columns: mx.array
    values: mx.array


@dataclass
class PatchState:
    """What the wrappers read. `deltas` by module path; `recorder` by layer collects down-projection inputs."""

    deltas: Mapping[str, Delta] = field(default_factory=dict)
    recorder: dict[int, mx.array] | None = None
    resume_after: int | None = None  # blocks up to this one are skipped ...
    resume_with: mx.array | None = None  # ... and this residual stream, (B, T, width), stands in for them
    observe: tuple[int, ...] = ()  # the blocks whose output is kept in `observed`, (B, T, width) each
    observed: dict[int, mx.array] = field(default_factory=dict)
    stop_after: int | None = None  # blocks above this one are skipped
    values: tuple[Values, ...] = ()
    gather: tuple[mx.array, mx.array] | None = None  # (rows, columns) whose logits are wanted


class Wrapper(nn.Module):  # type: ignore[misc]
    """A module in another's place. Whatever it does not have itself is the other's: models look at their own parts."""

    def __init__(self, base: nn.Module, state: PatchState) -> None:
        super().__init__()
        self["base"] = base  # as a part of this module; first, since names not found here are looked up there
        self._state = state

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self["base"], name)


class ViewLinear(Wrapper):
    """A linear layer with the view's delta beside it."""

    def __init__(self, base: nn.Module, state: PatchState, site: LinearSite, is_down: bool) -> None:
        super().__init__(base, state)
        self._site = site
        self._is_down = is_down

    def __call__(self, x: mx.array) -> mx.array:
        """x is (..., d_in); returns (..., d_out)."""
        state = self._state
        if self._is_down and state.recorder is not None:
            state.recorder[self._site.layer] = x
        y: mx.array = self.base(x)
        delta = state.deltas.get(self._site.path)
        return y if delta is None else y + delta(x).astype(y.dtype)


class Block(Wrapper):
    """A decoder block that can be skipped, looked at and added to."""

    def __init__(self, base: nn.Module, state: PatchState, index: int) -> None:
        super().__init__(base, state)
        self._index = index

    def __call__(self, hidden: mx.array, *args: Any, **kwargs: Any) -> mx.array:
        """hidden is (B, T, width), and so is what is returned."""
        state, index = self._state, self._index
        if state.resume_after is not None and index < state.resume_after:
            return hidden
        if index == state.resume_after and state.resume_with is not None:
            return state.resume_with
        if state.stop_after is not None and index > state.stop_after:
            return hidden
        stream: mx.array = self.base(hidden, *args, **kwargs)
        if index in state.observe:
            state.observed[index] = stream
        for values in state.values:
            if values.layer == index:
                added = values.values.astype(stream.dtype)
                stream = stream.at[values.rows, values.columns].add(added)
        return stream


class Trunk(Wrapper):
    """All of the model below its head, cut down to the positions whose logits are wanted."""

    def __call__(self, *args: Any, **kwargs: Any) -> mx.array:
        """Returns (B, T, width), or (1, n, width) of the gathered positions."""
        hidden: mx.array = self.base(*args, **kwargs)
        if self._state.gather is None:
            return hidden
        rows, columns = self._state.gather
        return hidden[rows, columns][None]


class Patches:
    """Installs the wrappers and sets their state."""

    def __init__(self, model: nn.Module, structure: Structure) -> None:
        self.state = PatchState()
        down = {site.path for site in structure.down}
        for site in structure.linears:
            parent_path, _, name = site.path.rpartition(".")
            parent = submodule(model, parent_path)
            setattr(parent, name, ViewLinear(getattr(parent, name), self.state, site, site.path in down))
        stack = submodule(model, structure.stack)
        for index in range(structure.blocks):
            stack[index] = Block(stack[index], self.state, index)
        trunk = structure.stack.partition(".")[0]
        setattr(model, trunk, Trunk(getattr(model, trunk), self.state))

    @contextmanager
    def using(self, deltas: Mapping[str, Delta], **settings: Any) -> Iterator[PatchState]:
        """Set the state for one forward pass and clear it afterwards, whatever happens."""
        fresh = PatchState(deltas=deltas, **settings)
        for name, value in vars(fresh).items():
            setattr(self.state, name, value)
        try:
            yield self.state
        finally:
            for name, value in vars(PatchState()).items():
                setattr(self.state, name, value)


def submodule(model: nn.Module, path: str) -> Any:
    """The part of a model with this dotted name."""
    found: Any = model
    for part in path.split("."):
        found = found[int(part)] if part.isdigit() else getattr(found, part)
    return found
