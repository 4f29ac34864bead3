"""`daemon.json`: written whole, private, and read only where it is ours."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import platformdirs
import pytest

from sleepd.protocol import endpoint
from sleepd.protocol.errors import Unreachable

INFO = endpoint.DaemonInfo(pid=4, epoch="e1", protocol=1, requests="ipc:///r", events="ipc:///e")


def test_what_is_written_is_read_and_private(tmp_path: Path) -> None:
    endpoint.write(tmp_path, INFO)
    assert endpoint.read(tmp_path) == INFO
    assert stat.S_IMODE((tmp_path / "daemon.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["daemon.json"]


def test_removal_is_idempotent_and_makes_the_daemon_unreachable(tmp_path: Path) -> None:
    endpoint.write(tmp_path, INFO)
    endpoint.remove(tmp_path)
    endpoint.remove(tmp_path)
    with pytest.raises(Unreachable, match="no daemon runs"):
        endpoint.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff\xfe"])
def test_an_invalid_file_is_unreachable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "daemon.json").write_bytes(content)
    with pytest.raises(Unreachable, match="not valid"):
        endpoint.read(tmp_path)


def test_a_link_a_folder_and_a_pipe_are_not_followed(tmp_path: Path) -> None:
    endpoint.write(tmp_path, INFO)
    for name in ("link", "folder", "pipe"):
        (tmp_path / name).mkdir()
    (tmp_path / "link" / "daemon.json").symlink_to(tmp_path / "daemon.json")
    (tmp_path / "folder" / "daemon.json").mkdir()
    os.mkfifo(tmp_path / "pipe" / "daemon.json")
    for name in ("link", "folder", "pipe"):
        with pytest.raises(Unreachable, match="cannot read"):
            endpoint.read(tmp_path / name)


def test_another_users_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint.write(tmp_path, INFO)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 12345)
    with pytest.raises(Unreachable, match="another user"):
        endpoint.read(tmp_path)


def test_the_home_is_the_one_given_then_the_variable_then_the_platforms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLEEPD_HOME", raising=False)
    assert endpoint.resolve_home() == platformdirs.user_data_path("sleepd", appauthor=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert endpoint.resolve_home() == platformdirs.user_data_path("sleepd", appauthor=False)
    monkeypatch.setenv("SLEEPD_HOME", str(tmp_path / "a"))
    assert endpoint.resolve_home() == tmp_path / "a"
    assert endpoint.resolve_home(tmp_path / "b") == tmp_path / "b"
    monkeypatch.chdir(tmp_path)
    assert endpoint.resolve_home(Path("c")) == tmp_path / "c"
