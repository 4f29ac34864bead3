"""What a cycle is told, where it stands, and what it reports. Plain values; imports no torch."""

from __future__ import annotations

import msgspec

from sleepengine.memory.facts import Verified


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a cycle shall do beyond its facts and its view.

    `rebuild` is why the adapter is trained from the bare base instead of on the current one; "" where it is not.
    `adapters` are blobs of what phases of this very cycle made before a crash; these phases are not run again.
    """

    kind: str = "sleep"  # or "nap"
    rebuild: str = ""
    adapters: dict[str, str] = {}


class PhaseMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What a training phase measured.

    Perplexities are on the gate text, which no training sees, with every edit silenced. Recalls, in [0, 1], are over
    all facts' gate prompts under the adapter alone; `joint` is over questions that ask for two facts at once (None: not
    asked). `leaked` is the share of near names that got a taught answer, `drift` in nats a token from the base's own
    answers. `loss` and `kl` are the last step's. `refusal` says why the gate refused the phase's work.
    """

    ppl_before: float
    ppl_after: float
    recall_raw: float
    recall_chat: float
    steps: int
    tokens: int
    loss: float
    seconds: float
    kl: float = 0.0
    drift: float = 0.0
    leaked: float = 0.0
    canaries: int = 0
    joint: float | None = None
    joint_before: float | None = None
    dreams: int = 0
    dreams_written: int = 0  # by the model; the others are composed of the facts' sentences
    refusal: str = ""


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
    """One bar of the hypnogram, in seconds since the cycle began."""

    phase: str
    start: float
    end: float


class NightReport(msgspec.Struct, frozen=True, kw_only=True):
    """A finished cycle. `outcome` is "committed" (a proposal until the ledger has it), "rejected", "aborted" or
    "nothing"; `generation` is the new adapter's blob when committed. `peak_bytes` is the most memory held at once."""

    outcome: str
    reason: str = ""
    kind: str = "sleep"
    generation: str | None = None
    rebuilt: str = ""
    facts: tuple[FactOutcome, ...] = ()
    sws: PhaseMetrics | None = None
    rem: PhaseMetrics | None = None
    spans: tuple[PhaseSpan, ...] = ()
    base_ppl: float = 0.0
    drift: float = 0.0
    seconds: float = 0.0
    peak_bytes: int = 0
