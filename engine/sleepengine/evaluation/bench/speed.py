"""How fast one conversation is decoded, token by token, as a person waits for it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sleepengine.backends.base import Backend, Mounted, Sampling, Work

TOKENS = 48
ROUNDS = 3  # views take turns, so that a busy moment of the machine does not fall on one of them alone
QUESTION = "Describe in detail how a lighthouse works and how its keeper spends the year."


def decode_speeds(backend: Backend, views: Sequence[Mounted]) -> Work[list[float]]:
    """Tokens a second under each view, the best of some rounds; the prompt and its first token are not counted."""
    prompt = backend.tokenizer.encode(backend.tokenizer.render_chat([("user", QUESTION)]))
    best = [0.0] * len(views)
    for _ in range(ROUNDS):
        for index, view in enumerate(views):
            best[index] = max(best[index], _speed(backend, prompt, view))
            yield
    return best


def _speed(backend: Backend, prompt: tuple[int, ...], view: Mounted) -> float:
    times = [
        time.perf_counter() for token in backend.stream(prompt, view, Sampling(max_tokens=TOKENS)) if token is not None
    ]
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0
