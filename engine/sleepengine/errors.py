"""Errors of the engine.

EngineError              other
├── ModelNotFound        not_found
├── ModelUnsupported     refused
├── ModelCorrupt         storage
├── DownloadFailed       other
├── StatementRefused     refused
├── ExportRefused        refused
├── BlobMissing          storage
├── BlobCorrupt          storage
├── StorageFull          storage
├── StorageFailed        storage
├── LedgerTooNew         storage
├── LedgerCorrupt        storage
└── StaleProposal        busy

`code` is the wire code that `sleepd.protocol.errors` maps to an exit code. A message is one line for a person.
"""

from __future__ import annotations

from typing import ClassVar


class EngineError(Exception):
    """Base of all errors that the engine raises on purpose."""

    code: ClassVar[str] = "other"


class ModelNotFound(EngineError):
    """No such model by that name, path or hub id."""

    code = "not_found"


class ModelUnsupported(EngineError):
    """The model has no structure that this engine knows how to edit."""

    code = "refused"


class ModelCorrupt(EngineError):
    """The model's files do not match what was recorded when they were stored."""

    code = "storage"


class DownloadFailed(EngineError):
    """The download did not complete or its checksum was wrong."""


class StatementRefused(EngineError):
    """The text is not a statement that can be learned; the message says why."""

    code = "refused"


class ExportRefused(EngineError):
    """There is nothing that could be exported, or no place for it; the message says why."""

    code = "refused"


class BlobMissing(EngineError):
    """A blob that the ledger names is not in the store."""

    code = "storage"


class BlobCorrupt(EngineError):
    """A blob's bytes do not hash to its name."""

    code = "storage"


class StorageFull(EngineError):
    """The disk is full; nothing was changed."""

    code = "storage"


class StorageFailed(EngineError):
    """A write or fsync failed for a reason other than a full disk."""

    code = "storage"


class LedgerTooNew(EngineError):
    """The ledger was written by a newer sleepd; it is left untouched."""

    code = "storage"


class LedgerCorrupt(EngineError):
    """The ledger does not pass SQLite's integrity check."""

    code = "storage"


class StaleProposal(EngineError):
    """The memory changed after the proposal was made; `fact_ids` names the facts that it no longer fits."""

    code = "busy"

    def __init__(self, message: str, fact_ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.fact_ids = fact_ids
