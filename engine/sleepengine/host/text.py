"""Token ids to text as they come, without ever splitting a character."""

from __future__ import annotations

from sleepengine.backends.base import Tokenizer

_INCOMPLETE = "�"  # what a decoder shows for bytes that are not yet a character


class TextStream:
    """Collects ids; `push` returns the text that became certain."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._sent = 0  # characters of the decoded text that were handed out

    @property
    def tokens(self) -> int:
        """How many ids were pushed."""
        return len(self._ids)

    @property
    def text(self) -> str:
        """Everything so far."""
        return self._tokenizer.decode(self._ids)

    def push(self, token: int) -> str:
        """Text that the id completes; "" while a character is still incomplete."""
        self._ids.append(token)
        return self._take(final=False)

    def rest(self) -> str:
        """What is left at the end, incomplete characters included."""
        return self._take(final=True)

    def _take(self, final: bool) -> str:
        text = self.text
        if not final and text.endswith(_INCOMPLETE):
            return ""
        fresh = text[self._sent :]
        self._sent = len(text)
        return fresh
