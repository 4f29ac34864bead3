"""Starting and stopping a daemon process from outside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import zmq

from sleepd.paths import Home, lock_holder
from sleepd.protocol import endpoint, wire
from sleepd.protocol.endpoint import DaemonInfo
from sleepd.protocol.errors import DeadlineExceeded, SleepdError, Unreachable, from_code, from_exit_code
from sleepd.protocol.messages import Body, Error, Ping, Pong, Shutdown, ShutdownReply, Status, StatusReply
from sleepd.service import install as service
from sleepengine.errors import ModelNotFound
from sleepengine.models import registry
from sleepengine.models.messages import PullDone, PullFailed, PullProgress, decode_message

START_SECONDS = 120.0  # until the socket answers; a daemon that ends before is told of at once
STOP_SECONDS = 30.0  # until the lock is free, before a daemon that does not answer is killed
_POLL = 0.02

R = TypeVar("R", bound=Body)


def request(home: Home, kind: str, body: Body, reply_type: type[R], seconds: float = 5.0) -> R:
    """One request to the daemon of a home. Raises Unreachable, or the daemon's own error."""
    info = endpoint.read(home.root)
    context = zmq.Context()
    try:
        socket = context.socket(zmq.DEALER)
        socket.set(zmq.LINGER, 0)
        if info.curve is not None:
            info.curve.apply(socket)
        socket.connect(info.requests)
        socket.send_multipart(wire.encode(kind, body, id=wire.new_id(), stream=False))
        if not socket.poll(int(seconds * 1000)):
            raise Unreachable(f"the daemon of {home.root} (pid {info.pid}) does not answer")
        reply = wire.decode_reply(socket.recv_multipart(), reply_type).body
    finally:
        context.destroy(linger=0)
    if isinstance(reply, Error):
        raise from_code(reply.code, reply.message)
    assert isinstance(reply, reply_type)
    return reply


def status(home: Home) -> StatusReply:
    """Raises Unreachable where no daemon answers."""
    if lock_holder(home) is None:
        raise Unreachable(f"no daemon runs for {home.root}; `sleepd start` starts one")
    return request(home, "status", Status(), StatusReply)


def ensure_model(name: str, home: Home, progress: Callable[[PullProgress], None]) -> None:
    """Pull the model in a child process where it is not on disk. Raises the pull's error with its code."""
    try:
        registry.origin_of(name)
        registry.resolve(name, home.models)
        return
    except ModelNotFound as error:
        if _is_unknown(name):
            raise from_code(error.code, str(error)) from error
    pull(name, home, progress)


def pull(name: str, home: Home, progress: Callable[[PullProgress], None]) -> registry.ModelRecord:
    """Fetch and convert a model in a child process. Raises the pull's error with its code."""
    command = [sys.executable, "-m", "sleepengine.models", "pull", name, "--models-dir", str(home.models)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        try:
            for line in child.stdout:
                match decode_message(line):
                    case PullProgress() as step:
                        progress(step)
                    case PullDone(record=record):
                        return record
                    case PullFailed(error=failure):
                        raise from_code(failure.code, failure.message)
            trouble = child.stderr.read().decode(errors="replace").strip().splitlines()
        except BaseException:
            child.terminate()
            raise
    raise SleepdError(f"the pull of {name} ended early: {trouble[-1] if trouble else 'no reason given'}")


def start(home: Home) -> DaemonInfo:
    """Start a daemon in the background, or find the one that runs; returns when its socket answers.

    Where a service is installed for this home, it is the service that is started.
    """
    home.prepare()
    child: subprocess.Popen[bytes] | None = None
    if lock_holder(home) is None:
        unit = service.installed(home)
        if unit is not None:
            unit.start()
        else:
            child = _spawn(home)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if (info := _answering(home)) is not None:
            return info
        if child is not None and child.poll() is not None and lock_holder(home) is None:
            why = f"the daemon did not start: {_last_line(_start_log(home))}"
            raise from_exit_code(child.returncode, why)
        time.sleep(_POLL)
    if child is not None and child.poll() is None:
        child.terminate()
    raise Unreachable(f"the daemon did not answer within {START_SECONDS:.0f} s; see {home.log_file}")


def stop(home: Home) -> int | None:
    """Stop the daemon; returns its pid when the lock is free, None where none ran.

    A daemon that does not answer is sent SIGTERM, and at last SIGKILL: what it had acknowledged is on disk.
    """
    pid = lock_holder(home)
    if pid is None:
        return None
    unit = service.installed(home)
    if unit is not None and unit.state().active:
        unit.stop()
        if _lock_freed(home, 1.0):
            return pid
    try:
        request(home, "shutdown", Shutdown(), ShutdownReply, seconds=2.0)
    except SleepdError:
        _signal(pid, signal.SIGTERM)
    if not _lock_freed(home, STOP_SECONDS):
        _signal(pid, signal.SIGKILL)
        if not _lock_freed(home, 5.0):
            raise DeadlineExceeded(f"the daemon (pid {pid}) does not end")
    return pid


def _is_unknown(name: str) -> bool:
    try:
        registry.origin_of(name)
    except ModelNotFound:
        return True
    return False


def _spawn(home: Home) -> subprocess.Popen[bytes]:
    with _start_log(home).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "sleepd", "serve", "--home", str(home.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )


def _answering(home: Home) -> DaemonInfo | None:
    try:
        info = endpoint.read(home.root)
        if info.pid == lock_holder(home):
            pong = request(home, "ping", Ping(), Pong, seconds=1.0)
            return info if pong.epoch == info.epoch else None
    except Unreachable:
        pass  # not yet
    return None


def _start_log(home: Home) -> Path:
    """Where a daemon in the background says why it could not start."""
    return home.logs / "start.log"


def _last_line(file: Path) -> str:
    lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("sleepd: ") if lines else "it gave no reason"


def _lock_freed(home: Home, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if lock_holder(home) is None:
            return True
        time.sleep(_POLL)
    return False


def _signal(pid: int, number: signal.Signals) -> None:
    if pid > 0:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
