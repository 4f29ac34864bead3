"""The base of every message body, and the values that messages of every kind share."""

from __future__ import annotations

from typing import Annotated

import msgspec

MAX_ID = 64
Id = Annotated[str, msgspec.Meta(max_length=MAX_ID)]


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all message bodies."""
