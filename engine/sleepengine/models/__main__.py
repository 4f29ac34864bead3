"""`python -m sleepengine.models pull NAME --models-dir DIR`: a pull as a child process.

Prints one JSON document a line: progress, and at the end the record or the error. Exit code 0 or 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sleepengine.errors import EngineError
from sleepengine.models.messages import Failure, PullDone, PullFailed, PullMessage, encode_message
from sleepengine.models.pull import pull


def main() -> int:
    parser = argparse.ArgumentParser(prog="sleepengine.models", description="Fetch and convert a base model.")
    parser.add_argument("command", choices=("pull",))
    parser.add_argument("name", help="short name, hub name (org/name) or folder")
    parser.add_argument("--models-dir", required=True, type=Path)
    arguments = parser.parse_args()
    try:
        record = pull(arguments.name, arguments.models_dir, _print)
    except EngineError as error:
        _print(PullFailed(error=Failure(code=error.code, message=str(error))))
        return 1
    _print(PullDone(record=record))
    return 0


def _print(message: PullMessage) -> None:
    sys.stdout.buffer.write(encode_message(message))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
