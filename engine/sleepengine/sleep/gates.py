"""What a night must pass: facts recalled through the adapter alone, and text as likely as before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sleepengine.evaluation.recall import Answer, share
from sleepengine.memory.facts import Channel, Fact, Stage, Verified


@dataclass(frozen=True)
class FactVerdict:
    """Whether the adapter alone recalls a fact on its gate prompts, through each channel."""

    fact: Fact
    verified: Verified
    chat: float  # share of its chat gate prompts answered
    raw: float

    @property
    def passed(self) -> bool:
        """People ask through chat; raw completion is reported, not demanded (paper, section 6.3)."""
        return self.verified.chat


def judge(facts: Sequence[Fact], answers: Sequence[Answer], threshold: float) -> list[FactVerdict]:
    """One verdict a fact, in order."""
    verdicts = []
    for fact in facts:
        own = [a for a in answers if a.fact.id == fact.id]
        raw, chat = share(own, Channel.RAW), share(own, Channel.CHAT)
        verified = Verified(raw=raw >= threshold, chat=chat >= threshold)
        verdicts.append(FactVerdict(fact, verified, chat, raw))
    return verdicts


def next_stage(stage: Stage, passed: bool) -> Stage:
    """Algorithm 1's staged advancement. A fact that fails loses its stage, so it is never lost from both stores."""
    if not passed:
        return Stage.ACTIVE
    return Stage.CONSOLIDATING if stage is Stage.ACTIVE else Stage.CONSOLIDATED


@dataclass(frozen=True)
class PerplexityGate:
    """Bounds on the candidate's perplexity, relative to the bare base and to the night's start."""

    night: float  # allowed rise over the perplexity before this night
    lifetime: float  # allowed rise over the bare base

    def refusal(self, base: float, before: float, after: float) -> str | None:
        """Why the candidate is refused, or None."""
        if after > before * (1 + self.night):
            return f"perplexity rose by {after / before - 1:+.2%} in one night; {self.night:.2%} is allowed"
        if after > base * (1 + self.lifetime):
            return f"perplexity is {after / base - 1:+.2%} above the base model's; {self.lifetime:.2%} is allowed"
        return None
