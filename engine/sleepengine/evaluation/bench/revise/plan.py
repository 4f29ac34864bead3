"""What a run of the revise bench is, and the options that ask for one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from sleepengine.errors import EngineError
from sleepengine.evaluation.bench.asking import Limits
from sleepengine.evaluation.bench.recipes import SleepArm, pairs, settings_of
from sleepengine.evaluation.bench.revise.cast import Counts, cast

EPILOG = """Half of the corrected, forgotten and other facts are slept on first, the other half is held by edits alone
when facts are revised. Everything is asked before the revision, at once after it, and after the next sleep."""


class RevisePlan(msgspec.Struct, frozen=True, kw_only=True):
    """`nights` are slept before the revision; `settings` of sleep differ from the defaults."""

    counts: Counts
    nights: int
    settings: dict[str, str]
    seeds: tuple[int, ...]
    limits: Limits
    command: tuple[str, ...]

    @property
    def arm(self) -> SleepArm:
        """The settings of sleep, as the sleep bench says them."""
        return SleepArm(name="revise", recipe="ours", script=(f"learn:{self.counts.all}",), settings=self.settings)


def add_parser(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`revise`, beside the other benches."""
    revise = kinds.add_parser("revise", help="what is left of corrected and forgotten facts", epilog=EPILOG)
    revise.add_argument("--model", required=True, help="short name, hub name or folder")
    revise.add_argument("--models-dir", type=Path, required=True)
    revise.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N, mps")
    revise.add_argument("--editor", choices=("gated", "memit"), default="gated")
    revise.add_argument("--corrections", type=int, default=Counts().corrected, help="facts that are corrected")
    revise.add_argument(
        "--forgettings", type=int, default=Counts().forgotten, help="facts that are forgotten; as many are never taught"
    )
    revise.add_argument("--others", type=int, default=Counts().others, help="facts that nobody touches")
    revise.add_argument("--nights", type=int, default=1, help="sleeps over one half of them before the revision")
    revise.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of sleep")
    revise.add_argument("--seeds", default="0,1,2", help="0,1,2")
    revise.add_argument("--out", type=Path, required=True, help="folder for revise.json, revise.txt and revise.md")
    revise.add_argument("--raw-tokens", type=int, default=Limits().raw, help="longest raw reply")
    revise.add_argument("--chat-tokens", type=int, default=Limits().chat, help="longest chat reply")
    revise.add_argument("--json", action="store_true", help="print the result as JSON, without prompts and replies")


def plan_from(options: argparse.Namespace) -> RevisePlan:
    """What the options ask for. Raises EngineError before anything is loaded."""
    counts = Counts(corrected=options.corrections, forgotten=options.forgettings, others=options.others)
    if min(counts.corrected, counts.forgotten, counts.others) < 2:
        raise EngineError("of each kind there must be two facts at least: one is slept on, one is not")
    if options.nights < 1:
        raise EngineError("without a night before the revision nothing is consolidated")
    plan = RevisePlan(
        counts=counts,
        nights=options.nights,
        settings=pairs(options.set),
        seeds=tuple(int(part) for part in options.seeds.split(",")),
        limits=Limits(raw=options.raw_tokens, chat=options.chat_tokens),
        command=tuple(sys.argv[1:]),
    )
    settings_of(plan.arm, plan.seeds[0])
    for seed in plan.seeds:
        cast(seed, counts)
    return plan
