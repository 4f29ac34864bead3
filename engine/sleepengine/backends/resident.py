"""How much of the machine's memory this process has held."""

from __future__ import annotations

import resource
import sys


def peak_resident_bytes() -> int:
    """The most that was resident at once since the process began."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # there it is in bytes, elsewhere in kilobytes
