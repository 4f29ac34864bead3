"""The chat at a real terminal against a scripted daemon: keys, Markdown, history, completion, notices, and safety."""

from __future__ import annotations

import io
import json
import os
import stat
import time
from pathlib import Path

import msgspec
import pytest

from sleepc.chat.composer import Keyboard
from sleepd.protocol import messages
from sleepd.protocol.messages import Chunk
from tests.terminal import CTRL_C, CTRL_D, CTRL_G, CTRL_J, CTRL_R, TAB, Terminal, environment
from tests.unit.client_fake import STATUS, Exchange, FakeDaemon, Handler, fact, fake_daemon

MARKDOWN = "# Title\n\nSome **bold** words.\n\n```python\nprint('hi')\n```\n\n- one\n- two\n"
HOSTILE = "before \x1b[31mred\x1b]0;owned\x07 \x9b2J after"


class Daemon:
    """Echoes what is said; "forever" never ends by itself."""

    def __init__(self) -> None:
        self.endless: Exchange | None = None
        self.said: list[str] = []

    def handlers(self) -> dict[str, Handler]:
        source = {"text": "Idris is a carpenter", "source": "chat", "at": "2026-01-01T00:00:00Z"}
        fields = {name: getattr(fact("f-9"), name) for name in fact().__struct_fields__}
        why = messages.WhyReply(**fields, provenance=source, history=())
        return {
            "open_session": lambda e: e.done(messages.OpenSessionReply(session="s1", turns=0)),
            "say": self.say,
            "cancel": self.cancel,
            "facts": lambda e: e.done(messages.FactsReply(facts=(fact("f-12"),))),
            "why": lambda e: e.done(why),
            "status": lambda e: e.done(STATUS),
            "snapshot": lambda e: e.done(messages.SnapshotReply(epoch="e1", seq=0, status=STATUS)),
        }

    def say(self, exchange: Exchange) -> None:
        assert isinstance(exchange.body, messages.Say)
        text = exchange.body.text
        self.said.append(text)
        if text == "forever":
            self.endless = exchange
            exchange.send("chunk", Chunk(text="on and on"))
            return
        if text == "news":
            exchange.server.publish(1, "fact", id="f-9", change="learned")
            exchange.server.publish(2, "sleep", cycle=4, phase="begin")
            exchange.server.publish(3, "sleep", cycle=4, phase="end", outcome="committed")
            time.sleep(0.2)
        reply = {"markdown": MARKDOWN, "hostile": HOSTILE}.get(text, f"heard <{text}>".replace("\n", "|"))
        for piece in (reply[at : at + 3] for at in range(0, len(reply), 3)):
            exchange.send("chunk", Chunk(text=piece))
        said = text.replace("hunter2", "[secret]")
        exchange.done(msgspec.structs.replace(self.reply(reply, "stop"), said=said))

    def cancel(self, exchange: Exchange) -> None:
        exchange.done(messages.CancelReply(cancelled=True))
        if self.endless is not None:
            self.endless.done(self.reply("on and on", "cancelled"))
            self.endless = None

    def reply(self, text: str, finish: str) -> messages.SayReply:
        return messages.SayReply(reply=text, prompt="P", tokens=1, seconds=0, finish=finish, session="s1")


@pytest.fixture
def daemon(tmp_path: Path):
    talker = Daemon()
    with fake_daemon(tmp_path, **talker.handlers()):
        yield talker


def chat(home: Path, *arguments: str, **env: str) -> Terminal:
    terminal = Terminal("sleepc", "--home", str(home), "chat", *arguments, env=environment(env))
    terminal.see("Ctrl-D leaves")
    terminal.see("sleep pressure 25%")  # the toolbar: the prompt is ready and news are followed
    return terminal


def test_markdown_is_drawn_and_ctrl_d_leaves(daemon: Daemon, tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.line("markdown")
        terminal.see("• two")
        terminal.settle()
        shown = terminal.text
        assert "Some bold words." in shown
        assert "**" not in shown
        assert "```" not in shown
        assert shown.count("Title") == shown.count("print('hi')") == shown.count("• one") == 1
        terminal.type(CTRL_D)
        assert terminal.end() == 0


def test_ctrl_c_stops_the_reply_and_stays(daemon: Daemon, tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.line("forever")
        terminal.see("on and on")
        terminal.type(CTRL_C)
        terminal.see("stopped")
        assert "on and on" in terminal.text
        terminal.type("never sent" + CTRL_C)
        terminal.line("again")
        terminal.see("heard <again>")
        assert daemon.said == ["forever", "again"]
        terminal.line("/quit")
        assert terminal.end() == 0


def test_a_second_ctrl_c_no_longer_waits(tmp_path: Path) -> None:
    talker = Daemon()
    deaf = talker.handlers() | {"cancel": lambda exchange: None}
    with fake_daemon(tmp_path, **deaf), chat(tmp_path) as terminal:
        terminal.line("forever")
        terminal.see("on and on")
        terminal.type(CTRL_C)
        terminal.settle()
        terminal.type(CTRL_C)
        terminal.see("stopped")
        terminal.line("again")
        terminal.see("heard <again>")


def test_several_lines(daemon: Daemon, tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.paste("one\ntwo\n\nthree")
        terminal.line("")
        terminal.see("heard <one|two||three>")
        terminal.type("a" + CTRL_J + "b\x1b\rc")
        terminal.line("")
        terminal.see("heard <a|b|c>")
        terminal.line("d\\")
        terminal.line("e")
        terminal.see("heard <d|e>")
        terminal.line('"""f')
        terminal.line("g")
        terminal.line('h"""')
        terminal.see("heard <f|g|h>")
    assert daemon.said == ["one\ntwo\n\nthree", "a\nb\nc", "d\ne", "f\ng\nh"]


def test_history_is_private_searchable_and_outlives_the_chat(daemon: Daemon, tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.line("the quick brown fox")
        terminal.see("heard <the quick")
        terminal.line(" my own affair")
        terminal.see("heard <my own affair>")
        terminal.line("my password is hunter2")
        terminal.see("heard <my password is hunter2>")
        terminal.line("/quit")
        assert terminal.end() == 0
    file = tmp_path / "history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        "the quick brown fox",
        "my password is [secret]",
        "/quit",
    ]
    with chat(tmp_path) as terminal:
        terminal.type(CTRL_R + "quick")
        terminal.see("the quick brown fox")
        terminal.line("")
        terminal.line("")
        terminal.see("heard <the quick brown fox>")


def test_commands_and_fact_ids_are_completed(daemon: Daemon, tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.type("/wh")
        terminal.see("show where a fact came from")
        terminal.type(TAB)
        terminal.see("/why")
        terminal.type("f")
        terminal.see("Idris Larsson works as a carpenter.")
        terminal.type(TAB)
        terminal.see("/why f-12")
        terminal.line("")
        terminal.see("f-9  active")


def test_the_editor_writes_the_message(daemon: Daemon, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "written\\nelsewhere" > "$1"\n')
    editor.chmod(0o700)
    with chat(tmp_path, VISUAL=str(editor)) as terminal:
        terminal.type(CTRL_G)
        terminal.see("elsewhere")
        terminal.line("")
        terminal.see("heard <written|elsewhere>")
        terminal.line("/edit")
        terminal.see("elsewhere", times=3)
        terminal.line("")
        terminal.see("heard <written|elsewhere>", times=2)


def test_news_stand_beside_the_reply(daemon: Daemon, tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.line("news")
        terminal.see("heard <news>")
        terminal.see("learned: Idris Larsson works as a carpenter. (/undo f-9")
        terminal.see("a sleep begins (cycle 4)")
        terminal.see("the sleep has ended: committed (/report 4)")
        shown = terminal.text
        assert shown.index("heard <news>") < shown.index("a sleep begins")


def test_keys_pressed_while_a_notice_is_printed_are_neither_echoed_nor_changed() -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "r+b", 0) as raw, io.TextIOWrapper(raw, write_through=True) as terminal:
        keyboard = Keyboard(terminal)
        os.set_blocking(ours, False)
        with keyboard.raw_mode(), keyboard.cooked_mode():  # as prompt_toolkit prints above its prompt
            os.write(ours, b"hi\r")
            assert os.read(theirs, 10) == b"hi\r"
            with pytest.raises(BlockingIOError):
                os.read(ours, 10)
        keyboard.lent = True
        with keyboard.raw_mode(), keyboard.cooked_mode():  # as it starts an editor
            os.write(ours, b"hi\r")
            assert os.read(theirs, 10) == b"hi\n"
            assert os.read(ours, 10).startswith(b"hi")
    os.close(ours)


def test_a_model_cannot_control_the_terminal(daemon: Daemon, tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.line("hostile")
        terminal.see("after")
        terminal.settle()
        for sequence in ("\x1b[31mred", "\x1b]0;owned", "\x9b"):
            assert sequence not in terminal.raw
        assert "␛[31mred" in terminal.text


def test_a_wrong_command_and_an_error_stay_in_the_chat(daemon: Daemon, tmp_path: Path) -> None:
    with chat(tmp_path) as terminal:
        terminal.line("/fly")
        terminal.see("there is no command /fly; /help lists them")
        terminal.line("/why")
        terminal.see("say what: /why ID")
        terminal.line("/report")  # the scripted daemon never answers: Ctrl-C leaves it
        terminal.settle()
        terminal.type(CTRL_C)
        terminal.see("stopped")
        terminal.line("/help")
        terminal.see("/remember TEXT")


def test_the_daemon_may_go_and_come_back(tmp_path: Path) -> None:
    first = FakeDaemon(tmp_path, Daemon().handlers())
    with chat(tmp_path) as terminal:
        terminal.line("hello")
        terminal.see("heard <hello>")
        first.kill()
        terminal.see("the daemon went away")
        with fake_daemon(tmp_path, **Daemon().handlers()):
            terminal.see("the daemon is back (awake)")
            terminal.line("hello again")
            terminal.see("heard <hello again>")


def test_a_chat_without_a_daemon_ends_at_once(tmp_path: Path) -> None:
    with Terminal("sleepc", "--home", str(tmp_path), "chat", env=environment()) as terminal:
        assert terminal.end() == 3
        assert "start one with: sleepd start" in " ".join(terminal.text.split())


def test_an_unwritable_history_is_said_once(daemon: Daemon, tmp_path: Path) -> None:
    os.symlink(tmp_path / "elsewhere", tmp_path / "history")
    with chat(tmp_path) as terminal:
        for word in ("one", "two"):
            terminal.line(word)
            terminal.see(f"heard <{word}>")
        assert " ".join(terminal.text.split()).count("what you type is not kept") == 1
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("command", [("ask", "hi"), ("facts",), ("why", "f-1"), ("--json", "ask", "hi")], ids=" ".join)
def test_no_command_lets_text_control_the_terminal(tmp_path: Path, command: tuple[str, ...]) -> None:
    def ask(exchange: Exchange) -> None:
        exchange.send("chunk", Chunk(text=HOSTILE))
        exchange.done(messages.AskReply(reply=HOSTILE, prompt=HOSTILE, tokens=1, seconds=0, finish="stop"))

    hostile = messages.FactsReply(facts=(fact(statement=HOSTILE),))
    handlers: dict[str, Handler] = {
        "ask": ask,
        "facts": lambda e: e.done(hostile),
        "why": lambda e: e.error("not_found", f"no fact has the id {HOSTILE}"),
    }
    with (
        fake_daemon(tmp_path, **handlers),
        Terminal("sleepc", "--home", str(tmp_path), *command, env=environment()) as terminal,
    ):
        terminal.see("after")
        terminal.end()
    for sequence in ("\x1b[31m", "\x1b]0;", "\x07", "\x9b"):
        assert sequence not in terminal.raw
