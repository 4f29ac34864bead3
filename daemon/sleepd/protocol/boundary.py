"""Where errors become exit codes and one line on stderr, for both commands: the only place that does so.

Imports click, so nothing but the two commands imports it.
"""

from __future__ import annotations

import json
import os
import sys

import click

from .errors import Cancelled, SleepdError, UsageError


def run(command: click.Command, arguments: list[str], name: str) -> int:
    """Run a click command; returns its exit code. With --json an error is also the document on stdout."""
    try:
        try:
            code = command.main(args=arguments, prog_name=name, standalone_mode=False)
            sys.stdout.flush()
            return code if isinstance(code, int) else 0
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            return UsageError.exit_code
        except (click.ClickException, SleepdError, KeyboardInterrupt, click.Abort) as error:
            return _tell(_translate(error), arguments, name)
    except (BrokenPipeError, SystemExit):  # click makes the one into the other
        # The reader of our output is gone: nothing is left to say, and nothing went wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _translate(error: BaseException) -> SleepdError:
    if isinstance(error, SleepdError):
        return error
    if isinstance(error, click.UsageError):
        see = f" (see {error.ctx.command_path} --help)" if error.ctx is not None else ""
        return UsageError(error.format_message().rstrip(".") + see)
    if isinstance(error, click.ClickException):
        return SleepdError(error.format_message())
    return Cancelled("interrupted")


def _tell(error: SleepdError, arguments: list[str], name: str) -> int:
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--json" in options:
        document = {"error": {"code": error.code, "message": str(error)}}
        click.echo(json.dumps(document, ensure_ascii=False).encode(errors="replace"))
    # One line, of which nothing can control the terminal: a message may quote what a model or a file said.
    line = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(str(error).split()))
    click.echo(f"{name}: {line}", err=True)
    return error.exit_code
