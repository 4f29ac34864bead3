"""Which settings are tried for which editor, most important first, and how the editor is built with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sleepengine.backends.base import Backend, ModelSpec, Work
from sleepengine.evaluation.calibration.search import Knob
from sleepengine.wake.covariance import cached
from sleepengine.wake.memit import Memit
from sleepengine.wake.profile import EditProfile, profile_for

SPAN = 5  # layers that MEMIT edits


@dataclass(frozen=True)
class Tunable:
    """An editor's starting profile and knobs for a model; `build` may keep measurements of the model in a folder."""

    start: Callable[[ModelSpec], EditProfile]
    knobs: Callable[[ModelSpec], Sequence[Knob]]
    build: Callable[[Backend, EditProfile, Path], Work[Memit]]


def memit_knobs(spec: ModelSpec) -> Sequence[Knob]:
    """Where to edit decides most, then lambda, then how far a value may go."""
    return (
        Knob("layers", tuple(layer_spans(spec.layers))),
        Knob("ridge", (1000.0, 3000.0, 300.0, 10_000.0, 100.0)),
        Knob("clamp", (0.6, 0.8, 0.4)),
        Knob("steps", (12, 18, 8)),
        Knob("chat_contexts", (3, 5)),
    )


def layer_spans(depth: int, span: int = SPAN) -> list[tuple[int, ...]]:
    """Runs of layers that begin at an eighth to a half of the depth; the last layer is never edited."""
    span = min(span, max(1, depth // 4))
    starts = dict.fromkeys(min(round(share * depth), depth - 1 - span) for share in (0.27, 0.13, 0.2, 0.4, 0.5))
    return [tuple(range(max(0, first), max(0, first) + span)) for first in starts]


def _build_memit(backend: Backend, profile: EditProfile, folder: Path) -> Work[Memit]:
    return Memit(backend, profile, (yield from cached(backend, profile.layers, folder)))


TUNABLES: Mapping[str, Tunable] = {"memit": Tunable(profile_for, memit_knobs, _build_memit)}
"""By the editor's name."""
