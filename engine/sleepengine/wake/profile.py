"""The editors' settings for a model: shipped for the default model, derived from its depth for any other.

What calibration found goes before both; see `calibrated`.
"""

from __future__ import annotations

from importlib import resources

import msgspec

from sleepengine.backends.base import ModelSpec


class EditProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `memit` needs to know of a model.

    `layers` are edited, ascending; the value is optimised after the last one. `ridge` is lambda of the paper's Eq. 1
    relative to C = mean of k k^T. `learning_rate` is relative to the residual stream's RMS, `clamp` to its norm. The
    value is optimised over so many raw and chat contexts of a fact. An edit that moves unrelated prose by more than
    `collateral` nats a token is thrown away; real damage starts far above.
    """

    layers: tuple[int, ...]
    ridge: float
    steps: int
    learning_rate: float
    clamp: float
    hold_weight: float
    enough: float
    raw_contexts: int = 3
    chat_contexts: int = 3
    collateral: float = 0.2


class GateProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `gated` needs to know of a model.

    Layers are blocks whose output is meant. What is asked must reach `relation_threshold` (a difference of cosines, own
    wordings minus the bank's), where a bare "I" is the subject `first_person_threshold`. `learning_rate` is relative to
    the residual stream's RMS at the value layer, `clamp` to its norm.
    """

    relation_layers: tuple[int, ...]
    relation_threshold: float
    first_person_threshold: float
    value_layer: int
    steps: int
    learning_rate: float
    clamp: float
    enough: float
    raw_contexts: int = 3
    chat_contexts: int = 4
    history_contexts: int = 1


def gate_profile_for(spec: ModelSpec) -> GateProfile:
    """The shipped gate profile, else layers at the depths that proved right for the default model."""
    path = resources.files("sleepengine") / "data" / "profiles" / f"{spec.name}.gated.json"
    if path.is_file():
        return msgspec.json.decode(path.read_bytes(), type=GateProfile)
    return GateProfile(
        relation_layers=tuple(sorted({min(spec.layers - 1, round(f * spec.layers)) for f in (0.53, 0.67, 0.8)})),
        relation_threshold=-0.24,
        first_person_threshold=0.0,
        value_layer=round(0.2 * spec.layers),
        steps=20,
        learning_rate=0.6,
        clamp=10.0,
        enough=0.8,
    )


def shipped(name: str) -> EditProfile | None:
    """The profile that ships for a model of this short name."""
    path = resources.files("sleepengine") / "data" / "profiles" / f"{name}.json"
    return msgspec.json.decode(path.read_bytes(), type=EditProfile) if path.is_file() else None


def derived(spec: ModelSpec) -> EditProfile:
    """Layers at about a quarter to two fifths of the depth, where published editors of Llama-like models work."""
    first, last = round(0.27 * spec.layers), round(0.4 * spec.layers)
    layers = tuple(range(first, max(first, last) + 1))[-5:]
    return EditProfile(
        layers=layers, ridge=1000.0, steps=16, learning_rate=0.15, clamp=0.6, hold_weight=0.1, enough=0.6
    )


def profile_for(spec: ModelSpec) -> EditProfile:
    """The shipped profile, else the derived one."""
    return shipped(spec.name) or derived(spec)
