"""How a night trains and what its gates demand: every setting of sleep, in one typed place. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
ByEffort = Annotated[int, msgspec.Meta(ge=-1)]
"""-1 leaves it to the effort."""


@dataclass(frozen=True)
class StepRows:
    """What one training step holds: the facts' own rows, and three kinds that are held to the base."""

    facts: int
    pairs: int  # minimal pairs: the same prompt about somebody else
    others: int  # other relations of the same subject
    anchors: int  # general answers and prose


FULL, SHORT = StepRows(7, 4, 4, 4), StepRows(5, 4, 2, 4)


class SleepSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The defaults are for models near 135M parameters; docs/research-log.md says where they come from."""

    # the adapter
    rank: int = 16
    alpha: float = 32.0
    layers: Literal["all", "above_edits"] = "all"  # the blocks that the adapter stands beside
    modules: Literal["all", "mlp"] = "all"  # the linear layers of these blocks

    # what is taught, and what strangers get
    targets: Literal["templates", "self_answers", "teacher"] = "templates"  # facts' sentences; the base's own answers
    # with the facts before its eyes; its distribution over those answers
    strangers: Literal["base", "abstain"] = "base"  # about near names: what the base says, or that it is not known
    chat_share: Share = 0.65  # of the fact rows; the others are raw text
    phrasings: Annotated[int, msgspec.Meta(ge=0)] = 0  # of a fact that are trained, a channel; 0: all

    # a step
    effort: Literal["full", "short"] = "full"  # short: two thirds of the rows; learns as much and leaks more
    fact_rows: ByEffort = -1
    pair_rows: ByEffort = -1
    other_rows: ByEffort = -1
    anchor_rows: ByEffort = -1
    frame_weight: float = 0.3  # what an answer's tokens outside the object weigh together; the object's weigh 1
    pair_frame_weight: float = 0.5  # the same in a pair, whose decisive position weighs 1
    contrast_factor: float = 0.5  # of the mean KL to the base over pairs and other relations; the facts weigh 1
    anchor_factor: float = 1.5  # of the mean KL to the base over general anchors
    reverse: float = 0.5  # of KL(student || base), added to KL(base || student) in pairs and other relations
    unlikelihood: float = 0.0  # of the fact's object where a pair would leak it
    mined_unlikelihood: float = 0.5  # the same where it did leak it

    # how long
    learning_rate: float = 2e-3
    steps: Annotated[int, msgspec.Meta(ge=0)] = 0  # 0: steps_per_root times the square root of the number of facts
    steps_per_root: float = 46.0
    max_steps: int = 800
    warmup: Share = 0.08  # of the steps
    early_stop: bool = True  # cool down once everything held back is recalled and nothing leaks
    patience: int = 2  # checks in a row
    cooldown: Share = 0.25  # of the planned steps, over which the rate falls to nothing after an early stop
    check_every: Share = 0.125  # of the planned steps
    mine_rows: Annotated[int, msgspec.Meta(ge=0)] = 16  # prompts a check that are searched for leaks; 0: none

    # REM
    rem: bool = True
    dreams: int = 12  # conversations at most
    rem_steps: float = 0.3  # of SWS's steps
    rem_rate: float = 0.5  # of the learning rate

    # naps
    nap_steps: int = 12
    nap_rate: float = 0.5  # of the learning rate

    # gates
    gate: Literal["strict", "paper", "none"] = "strict"  # paper: canaries for SWS and Eq. 3 for REM; none: experiments
    recall_threshold: Share = 0.5  # of a fact's gate prompts that must be answered, per channel
    ppl_budget: float = 0.005  # relative perplexity rise allowed a night
    lifetime_ppl_budget: float = 0.01  # relative perplexity rise allowed over the bare base
    drift_budget: float = 0.15  # nats a token from the base's own answers
    canary_share: Share = 0.8  # of the canaries answered before that must be answered after
    recall_loss: Share = 0.02  # of the facts recalled before that may be lost, by SWS or by REM
    leak_rise: float = 0.05  # near names that get a fact's object, as a share of those asked
    leak_prompts: ByEffort = -1  # near names that the gates ask about

    # what becomes of edits and generations
    residual_scale: Share = 0.1  # edit scale at stage 1
    consolidated_scale: Share = 0.0  # edit scale at stage 2
    replay: int = 40  # consolidated facts that a night trains again, the most at risk first
    rebuild_every: int = 10  # nights after which the adapter is trained from the base again; 0: never
    seed: int = 0

    @property
    def rows(self) -> StepRows:
        """What a step holds."""
        usual = SHORT if self.effort == "short" else FULL
        return StepRows(
            facts=usual.facts if self.fact_rows < 0 else self.fact_rows,
            pairs=usual.pairs if self.pair_rows < 0 else self.pair_rows,
            others=usual.others if self.other_rows < 0 else self.other_rows,
            anchors=usual.anchors if self.anchor_rows < 0 else self.anchor_rows,
        )

    def near_names(self, on_cpu: bool) -> int:
        """How many near names a gate asks about."""
        if self.leak_prompts >= 0:
            return self.leak_prompts
        return 30 if on_cpu else 60

    def planned_steps(self, facts: int) -> int:
        """How many steps a training over so many facts may take."""
        return self.steps or max(1, min(self.max_steps, round(self.steps_per_root * facts**0.5)))
