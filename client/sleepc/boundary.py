"""Where errors become exit codes and one line on stderr: the only place that does so."""

from __future__ import annotations

import json
import os
import sys

import click

from sleepd.protocol.errors import Cancelled, SleepdError, UsageError


def run(command: click.Command, arguments: list[str], name: str) -> int:
    """Run a click command; returns its exit code. With --json an error is also a document on stdout."""
    try:
        code = command.main(args=arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except SleepdError as error:
        if "--json" in arguments:
            document = {"error": {"code": error.code, "message": str(error)}}
            click.echo(json.dumps(document, ensure_ascii=False))
        click.echo(f"{name}: {error}", err=True)
        return error.exit_code
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
