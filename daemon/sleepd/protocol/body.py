"""The base of every message body, and the values that messages of every kind share."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

MAX_ID = 64
Id = Annotated[str, msgspec.Meta(max_length=MAX_ID)]
Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]

MAX_TEXTS = 1024
"""Statements in one `remember`, ids in one `forget`, facts in one `import_facts`."""

ViewName = Literal["current", "no-edits", "base"]


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all message bodies."""
