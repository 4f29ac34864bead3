"""Text that may be shown on a terminal: whatever a model, a fact or another program wrote, it moves no cursor."""

from __future__ import annotations

_TABLE: dict[int, int | None] = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    ord("\r"): None,  # line ends of other systems
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),  # C1: terminals take U+009B for ESC [
}


def printable(text: str) -> str:
    """`text` with every control character but line feed and tab made visible, so that it cannot control anything."""
    return text.translate(_TABLE)
