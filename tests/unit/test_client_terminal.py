"""`sleepc` at a real terminal: Ctrl-C, Ctrl-D, progress, and a daemon that restarts in mid-chat."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from sleepd.protocol import messages
from sleepd.protocol.messages import Chunk, Progress
from tests.unit.client_fake import Exchange, Handler, fact, fake_daemon


def said(exchange: Exchange, reply: str, finish: str = "stop") -> None:
    exchange.done(messages.SayReply(reply=reply, prompt="P", tokens=1, seconds=0, finish=finish, session="s1"))


class Talker:
    """Answers `say`; "forever" never ends by itself."""

    def __init__(self) -> None:
        self.endless: Exchange | None = None

    def handlers(self) -> dict[str, Handler]:
        opened = messages.OpenSessionReply(session="s1", turns=0)
        return {
            "open_session": lambda exchange: exchange.done(opened),
            "say": self.say,
            "cancel": self.cancel,
            "facts": lambda exchange: exchange.done(messages.FactsReply(facts=(fact(),))),
        }

    def say(self, exchange: Exchange) -> None:
        assert isinstance(exchange.body, messages.Say)
        if exchange.body.text == "forever":
            self.endless = exchange
            exchange.send("chunk", Chunk(text="on and on"))
        else:
            exchange.send("chunk", Chunk(text=f"heard {exchange.body.text}"))
            said(exchange, f"heard {exchange.body.text}")

    def cancel(self, exchange: Exchange) -> None:
        exchange.done(messages.CancelReply(cancelled=True))
        if self.endless is not None:
            said(self.endless, "on and on", "cancelled")
            self.endless = None


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Any]:
    opened: list[pexpect.spawn[str]] = []

    def spawn(*arguments: str) -> pexpect.spawn[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "dumb"}
        child = pexpect.spawn(
            sys.executable,
            ["-m", "sleepc", "--home", str(tmp_path), *arguments],
            env=environment,
            encoding="utf-8",
            timeout=30,
            echo=False,
        )
        opened.append(child)
        return child

    yield spawn
    for child in opened:
        child.close(force=True)


def test_ctrl_c_stops_the_reply_and_stays_and_ctrl_d_leaves(terminal: Any, tmp_path: Path) -> None:
    with fake_daemon(tmp_path, **Talker().handlers()) as server:
        chat = terminal("chat")
        chat.expect_exact("> ")
        chat.sendline("hello")
        chat.expect_exact("heard hello")
        chat.expect_exact("> ")
        chat.sendline("forever")
        chat.expect_exact("on and on")
        chat.sendintr()
        chat.expect_exact("> ")
        chat.sendintr()  # idle: nothing to stop, the line is cleared
        chat.expect_exact("> ")
        chat.sendline("again")
        chat.expect_exact("heard again")
        chat.expect_exact("> ")
        chat.sendline("/facts")
        chat.expect_exact("Idris Larsson works as a carpenter.")
        chat.expect_exact("> ")
        chat.sendeof()
        chat.expect(pexpect.EOF)
        chat.wait()
        assert chat.exitstatus == 0
        assert server.kinds().count("cancel") >= 1


def test_a_chat_goes_on_with_a_daemon_that_restarted(terminal: Any, tmp_path: Path) -> None:
    with fake_daemon(tmp_path, **Talker().handlers()) as server:
        chat = terminal("chat")
        chat.expect_exact("> ")
        chat.sendline("forever")
        chat.expect_exact("on and on")
        server.kill()
        chat.expect_exact("start one again with: sleepd start --home")
        chat.expect_exact("> ")
    with fake_daemon(tmp_path, **Talker().handlers()):
        chat.sendline("hello")
        chat.expect_exact("heard hello")
        chat.expect_exact("> ")
        chat.sendline("/quit")
        chat.expect(pexpect.EOF)
        chat.wait()
        assert chat.exitstatus == 0


def test_ctrl_c_cancels_a_question_and_exits_130(terminal: Any, tmp_path: Path) -> None:
    with fake_daemon(tmp_path, ask=lambda exchange: exchange.send("chunk", Chunk(text="on and on"))) as server:
        ask = terminal("ask", "hi")
        ask.expect_exact("on and on")
        ask.sendintr()
        ask.expect(pexpect.EOF)
        ask.wait()
        assert ask.exitstatus == 130
        until = time.monotonic() + 2
        while "cancel" not in server.kinds() and time.monotonic() < until:
            time.sleep(0.01)
        assert server.kinds() == ["ask", "cancel"]


def test_progress_is_one_line_that_goes_away(terminal: Any, tmp_path: Path) -> None:
    def learn(exchange: Exchange) -> None:
        for step in (1, 2):
            exchange.send("progress", Progress(phase="editing", done=step, total=2))
        exchange.done(messages.RememberReply(facts=(fact(),), refused=(), seconds=0))

    with fake_daemon(tmp_path, remember=learn):
        remember = terminal("remember", "a")
        half, whole = "█" * 10 + "·" * 10, "█" * 20
        remember.expect_exact(f"editing {half} 1/2\r\x1b[Kediting {whole} 2/2\r\x1b[Klearned  f-1")
        remember.expect(pexpect.EOF)
        remember.wait()
        assert remember.exitstatus == 0
