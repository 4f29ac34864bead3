"""The `sleepd` command, run beside us: starting the daemon, its service, its settings file and its log. No Qt.

What the daemon itself answers goes through the client; this is for what has to work without a daemon.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sleepd.protocol.errors import SleepdError, from_code, from_exit_code

Document = dict[str, Any]

_LINE_LIMIT = 4 << 20
"""Bytes of a line of the log."""


@dataclass(frozen=True)
class Control:
    """The command for one home. Every method raises what the command ended with."""

    home: Path

    async def start(self) -> Document:
        """Start the daemon; returns when it answers, after fetching the model where it is missing."""
        return await self._run("start")

    async def install_service(self) -> Document:
        """Have it run from login on, and start it."""
        return await self._run("service", "install")

    async def remove_service(self) -> Document:
        """Stop it, and have it run no more from login on."""
        return await self._run("service", "uninstall")

    async def service(self) -> Document:
        """`installed`, `active`, `path`. Raises UsageError where there is no service manager that sleepd knows."""
        return await self._run("service", "status")

    async def settings(self) -> Document:
        """Every setting by its dotted key."""
        return await self._run("config", "get")

    async def set(self, key: str, value: str) -> Document:
        """Write one setting; a running daemon takes it over by itself."""
        return await self._run("config", "set", key, value)

    async def log(self, lines: int) -> AsyncIterator[Document]:
        """The last lines of the log, then what is written, until the iteration is closed."""
        process = await self._spawn("logs", "--follow", "--lines", str(lines))
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            while line := await process.stdout.readline():
                yield _document(line)
            said = await process.stderr.read()
            _check(await process.wait(), b"", said)
        finally:
            await _end(process)

    async def _run(self, *arguments: str) -> Document:
        process = await self._spawn(*arguments)
        try:
            out, err = await process.communicate()
        finally:
            await _end(process)
        _check(process.returncode or 0, out, err)
        return _document(out)

    async def _spawn(self, *arguments: str) -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "sleepd", *arguments, "--json", "--home", str(self.home))
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(
            *command, stdin=nothing, stdout=pipe, stderr=pipe, limit=_LINE_LIMIT
        )


async def _end(process: asyncio.subprocess.Process) -> None:
    """Have a process ended, and its pipes closed."""
    if process.returncode is None:
        process.terminate()
        await process.communicate()


def _check(code: int, out: bytes, err: bytes) -> None:
    """Raise what a command that failed says of it."""
    if not code:
        return
    told = _document(out).get("error") if out.strip() else None
    if isinstance(told, dict):
        raise from_code(str(told.get("code")), str(told.get("message")))
    lines = err.decode(errors="replace").strip().splitlines()
    raise from_exit_code(code, lines[-1].removeprefix("sleepd: ") if lines else f"sleepd ended with {code}")


def _document(data: bytes) -> Document:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise SleepdError(f"sleepd's answer is not understood: {error}") from None
    if not isinstance(document, dict):
        raise SleepdError("sleepd's answer is not understood: it is no object")
    return document
