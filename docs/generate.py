"""Write the reference pages from the code: commands, settings, JSON documents, errors.

    python docs/generate.py            write them (`make docs`)

`tests/unit/test_reference.py` fails where a page no longer says what the code does.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

import sleepc.cli
import sleepd.cli.commands
from sleepc.documents import DOCUMENTS
from sleepd import config
from sleepd.protocol.errors import BY_CODE

HERE = Path(__file__).resolve().parent
NOTE = "<!-- Made by docs/generate.py from the code; do not edit. -->\n"
WIDTH = 96


def pages() -> dict[str, str]:
    """Every generated file by its path under docs/."""
    return {
        "commands.md": commands_page(),
        "configuration.md": configuration_page(),
        "json.md": json_page(),
        "errors.md": errors_page(),
        **{f"json/{file_name(name)}": schema(name) for name in DOCUMENTS},
    }


# --- commands -----------------------------------------------------------------------------------------------------


def commands_page() -> str:
    """The help of both commands and all their subcommands, as they print it."""
    parts = [NOTE, "# Commands\n", "What `--help` prints, for every command.\n"]
    for name, group in (("sleepc", sleepc.cli.cli), ("sleepd", sleepd.cli.commands.cli)):
        for path, command, context in _walk(name, group):
            level = "##" if path == name else "###"
            parts.append(f"{level} {path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
            document = path.removeprefix("sleepc ")
            if name == "sleepc" and document in DOCUMENTS:
                parts.append(f"JSON: [{file_name(document)}](json/{file_name(document)})\n")
    return "\n".join(parts)


def _walk(
    path: str, command: click.Command, parent: click.Context | None = None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    name = path.rpartition(" ")[2]
    settings = {**command.context_settings, "max_content_width": WIDTH, "terminal_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield path, command, context
    if isinstance(command, click.Group):
        for inner in sorted(command.commands):
            yield from _walk(f"{path} {inner}", command.commands[inner], context)


# --- settings -----------------------------------------------------------------------------------------------------


def configuration_page() -> str:
    """Every setting with its default and what its line in the code says of it."""
    parts = [
        NOTE,
        "# Settings\n",
        "`sleepd config` lists them, `sleepd config set KEY VALUE` changes one, `sleepd config path` names the file.",
        "Times are in seconds, sizes in bytes. An unknown key is an error that names the nearest known one.\n",
        "| setting | default | meaning |\n|---|---|---|",
    ]
    comments = _comments(config.Config)
    for field in msgspec.structs.fields(config.Config):
        if isinstance(field.default, msgspec.Struct):
            inner = _comments(type(field.default))
            comments |= {f"{field.name}.{name}": text for name, text in inner.items()}
    parts[-1] += "".join(
        f"\n| `{key}` | `{json.dumps(value)}` | {comments.get(key, '')} |"
        for key, value in config.keys(config.Config())
    )
    return "\n".join(parts) + "\n"


_FIELD = re.compile(r"^    (?P<name>\w+): .*?(?:  # (?P<comment>.*))?$", re.M)


def _comments(struct: type[Any]) -> dict[str, str]:
    source = inspect.getsource(struct)
    return {match["name"]: (match["comment"] or "").replace("|", "\\|") for match in _FIELD.finditer(source)}


# --- JSON ---------------------------------------------------------------------------------------------------------


def file_name(document: str) -> str:
    """The schema's file of a command's document."""
    return document.replace(" --", "-").replace(" ", "-").lower() + ".schema.json"


def schema(document: str) -> str:
    """JSON Schema (2020-12) of a command's document."""
    made = msgspec.json.schema(DOCUMENTS[document])
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"sleepc {document} --json"}
    return json.dumps({**head, **made}, indent=2, ensure_ascii=False) + "\n"


def json_page() -> str:
    """Which document each command writes."""
    parts = [
        NOTE,
        "# JSON documents\n",
        "With `--json` a command writes one document on stdout, or one a line where it goes on (`chat`, `watch`,",
        "`events --follow`), and all else on stderr. A command that fails writes the document `error`. Fields may be",
        "added; those that are there keep their meaning.\n",
        "| command | fields | schema |\n|---|---|---|",
    ]
    for name, document in DOCUMENTS.items():
        fields = ", ".join(f"`{field.name}`" for field in msgspec.structs.fields(document))
        parts[-1] += f"\n| `{name}` | {fields} | [{file_name(name)}](json/{file_name(name)}) |"
    return "\n".join(parts) + "\n"


# --- errors -------------------------------------------------------------------------------------------------------


def errors_page() -> str:
    """Wire codes, exit codes, and what each means."""
    parts = [
        NOTE,
        "# Errors\n",
        "An error is one line on stderr, and with `--json` also the document `error` on stdout. Its code on the wire",
        "and the exit code of the commands belong together.\n",
        "| code | exit code | meaning |\n|---|---|---|",
    ]
    for code, error in sorted(BY_CODE.items(), key=lambda item: item[1].exit_code):
        parts[-1] += f"\n| `{code}` | {error.exit_code} | {' '.join((error.__doc__ or '').split())} |"
    return "\n".join(parts) + "\n"


def main() -> None:
    for path, text in pages().items():
        file = HERE / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
