"""Errors that reach a person or a client, each with its wire code and exit code.

SleepdError           other       1
├── UsageError        usage       2
├── Unreachable       unreachable 3
├── ProtocolMismatch  protocol    4
├── Busy              busy        5
├── NotFound          not_found   6
├── Refused           refused     7
├── StorageError      storage     8
├── DeadlineExceeded  deadline    9
└── Cancelled         cancelled   130

The message of an error is one line that says what happened and, where there is one, what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class SleepdError(Exception):
    """Something went wrong that no more specific error describes."""

    code: ClassVar[str] = "other"
    exit_code: ClassVar[int] = 1


class UsageError(SleepdError):
    """The request's own fields are wrong."""

    code = "usage"
    exit_code = 2


class Unreachable(SleepdError):
    """No daemon answers, or it died before it acknowledged."""

    code = "unreachable"
    exit_code = 3


class ProtocolMismatch(SleepdError):
    """The other side speaks another version, or a message that this one does not know."""

    code = "protocol"
    exit_code = 4


class Busy(SleepdError):
    """A queue is full, or the caller did not want to wait."""

    code = "busy"
    exit_code = 5


class NotFound(SleepdError):
    """No such fact, model, cycle, session or file."""

    code = "not_found"
    exit_code = 6


class Refused(SleepdError):
    """Understood, and declined: the input cannot be learned or the state does not allow it."""

    code = "refused"
    exit_code = 7


class StorageError(SleepdError):
    """The disk is full, read-only or corrupt."""

    code = "storage"
    exit_code = 8


class DeadlineExceeded(SleepdError):
    """The answer did not come within the deadline."""

    code = "deadline"
    exit_code = 9


class Cancelled(SleepdError):
    """Cancelled by the caller."""

    code = "cancelled"
    exit_code = 130


BY_CODE: dict[str, type[SleepdError]] = {
    error.code: error
    for error in (
        SleepdError,
        UsageError,
        Unreachable,
        ProtocolMismatch,
        Busy,
        NotFound,
        Refused,
        StorageError,
        DeadlineExceeded,
        Cancelled,
    )
}


def from_exit_code(exit_code: int, message: str) -> SleepdError:
    """The error that a command ended with."""
    kinds = {error.exit_code: error for error in BY_CODE.values()}
    return kinds.get(exit_code, SleepdError)(message)


def from_code(code: str, message: str) -> SleepdError:
    """The error for a wire code; an unknown code (a newer peer's) becomes the base error."""
    return BY_CODE.get(code, SleepdError)(message)
