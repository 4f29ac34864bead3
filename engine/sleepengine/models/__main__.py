"""`python -m sleepengine.models pull NAME --models-dir DIR`: a pull as a child process.

Prints one JSON document a line (see `messages`): progress, at most ten a second and phase, and at the end the record
or the error. Exit code 0 or 1; 130 and 143 where a signal ended it. Loads no torch.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from sleepengine.errors import EngineError
from sleepengine.models.messages import (
    Failure,
    Phase,
    PullDone,
    PullFailed,
    PullMessage,
    PullProgress,
    encode_message,
)
from sleepengine.models.pull import pull

_INTERVAL = 0.1  # seconds between two lines of one phase


class Reporter:
    """Writes messages to stdout, thinning out progress. A reader that is gone ends the process."""

    def __init__(self) -> None:
        self._phase: Phase | None = None
        self._last = 0.0

    def progress(self, message: PullProgress) -> None:
        now = time.monotonic()
        finished = 0 < message.total == message.done
        if message.phase is self._phase and not finished and now - self._last < _INTERVAL:
            return
        self._phase, self._last = message.phase, now
        self.write(message)

    def write(self, message: PullMessage) -> None:
        try:
            sys.stdout.buffer.write(encode_message(message))
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise SystemExit(1) from None


def main() -> int:
    parser = argparse.ArgumentParser(prog="sleepengine.models", description="Fetch and convert a base model.")
    parser.add_argument("command", choices=("pull",))
    parser.add_argument("name", help="short name, hub name (org/name) or folder")
    parser.add_argument("--models-dir", required=True, type=Path)
    arguments = parser.parse_args()
    os.umask(0o077)
    signal.signal(signal.SIGTERM, _terminate)
    reporter = Reporter()
    try:
        record = pull(arguments.name, arguments.models_dir, reporter.progress)
    except EngineError as error:
        reporter.write(PullFailed(error=Failure(code=error.code, message=str(error))))
        return 1
    reporter.write(PullDone(record=record))
    return 0


def _terminate(number: int, frame: FrameType | None) -> None:
    """Unwind, so that child processes and temporary files go, instead of dying on the spot."""
    raise SystemExit(128 + number)


def _run() -> int:
    try:
        return main()
    except KeyboardInterrupt:
        return 130
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 1


if __name__ == "__main__":
    code = _run()
    sys.stderr.flush()
    os._exit(code)  # a hub client's download threads would hold the interpreter until their files are complete
