"""Perplexity of a text: exp of the mean negative log-likelihood over windows of equal length."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sleepengine.backends.base import Backend, Mounted, Tokens, Work

WINDOW = 128  # tokens; one work item
SHORTEST = 8  # a shorter last window says little


@dataclass(frozen=True)
class Perplexity:
    """`value` over `tokens` predicted tokens."""

    value: float
    tokens: int


def windows(backend: Backend, text: str) -> list[Tokens]:
    """The text's tokens in consecutive windows."""
    ids = backend.tokenizer.encode(text)
    cut = [ids[a : a + WINDOW] for a in range(0, len(ids), WINDOW)]
    return [w for w in cut if len(w) >= SHORTEST] or [w for w in cut if len(w) >= 2]


def perplexity(backend: Backend, text: str, view: Mounted) -> Work[Perplexity]:
    """Every token but each window's first is predicted. Raises ValueError for a text of fewer than two tokens."""
    total, tokens = 0.0, 0
    pieces = windows(backend, text)
    if not pieces:
        raise ValueError("a text of fewer than two tokens has no perplexity")
    for piece in pieces:
        losses = backend.nll(piece, 1, view)
        total += float(losses.sum())
        tokens += len(losses)
        yield
    return Perplexity(math.exp(total / tokens), tokens)
