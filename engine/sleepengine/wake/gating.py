"""The gate of gated edits: let a fact's value in where the text names its subject and asks for its relation.

- *Identity*: every token of the subject must match one way of writing it, by cosine at a low layer. It is the least of
  the cosines that counts: a near name differs in one token.
- *Relation*: the words between the subject and the end of the turn are averaged at a few higher layers and compared in
  the relation space. The fact's own wordings must be nearer, up to a margin, than the bank's.

Of the facts whose subject matches, the one that is asked for best gets its value in, at the last place where its
subject stands. Reads numpy arrays only; the backend does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sleepengine.backends.base import Array, Injection, Tokenizer, Tokens
from sleepengine.memory.edits import GatedEdit, Span
from sleepengine.wake.profile import GateProfile
from sleepengine.wake.reading import pooled
from sleepengine.wake.relations import RelationSpace, unit


@dataclass(frozen=True)
class ScaledGatedEdit:
    """A gated edit and its s_i of Eq. 2, which multiplies the value and never the gate."""

    edit: GatedEdit
    scale: float


@dataclass(frozen=True)
class Match:
    """A subject's last place in a text: tokens from `start` to before `end`."""

    start: int
    end: int


@dataclass(frozen=True)
class _Key:
    """A span of the subject and the edits that it stands for."""

    span: Span
    edits: tuple[int, ...]


class EditGate:
    """Implements `sleepengine.backends.base.Gate` over a view's gated edits."""

    def __init__(
        self, tokenizer: Tokenizer, profile: GateProfile, space: RelationSpace, edits: Sequence[ScaledGatedEdit]
    ) -> None:
        self._tokenizer, self._profile, self._space, self._edits = tokenizer, profile, space, tuple(edits)
        self._asked = [space.project(e.edit.asked) for e in edits]
        self._rivals = [_rivals(space, e.edit.barred) for e in edits]
        by_span: dict[tuple[tuple[int, ...], bytes], _Key] = {}
        for index, scaled in enumerate(edits):
            for span in scaled.edit.spans:
                name = (span.ids, span.states.tobytes())
                known = by_span[name].edits if name in by_span else ()
                by_span[name] = _Key(span, (*known, index))
        self._keys = tuple(by_span.values())
        # Most texts name nobody: the spans' last tokens are compared first, all at once.
        self._last = np.stack([k.span.states[-1] for k in self._keys]).T if self._keys else None

    @property
    def layers(self) -> tuple[int, ...]:
        return tuple(sorted({self._profile.identity_layer, *self._profile.relation_layers}))

    def decide(self, ids: Tokens, states: Mapping[int, Array]) -> tuple[Injection, ...]:
        matches = self.matches(ids, states[self._profile.identity_layer])
        if not matches:
            return ()
        scores = {i: self.relation_score(i, ids, states, m) for i, m in matches.items()}
        best = max(scores, key=lambda i: scores[i])
        if scores[best] < self._profile.relation_threshold:
            return ()
        scaled, layer = self._edits[best], self._profile.value_layer
        value = scaled.edit.value * np.float32(scaled.scale)
        return (Injection(layer, matches[best].end - 1, value),)

    def matches(self, ids: Tokens, states: Array) -> dict[int, Match]:
        """By edit: the last place of its subject. `states` is (len(ids), width) at the identity layer."""
        if self._last is None or not ids:
            return {}
        seen = unit(states)
        found: dict[int, Match] = {}
        ends, keys = np.nonzero(seen @ self._last >= self._profile.identity_threshold)
        for end, key in zip(ends.tolist(), keys.tolist(), strict=True):
            span = self._keys[key].span
            start = end + 1 - len(span.ids)
            if start >= 0 and self._least(ids, seen, span, start) >= self._profile.identity_threshold:
                for edit in self._keys[key].edits:
                    if edit not in found or found[edit].end <= end:
                        found[edit] = Match(start, end + 1)
        return found

    def _least(self, ids: Tokens, seen: Array, span: Span, start: int) -> float:
        cosines = (seen[start : start + len(span.ids)] * span.states).sum(axis=1)
        if start == 0:
            # The first token of a text is an attention sink whose state is much the same whatever it says.
            cosines[0] = 1.0 if ids[0] == span.ids[0] else -1.0
        return float(cosines.min())

    def relation_score(self, edit: int, ids: Tokens, states: Mapping[int, Array], match: Match) -> float:
        """How much nearer the edit's own wordings are than the bank's; a difference of cosines. -2 where nothing
        follows the subject."""
        asked = pooled(self._tokenizer, ids, states, self._profile.relation_layers, match.end)
        if not asked.any():
            return -2.0
        here = self._space.project(asked[None])[0]
        return float((self._asked[edit] @ here).max() - (self._rivals[edit] @ here).max())


def _rivals(space: RelationSpace, barred: Sequence[str]) -> Array:
    kept = [owner not in barred for owner in space.owners]
    rows: Array = space.bank[kept]
    return rows
