"""A conversation at a terminal.

The reply streams as Markdown. Ctrl-C stops it and stays; a second Ctrl-C no longer waits for the daemon. News of the
daemon (facts learned, sleep, its loss and return) stand on lines of their own, never inside a reply. A daemon that
went away ends no conversation: the next message finds the one that runs by then.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.text import Text

from sleepd.protocol.errors import SleepdError, UsageError
from sleepd.protocol.history import FILE_NAME
from sleepd.protocol.messages import Chunk, Event, FactInfo, SayReply

from .. import live, render, requests
from ..async_client import AsyncClient
from ..async_connection import AsyncPending
from ..printable import printable
from . import commands, notices
from .composer import KEYS, Composer
from .markdown import MarkdownStream


class TerminalChat:
    """One conversation at a terminal that can do more than lines."""

    def __init__(
        self, client: AsyncClient, options: dict[str, Any], *, show_prompt: bool, deadline: float | None
    ) -> None:
        self._client, self._options = client, options
        self._show_prompt, self._deadline = show_prompt, deadline
        self._console = Console(highlight=False)
        self._composer = Composer(client.home / FILE_NAME, self._facts, lambda: notices.toolbar(self._picture))
        self._picture = live.Picture()
        self._pending: AsyncPending[SayReply] | None = None
        self._idle = asyncio.Event()  # set while no turn is under way
        self._idle.set()
        self._waiting: list[str] = []  # notices that came during a reply
        self._told: set[str] = set()  # facts that the conversation itself has told of
        self._problem_told = False
        self._session = ""
        self._hearing: asyncio.Task[None] | None = None

    async def run(self, *, resume: bool, system: str | None) -> None:
        """Until Ctrl-D or /quit. Raises what keeps it from beginning."""
        opened = await self._client.open_session(resume=resume, system=system)
        self._session = opened.session
        self._dim(
            f"Going on after {opened.turns} messages."
            if opened.turns
            else "Say something; /help lists the commands, Ctrl-D leaves."
        )
        following = asyncio.create_task(self._follow())
        try:
            await self._converse()
        finally:
            for task in filter(None, (following, self._hearing)):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _converse(self) -> None:
        editing = False
        while True:
            try:
                typed = await (self._composer.edit() if editing else self._composer.ask())
            except KeyboardInterrupt:
                editing = False  # an idle Ctrl-C clears the line
                continue
            except EOFError:
                return
            editing = typed.strip() == "/edit"
            if editing or not typed.strip():
                continue
            try:
                line = commands.read(typed)
            except UsageError as error:
                self._dim(str(error))
                continue
            if line.command is not None:
                self._composer.history.keep(typed)
            if line.command in commands.LEAVE:
                return
            await self._interruptible(self._turn(line, keep=not typed[0].isspace()))
            self._mention_problem()
            self._console.print()

    # --- turns ----------------------------------------------------------------------------------------------------

    async def _turn(self, line: commands.Line, *, keep: bool) -> None:
        self._idle.clear()
        try:
            if line.command is None:
                reply = await self._say(line.text)
                if keep:
                    self._composer.history.keep(reply.said)
            elif line.command == "help":
                self._print(commands.help_text(KEYS))
            else:
                command = commands.COMMANDS[line.command]
                self._print(command.text(await self._client.call(command.build(line.rest))))
        except SleepdError as error:
            self._console.print(Text(f"sleepc: {printable(str(error))}", style="red"))
        finally:
            self._idle.set()
            for waiting in self._waiting:
                self._dim(waiting)
            self._waiting.clear()

    async def _say(self, text: str) -> SayReply:
        request = requests.say(self._session, text, deadline=self._deadline, **self._options)
        pending = self._pending = await self._client.start(request)
        try:
            with MarkdownStream(self._console) as stream:
                stream.note(notices.delay(self._picture))
                async for part in pending:
                    if isinstance(part, Chunk):
                        stream.feed(part.text)
                    else:
                        stream.note(render.progress(part))
                reply = await pending.result()
        finally:
            self._pending = None
        if reply.finish == "cancelled":
            self._dim("stopped")
        elif reply.finish == "length":
            self._dim("cut off after as many tokens as a reply may have (--max-tokens)")
        self._told.update(fact.id for fact in reply.facts)
        self._hearing = asyncio.create_task(self._hear())
        if self._show_prompt and reply.prompt:
            self._console.print(Text(render.prompt(printable(reply.prompt)), style="dim"))
        return reply

    async def _hear(self) -> None:
        """Wait until the turn has been read, and ask what the daemon asks before it learns."""
        with suppress(SleepdError):  # no daemon, no questions; what it heard is told by its events
            for statement in (await self._client.heard(self._session, wait=True)).asked:
                self._tell(notices.asked(statement))
                self._composer.redraw()

    async def _interruptible(self, turn: Coroutine[Any, Any, None]) -> None:
        """Run a turn; the first Ctrl-C asks the daemon to stop it, the second leaves it."""
        task = asyncio.create_task(turn)

        def interrupt() -> None:
            if self._pending is not None and not self._pending.cancelled:
                self._pending.cancel()
            else:
                task.cancel()

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            await task
        except asyncio.CancelledError:
            self._dim("stopped")
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    # --- news -----------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        try:
            async for picture, news in live.pictures(self._client):
                before, self._picture = self._picture, picture
                line = notices.notice(before, picture, news)
                if isinstance(news, Event) and news.type == "fact" and news.data.get("change") == "learned":
                    line = await self._learned(str(news.data.get("id")))
                if isinstance(news, Event) and news.type == "fact" and news.data.get("change") == "forgotten":
                    self._composer.history.reread()
                if line is not None:
                    self._tell(line)
                self._composer.redraw()
        except SleepdError as error:
            self._tell(f"no more news: {error}")

    async def _learned(self, fact_id: str) -> str | None:
        await self._idle.wait()  # the reply under way may be what tells of this fact
        if fact_id in self._told:
            return None
        self._told.add(fact_id)
        with suppress(SleepdError):
            return notices.learned(await self._client.why(fact_id))
        return None

    def _tell(self, line: str) -> None:
        if self._idle.is_set():
            self._dim(line)
        else:
            self._waiting.append(line)

    async def _facts(self) -> Iterable[FactInfo]:
        return (await self._client.facts()).facts

    def _mention_problem(self) -> None:
        problem = self._composer.history.problem
        if problem is not None and not self._problem_told:
            self._problem_told = True
            self._dim(problem)

    # --- output ---------------------------------------------------------------------------------------------------

    def _print(self, text: str) -> None:
        self._console.print(Text(printable(text)))

    def _dim(self, text: str) -> None:
        self._console.print(Text(printable(text), style="dim"))
