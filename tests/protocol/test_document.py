"""docs/protocol.md names every request, field and error code that the code knows."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sleepd.protocol.errors import BY_CODE
from sleepd.protocol.messages import REQUESTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_request_is_described_with_its_fields(kind: str) -> None:
    section = PAGE.split(f"### `{kind}`\n")[1].split("\n#")[0]
    for body in REQUESTS[kind]:
        for field in msgspec.structs.fields(body):
            assert f"`{field.name}`" in section, f"{kind} lacks {field.name}"


def test_every_error_is_described() -> None:
    for code, error in BY_CODE.items():
        assert f"| `{code}` | {error.exit_code} |" in PAGE
