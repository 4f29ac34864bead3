"""Facts as JSON Lines: one exported fact a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from sleepd.protocol.errors import UsageError
from sleepd.protocol.facts import FactInfo, PortableFact, RefusedText
from sleepd.protocol.messages import RememberReply

if TYPE_CHECKING:
    from .client import Client
    from .requests import Streamed

BATCH = 50
"""Facts in one request of an import; a fact has a few kilobytes of prompts."""


def exported(client: Client) -> Iterator[bytes]:
    """Every fact that is held, a line each, oldest first."""
    after = None
    while True:
        page = client.export_facts(after)
        for fact in page.facts:
            yield msgspec.json.encode(fact) + b"\n"
        if not page.more:
            return
        after = page.facts[-1].id


def decoded(text: str) -> list[PortableFact]:
    """The facts of an export. Raises UsageError, which names the first line that is none."""
    facts = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                facts.append(msgspec.json.decode(line, type=PortableFact))
            except msgspec.DecodeError as error:
                raise UsageError(f"line {number} is no exported fact: {error}") from None
    return facts


def imported(client: Client, facts: list[PortableFact], on: Streamed) -> RememberReply:
    """Have facts learned, in requests of a bearable size; the replies as one."""
    learned: list[FactInfo] = []
    refused: list[RefusedText] = []
    seconds = 0.0
    for start in range(0, len(facts), BATCH):
        reply = client.import_facts(facts[start : start + BATCH], on=on)
        learned += reply.facts
        refused += reply.refused
        seconds += reply.seconds
    return RememberReply(facts=tuple(learned), refused=tuple(refused), seconds=seconds)
