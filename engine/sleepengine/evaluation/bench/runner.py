"""Arms and seeds to one result, written after every seed: what was measured is not lost when the rest is."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Protocol

import msgspec

from sleepengine.backends.base import Backend
from sleepengine.evaluation.bench.asking import Limits, ask_base
from sleepengine.evaluation.bench.conditions import Condition
from sleepengine.evaluation.bench.data import VERSION, pool_hash
from sleepengine.evaluation.bench.scenario import CELL
from sleepengine.evaluation.bench.scoring import Estimate
from sleepengine.evaluation.bench.seed import SeedResult, run_seed
from sleepengine.evaluation.bench.tasks import Set, Task, task
from sleepengine.evaluation.shares import wilson
from sleepengine.evaluation.work import finish


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared: a condition by name, a number of facts, whether an editor learns them one by one, and settings
    of the editor that differ from its profile."""

    condition: str
    facts: int
    set: Set = Set.PEOPLE
    alone: bool = False
    settings: dict[str, float] = {}

    @property
    def label(self) -> str:
        """A column's heading."""
        settings = "".join(f", {name} {value:g}" for name, value in self.settings.items())
        kind = "facts" if self.set is Set.PEOPLE else "facts of the user"
        return f"{self.condition}, {self.facts} {kind}{', one by one' if self.alone else ''}{settings}"


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A figure over the seeds: mean and sample standard deviation (0 with one seed)."""

    mean: float
    sd: float


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A share over the seeds: mean and deviation of the seeds' values, the interval of all prompts together, and the
    base's share."""

    mean: float
    sd: float
    hits: int
    n: int
    low: float
    high: float
    base: float


class ArmResult(msgspec.Struct, frozen=True, kw_only=True):
    """One arm's seeds and what they come to."""

    arm: Arm
    seeds: tuple[SeedResult, ...]
    all: dict[str, Share]
    listed: dict[str, Share]
    unlisted: dict[str, Share]
    numbers: dict[str, Spread]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the bench. `pool` is the hash of the bench's data files: only equal ones compare."""

    bench: str
    version: int
    pool: str
    command: tuple[str, ...]
    date: str
    model: str
    identity: str
    device: str
    dtype: str
    platform: str
    limits: Limits
    cell: int
    arms: tuple[ArmResult, ...]


class Written(Protocol):
    """A result of any bench; its file is named after `bench`."""

    @property
    def bench(self) -> str:
        """Which bench it is of."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `cell` is how many prompts a leak column has at least, and a knowledge column at most."""

    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    limits: Limits
    command: tuple[str, ...]
    cell: int = CELL


def run(
    backend: Backend,
    plan: Plan,
    condition: Callable[[Arm], Condition],
    announce: Callable[[str], None],
    keep: Callable[[Result], None],
) -> Result:
    """Run the plan; `keep` is given the result as far as it is after every seed."""
    done: list[ArmResult] = []
    controls: dict[Task, list[str]] = {}  # arms that ask the same of the base share its replies
    for arm in plan.arms:
        seeds: list[SeedResult] = []
        announce(f"{arm.label}: opening; the first time, the model is measured for it")
        measured = condition(arm)
        for seed in plan.seeds:

            def say(text: str, prefix: str = f"{arm.label}, seed {seed}") -> None:
                announce(f"{prefix}: {text}")

            asked = task(arm.set, seed, arm.facts, plan.cell)
            if asked not in controls:
                say(f"asking the base {len(asked.probes)} prompts")
                controls[asked] = finish(ask_base(backend, asked.probes, plan.limits))
            seeds.append(finish(run_seed(backend, measured, asked, controls[asked], plan.limits, say)))
            keep(_result(backend, plan, [*done, summarise(arm, seeds)]))
        done.append(summarise(arm, seeds))
    return _result(backend, plan, done)


def summarise(arm: Arm, seeds: Sequence[SeedResult]) -> ArmResult:
    """Means, deviations and pooled intervals."""
    numbers = [msgspec.structs.asdict(s.numbers) for s in seeds]
    return ArmResult(
        arm=arm,
        seeds=tuple(seeds),
        all=_shares([s.all for s in seeds]),
        listed=_shares([s.listed for s in seeds]),
        unlisted=_shares([s.unlisted for s in seeds]),
        numbers={name: _spread([n[name] for n in numbers]) for name in numbers[0]},
    )


def save(result: Written, folder: Path) -> Path:
    """Write the result as JSON, with every prompt and reply. The folder must exist."""
    path = folder / f"{result.bench}.json"
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(result))
    partial.replace(path)
    return path


def _shares(seeds: Sequence[dict[str, Estimate]]) -> dict[str, Share]:
    return {name: _share([s[name] for s in seeds if name in s]) for name in dict.fromkeys(n for s in seeds for n in s)}


def _share(found: Sequence[Estimate]) -> Share:
    spread = _spread([e.value for e in found])
    hits, n = sum(e.hits for e in found), sum(e.n for e in found)
    low, high = wilson(hits, n)
    base = fmean(e.base for e in found)
    return Share(mean=spread.mean, sd=spread.sd, hits=hits, n=n, low=low, high=high, base=base)


def _spread(values: Sequence[float]) -> Spread:
    return Spread(mean=fmean(values), sd=stdev(values) if len(values) > 1 else 0.0)


def _result(backend: Backend, plan: Plan, arms: Sequence[ArmResult]) -> Result:
    spec = backend.spec
    return Result(
        bench="wake",
        version=VERSION,
        pool=pool_hash(),
        command=plan.command,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        model=spec.name,
        identity=spec.identity,
        device=spec.device,
        dtype=spec.dtype,
        platform=platform.platform(terse=True),
        limits=plan.limits,
        cell=plan.cell,
        arms=tuple(arms),
    )
