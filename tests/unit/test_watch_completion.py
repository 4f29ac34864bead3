"""`sleepc watch` on a screen, over a pipe and as JSON; completion in shells."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sleepd.protocol import messages
from tests.terminal import CTRL_C, Terminal, environment
from tests.unit.client_fake import STATUS, Exchange, FakeDaemon, Handler, fact, fake_daemon


def handlers() -> dict[str, Handler]:
    def snapshot(exchange: Exchange) -> None:
        exchange.done(messages.SnapshotReply(epoch="e1", seq=0, status=STATUS))
        exchange.server.publish(1, "fact", id="f-1", change="learned")
        exchange.server.publish(2, "sleep", cycle=1, phase="sws train")

    asleep = messages.StatusReply(**{**{n: getattr(STATUS, n) for n in STATUS.__struct_fields__}, "cycle": 1})
    return {
        "ping": lambda e: e.done(messages.Pong(pid=1, epoch="e1")),
        "status": lambda e: e.done(asleep),
        "facts": lambda e: e.done(messages.FactsReply(facts=(fact(statement="Bo is \x1b[31mred."),))),
        "snapshot": snapshot,
    }


def test_the_screen_shows_state_facts_events_and_the_loss_of_the_daemon(tmp_path: Path) -> None:
    server = FakeDaemon(tmp_path, handlers())
    with Terminal("sleepc", "watch", "--home", str(tmp_path), env=environment()) as terminal:
        for text in ("awake: nothing to do", "sws train", "Bo is ␛[31mred.", "change=learned", "3 active"):
            terminal.see(text)
        server.kill()
        terminal.see("the daemon went away")
        terminal.type(CTRL_C)
        assert terminal.end() == 130


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sleepc", *arguments]
    return subprocess.run(command, env=environment(env), capture_output=True, text=True, check=False, timeout=20)


def test_over_a_pipe_it_is_a_line_each(tmp_path: Path) -> None:
    with fake_daemon(tmp_path, **handlers()):
        process = subprocess.Popen(
            [sys.executable, "-m", "sleepc", "--home", str(tmp_path), "--json", "watch"],
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            seen = [json.loads(process.stdout.readline()) for _ in range(3)]
            process.terminate()
    assert [line["event"] and line["event"]["seq"] for line in seen] == [None, 1, 2]
    assert [line["phase"] for line in seen] == [None, None, "sws train"]
    assert seen[0]["status"]["state"] == "awake"


def test_without_a_daemon_it_ends_with_3(tmp_path: Path) -> None:
    assert run("watch", "--home", str(tmp_path)).returncode == 3


def complete(home: Path, *words: str) -> list[str]:
    """What bash is told for a line whose last word is still being typed."""
    line = {
        "_SLEEPC_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["sleepc", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = run(SLEEPD_HOME=str(home), **line)
    assert done.stderr == ""
    return [item.partition(",")[2] for item in done.stdout.split()]


def test_commands_options_and_living_ids_are_completed(tmp_path: Path) -> None:
    assert complete(tmp_path, "rem") == ["remember"]
    assert "--show-prompt" in complete(tmp_path, "ask", "--show")
    assert complete(tmp_path, "why", "f") == []
    with fake_daemon(tmp_path, facts=lambda e: e.done(messages.FactsReply(facts=(fact("f-12"), fact("g-1"))))):
        for command in ("why", "forget", "correct"):
            assert complete(tmp_path, command, "f") == ["f-12"]
    with fake_daemon(tmp_path, facts=lambda e: None):
        assert complete(tmp_path, "why", "f") == []  # a daemon that hangs does not hang the shell


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell: str, tmp_path: Path) -> None:
    done = run("completion", shell)
    assert done.returncode == 0
    assert "_SLEEPC_COMPLETE" in done.stdout
    if shutil.which(shell):
        (tmp_path / "script").write_text(done.stdout)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_bash_takes_its_script() -> None:
    program = 'eval "$(python -m sleepc completion bash)" && complete -p sleepc'
    env = {**environment(), "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    done = subprocess.run(["bash", "-c", program], env=env, capture_output=True, text=True, check=True)
    assert "_sleepc_completion" in done.stdout
