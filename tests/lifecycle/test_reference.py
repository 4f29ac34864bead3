"""The reference pages say what the code does, and commands write the JSON that their schemas promise."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema

from sleepc.cli import cli
from sleepc.documents import DOCUMENTS, WITHOUT
from tests.lifecycle.conftest import Place

DOCS = Path(__file__).resolve().parents[2] / "docs"
STATEMENT = "Mara Lindqvist lives in Lisbon."


def generator() -> ModuleType:
    found = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_every_page_is_as_the_code_makes_it() -> None:
    pages = generator().pages()
    for path, text in pages.items():
        assert (DOCS / path).read_text() == text, "run `make docs`"
    kept = {f"json/{file.name}" for file in (DOCS / "json").iterdir()}
    assert kept == {path for path in pages if path.startswith("json/")}


def test_every_command_has_a_document() -> None:
    assert set(cli.commands) - WITHOUT == {name.partition(" ")[0] for name in DOCUMENTS} - {"error"}


def valid(name: str, document: Any) -> Any:
    schema = json.loads((DOCS / "json" / generator().file_name(name)).read_text())
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    return document


def test_commands_write_what_their_schemas_promise(place: Place, tmp_path: Path) -> None:
    place.start()

    def run(*arguments: str, code: int = 0, stdin: str = "") -> Any:
        done = place.sleepc(*arguments, "--json", stdin=stdin)
        assert done.code == code, done.err
        return json.loads(done.out)

    fact_id = valid("remember", run("remember", STATEMENT))["facts"][0]["id"]
    valid("ask", run("ask", "Where does Mara Lindqvist live?"))
    valid("complete", run("complete", "Mara Lindqvist lives in"))
    valid("chat", run("chat", stdin="Hello.\n"))
    session = valid("sessions list", run("sessions", "list"))["sessions"][0]["id"]
    valid("sessions rm", run("sessions", "rm", session))
    run("sessions", "rm", session, code=6)
    valid("facts", run("facts", "--all", "--refused"))
    valid("why", run("why", fact_id))
    corrected = valid("correct", run("correct", fact_id, "Mara Lindqvist lives in Oslo."))
    valid("undo ID", run("undo", corrected["facts"][0]["id"]))
    valid("status", run("status"))
    valid("health", run("health"))
    valid("events", run("events"))
    valid("sleep", run("sleep", "--wait"))
    valid("report", run("report"))
    valid("export", run("export", str(tmp_path / "exported")))
    valid("undo", run("undo"))
    valid("nap", run("nap"))
    valid("wake", run("wake"))
    valid("forget", run("forget", "--all"))
    valid("unload", run("unload"))
    valid("error", run("why", "f-none", code=6))
