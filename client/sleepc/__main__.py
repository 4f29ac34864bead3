"""The `sleepc` command and `python -m sleepc`."""

from __future__ import annotations

import sys

from sleepd.protocol.boundary import run


def main() -> None:
    """Exits with the code of what happened."""
    from .cli import cli

    sys.exit(run(cli, sys.argv[1:], "sleepc"))


if __name__ == "__main__":
    main()
