"""The MEMIT editor (paper section 3.2; Meng et al. 2023), with values optimised in raw text and in the chat template.

Learning facts into a view: optimise each fact's value over all its training prompts; then, layer by layer upwards,
capture the keys at the subject's last token and the residual that is still missing at the last layer, and spread it
evenly over the layers that remain. Keys of other active edits stand in every solve, each with its own residual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sleepengine.backends.base import (
    Array,
    Backend,
    Hold,
    Site,
    Target,
    Tokens,
    ValueProblem,
    ValueSettings,
    ViewTensors,
    Work,
)
from sleepengine.memory.edits import FORMAT, EditHeader, MemitEdit
from sleepengine.memory.facts import Channel, Fact, Pool
from sleepengine.wake import encoding
from sleepengine.wake.covariance import Covariance
from sleepengine.wake.editing import ScaledEdit, Standing, spread
from sleepengine.wake.profile import EditProfile
from sleepengine.wake.solving import solve


class Memit:
    """Makes edits for one model. Stateless between calls apart from what it was built with."""

    name = "memit"

    def __init__(self, backend: Backend, profile: EditProfile, covariance: Covariance) -> None:
        self.backend, self.profile, self.covariance = backend, profile, covariance
        self.collateral = profile.collateral

    def tensors(self, standing: Standing, fresh: Sequence[ScaledEdit] = ()) -> ViewTensors:
        """A view's tensors with its active edits, and `fresh` ones, solved together."""
        edits = solve((*standing.edits, *fresh), self.covariance, self.profile.ridge)
        return ViewTensors(standing.adapter, edits)

    def learn(self, facts: Sequence[Fact], standing: Standing, effort: int = 1) -> Work[list[MemitEdit]]:
        """One edit a fact, in order. `effort` above 1 asks for surer targets with more steps and a wider clamp."""
        depth = self.profile.layers[-1]
        targets = [self._targets(f) for f in facts]
        problems = [ValueProblem(tuple(t), self._holds(f)) for f, t in zip(facts, targets, strict=True)]
        live = self.backend.mount(self.tensors(standing))
        values = yield from self.backend.optimise_values(problems, self._settings(effort), live)

        sites = [distinct_sites(t) for t in targets]
        flat = [site for group in sites for site in group]
        owner = np.repeat(np.arange(len(facts)), [len(group) for group in sites])
        before = yield from self.backend.capture(flat, (), depth, live)
        wanted = before.hidden + np.stack([v.value for v in values])[owner]
        keys: dict[int, Array] = {}
        residuals: dict[int, Array] = {}
        for index, layer in enumerate(self.profile.layers):
            partial = self._edits(facts, standing.generation, keys, residuals, owner)
            view = self.backend.mount(self.tensors(standing, [ScaledEdit(e, 1.0) for e in partial]))
            now = yield from self.backend.capture(flat, (layer,), depth, view)
            keys[layer] = now.keys[layer]
            residuals[layer] = (wanted - now.hidden) / np.float32(len(self.profile.layers) - index)
        return self._edits(facts, standing.generation, keys, residuals, owner)

    def recapture(self, edits: Sequence[MemitEdit], standing: Standing) -> list[MemitEdit]:
        """The same edits named for another generation: keys move little under a small adapter, and verification
        decides whether they still hold."""
        return [replace(e, header=e.header.under(standing.generation)) for e in edits]

    def _settings(self, effort: int) -> ValueSettings:
        p = self.profile
        return ValueSettings(
            layer=p.layers[-1],
            steps=p.steps * effort,
            learning_rate=p.learning_rate,
            clamp=p.clamp * (1.0 + 0.25 * (effort - 1)),
            hold_weight=p.hold_weight,
            enough=1.0 - (1.0 - p.enough) / effort,
        )

    def _targets(self, fact: Fact) -> list[Target]:
        """Raw and chat contexts that the value is optimised over."""
        found: list[Target] = []
        counts = {Channel.RAW: self.profile.raw_contexts, Channel.CHAT: self.profile.chat_contexts}
        for channel, count in counts.items():
            usable = encoding.targets(self.backend.tokenizer, fact, fact.prompts_for(Pool.TRAIN, channel))
            found += spread(usable, count)
        return found

    def _holds(self, fact: Fact) -> tuple[Hold, ...]:
        """What the value shall leave alone: how the model goes on after the bare subject (MEMIT's essence prompt)."""
        mention = next(p.mention for p in fact.prompts_for(Pool.TRAIN, Channel.RAW))
        essence = encoding.hold(self.backend.tokenizer, Channel.RAW, f"{mention} is a", mention)
        return (essence,) if essence.edit > 0 else ()

    def _edits(
        self,
        facts: Sequence[Fact],
        generation: str | None,
        keys: dict[int, Array],
        residuals: dict[int, Array],
        owner: np.ndarray,
    ) -> list[MemitEdit]:
        layers = tuple(sorted(keys))
        return [
            MemitEdit(
                EditHeader(
                    format=FORMAT,
                    editor=self.name,
                    fact_id=fact.id,
                    model=self.backend.spec.identity,
                    generation=generation,
                    layers=layers,
                ),
                {layer: keys[layer][owner == i] for layer in layers},
                {layer: residuals[layer][owner == i] for layer in layers},
            )
            for i, fact in enumerate(facts)
            if layers
        ]


def distinct_sites(targets: Sequence[Target]) -> list[Site]:
    """The places of the edit, one for each distinct text up to there: what follows cannot change a key."""
    unique: dict[Tokens, Site] = {}
    for t in targets:
        head = t.ids[: t.edit + 1]
        unique.setdefault(head, Site(head, t.edit))
    return list(unique.values())
