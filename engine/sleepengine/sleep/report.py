"""What a night is told and what it reports. Plain values; imports no torch."""

from __future__ import annotations

import msgspec

from sleepengine.memory.facts import Verified


class SleepSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a night trains and what its gates demand. The defaults are for models near 135M parameters."""

    rank: int = 16
    alpha: float = 32.0
    learning_rate: float = 2e-3
    steps_per_fact: float = 5.0  # the most that training may take ...
    min_steps: int = 60  # ... but at least this many steps ...
    max_steps: int = 600  # ... and at most this many
    batch_size: int = 8  # examples a step
    anchors: int = 4  # general anchors a step
    pairs: int = 4  # minimal pairs a step
    anchor_weight: float = 4.0  # beta of the KL to the base model
    warmup: int = 5  # steps
    cooldown: int = 16  # steps over which the rate falls to nothing at the end; this is when perplexity recovers
    check_every: int = 8  # steps
    patience: int = 2  # checks in a row that every fact must pass before the cool-down begins
    recall_threshold: float = 0.5  # share of a fact's gate prompts that must be answered, per channel
    ppl_budget: float = 0.005  # relative perplexity rise allowed a night
    lifetime_ppl_budget: float = 0.01  # relative perplexity rise allowed over the bare base
    canary_share: float = 0.8  # of the canaries answered before that must be answered after
    residual_scale: float = 0.1  # edit scale at stage 1
    consolidated_scale: float = 0.0  # edit scale at stage 2
    seed: int = 0


class PhaseMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What a training phase measured.

    Perplexities are on the gate text, which no training sees, with every edit silenced. Recalls, in [0, 1], are over
    all facts' gate prompts under the adapter alone. `loss` is the last step's.
    """

    ppl_before: float
    ppl_after: float
    recall_raw: float
    recall_chat: float
    steps: int
    tokens: int
    loss: float
    seconds: float


class FactOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A fact's verdict: its new stage and scale, and the edit that stands beside the new generation (None: none)."""

    fact_id: str
    passed: bool
    stage: int
    scale: float
    blob: str | None
    verified: Verified
    reason: str = ""


class PhaseSpan(msgspec.Struct, frozen=True, kw_only=True):
    """One bar of the hypnogram, in seconds since the night began."""

    phase: str
    start: float
    end: float


class NightReport(msgspec.Struct, frozen=True, kw_only=True):
    """A finished night. `outcome` is "committed" (a proposal until the ledger has it), "rejected", "aborted" or
    "nothing"; `generation` is the new adapter's blob when committed."""

    outcome: str
    reason: str = ""
    generation: str | None = None
    facts: tuple[FactOutcome, ...] = ()
    sws: PhaseMetrics | None = None
    spans: tuple[PhaseSpan, ...] = ()
    base_ppl: float = 0.0
    drift: float = 0.0
    seconds: float = 0.0
