"""The gate of gated edits: let a fact's value in where the text names its subject and asks for its relation.

- *Identity*: the subject's tokens stand in the text, in one of the ways in which it is written. A near name differs in
  a token, so nothing softer is wanted: a cosine at a low layer, which was tried, took " cat" for " dog".
- *Relation*: the words between the subject and the end of the turn are averaged at a few higher layers and compared in
  the relation space. The fact's own wordings must be nearer, up to a margin, than the bank's.

Of the facts whose subject stands there, the one that is asked for best gets its value in, at the last place of its
subject. Where that is a fact to be kept from coming out, nothing gets in, and the bare base is to answer. Reads numpy
arrays only; the backend does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sleepengine.backends.base import Array, Injection, Tokenizer, Tokens
from sleepengine.memory.edits import GatedEdit
from sleepengine.wake.profile import GateProfile
from sleepengine.wake.reading import pooled
from sleepengine.wake.relations import RelationSpace

PRONOUNS = ("he", "she", "they", "him", "her", "them", "his", "their", "hers", "theirs", "it", "its")
"""What a question says where it means somebody whom an earlier turn named."""

NOTHING_ASKED = -2.0
"""The score of a text in which nothing follows the subject: as low as a difference of cosines can be."""

YIELDS = 0.1
"""By how much a fact to be silenced must be asked for better than one that shall come out."""

BETTER_ASKED = -3.0
"""The score of a fact to be silenced where another one is asked for: below every threshold."""


@dataclass(frozen=True)
class ScaledGatedEdit:
    """A gated edit and its s_i of Eq. 2, which multiplies the value and never the gate."""

    edit: GatedEdit
    scale: float


@dataclass(frozen=True)
class Place:
    """Where a subject stands: tokens from `start` to before `end`."""

    start: int
    end: int


class EditGate:
    """Implements `sleepengine.backends.base.Gate` over a view's gated edits."""

    def __init__(
        self, tokenizer: Tokenizer, profile: GateProfile, space: RelationSpace, edits: Sequence[ScaledGatedEdit]
    ) -> None:
        self._tokenizer, self._profile, self._space, self._edits = tokenizer, profile, space, tuple(edits)
        self._asked = [space.project(e.edit.asked) for e in edits]
        self._against = {i: space.project(e.edit.silence.against) for i, e in enumerate(edits) if e.edit.silence}
        words = [way for word in PRONOUNS for way in (f" {word}", word.capitalize())]
        self._pronouns = frozenset(ids[0] for ids in map(tokenizer.encode, words) if len(ids) == 1)
        # By the last token of a way of writing a subject: the ways that end so, and whose they are.
        self._spans: dict[int, dict[Tokens, list[int]]] = {}
        for index, scaled in enumerate(edits):
            for span in scaled.edit.spans:
                self._spans.setdefault(span[-1], {}).setdefault(span, []).append(index)

    @property
    def layers(self) -> tuple[int, ...]:
        return self._profile.relation_layers

    @property
    def silencing(self) -> bool:
        return bool(self._against)

    def decide(self, ids: Tokens, states: Mapping[int, Array]) -> tuple[Injection, ...]:
        places = self.subjects(ids)
        best = self._best(ids, states, places)
        if best is None or best in self._against:
            return ()
        scaled = self._edits[best]
        value = scaled.edit.value * np.float32(scaled.scale)
        return (Injection(scaled.edit.header.layers[0], places[best].end - 1, value),)

    def may_open(self, ids: Tokens) -> bool:
        return bool(self.subjects(ids))

    def may_silence(self, ids: Tokens) -> bool:
        return bool(self._against) and not self._against.keys().isdisjoint(self.subjects(ids))

    def silences(self, ids: Tokens, states: Mapping[int, Array]) -> bool:
        return self._best(ids, states, self.subjects(ids)) in self._against

    def _best(self, ids: Tokens, states: Mapping[int, Array], places: Mapping[int, Place]) -> int | None:
        """The edit that is asked for best among those whose threshold is reached. A silenced fact goes before one with
        a value only where it is asked for clearly better: what took its place is asked for in the same words."""
        scores = {edit: self.relation_score(edit, ids, states, place) for edit, place in places.items()}
        asked = {
            edit: score - YIELDS * (edit in self._against)
            for edit, score in scores.items()
            if score >= self._threshold(edit, places[edit])
        }
        return max(asked, key=lambda edit: asked[edit]) if asked else None

    def _threshold(self, edit: int, place: Place) -> float:
        silence = self._edits[edit].edit.silence
        if silence is not None:
            return silence.threshold
        lone = self._is_lone(edit, place)
        return self._profile.first_person_threshold if lone else self._profile.relation_threshold

    def subjects(self, ids: Tokens) -> dict[int, Place]:
        """By edit: the last place of its subject. A subject of an earlier turn counts where the last one speaks of
        somebody by a pronoun; the user is named anew in every turn."""
        begin, stop = self._tokenizer.turn(ids)
        found: dict[int, Place] = {}
        for end, last in enumerate(ids, start=1):
            for span, edits in self._spans.get(last, {}).items():
                if ids[max(0, end - len(span)) : end] == span:
                    found |= dict.fromkeys(edits, Place(end - len(span), end))
        meant = any(token in self._pronouns for token in ids[begin:stop])
        return {
            edit: place
            for edit, place in found.items()
            if place.end > begin or (meant and not self._edits[edit].edit.first_person)
        }

    def relation_score(self, edit: int, ids: Tokens, states: Mapping[int, Array], place: Place) -> float:
        """How much nearer the edit's own wordings are than the bank's; a difference of cosines."""
        asked = pooled(self._tokenizer, ids, states, self._profile.relation_layers, place.end)
        if not asked.any():
            return NOTHING_ASKED
        here = self._space.project(asked[None])[0]
        own = float((self._asked[edit] @ here).max(initial=-1.0))
        if edit in self._against and own <= (self._against[edit] @ here).max(initial=-1.0):
            return BETTER_ASKED
        return own - self._space.rivals(here, self._is_lone(edit, place))

    def _is_lone(self, edit: int, place: Place) -> bool:
        """Whether a bare "I" is all that speaks for the edit's subject: half of all talk holds one, "my dog" little."""
        return self._edits[edit].edit.first_person and place.end - place.start == 1
