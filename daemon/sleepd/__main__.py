"""The `sleepd` command and `python -m sleepd`: runs the command line and turns errors into exit codes."""

from __future__ import annotations

import json
import os
import sys

import click

from sleepd.protocol.errors import Cancelled, SleepdError, UsageError


def main() -> None:
    """Exits with the code of what happened; an error is one line on stderr, and with --json a document on stdout."""
    os.umask(0o077)  # whatever is created here holds, or leads to, a private memory
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    from sleepd.cli.commands import cli

    try:
        code = cli.main(args=arguments, prog_name="sleepd", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except SleepdError as error:
        return _fail(error, arguments)
    except click.UsageError as error:
        error.show()
        return UsageError.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return Cancelled.exit_code
    except BrokenPipeError:
        # The reader of our output is gone: nothing is left to say, and nothing went wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _fail(error: SleepdError, arguments: list[str]) -> int:
    if "--json" in arguments:
        click.echo(json.dumps({"error": {"code": error.code, "message": str(error)}}, ensure_ascii=False))
    click.echo(f"sleepd: {error}", err=True)
    return error.exit_code


if __name__ == "__main__":
    main()
