"""Wall time as it is written down. Durations are measured with `time.monotonic` instead."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """UTC in ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_since(at: str) -> float:
    """Seconds from a written time until now; never negative, for clocks are set back."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())
