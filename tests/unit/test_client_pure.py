"""The client's pure parts: printable text, Markdown that settles, pictures and notices, what was typed."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from sleepc.chat import commands, notices
from sleepc.chat.composer import all_commands, unquoted
from sleepc.chat.history import KEPT, PrivateHistory
from sleepc.chat.markdown import settled_length
from sleepc.display import to_json
from sleepc.live import KEPT as EVENTS_KEPT, Lost, Picture, reduce
from sleepc.printable import printable
from sleepd.protocol.errors import UsageError
from sleepd.protocol.history import append, lines, take_out
from sleepd.protocol.messages import Event, SnapshotReply, StatusReply
from tests.unit.client_fake import STATUS


def is_control(character: str) -> bool:
    return character not in "\n\t" and (ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0)


@given(st.text())
def test_printable_text_holds_no_control_character_and_keeps_the_rest(text: str) -> None:
    shown = printable(text)
    typed = text.replace("\r", "")
    assert len(shown) == len(typed)
    for before, after in zip(typed, shown, strict=True):
        assert not is_control(after)
        assert is_control(before) or before == after
    assert printable(shown) == shown


@given(st.text())
def test_json_on_a_terminal_holds_no_control_character_and_means_the_same(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    line = to_json({"text": text})
    assert json.loads(line) == {"text": text}
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in line.decode())


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("", ""),
        ("one paragraph\nthat goes on", ""),
        ("first\n\nsecond", "first\n\n"),
        ("- a\n- b\n\n  still b", ""),
        ("- a\n\nafter", "- a\n\n"),
        ("```\ncode\n\n# no title\n", ""),
        ("text\n```\ncode\n```\nmore", "text\n```\ncode\n```\n"),
        ("# Title\ntext", "# Title\n"),
    ],
)
def test_a_block_settles_when_another_begins(text: str, settled: str) -> None:
    assert text[: settled_length(text)] == settled


def event(type: str, seq: int = 1, **data: Any) -> Event:
    return Event(epoch="e", seq=seq, type=type, at="2026-01-01T00:00:00Z", data=data)


def status(**changes: Any) -> StatusReply:
    return msgspec.structs.replace(STATUS, **changes)


def test_a_picture_follows_the_news() -> None:
    picture = reduce(Picture(), SnapshotReply(epoch="e", seq=0, status=STATUS))
    assert picture.status == STATUS
    picture = reduce(picture, event("sleep", cycle=1, phase="sws train"))
    picture = reduce(picture, status(state="sleep", cycle=1))
    assert (picture.phase, picture.status and picture.status.state) == ("sws train", "sleep")
    lost = reduce(picture, Lost("gone"))
    assert (lost.lost, lost.phase) == ("gone", None)
    back = reduce(lost, SnapshotReply(epoch="e2", seq=0, status=STATUS))
    assert (back.lost, back.status) == (None, STATUS)
    ended = reduce(picture, event("sleep", cycle=1, phase="end", outcome="committed"))
    assert ended.phase is None
    for seq in range(EVENTS_KEPT + 50):
        picture = reduce(picture, event("fact", seq))
    assert len(picture.recent) == EVENTS_KEPT
    assert picture.recent[-1].seq == EVENTS_KEPT + 49


def test_which_news_are_noticed() -> None:
    calm, pressed = Picture(status=status(pressure=0.4)), Picture(status=status(pressure=0.85))
    some = event("state")
    assert notices.notice(calm, calm, some) is None
    assert notices.notice(pressed, pressed, some) is None
    assert "85%" in (notices.notice(calm, pressed, some) or "")
    assert notices.notice(pressed, calm, some) is None
    asleep = Picture(status=status(pressure=0.85, cycle=3))
    assert notices.notice(calm, asleep, some) is None
    assert notices.notice(calm, calm, Lost("gone")) == "gone"
    first = SnapshotReply(epoch="e", seq=0, status=STATUS)
    assert notices.notice(Picture(), calm, first) is None
    assert "back" in (notices.notice(Picture(lost="gone"), calm, first) or "")
    assert "cycle 2" in (notices.notice(calm, calm, event("sleep", cycle=2, phase="begin")) or "")
    assert notices.notice(calm, calm, event("sleep", cycle=2, phase="curate")) is None
    ended = notices.notice(calm, calm, event("sleep", cycle=2, phase="end", outcome="rejected"))
    assert "rejected" in (ended or "")


def test_turns_and_commands_are_told_apart() -> None:
    assert commands.read(" hello /why ") == commands.Line("hello /why")
    assert commands.read("/why f-1") == commands.Line("/why f-1", "why", "f-1")
    assert commands.read("/remember My dog is Bo.").command is None
    for wrong in ("/fly", "/remember", "/ "):
        with pytest.raises(UsageError):
            commands.read(wrong)
    with pytest.raises(UsageError, match="/report 3"):
        commands.COMMANDS["report"].build("last")
    assert all(f"/{name} " in commands.help_text() for name in commands.COMMANDS)
    assert set(commands.COMMANDS) < set(all_commands())


def test_quotes_around_several_lines_go() -> None:
    assert unquoted('"""a\nb"""') == "a\nb"
    assert unquoted('"""\na\n"""\n') == "a"
    assert unquoted('say """x""" now') == 'say """x""" now'
    assert unquoted('""""""') == '""""""'


def test_history_is_bounded_and_survives_damage(tmp_path: Path) -> None:
    file = tmp_path / "history"
    history = PrivateHistory(file)
    history.store_string("not yet")
    history.keep(" not at all")
    assert not file.exists()
    for number in range(2 * KEPT + 1):
        history.keep(f"line {number}\nof two")
    with file.open("a") as opened:
        opened.write('"cut of')
    again = PrivateHistory(file)
    loaded = list(again.load_history_strings())
    assert loaded[0] == f"line {2 * KEPT}\nof two"
    assert len(loaded) == KEPT
    assert len(file.read_text().splitlines()) == KEPT
    assert again.problem is None


def test_lines_are_taken_out_of_the_history_in_place(tmp_path: Path) -> None:
    file = tmp_path / "history"
    assert take_out(file, lambda line: True) == 0  # there is none yet
    assert not file.exists()
    for line in ("one", "the secret garden", "two\nlines"):
        append(file, line)
    inode = file.stat().st_ino
    assert take_out(file, lambda line: "garden" in line) == 1
    assert file.read_text() == '"one"\n"two\\nlines"\n'
    assert (file.stat().st_ino, file.stat().st_mode & 0o777) == (inode, 0o600)
    assert take_out(file, lambda line: "garden" in line) == 0
    (tmp_path / "elsewhere").write_text('"mine"\n')
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        take_out(tmp_path / "link", lambda line: True)
    assert (tmp_path / "elsewhere").read_text() == '"mine"\n'


def test_a_line_that_comes_while_another_is_taken_out_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "history"
    append(file, "gone")
    adding = threading.Thread(target=append, args=(file, "late"))

    def concerns(line: str) -> bool:
        adding.start()
        adding.join(0.05)  # it waits for the lock
        return line == "gone"

    assert take_out(file, concerns) == 1
    adding.join(5)
    assert lines(file) == ["late"]


def test_an_answer_that_cannot_begin_says_why() -> None:
    assert notices.delay(Picture()) == notices.delay(Picture(status=STATUS)) == ""
    loading = msgspec.structs.replace(STATUS, state="loading", why="loading the model")
    assert notices.delay(Picture(status=loading)) == "loading: loading the model"


def test_the_list_of_commands_is_in_columns() -> None:
    lines = commands.help_text().splitlines()
    assert len({len(line) - len(line.lstrip("/").partition("  ")[2].lstrip()) for line in lines}) == 1
