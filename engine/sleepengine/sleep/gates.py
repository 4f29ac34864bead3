"""What a night must pass: facts recalled by the adapter alone, ordinary language as it was, strangers left alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sleepengine.evaluation.recall import share
from sleepengine.evaluation.shares import wilson
from sleepengine.memory.facts import Channel, Fact, Stage, Verified
from sleepengine.sleep.measure import Measurement
from sleepengine.sleep.settings import SleepSettings

PAPER_PPL = 0.10  # tau_ppl of Eq. 3
PAPER_RECALL = 0.5  # tau_recall of Eq. 3
PAPER_SAMPLE = 5  # facts that Eq. 3 asks


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


def judge(facts: Sequence[Fact], measured: Measurement, threshold: float) -> list[FactVerdict]:
    """One verdict a fact, in order."""
    verdicts = []
    for fact in facts:
        own = [a for a in measured.answers if a.fact.id == fact.id]
        raw, chat = share(own, Channel.RAW), share(own, Channel.CHAT)
        verified = Verified(raw=raw >= threshold, chat=chat >= threshold)
        verdicts.append(FactVerdict(fact, verified, chat, raw))
    return verdicts


def next_stage(stage: Stage, passed: bool) -> Stage:
    """Algorithm 1's staged advancement. A fact that fails loses its stage, so it is never lost from both stores."""
    if not passed:
        return Stage.ACTIVE
    return Stage.CONSOLIDATING if stage is Stage.ACTIVE else Stage.CONSOLIDATED


def refusal(
    settings: SleepSettings, base_ppl: float, before: Measurement, after: Measurement, held: Collection[str]
) -> str | None:
    """Why a candidate is refused, or None. `before` is the night's start (for REM: after SWS), `held` the facts whose
    loss counts: those that the adapter alone recalled then."""
    s = settings
    if s.gate == "strict":
        if after.ppl > before.ppl * (1 + s.ppl_budget):
            return f"perplexity rose by {after.ppl / before.ppl - 1:+.2%} in one night; {s.ppl_budget:.2%} is allowed"
        if after.ppl > base_ppl * (1 + s.lifetime_ppl_budget):
            over = after.ppl / base_ppl - 1
            return f"perplexity is {over:+.2%} above the base model's; {s.lifetime_ppl_budget:.2%} is allowed"
        if after.drift > s.drift_budget:
            return f"answers drifted by {after.drift:.3f} nats a token; {s.drift_budget:.3f} is allowed"
        # A share of a few facts or prompts is coarser than the bound: one of them is always allowed.
        lost = set(held) - after.recalled(s.recall_threshold)
        if len(lost) > max(1.0, s.recall_loss * len(held)):
            return f"{len(lost)} of {len(held)} facts recalled before are lost"
        # Few prompts are asked: a rise counts once it is above the bound by more than a standard error.
        surely, _ = wilson(round(after.leaked * after.asked), after.asked, errors=1.0)
        if surely > before.leaked + s.leak_rise:
            return f"{after.leaked:.1%} of near names get a taught answer, {before.leaked:.1%} did before"
    if s.gate != "none" and after.canaries < s.canary_share * before.canaries:
        return f"only {after.canaries} of the {before.canaries} canary questions answered before are still answered"
    return None


def paper_refusal(before: Measurement, after: Measurement, facts: Sequence[Fact], threshold: float) -> str | None:
    """Eq. 3: why REM is refused, or None."""
    if after.ppl > before.ppl * (1 + PAPER_PPL):
        return f"perplexity rose by {after.ppl / before.ppl - 1:+.2%} in REM; {PAPER_PPL:.0%} is allowed"
    sample = [f.id for f in facts][:PAPER_SAMPLE]
    kept = len(after.recalled(threshold) & set(sample))
    if sample and kept / len(sample) < PAPER_RECALL:
        return f"{kept} of {len(sample)} sampled facts are recalled after REM"
    return None
