"""What is kept of a crash: where and under what, and nothing of what anybody said."""

from __future__ import annotations

import json
import logging
import platform
import sys
import time
from pathlib import Path

from sleepd import __version__
from sleepd.clock import now
from sleepengine.errors import EngineError
from sleepengine.logs import places
from sleepengine.memory import files

KEPT = 20
_log = logging.getLogger(__name__)


def report(folder: Path, what: str, error: BaseException | None = None, **facts: str | int | float | None) -> None:
    """Write `crash-TIME.json` into a folder, and keep the latest few. `facts` hold no text of a user."""
    document = {
        "at": now(),
        "what": what,
        "version": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "command": Path(sys.argv[0]).name,
        "error": None if error is None else type(error).__name__,
        "places": [] if error is None else places(error),
        **facts,
    }
    try:
        target = folder / f"crash-{time.time_ns()}.json"
        files.write_atomic(target, json.dumps(document, indent=2).encode() + b"\n", site="crash")
        for old in sorted(folder.glob("crash-*.json"))[:-KEPT]:
            files.remove(old)
    except EngineError as failure:
        _log.warning("a crash report was not written: %s", failure)
