"""Gated edits in torch: what the gate reads of a prompt, and the values that it lets in.

The gate sees the residual stream as it is without any value (`observe`); what it decides is then added while the prompt
is computed again from the first place of a value on (look-back).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from sleepengine.backends.base import Array, Injection, Tokens, Work
from sleepengine.backends.gates import decisions
from sleepengine.backends.grouping import chunks, common_prefix, families
from sleepengine.backends.torch_backend.batches import KeyValues, pad
from sleepengine.backends.torch_backend.patches import NOWHERE, TorchView, Values

if TYPE_CHECKING:
    from sleepengine.backends.torch_backend.backend import TorchBackend


def values_of(injections: Sequence[Sequence[Injection]], shifts: Sequence[int] | None = None) -> tuple[Values, ...]:
    """Injections of each row as tensors; `shifts[row]` is added to a row's positions."""
    flat = [
        (i.layer, row, i.position + (shifts[row] if shifts else 0), i.value)
        for row, r in enumerate(injections)
        for i in r
    ]
    found = []
    for layer in sorted({f[0] for f in flat}):
        here = [f for f in flat if f[0] == layer]
        rows, columns = torch.tensor([f[1] for f in here]), torch.tensor([f[2] for f in here])
        found.append(Values(layer, rows, columns, torch.from_numpy(np.stack([f[3] for f in here]))))
    return tuple(found)


def observe(
    backend: TorchBackend, sequences: Sequence[Tokens], layers: Sequence[int], view: TorchView
) -> Work[list[dict[int, Array]]]:
    """See `Backend.observe`."""
    found: dict[int, dict[int, Array]] = {}
    for family in families(sequences, backend.on_cpu):
        shared = common_prefix([sequences[i] for i in family], limit=min(len(sequences[i]) for i in family) - 1)
        prefix, common = (
            _observed_prefix(backend, sequences[family[0]][:shared], layers, view) if shared else (None, {})
        )
        for group in chunks([len(sequences[i]) - shared for i in family], 4 * backend.micro_tokens()):
            yield
            rows = [family[g] for g in group]
            states = _observed(backend, [sequences[i][shared:] for i in rows], layers, view, prefix)
            for row, index in enumerate(rows):
                length = len(sequences[index]) - shared
                found[index] = {
                    layer: np.concatenate([common[layer], states[layer][row, :length]])
                    if shared
                    else states[layer][row, :length]
                    for layer in layers
                }
    return [found[i] for i in range(len(sequences))]


@torch.no_grad()
def _observed(
    backend: TorchBackend, rows: Sequence[Tokens], layers: Sequence[int], view: TorchView, prefix: KeyValues | None
) -> dict[int, Array]:
    batch = pad(rows, backend.device)
    past = prefix.expand(len(rows)) if prefix is not None else None
    done = backend.forward(batch, view, past, observe=tuple(layers), stop_after=max(layers), gather=NOWHERE)
    return {layer: done.observed[layer].float().cpu().numpy() for layer in layers}


@torch.no_grad()
def _observed_prefix(
    backend: TorchBackend, ids: Tokens, layers: Sequence[int], view: TorchView
) -> tuple[KeyValues, dict[int, Array]]:
    states = _observed(backend, [ids], layers, view, None)
    return backend.prefix([ids], view), {layer: states[layer][0] for layer in layers}


def decide(backend: TorchBackend, prompts: Sequence[Tokens], view: TorchView) -> Work[list[tuple[Injection, ...]]]:
    """What the view's gate lets into each prompt."""
    found: list[tuple[Injection, ...]] = [()] * len(prompts)
    read = [i for i, prompt in enumerate(prompts) if view.gate is not None and view.gate.may_open(prompt)]
    if view.gate is not None and read:
        states = yield from observe(backend, [prompts[i] for i in read], view.gate.layers, view)
        for i, state in zip(read, states, strict=True):
            found[i] = view.gate.decide(prompts[i], state)
    return found


def decided_pieces(
    backend: TorchBackend, sequence: Tokens, start: int, view: TorchView
) -> list[tuple[int, int, tuple[Injection, ...]]]:
    """See `gates.decisions`; where no gate can open one piece."""
    if view.gate is None or (start > 1 and not view.gate.may_open(sequence[:start])):
        return [(start, len(sequence), ())]
    states = _observed(backend, [sequence], view.gate.layers, view, None)
    return decisions(view.gate, sequence, start, {layer: s[0] for layer, s in states.items()})
