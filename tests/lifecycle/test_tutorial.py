"""docs/tutorial.md and docs/library.md, executed in one home each, with the fake engine."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.lifecycle.conftest import Place

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
FACT = re.compile(r"\bf-[a-z0-9]{8}\b")


def steps() -> Iterator[tuple[str, list[str]]]:
    """Each command with the lines that the page shows under it; a chat is a command with its turns."""
    for block in re.findall(r"```(console|chat)\n(.*?)```", PAGE, re.S):
        kind, text = block
        if kind == "chat":
            yield "sleepc chat", [line.removeprefix("> ") for line in text.splitlines()]
            continue
        command, shown = "", []
        for line in text.splitlines():
            if line.startswith("$ "):
                if command:
                    yield command, shown
                command, shown = line.removeprefix("$ "), []
            else:
                shown.append(line)
        yield command, shown


def test_every_command_of_the_tutorial_works(place: Place, tmp_path: Path) -> None:
    ids: dict[str, str] = {}
    ran = []
    for command, shown in steps():
        name, *arguments = shlex.split(FACT.sub(lambda match: ids[match[0]], command))
        arguments = [str(tmp_path / a) if a.endswith(".jsonl") else a for a in arguments]
        stdin = "\n".join(shown) + "\n" if command == "sleepc chat" else ""
        done = place.command(name, *arguments, stdin=stdin)
        assert done.code == 0, f"{command}: {done.err}"
        ran.append(command)
        if command != "sleepc chat":
            for line in shown:
                learn_ids(ids, line, done.out)
        if "--view base" in command:
            assert "carpenter" not in done.out
        elif "work as" in command and "remember" not in command and len(ran) > 4:
            assert ("baker" if any("correct" in c for c in ran) else "carpenter") in done.out, command
    assert len(ran) > 20
    assert (tmp_path / "facts.jsonl").read_text().count("\n") == 2
    assert "Biscuit" in (tmp_path / "facts.jsonl").read_text()


def learn_ids(ids: dict[str, str], line: str, out: str) -> None:
    """Where the page shows a fact, the same fact must stand in the output, under an id of its own."""
    match = FACT.search(line)
    if match is None:
        return
    statement = next(part for part in line.split("  ") if part.endswith("."))
    said = next(real for real in out.splitlines() if statement.strip() in real)
    found = FACT.search(said)
    assert found is not None
    assert ids.setdefault(match[0], found[0]) == found[0]


def test_every_example_of_the_library_page_runs(place: Place) -> None:
    place.environment["SLEEPD_FAKE_STEP_SECONDS"] = "0.005"  # so that there is something to cancel
    page = (Path(__file__).resolve().parents[2] / "docs" / "library.md").read_text(encoding="utf-8")
    place.start()
    examples = re.findall(r"```python\n(.*?)```", page, re.S)
    outs = [
        subprocess.run(
            [sys.executable, "-c", example],
            env=place.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for example in examples
    ]
    taught, streamed, gathered, events, errors = outs
    assert "Idris Larsson works as a carpenter." in taught
    assert streamed.endswith("cancelled\n")
    assert gathered == "['1 2', '1 2 3 4']\n"
    assert events.startswith(("awake", "loading"))
    assert "f-none" in errors
