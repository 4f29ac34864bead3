"""Which settings are tried for which editor, most important first, and how the editor is built with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from sleepengine.backends.base import Backend, ModelSpec, Work
from sleepengine.evaluation.calibration.search import Knob
from sleepengine.wake.editing import Editor
from sleepengine.wake.opening import open_gated, open_memit
from sleepengine.wake.profile import EditProfile, GateProfile, gate_profile_for, profile_for

SPAN = 5  # layers that MEMIT edits

P = TypeVar("P", EditProfile, GateProfile)


@dataclass(frozen=True)
class Tunable(Generic[P]):
    """An editor's starting profile and knobs for a model; `build` keeps what it measures of the model in a folder."""

    start: Callable[[ModelSpec], P]
    knobs: Callable[[ModelSpec], Sequence[Knob]]
    build: Callable[[Backend, P, Path], Work[Editor]]


def memit_knobs(spec: ModelSpec) -> Sequence[Knob]:
    """Where to edit decides most, then lambda, then how far a value may go."""
    return (
        Knob("layers", tuple(layer_spans(spec.layers))),
        Knob("ridge", (1000.0, 3000.0, 300.0, 10_000.0, 100.0)),
        Knob("clamp", (0.6, 0.8, 0.4)),
        Knob("steps", (12, 18, 8)),
        Knob("chat_contexts", (3, 5)),
    )


def gated_knobs(spec: ModelSpec) -> Sequence[Knob]:
    """Where the value goes in, then how widely the gate opens, then how the value is found.

    Where the gate reads comes last: the space of relations has to be fitted anew for it, which takes long.
    """
    return (
        Knob("value_layer", depths(spec, (0.2, 0.13, 0.3))),
        Knob("relation_threshold", (-0.24, -0.18, -0.3, -0.12)),
        Knob("clamp", (10.0, 1.5)),
        Knob("steps", (20, 12)),
        Knob("relation_layers", tuple(depths(spec, shares) for shares in ((0.53, 0.67, 0.8), (0.4, 0.53, 0.67)))),
    )


def depths(spec: ModelSpec, shares: Sequence[float]) -> tuple[int, ...]:
    """Layers at these shares of the depth, each once, in the order of the shares."""
    return tuple(dict.fromkeys(min(spec.layers - 1, round(share * spec.layers)) for share in shares))


def layer_spans(depth: int, span: int = SPAN) -> list[tuple[int, ...]]:
    """Runs of layers that begin at an eighth to a half of the depth; the last layer is never edited."""
    span = min(span, max(1, depth // 4))
    starts = dict.fromkeys(min(round(share * depth), depth - 1 - span) for share in (0.27, 0.13, 0.2, 0.4, 0.5))
    return [tuple(range(max(0, first), max(0, first) + span)) for first in starts]


GATED = Tunable(gate_profile_for, gated_knobs, open_gated)
MEMIT = Tunable(profile_for, memit_knobs, open_memit)
EDITORS = ("gated", "memit")
"""What can be calibrated."""
