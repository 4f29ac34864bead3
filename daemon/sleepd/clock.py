"""Wall time as it is written down. Durations are measured with `time.monotonic` instead."""

from __future__ import annotations

from datetime import UTC, datetime

from sleepd.protocol.errors import UsageError


def now() -> str:
    """UTC in ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parsed(at: str) -> datetime:
    """A time in ISO 8601; without a zone it is UTC. Raises UsageError."""
    try:
        time = datetime.fromisoformat(at)
    except ValueError:
        raise UsageError(f"{at!r} is no time in ISO 8601, such as 2026-03-01 or 2026-03-01T18:30:00Z") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def seconds_since(at: str) -> float:
    """Seconds from a written time until now; never negative, for clocks are set back."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())
