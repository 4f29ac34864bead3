"""Drift: how far a view's answers have moved from the base's, and the canary questions.

Measured as the mean KL(base || view) over the base's own greedy answers to the shipped canary questions, which speak of
nothing that a ledger could hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sleepengine.backends.base import BARE, Backend, Mounted, Tokens, Work
from sleepengine.evaluation.perplexity import perplexity
from sleepengine.evaluation.texts import Canary, canaries

ANSWER_TOKENS = 24


@dataclass(frozen=True)
class CanaryReply:
    """A canary question, what the view answered, and whether that is accepted."""

    canary: Canary
    reply: str
    accepted: bool


@dataclass(frozen=True)
class BaseAnswers:
    """For each canary its prompt's ids and the base's own answer's ids."""

    items: tuple[tuple[Canary, Tokens, Tokens], ...]


class BaseMemory:
    """What a loaded base was asked already. Its greedy answers never change, and decoding is what costs."""

    def __init__(self) -> None:
        self._replies: dict[tuple[Tokens, int], Tokens] = {}
        self._perplexities: dict[str, float] = {}

    def perplexity(self, backend: Backend, text: str) -> Work[float]:
        """The bare base's perplexity of a text."""
        if text not in self._perplexities:
            measured = yield from perplexity(backend, text, backend.mount(BARE))
            self._perplexities[text] = measured.value
        return self._perplexities[text]

    def replies(self, backend: Backend, prompts: Sequence[Tokens], limit: int) -> Work[list[Tokens]]:
        """The bare base's greedy answers of at most `limit` tokens."""
        missing = [p for p in dict.fromkeys(prompts) if (p, limit) not in self._replies]
        if missing:
            fresh = yield from backend.decode(missing, backend.mount(BARE), limit)
            self._replies |= {(p, limit): reply for p, reply in zip(missing, fresh, strict=True)}
        return [self._replies[(p, limit)] for p in prompts]

    def answers(self, backend: Backend) -> Work[BaseAnswers]:
        """Its answers to the canary questions."""
        asked = canaries()
        prompts = [backend.tokenizer.encode(backend.tokenizer.render_chat([("user", c.question)])) for c in asked]
        replies = yield from self.replies(backend, prompts, ANSWER_TOKENS)
        return BaseAnswers(tuple(zip(asked, prompts, replies, strict=True)))


def drift(backend: Backend, answers: BaseAnswers, view: Mounted) -> Work[float]:
    """Mean KL(base || view) in nats a token; 0 for the base itself."""
    total, number = 0.0, 0
    for _, prompt, reply in answers.items:
        if reply:
            total += backend.divergence(prompt + reply, len(prompt), view) * len(reply)
            number += len(reply)
            yield
    return total / number if number else 0.0


def canary_replies(backend: Backend, answers: BaseAnswers, view: Mounted) -> Work[tuple[CanaryReply, ...]]:
    """What the view answers to each canary question."""
    replies = yield from backend.decode([p for _, p, _ in answers.items], view, ANSWER_TOKENS)
    texts = [backend.tokenizer.decode(r) for r in replies]
    return tuple(
        CanaryReply(canary, text, canary.accepts(text))
        for (canary, _, _), text in zip(answers.items, texts, strict=True)
    )
