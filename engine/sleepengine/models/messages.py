"""What `python -m sleepengine.models` prints, one JSON document a line, and how its parent reads it. No torch."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from sleepengine.models.registry import ModelRecord


class Phase(StrEnum):
    """What a pull is doing."""

    PREPARE = "prepare"  # asking the source, waiting for another pull, storing
    DOWNLOAD = "download"
    VERIFY = "verify"
    CONVERT = "convert"


class Unit(StrEnum):
    """What a phase counts."""

    BYTES = "bytes"
    TENSORS = "tensors"


class PullProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far one phase is; `total` 0 means not known."""

    phase: Phase
    done: int = 0
    total: int = 0
    unit: Unit = Unit.BYTES


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An EngineError: its wire code and its one line for a person."""

    code: str
    message: str


class PullDone(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of a pull that worked."""

    record: ModelRecord


class PullFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of a pull that did not."""

    error: Failure


PullMessage = PullProgress | PullDone | PullFailed


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """Any of the three, told apart by which key is there."""

    phase: Phase | None = None
    done: int = 0
    total: int = 0
    unit: Unit = Unit.BYTES
    record: ModelRecord | None = None
    error: Failure | None = None


def encode_message(message: PullMessage) -> bytes:
    """One line, with its newline."""
    return msgspec.json.encode(message) + b"\n"


def decode_message(line: bytes) -> PullMessage:
    """The mirror image of `encode_message`. Raises msgspec.MsgspecError for anything else."""
    decoded = msgspec.json.decode(line, type=_Line)
    if decoded.record is not None:
        return PullDone(record=decoded.record)
    if decoded.error is not None:
        return PullFailed(error=decoded.error)
    if decoded.phase is not None:
        return PullProgress(phase=decoded.phase, done=decoded.done, total=decoded.total, unit=decoded.unit)
    raise msgspec.ValidationError("neither progress, record nor error")
