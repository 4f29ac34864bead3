"""Another user of the machine can read, list and reach nothing; folders and files that are not ours are refused.

The tests become that user by fork and setuid, so they need root; the daemon's own user is then root.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from sleepd.paths import Home, Lock, make_private
from sleepd.protocol import endpoint, messages, wire
from sleepd.protocol.errors import Refused, StorageError, Unreachable
from tests.lifecycle.conftest import Place, fake_place

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def open_place() -> Iterator[Place]:
    """A daemon whose home lies in a folder that everybody may enter; pytest's own is closed to others already."""
    folder = Path(tempfile.mkdtemp(prefix="sleepd-test-"))
    folder.chmod(0o755)
    place = fake_place(folder / "home")
    try:
        yield place
    finally:
        place.sleepd("stop")
        shutil.rmtree(folder)


def as_nobody(work: Callable[[], str]) -> str:
    """What `work` returns when it runs as another user without groups; its exception's name where it raises."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            try:
                said = work()
            except Exception as error:  # noqa: BLE001
                said = type(error).__name__
            os.write(into, said.encode())
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out) as told:
        answer = told.read()
    os.waitpid(child, 0)
    return answer


def ping(place: str, keys: tuple[bytes, bytes, bytes] | None = None) -> str:
    """Whether a DEALER gets any answer at an endpoint. `keys`: the server's, and a client's public and secret one."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        if keys is not None:
            socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = keys
        socket.connect(place)
        socket.send_multipart(wire.encode("ping", messages.Ping(), id="p"))
        return "answered" if socket.poll(1500) else "silence"


@needs_root
def test_another_user_reads_lists_and_enters_nothing(open_place: Place) -> None:
    open_place.start()
    open_place.remember("Idris Larsson works as a carpenter.")
    inside = [open_place.home, *open_place.home.rglob("*")]
    assert len(inside) > 10
    for path in inside:
        assert as_nobody(lambda path=path: str(os.listdir(path) if path.is_dir() else path.read_bytes())) == (
            "PermissionError"
        ), path
    assert as_nobody(lambda: str(endpoint.read(open_place.home))) == Unreachable.__name__


@needs_root
def test_the_socket_itself_refuses_another_user(open_place: Place) -> None:
    """Even where somebody opened every folder and the socket wide."""
    open_place.start()
    info = endpoint.read(open_place.home)
    for path in (open_place.home, open_place.home / "run", *(open_place.home / "run").iterdir()):
        path.chmod(0o777)
    assert ping(info.requests) == "answered"
    assert as_nobody(lambda: ping(info.requests)) == "silence"


@needs_root
def test_a_home_of_another_user_is_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    with pytest.raises(Refused, match=f"another user .uid {NOBODY}"):
        Home(theirs).prepare()
    assert theirs.stat().st_mode & 0o777 == 0o755


def test_a_home_behind_a_link_is_refused_and_a_loose_one_tightened(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(Refused, match="symbolic link"):
        Home(tmp_path / "link").prepare()
    Home(tmp_path / "real").prepare()
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="not a folder"):
        make_private(tmp_path / "file")


def test_a_lock_behind_a_link_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    (tmp_path / "elsewhere").write_text("theirs")
    home.lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        Lock.acquire(home)
    assert (tmp_path / "elsewhere").read_text() == "theirs"


def test_nothing_listens_beyond_the_user_by_default(open_place: Place) -> None:
    pid = open_place.start().json["pid"]
    sockets = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    inodes = {name[8:-1] for name in sockets if name.startswith("socket:[")}
    for table in ("tcp", "tcp6", "udp", "udp6", "raw"):
        rows = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        assert not [row for row in rows if row.split()[9] in inodes], table
    abstract = [row for row in Path(f"/proc/{pid}/net/unix").read_text().splitlines() if "@" in row.split()[-1]]
    assert not [row for row in abstract if row.split()[6] in inodes]


def curve_place(place: Place) -> endpoint.DaemonInfo:
    assert place.sleepd("config", "set", "network.listen", "tcp://127.0.0.1:*").code == 0
    place.start()
    info = endpoint.read(place.home)
    assert info.requests.startswith("tcp://127.0.0.1:")
    assert info.curve is not None
    return info


def test_through_the_network_only_listed_keys_are_admitted(open_place: Place) -> None:
    listed, unlisted = zmq.curve_keypair(), zmq.curve_keypair()
    (open_place.home / "authorized_keys").write_bytes(b"# the laptop\n" + listed[0] + b" # mine\n")
    info = curve_place(open_place)
    assert info.curve is not None
    server = info.curve.server.encode()
    assert ping(info.requests, (server, *listed)) == "answered"
    assert ping(info.requests, (server, *unlisted)) == "silence"
    assert ping(info.requests) == "silence"
    assert ping(info.requests, (zmq.curve_keypair()[0], *listed)) == "silence"
    assert (open_place.home / "server.key").stat().st_mode & 0o077 == 0
    assert not list((open_place.home / "run").iterdir())


def test_everything_works_through_the_network(open_place: Place) -> None:
    before = curve_place(open_place)
    assert open_place.remember("Idris Larsson works as a carpenter.")[0]["state"] == "active"
    assert open_place.ask("What does Idris Larsson work as?") == "Idris Larsson works as a carpenter."
    following = open_place.popen("sleepc", "events", "-f", "--json")
    assert following.stdout is not None
    try:
        time.sleep(3)  # until it follows
        open_place.remember("Mara Lindqvist lives in Lisbon.")
        assert any('"fact"' in line for line in following.stdout)
    finally:
        following.kill()
        following.communicate()
    assert open_place.sleepd("restart").code == 0
    after = endpoint.read(open_place.home)
    assert before.curve is not None
    assert after.curve is not None
    assert after.curve.server == before.curve.server
    assert after.curve.secret != before.curve.secret


@needs_root
def test_another_user_cannot_come_in_through_the_network(open_place: Place) -> None:
    info = curve_place(open_place)
    assert info.curve is not None
    keys = (info.curve.server.encode(), *zmq.curve_keypair())
    assert as_nobody(lambda: ping(info.requests)) == "silence"
    assert as_nobody(lambda: ping(info.requests, keys)) == "silence"
    for name in ("server.key", "daemon.json"):
        assert as_nobody(lambda name=name: str((open_place.home / name).read_bytes())) == "PermissionError"


def test_a_wrong_place_to_listen_is_a_usage_error(open_place: Place) -> None:
    open_place.sleepd("config", "set", "network.listen", "udp://*:1")
    started = open_place.sleepd("start")
    assert started.code != 0
    assert "network.listen" in started.err
