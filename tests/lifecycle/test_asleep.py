"""Every command while the daemon sleeps: what goes on as ever, what must wait, and one line that says what to do."""

from __future__ import annotations

import time
from pathlib import Path

from sleepc.cli import cli
from tests.lifecycle.conftest import Place

IDRIS = "Idris Larsson works as a carpenter."
QUESTION = "What does Idris Larsson work as?"

GOES_ON = (
    ("ask", QUESTION),
    ("complete", "Idris Larsson works as a"),
    ("remember", "Jonas Weber lives in Bern."),
    ("facts",),
    ("facts", "--export", "-"),
    ("why", "ID"),
    ("correct", "ID", "Idris Larsson works as a baker."),
    ("undo", "OTHER"),
    ("forget", "--query", "Jonas", "--yes"),
    ("chat",),
    ("sessions", "list"),
    ("report",),
    ("health",),
    ("status",),
    ("events",),
    ("export", "OUT"),
    ("bridge",),
    ("mcp",),
    ("completion", "bash"),
)
WAITS = (("nap",), ("sleep",), ("sleep", "--wait"), ("undo",), ("unload",))
FOLLOWS = (("events", "-f", "--since", "0"), ("watch",), ("serve-openai", "--port", "0"))


def test_every_command_while_it_sleeps(place: Place, tmp_path: Path) -> None:
    place.start()
    (fact,) = place.remember(IDRIS)
    assert place.sleepc("sleep", "--wait").code == 0
    assert place.sleepd("stop").code == 0
    place.environment |= {
        "SLEEPD_FAKE_STEP_SECONDS": "0.02",
        "SLEEPD_FAKE_SLOW_PHASE": "sws train",
        "SLEEPD_FAKE_TRAIN_STEPS": "100000",
    }
    place.start()
    (other,) = place.remember("Mara Lindqvist lives in Lisbon.")
    assert place.sleepc("sleep").code == 0
    until = time.monotonic() + 20
    while place.status()["phase"] != "sws train":
        assert time.monotonic() < until
        time.sleep(0.05)

    stands_for = {"ID": fact["id"], "OTHER": other["id"], "OUT": str(tmp_path / "exported")}
    for command in (*GOES_ON, *WAITS):
        done = place.sleepc(*(stands_for.get(word, word) for word in command))
        assert done.code == (5 if command in WAITS else 0), f"{command}: {done.code}, {done.err}"
        if done.code:
            assert done.err.endswith("cycle 2 is under way; `sleepc wake` ends it\n")
            assert len(done.err.splitlines()) == 1
        if command[0] == "ask":
            assert done.out == IDRIS + "\n"
    for command in FOLLOWS:
        process = place.popen("sleepc", *command)
        assert process.stdout is not None
        with process:
            assert process.stdout.readline(), command
            process.terminate()
    assert place.status()["state"] == "sleep"
    assert place.sleepc("wake").code == 0
    assert place.sleepc("report").out.startswith("cycle 2 (sleep): aborted")


def test_no_command_is_left_out() -> None:
    tried = {command[0] for command in (*GOES_ON, *WAITS, *FOLLOWS)}
    assert set(cli.commands) - tried == {"wake", "companion"}  # the one ends the test, the other shows a window
