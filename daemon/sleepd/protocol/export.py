"""Taking what was learned elsewhere: exports of the weights."""

from __future__ import annotations

from sleepd.protocol.body import Body


class Export(Body, frozen=True, kw_only=True):
    """Write what was learned into `folder`, an absolute path on this machine that is absent or empty.

    It becomes a PEFT adapter, or with `merged` a whole Hugging Face checkpoint. Gated edits cannot be exported: they
    are left out, or with `strict` the export is refused. Streams `progress`.
    """

    folder: str
    merged: bool = False
    strict: bool = False


class LeftOut(Body, frozen=True, kw_only=True):
    """A fact whose edit is not in an export. `statement` is empty where the fact no longer holds: then the edit kept
    the adapter from telling it, and the export may tell it."""

    id: str
    statement: str
    reason: str


class ExportReply(Body, frozen=True, kw_only=True):
    """`edits` counts the facts whose edits went in beside the generation; `bytes` is the size of `files` together."""

    path: str
    merged: bool
    generation: int
    edits: int
    left_out: tuple[LeftOut, ...]
    files: tuple[str, ...]
    bytes: int
    seconds: float
