"""Text to ids and back, over a Hugging Face fast tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from sleepengine.backends.base import Tokens

_MARK = "\ue000"
"""Stands for a message where the chat template is taken apart: a private-use character, which no template writes."""


class HFTokenizer:
    """Implements `sleepengine.backends.base.Tokenizer`."""

    def __init__(self, tokenizer: Any, eos_ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        own = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
        self._stop_ids = frozenset([*eos_ids, *own])

    @property
    def whole(self) -> Any:
        """The Hugging Face tokenizer itself, for a library that reads its vocabulary."""
        return self._tokenizer

    @property
    def stop_ids(self) -> frozenset[int]:
        return self._stop_ids

    @property
    def end_of_turn(self) -> int:
        end: int = self._tokenizer.eos_token_id
        return end

    def encode(self, text: str) -> Tokens:
        return tuple(self._encode(text)["input_ids"])

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def render_chat(self, messages: Sequence[tuple[str, str]]) -> str:
        rendered: str = self._tokenizer.apply_chat_template(
            [{"role": role, "content": content} for role, content in messages],
            tokenize=False,
            add_generation_prompt=True,
        )
        return rendered

    def offsets(self, text: str) -> tuple[Tokens, tuple[tuple[int, int], ...]]:
        encoded = self._encode(text, return_offsets_mapping=True)
        return tuple(encoded["input_ids"]), tuple((a, b) for a, b in encoded["offset_mapping"])

    def turn(self, ids: Tokens) -> tuple[int, int]:
        opening, between, closing = self._frame
        if not closing or ids[-len(closing) :] != closing:
            return 0, len(ids)
        end = len(ids) - len(closing)
        for start in range(end - len(between), -1, -1):
            if ids[start : start + len(between)] == between:
                return start + len(between), end
        return (len(opening), end) if ids[: len(opening)] == opening else (0, end)

    @cached_property
    def _frame(self) -> tuple[Tokens, Tokens, Tokens]:
        """What the chat template writes before a first user message, between a reply and the next user message, and
        after the last one, as ids."""
        first = self.render_chat([("user", _MARK)])
        opening, closing = first.split(_MARK)
        longer = self.render_chat([("user", _MARK), ("assistant", _MARK), ("user", _MARK)])
        between = longer.split(_MARK)[2]
        return self.encode(opening), self._bare(between), self._bare(closing)

    def _bare(self, text: str) -> Tokens:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _encode(self, text: str, **options: Any) -> Any:
        # A template may write the start token itself; adding it again would double it.
        bos = self._tokenizer.bos_token
        add = not (bos and text.startswith(bos))
        return self._tokenizer(text, add_special_tokens=add, **options)
