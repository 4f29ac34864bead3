"""`sleepc chat`.

commands   what follows a slash: each a request and the text of its reply
notices    which news deserve a line of their own in a conversation
plain      a turn a line, for pipes and terminals that can do nothing
terminal   the conversation at a terminal: editing, history, streaming Markdown, notices beside it
composer   the input line: keys, several lines, history, completion
markdown   Markdown that grows
history    what was typed, kept privately
held_back  keys that are pressed while nothing reads them
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ..options import Common


def converse(
    own: Common,
    options: dict[str, Any],
    *,
    resume: bool,
    system: str | None,
    show_prompt: bool,
    deadline: float | None,
) -> None:
    """Talk until the input ends, with as much comfort as the terminal allows."""
    if own.as_json or not _capable():
        from .plain import PlainChat

        with own.client() as client:
            plain = PlainChat(own, client, options, show_prompt=show_prompt, deadline=deadline)
            plain.run(resume=resume, system=system)
        return

    from .held_back import keys_held_back

    with keys_held_back():  # from now on: what follows takes long enough for people to begin typing
        import asyncio

        from ..async_client import AsyncClient
        from .terminal import TerminalChat

        async def talk() -> None:
            async with AsyncClient(own.home) as client:
                terminal = TerminalChat(client, options, show_prompt=show_prompt, deadline=deadline)
                await terminal.run(resume=resume, system=system)

        asyncio.run(talk())


def _capable() -> bool:
    """Whether a terminal is on both sides that can do more than lines."""
    dumb = os.environ.get("TERM", "dumb").lower() in ("dumb", "unknown", "")
    return sys.stdin.isatty() and sys.stdout.isatty() and not dumb
