"""The `sleepd` command and `python -m sleepd`."""

from __future__ import annotations

import os
import sys

from sleepd.protocol.boundary import run


def main() -> None:
    """Exits with the code of what happened."""
    os.umask(0o077)  # whatever is created here holds, or leads to, a private memory
    from sleepd.cli.commands import cli

    sys.exit(run(cli, sys.argv[1:], "sleepd"))


if __name__ == "__main__":
    main()
