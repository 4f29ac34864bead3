"""A new user's first ten minutes at a real terminal, with a real daemon and the fake engine."""

from __future__ import annotations

from pathlib import Path

from tests.lifecycle.conftest import Place
from tests.terminal import CTRL_C, CTRL_D, UP, Terminal, environment

PASTED = "remember that Mara Lindqvist lives in Lisbon.\nremember that Jonas Weber works as a baker."


def at(place: Place, module: str, *arguments: str) -> Terminal:
    own = {name: value for name, value in place.environment.items() if name.startswith("SLEEPD_")}
    return Terminal(module, *arguments, env=environment(own))


def run(place: Place, module: str, *arguments: str, code: int = 0) -> str:
    with at(place, module, *arguments) as terminal:
        assert terminal.end() == code, terminal.text
        return terminal.text.replace("\n", "")  # as it was before the screen's edge broke it


def test_the_first_ten_minutes(place: Place) -> None:
    place.environment["SLEEPD_FAKE_STEP_SECONDS"] = "0.05"

    # They try before they read: no daemon runs, and the line says what to do.
    assert "start one with: sleepd start" in run(place, "sleepc", "chat", code=3)
    run(place, "sleepd", "start")
    assert "Exit codes" in run(place, "sleepc", "--help")
    assert run(place, "sleepc", "ask", "count to 2") == "1 2"  # waits until the model is loaded
    assert "awake" in run(place, "sleepc", "status")

    with at(place, "sleepc", "chat") as chat:
        chat.see("Ctrl-D leaves")
        chat.see("sleep pressure")
        chat.line("What does Idris Larsson work as?")
        chat.see("I do not know.")
        chat.line("remember that Idris Larsson works as a carpenter.")
        chat.see("Idris Larsson works as a carpenter. (")
        chat.line("What does Idris Larsson work as?")
        chat.see("Idris Larsson works as a carpenter.", times=3)  # said, confirmed, answered

        # Ctrl-C stops a long answer and stays; a wrong command says so.
        chat.line("count to 1000")
        chat.see("1 2 3")
        chat.type(CTRL_C)
        chat.see("stopped")
        chat.line("/forgot")
        chat.see("there is no command /forgot")

        # What is pasted stays one message of several lines until it is sent.
        chat.paste(PASTED)
        chat.see("Jonas Weber works as a baker.")
        chat.type(CTRL_C)  # thought better of it: the line is cleared, nothing was said
        chat.line("/facts")
        chat.see("active         Idris Larsson works as a carpenter.")
        assert "Mara Lindqvist" not in "".join(f["statement"] for f in place.sleepc("facts", "--json").json["facts"])

        # The daemon is restarted in mid-chat: the chat says so, and goes on where it was.
        assert place.sleepd("restart").code == 0
        chat.see("the daemon is back")
        chat.line("What does Idris Larsson work as?")
        chat.see("> What does Idris Larsson work as?", times=3)
        chat.see("Idris Larsson works as a carpenter.", times=5)

        # Sleep begins and ends beside the conversation, which goes on meanwhile.
        chat.line("/sleep")
        chat.see("you can go on talking")
        chat.line("count to 4")
        chat.see("1 2 3 4")
        chat.see("the sleep has ended: committed")
        chat.line("/report")
        chat.see("generation 1")
        chat.type(CTRL_D)
        assert chat.end() == 0

    # Next day: the conversation goes on, the fact is in the adapter, the history is private.
    with at(place, "sleepc", "chat", "-c") as chat:
        chat.see("Going on after")
        chat.line("What does Idris Larsson work as?")
        chat.see("Idris Larsson works as a carpenter.")
        chat.line("/quit")
        assert chat.end() == 0
    assert "carpenter" in run(place, "sleepc", "ask", "What does Idris Larsson work as?", "--view", "no-edits")
    assert (Path(place.home) / "history").stat().st_mode & 0o077 == 0
    run(place, "sleepd", "stop")
    run(place, "sleepc", "status", code=3)


def test_what_is_forgotten_leaves_the_history_of_what_was_typed(place: Place) -> None:
    place.start()
    history = Path(place.home) / "history"
    with at(place, "sleepc", "chat") as chat:
        chat.see("sleep pressure")
        for line in (
            "count to 2",
            "remember that Idris Larsson works as a carpenter.",
            "remember that Mara Lindqvist lives in Lisbon.",
        ):
            chat.line(line)
        chat.see("I will remember: Mara")
        chat.line("forget that Idris Larsson works as a carpenter")
        chat.see("Forgotten: Idris")
        assert "carpenter" not in history.read_text()
        (fact,) = place.sleepc("facts", "--json").json["facts"]
        assert place.sleepc("forget", fact["id"]).code == 0  # from elsewhere, while the chat goes on
        assert "Lisbon" not in history.read_text()
        chat.line("count to 3")
        chat.see("1 2 3")
        chat.type(UP + UP)
        chat.see("> count to 2", times=2)  # what was typed before it is no longer offered
        chat.type(CTRL_C)
        chat.type(CTRL_D)
        assert chat.end() == 0
    assert history.read_text() == '"count to 2"\n"count to 3"\n'
