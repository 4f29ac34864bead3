"""The line that is being written: keys, several lines, history with search, completion of commands and fact ids.

Enter sends. Alt-Enter, Ctrl-J and a backslash at the end of a line begin a new one, as does anything within three
double quotes; what is pasted keeps its lines. Ctrl-R searches the history, Ctrl-G opens $VISUAL or $EDITOR.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.patch_stdout import patch_stdout

from sleepd.protocol.errors import SleepdError
from sleepd.protocol.messages import FactInfo

from ..printable import printable
from . import commands
from .history import PrivateHistory

QUOTES = '"""'
FactSource = Callable[[], Awaitable[Iterable[FactInfo]]]

KEYS = {
    "edit": ("", "write in $VISUAL or $EDITOR (also Ctrl-G)"),
}
"""Commands that only a real terminal has."""


class Composer:
    """Asks for one message after another."""

    def __init__(self, history_file: Path, facts: FactSource, toolbar: Callable[[], str]) -> None:
        self.history = PrivateHistory(history_file)
        self._toolbar = toolbar
        self._keyboard = Keyboard(sys.stdin)
        self._session: PromptSession[str] = PromptSession(
            input=self._keyboard,
            history=self.history,
            completer=ChatCompleter(facts),
            complete_while_typing=Condition(self._writes_a_command),
            auto_suggest=AutoSuggestFromHistory(),
            multiline=True,
            prompt_continuation="  ",
            key_bindings=_bindings(self._open_editor),
            bottom_toolbar=lambda: FormattedText([("noreverse fg:ansibrightblack", printable(self._toolbar()))]),
            tempfile_suffix=".md",
            erase_when_done=False,
        )

    async def ask(self) -> str:
        """The next message. Raises EOFError for Ctrl-D, KeyboardInterrupt for Ctrl-C."""
        with patch_stdout(raw=True):  # a notice that is printed meanwhile stands above the prompt
            typed = await self._session.prompt_async("> ")
        return unquoted(typed)

    async def edit(self) -> str:
        """A message written in the editor."""
        with patch_stdout(raw=True):
            typed = await self._session.prompt_async("> ", pre_run=self._open_editor)
        return unquoted(typed)

    def redraw(self) -> None:
        """Show the toolbar anew, where a prompt is on the screen."""
        if self._session.app.is_running:
            self._session.app.invalidate()

    def _open_editor(self) -> None:
        self._keyboard.lent = True

        def back(_: object) -> None:
            self._keyboard.lent = False

        self._session.default_buffer.open_in_editor(validate_and_handle=False).add_done_callback(back)

    def _writes_a_command(self) -> bool:
        return self._session.default_buffer.text.startswith("/")


class ChatCompleter(Completer):
    """Names of commands after a slash at the beginning; ids of facts where a command takes one."""

    def __init__(self, facts: FactSource) -> None:
        self._facts = facts

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Nothing: completion is awaited, see `get_completions_async`."""
        return ()

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        before = document.text_before_cursor
        if not before.startswith("/"):
            return
        name, space, rest = before[1:].partition(" ")
        if not space:
            for candidate, (arguments, help_text) in all_commands().items():
                if candidate.startswith(name):
                    yield Completion(
                        candidate + (" " if arguments else ""),
                        start_position=-len(name),
                        display=f"/{candidate}",
                        display_meta=help_text,
                    )
            return
        if name not in commands.TAKE_FACTS or " " in rest:
            return
        try:
            facts = await self._facts()
        except SleepdError:
            return  # no daemon, no ids; the command itself will say so
        for fact in facts:
            if fact.id.startswith(rest):
                yield Completion(fact.id, start_position=-len(rest), display_meta=printable(fact.statement))


def all_commands() -> dict[str, tuple[str, str]]:
    """Arguments and help of every command at a terminal, by name."""
    requests = {command.name: (command.arguments, command.help) for command in commands.COMMANDS.values()}
    return {**commands.SAID, **requests, **KEYS, **commands.EXTRA}


def unquoted(typed: str) -> str:
    """What was typed, without the three quotes around it."""
    text = typed.strip()
    if len(text) > 2 * len(QUOTES) and text.startswith(QUOTES) and text.endswith(QUOTES):
        return text[len(QUOTES) : -len(QUOTES)].strip("\n")
    return typed


class Keyboard(Vt100Input):
    """The terminal's keys. They stay unechoed and unread while a notice is printed above the prompt.

    Prompt_toolkit would let the terminal have them for that moment: it would echo them into the notice, and turn the
    Enter among them into the line feed that begins a new line. Only an editor, to which it is `lent`, needs that.
    """

    lent = False

    def cooked_mode(self) -> AbstractContextManager[None]:
        return super().cooked_mode() if self.lent else nullcontext()


def _bindings(open_editor: Callable[[], None]) -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter", filter=~Condition(_searching))
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        selected = buffer.complete_state.current_completion if buffer.complete_state else None
        if selected is not None and selected.text.endswith(" "):
            buffer.complete_state = None  # a command that wants more before it is sent
        elif buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        elif buffer.text.lstrip().startswith(QUOTES) and buffer.text.count(QUOTES) % 2:
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-g", filter=~Condition(_searching))
    def _(event: KeyPressEvent) -> None:
        open_editor()

    return keys


def _searching() -> bool:
    from prompt_toolkit.application import get_app

    return get_app().layout.is_searching
