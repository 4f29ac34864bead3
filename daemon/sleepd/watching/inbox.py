"""HOME/inbox: text files that are dropped there are read as statements to learn.

A file ends in `done/`, or in `refused/` where nothing of it was accepted, and beside it lies NAME.report with a line
for each statement. It is taken in exactly once: what it says is stored, then that it was, then it is moved. After
a crash between the first two it is read again, and its facts are found to be known.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
import stat
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from sleepd.errors import translated
from sleepd.paths import make_private
from sleepd.protocol.errors import Refused, SleepdError, StorageError
from sleepd.protocol.facts import FactInfo, RefusedText
from sleepd.serving.events import EventBus
from sleepd.storage.keeping import Keeping
from sleepd.storage.store import Store
from sleepengine.memory import files

MAX_BYTES = 1 << 20
_AT_ONCE = 64  # statements learned together
_MARKUP = re.compile(r"^\s*(?:[-*+>]|\d+[.)]|#{1,6})\s+|^\s*```.*$")
_log = logging.getLogger(__name__)

Learn = Callable[[Sequence[str]], Awaitable[tuple[list[FactInfo], list[RefusedText]]]]


class Inbox:
    """Takes files in, one after another. `learn` is the pipeline that everything said goes through."""

    def __init__(self, folder: Path, store: Store, bus: EventBus, keeping: Keeping, learn: Learn) -> None:
        self.folder = folder
        self._store, self._bus, self._keeping, self._learn = store, bus, keeping, learn
        self._look = asyncio.Event()
        self._look.set()

    def prepare(self) -> None:
        """Make the folders. Raises Refused where they are not ours."""
        for folder in (self.folder, self.folder / "done", self.folder / "refused"):
            make_private(folder)

    def look(self) -> None:
        """Something changed in the folder."""
        self._look.set()

    async def run(self) -> None:
        """Take in what lies there and what comes, until cancelled."""
        while True:
            await self._look.wait()
            self._look.clear()
            try:
                waiting = sorted(await asyncio.to_thread(self._waiting))
            except (Refused, OSError) as error:
                self._keeping.notice(f"the inbox cannot be read: {error}")
                continue
            for path in waiting:
                try:
                    await self._keeping.require_room()
                    await self._take(path)
                except StorageError as error:
                    self._keeping.notice(f"the inbox waits: {error}")
                    break
                except SleepdError as error:  # the model is away; the file stays, and the next look finds it
                    _log.warning("a file of the inbox was not taken in: %s", error)

    def _waiting(self) -> list[Path]:
        self.prepare()  # somebody may have removed the folders
        return [path for path in self.folder.iterdir() if not path.name.startswith(".") and not path.is_dir()]

    async def _take(self, path: Path) -> None:
        try:
            data = await asyncio.to_thread(_read, path)
            texts = statements(path.suffix.lower(), data)
        except Refused as refusal:
            await self._settle(path, "refused", [f"refused: {refusal}"])
            return
        except FileNotFoundError:
            return  # taken away again
        key = f"inbox.{hashlib.sha256(path.name.encode() + b'/' + data).hexdigest()}"
        report = await self._store.run(lambda ledger: ledger.get_value(key))
        if report is None:
            report = await self._learned(texts)
            kept = report
            await self._store.run(lambda ledger: ledger.set_value(key, kept))
        lines = report.splitlines()
        accepted = any(not line.startswith("refused") for line in lines)
        await self._settle(path, "done" if accepted else "refused", lines)
        await self._store.run(lambda ledger: ledger.remove_value(key))

    async def _learned(self, texts: list[str]) -> str:
        lines = []
        for start in range(0, len(texts), _AT_ONCE):
            facts, refused = await self._learn(texts[start : start + _AT_ONCE])
            lines += [f"{fact.state}: {fact.statement} ({fact.id})" for fact in facts]
            lines += [f"refused: {' '.join(item.text.split())}: {item.reason}" for item in refused]
        return "\n".join(lines)

    async def _settle(self, path: Path, where: str, lines: list[str]) -> None:
        """Move a file out of the way, with its report."""

        def work() -> None:
            target = self.folder / where / path.name
            if target.exists():
                target = target.with_name(f"{path.stem}.{time.time_ns()}{path.suffix}")
            with translated():
                files.write_atomic(target.with_name(f"{target.name}.report"), ("\n".join(lines) + "\n").encode())
                files.move(path, target)

        await asyncio.to_thread(work)
        refused = sum(line.startswith("refused") for line in lines)
        _log.info("a file of the inbox is %s: %d statements accepted, %d refused", where, len(lines) - refused, refused)
        self._bus.publish("inbox", outcome=where, accepted=len(lines) - refused, refused=refused)


def statements(suffix: str, data: bytes) -> list[str]:
    """What a file says, a statement or a paragraph each. Raises Refused for what is no text, or says nothing."""
    if suffix not in (".txt", ".md", ".jsonl"):
        raise Refused("only .txt, .md and .jsonl files are read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("it is not UTF-8 text") from None
    lines = [line.strip() for line in text.splitlines()]
    if suffix == ".md":
        lines = [_MARKUP.sub("", line).strip() for line in lines]
    if suffix == ".jsonl":
        lines = [_statement(number, line) for number, line in enumerate(lines, 1) if line]
    if not (found := [line for line in lines if line]):
        raise Refused("it says nothing")
    return found


def _statement(number: int, line: str) -> str:
    """One line of JSON: a string, or an object with `statement` or `text`, as `facts --export` writes it."""
    try:
        value = json.loads(line)
    except ValueError:
        raise Refused(f"line {number} is not JSON") from None
    if isinstance(value, dict):
        value = value.get("statement", value.get("text"))
    if not isinstance(value, str):
        raise Refused(f"line {number} has no statement")
    return value


def _read(path: Path) -> bytes:
    """A file of ours, whole. Raises Refused, FileNotFoundError, StorageError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Refused(f"it cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Refused("it is not a file")
        if status.st_uid != os.geteuid():
            raise Refused(f"it belongs to another user (uid {status.st_uid})")
        if status.st_size > MAX_BYTES:
            raise Refused(f"it has {status.st_size:,} bytes; at most {MAX_BYTES:,} are read")
        return file.read()
