"""The options of `bench sleep`, and what they ask for."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sleepengine.errors import EngineError
from sleepengine.evaluation.bench.asking import Limits
from sleepengine.evaluation.bench.nights import SleepPlan
from sleepengine.evaluation.bench.recipes import RECIPES, SleepArm, count_of, pairs, parse_arm, settings_of, tables
from sleepengine.evaluation.bench.scenario import CELL
from sleepengine.evaluation.bench.setup import EDITORS

EPILOG = """Without --arm or --table there is one arm for each --recipe. An arm is NAME:key=value,key=value, where a key
is a setting of sleep, `recipe` or `script` (steps joined by "+"); --set applies to all arms. Steps: learn:N edits N
facts in, teach:N leaves them for the night without an edit, nap, sleep."""


def add_parser(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`sleep`, beside the other benches."""
    sleep = kinds.add_parser("sleep", help="what nights consolidate", epilog=EPILOG)
    sleep.add_argument("--model", required=True, help="short name, hub name or folder")
    sleep.add_argument("--models-dir", type=Path, required=True)
    sleep.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N, mps")
    sleep.add_argument("--editor", choices=tuple(EDITORS), default="gated")
    sleep.add_argument("--recipe", default="ours", help=f"a list of {', '.join(RECIPES)}")
    sleep.add_argument("--facts", type=int, default=20, help="facts of the one sleep")
    sleep.add_argument("--nights", type=int, default=1, help="sleeps after them")
    sleep.add_argument("--cycles", type=int, default=1, help="times that facts come and are slept on")
    sleep.add_argument("--facts-per-cycle", type=int, help="facts of each of the cycles")
    sleep.add_argument("--script", help="steps joined by commas, in place of the four options above")
    sleep.add_argument("--no-learn", action="store_true", help="do not edit the facts in before the night")
    sleep.add_argument("--table", choices=("5", "6", "7", "8", "9"), help="the arms of one of the paper's tables")
    sleep.add_argument("--arm", action="append", default=[], metavar="ARM", help="one arm; may be repeated")
    sleep.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of sleep, for all arms")
    sleep.add_argument("--seeds", default="0,1,2", help="0,1,2")
    sleep.add_argument("--awake", action="store_true", help="measure the live view too, after every step")
    sleep.add_argument("--out", type=Path, required=True, help="folder for sleep.json, sleep.txt and sleep.md")
    sleep.add_argument("--cell", type=int, default=CELL, help="prompts that a leak column has at least")
    sleep.add_argument("--raw-tokens", type=int, default=Limits().raw, help="longest raw reply")
    sleep.add_argument("--chat-tokens", type=int, default=Limits().chat, help="longest chat reply")
    sleep.add_argument("--json", action="store_true", help="print the result as JSON, without prompts and replies")


def plan_from(options: argparse.Namespace) -> SleepPlan:
    """What the options ask for. Raises EngineError before anything is loaded."""
    shared = pairs(options.set)
    script = tuple(options.script.split(",")) if options.script else _script(options)
    if options.table:
        preset = tables(options.facts)[options.table]
        arms = tuple(
            SleepArm(name=a.name, recipe=a.recipe, script=a.script, settings={**a.settings, **shared}) for a in preset
        )
    elif options.arm:
        arms = tuple(parse_arm(text, script, options.recipe, shared) for text in options.arm)
    else:
        names = options.recipe.split(",")
        arms = tuple(SleepArm(name=name, recipe=name, script=script, settings=shared) for name in names)
    seeds = tuple(int(part) for part in options.seeds.split(","))
    for arm in arms:
        settings_of(arm, seeds[0])
        if count_of(arm.script[0]) == 0:
            raise EngineError("a script begins with learn:N or teach:N")
    return SleepPlan(
        arms=arms,
        seeds=seeds,
        limits=Limits(raw=options.raw_tokens, chat=options.chat_tokens),
        command=tuple(sys.argv[1:]),
        cell=options.cell,
        awake=options.awake or options.table in ("6", "7", "8", "9"),
    )


def _script(options: argparse.Namespace) -> tuple[str, ...]:
    count = options.facts if options.facts_per_cycle is None else options.facts_per_cycle
    begin = "teach" if options.no_learn else "learn"
    once: tuple[str, ...] = (f"{begin}:{count}", *("sleep",) * int(options.nights))
    return once * int(options.cycles)
