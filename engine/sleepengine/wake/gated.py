"""The gated editor: one value a fact, let in by a gate that asks for the right subject and the right relation.

Where the gate stays shut, the model is the base to the bit: unlike a linear update, a value costs no perplexity and
does not mix with the others. Facts are therefore learned independently of each other, in any number and order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sleepengine.backends.base import (
    Array,
    Backend,
    Gate,
    Mounted,
    Target,
    Tokens,
    ValueProblem,
    ValueSettings,
    ViewTensors,
    Work,
)
from sleepengine.memory.edits import FORMAT, EditHeader, GatedEdit, Silence
from sleepengine.memory.facts import Channel, Fact, Person, Pool, Prompt
from sleepengine.wake import encoding
from sleepengine.wake.editing import ScaledEdit, Standing, spread
from sleepengine.wake.gating import NOTHING_ASKED, EditGate, ScaledGatedEdit
from sleepengine.wake.profile import GateProfile
from sleepengine.wake.reading import pooled
from sleepengine.wake.relations import RelationSpace

UNRELATED = (("user", "What is the capital of Portugal?"), ("assistant", "The capital of Portugal is Lisbon."))
"""An earlier exchange, before which a fact's question must be answered too."""

MOST_WORDINGS = 13
"""Wordings of a fact that its edit keeps: some 45 kB of the default model's."""

HELD_WORDINGS = 4
"""Wordings of each fact that a silenced one must let through."""

SILENT_MARGIN = 0.2
"""By how much the gate of a fact to be silenced is wider than one that lets a value in: a question too many that the
base answers costs little, one too few tells what was forgotten."""


@dataclass(frozen=True)
class Reading:
    """A training prompt as the gate reads it: ids, and the token after the subject."""

    ids: Tokens
    end: int


class Gated:
    """Makes gated edits for one model. Stateless between calls apart from what it was built with."""

    name = "gated"
    collateral = float("inf")  # a shut gate changes nothing

    def __init__(self, backend: Backend, profile: GateProfile, space: RelationSpace) -> None:
        self.backend, self.profile, self.space = backend, profile, space

    def gate(self, edits: Sequence[ScaledEdit]) -> Gate:
        """The gate over those of `edits` that are gated."""
        own = [ScaledGatedEdit(e.edit, e.scale) for e in edits if isinstance(e.edit, GatedEdit) and e.scale > 0]
        return EditGate(self.backend.tokenizer, self.profile, self.space, own)

    def tensors(self, standing: Standing, fresh: Sequence[ScaledEdit] = ()) -> ViewTensors:
        """A view's adapter and the gate over its edits and `fresh` ones."""
        return ViewTensors(standing.adapter, gate=self.gate((*standing.edits, *fresh)))

    def learn(self, facts: Sequence[Fact], standing: Standing, effort: int = 1) -> Work[list[GatedEdit]]:
        """One edit a fact, in order. `effort` above 1 asks for surer targets with more steps."""
        under = self.backend.mount(ViewTensors(standing.adapter))
        problems = [ValueProblem(tuple(self._targets(fact))) for fact in facts]
        values = yield from self.backend.optimise_values(problems, self._settings(effort), under)
        asked = yield from self._asked([self._readings(fact) for fact in facts], under)
        return [
            GatedEdit(
                self._header(fact, standing, self.profile.value_layer),
                self._spans(fact),
                rows,
                result.value,
                fact.person is Person.FIRST,
            )
            for fact, rows, result in zip(facts, asked, values, strict=True)
        ]

    def suppress(
        self, facts: Sequence[Fact], standing: Standing, held: Sequence[Fact] = (), effort: int = 1
    ) -> Work[list[GatedEdit]]:
        """Edits without a value, whose gate leaves their facts to the bare base. Where nothing else is held of the
        subject, every text that names it is; else those that ask for the fact, more or less, rather than for what is
        held. `effort` above 1 widens the gate."""
        under = self.backend.mount(ViewTensors(standing.adapter))
        asked = yield from self._asked([self._readings(fact) for fact in facts], under)
        beside = [[h for h in held if h.subject == fact.subject and h.slot != fact.slot] for fact in facts]
        kept = list({h.id: h for others in beside for h in others}.values())
        rows = yield from self._asked([self._readings(h, HELD_WORDINGS) for h in kept], under)
        by_id = {h.id: own for h, own in zip(kept, rows, strict=True)}
        nothing = np.zeros((0, asked[0].shape[1]), np.float32)
        return [
            GatedEdit(
                self._header(fact, standing),
                self._spans(fact),
                own,
                np.zeros(0, np.float32),
                fact.person is Person.FIRST,
                Silence(
                    self._silent_threshold(fact, bool(others), effort),
                    np.concatenate([nothing, *(by_id[h.id] for h in others)]),
                ),
            )
            for fact, own, others in zip(facts, asked, beside, strict=True)
        ]

    def _silent_threshold(self, fact: Fact, others: bool, effort: int) -> float:
        """How near to the fact's wordings a text must be. A bare "I" stands everywhere, and is never enough alone."""
        lone = fact.person is Person.FIRST and any(len(span) == 1 for span in self._spans(fact))
        if lone:
            return self.profile.first_person_threshold - SILENT_MARGIN * effort
        return self.profile.relation_threshold - SILENT_MARGIN * effort if others else NOTHING_ASKED

    def _asked(self, readings: Sequence[Sequence[Reading]], under: Mounted) -> Work[list[Array]]:
        """What each fact's wordings ask for, (n, layers * width)."""
        layers, found, taken = self.profile.relation_layers, [], 0
        states = yield from self.backend.observe([r.ids for own in readings for r in own], layers, under)
        for own in readings:
            seen = states[taken : taken + len(own)]
            taken += len(own)
            rows = [pooled(self.backend.tokenizer, r.ids, s, layers, r.end) for r, s in zip(own, seen, strict=True)]
            found.append(np.stack(rows)[[bool(row.any()) for row in rows]])  # what follows no subject asks for nothing
        return found

    def _header(self, fact: Fact, standing: Standing, *layers: int) -> EditHeader:
        return EditHeader(
            format=FORMAT,
            editor=self.name,
            fact_id=fact.id,
            model=self.backend.spec.identity,
            generation=standing.generation,
            layers=layers,
        )

    def recapture(self, edits: Sequence[GatedEdit], standing: Standing) -> list[GatedEdit]:
        """The same edits named for another generation: states move little under a small adapter, and verification
        decides whether the gate still opens."""
        return [replace(e, header=e.header.under(standing.generation)) for e in edits]

    def _settings(self, effort: int) -> ValueSettings:
        p = self.profile
        return ValueSettings(
            layer=p.value_layer,
            steps=p.steps * effort,
            learning_rate=p.learning_rate,
            clamp=p.clamp,
            hold_weight=0.0,
            enough=1.0 - (1.0 - p.enough) / effort,
        )

    def _targets(self, fact: Fact) -> list[Target]:
        """Contexts of the value: raw texts, chat questions, and one after an unrelated exchange."""
        p, tokenizer = self.profile, self.backend.tokenizer
        raw = spread(fact.prompts_for(Pool.TRAIN, Channel.RAW), p.raw_contexts)
        chat = spread(fact.prompts_for(Pool.TRAIN, Channel.CHAT), p.chat_contexts)
        after = spread(fact.prompts_for(Pool.TRAIN, Channel.CHAT), p.history_contexts)
        found = [encoding.bare_target(tokenizer, prompt, fact.object) for prompt in (*raw, *chat)]
        found += [encoding.bare_target(tokenizer, prompt, fact.object, UNRELATED) for prompt in after]
        # A value on a text's first token would sit in the attention sink.
        return [t for t in found if t.edit > 0]

    def _readings(self, fact: Fact, most: int = MOST_WORDINGS) -> list[Reading]:
        """The training prompts, at most `most` of them, as the gate reads them."""
        found = [self._reading(p) for p in fact.prompts_for(Pool.TRAIN)]
        return spread(list(dict.fromkeys(found)), most)

    def _reading(self, prompt: Prompt) -> Reading:
        tokenizer = self.backend.tokenizer
        rendered = encoding.prompt_text(tokenizer, prompt)
        ids, offsets = tokenizer.offsets(rendered)
        return Reading(ids, encoding.subject_tokens(offsets, rendered, prompt.mention)[1])

    def _spans(self, fact: Fact) -> tuple[Tokens, ...]:
        """The tokens of each way to write the subject: as the prompts do, in small letters, and where a text begins."""
        tokenizer = self.backend.tokenizer
        ways: dict[Tokens, None] = {}
        mentions = dict.fromkeys(p.mention for p in fact.prompts_for(Pool.TRAIN))
        for mention in dict.fromkeys(way for m in mentions for way in (m, m[0].lower() + m[1:], m.lower())):
            for text in (f"What about {mention}?", f"{mention} is"):
                ids, offsets = tokenizer.offsets(text)
                start, end = encoding.subject_tokens(offsets, text, mention)
                ways[ids[start:end]] = None
        return tuple(ways)
