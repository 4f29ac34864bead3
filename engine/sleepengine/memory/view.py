"""The memory view: which generation and which edits, at which scales, the model answers with.

A view is a name for state, not the state: blobs hold the numbers. Changing memory means mounting another view over
the same immutable base weights, so rollback, correction and undo are a change of names. Imports no torch.
"""

from __future__ import annotations

import hashlib

import msgspec


class EditRef(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One fact's edit in a view. `blob` is the sha256 of its stored factors; `scale` is s_i of Eq. 2, in [0, 1]."""

    fact_id: str
    blob: str
    scale: float = 1.0


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A generation (sha256 of its adapter blob; None is the bare base) and the edits beside it."""

    generation: str | None = None
    edits: tuple[EditRef, ...] = ()

    @property
    def digest(self) -> str:
        """sha256 over everything that decides the model's answers; equal digests mean equal memory."""
        canonical = View(generation=self.generation, edits=tuple(sorted(self.edits)))
        return hashlib.sha256(msgspec.json.encode(canonical)).hexdigest()

    @property
    def live_edits(self) -> tuple[EditRef, ...]:
        """The edits whose scale is above zero, in a fixed order: the ones that the forward pass sees."""
        return tuple(sorted(e for e in self.edits if e.scale > 0.0))

    def without_edits(self) -> View:
        """The adapter alone (`--view no-edits`)."""
        return View(generation=self.generation)


BASE = View()
"""The bare base model."""
