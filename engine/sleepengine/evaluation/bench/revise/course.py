"""Runs the revise bench: teach, sleep, teach more, correct and forget, sleep again, and ask after each."""

from __future__ import annotations

import datetime
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sleepengine.backends.base import BARE, Backend, Work
from sleepengine.evaluation.bench.asking import Limits, ask_base
from sleepengine.evaluation.bench.data import VERSION, pool_hash
from sleepengine.evaluation.bench.life import Life, Stages
from sleepengine.evaluation.bench.probes import Probe
from sleepengine.evaluation.bench.recipes import settings_of
from sleepengine.evaluation.bench.revise.asking import (
    Answer,
    Likelihood,
    answers,
    beside_base,
    likelihoods,
    questions,
)
from sleepengine.evaluation.bench.revise.cast import Counts, Half, Part, Role, cast
from sleepengine.evaluation.bench.revise.plan import RevisePlan
from sleepengine.evaluation.bench.revise.scores import Bound, Figures, bounds, figures, mean_bounds
from sleepengine.memory.blobs import BlobStore
from sleepengine.sleep.report import NightReport
from sleepengine.wake.editing import Editors

LEARN, NIGHT, REVISE = "learning", "sleeping", "correcting and forgetting"
BEFORE, AT_ONCE, SLEPT = "before", "at once", "after the next sleep"


class PartRow(msgspec.Struct, frozen=True, kw_only=True):
    """A fact of the run, as the answers' and likelihoods' `part` counts them. `stage` is the one that it was revised
    at, None for what was never taught; `correction` the statement that took its place."""

    group: str
    statement: str
    object: str
    stage: int | None
    correction: str
    matched: tuple[str, ...]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """What the live view answers at one time."""

    name: str
    figures: Figures
    bounds: tuple[Bound, ...]
    answers: tuple[Answer, ...]
    likelihoods: tuple[Likelihood, ...]


class SeedRevised(msgspec.Struct, frozen=True, kw_only=True):
    """One seed. `not_silenced` counts forgotten facts whose suppression could not be verified, `not_corrected` new
    values whose edit did not come out; `nights` are all nights' reports, the last after the revision."""

    seed: int
    parts: tuple[PartRow, ...]
    moments: tuple[Moment, ...]
    nights: tuple[NightReport, ...]
    stages: Stages
    not_silenced: int
    not_corrected: int
    seconds: dict[str, float]


class ReviseResult(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the revise bench. `bounds` are held to the means over the seeds, by moment; `pool` is the hash of the
    bench's data files: only equal ones compare."""

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
    counts: Counts
    settings: dict[str, str]
    seeds: tuple[SeedRevised, ...]
    bounds: dict[str, tuple[Bound, ...]]


class Course:
    """Runs a plan on one loaded model."""

    def __init__(self, backend: Backend, editors: Editors, plan: RevisePlan, announce: Callable[[str], None]) -> None:
        self._backend, self._editors, self._plan, self._announce = backend, editors, plan, announce

    def run(self, keep: Callable[[ReviseResult], None]) -> Work[ReviseResult]:
        """All seeds; `keep` is given the result as far as it is after every seed."""
        seeds: list[SeedRevised] = []
        for seed in self._plan.seeds:
            seeds.append((yield from self._seed(seed)))
            keep(self._result(seeds))
        return self._result(seeds)

    def _seed(self, seed: int) -> Work[SeedRevised]:
        parts = cast(seed, self._plan.counts)
        probes = questions(parts, seed)
        self._announce(f"seed {seed}: asking the base {len(probes)} prompts")
        said = yield from ask_base(self._backend, probes, self._plan.limits)
        likely = yield from likelihoods(self._backend, parts, self._backend.mount(BARE))
        with tempfile.TemporaryDirectory(prefix="sleepd-bench-") as folder:
            settings, blobs = settings_of(self._plan.arm, seed), BlobStore(Path(folder))
            life = Life(self._backend, blobs, self._editors, settings, self._editors)
            lived = Lived(self._backend, life, parts, Asked(probes, said, likely), self._plan.limits)
            nights, stages = [], {}
            for name, step in lived.steps(self._plan.nights):
                self._announce(f"seed {seed}: {name}")
                begun = time.monotonic()
                report = yield from step
                lived.seconds[name] = lived.seconds.get(name, 0.0) + time.monotonic() - begun
                if report is not None:
                    nights.append(report)
                    self._announce(f"seed {seed}: {report.outcome} {report.reason}")
                if name == BEFORE:
                    stages = {fact_id: int(fact.stage) for fact_id, fact in life.facts.items()}
        return SeedRevised(
            seed=seed,
            parts=tuple(_row(part, stages.get(part.fact.id)) for part in parts),
            moments=tuple(lived.moments),
            nights=tuple(nights),
            stages=life.stages,
            not_silenced=lived.not_silenced,
            not_corrected=lived.not_corrected,
            seconds=lived.seconds,
        )

    def _result(self, seeds: Sequence[SeedRevised]) -> ReviseResult:
        spec = self._backend.spec
        names = [m.name for m in seeds[0].moments if m.bounds]
        found = {n: [next(m.bounds for m in seed.moments if m.name == n) for seed in seeds] for n in names}
        return ReviseResult(
            bench="revise",
            version=VERSION,
            pool=pool_hash(),
            command=self._plan.command,
            date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            model=spec.name,
            identity=spec.identity,
            device=spec.device,
            dtype=spec.dtype,
            platform=platform.platform(terse=True),
            limits=self._plan.limits,
            counts=self._plan.counts,
            settings=self._plan.settings,
            seeds=tuple(seeds),
            bounds={name: tuple(mean_bounds(each)) for name, each in found.items()},
        )


@dataclass(frozen=True)
class Asked:
    """What is asked of one seed, with what the bare base says to it and how likely it finds each object."""

    probes: Sequence[Probe]
    said: Sequence[str]
    likely: Sequence[Sequence[float]]


class Lived:
    """One seed's memory on its way through the course, and what was found on the way."""

    def __init__(self, backend: Backend, life: Life, parts: Sequence[Part], asked: Asked, limits: Limits) -> None:
        self._backend, self._life, self._parts, self._asked, self._limits = backend, life, parts, asked, limits
        self.moments: list[Moment] = []
        self.seconds: dict[str, float] = {}
        self.not_silenced = self.not_corrected = 0

    def steps(self, nights: int) -> Iterator[tuple[str, Work[NightReport | None]]]:
        """What happens, in order, by name."""
        yield LEARN, self._learn(Half.CONSOLIDATED)
        for _ in range(nights):
            yield NIGHT, self._sleep()
        yield LEARN, self._learn(Half.ACTIVE)
        yield BEFORE, self._ask(BEFORE)
        yield REVISE, self._revise()
        yield AT_ONCE, self._ask(AT_ONCE)
        yield NIGHT, self._sleep()
        yield SLEPT, self._ask(SLEPT)

    def _learn(self, half: Half) -> Work[None]:
        yield from self._life.learn([p.fact for p in self._parts if p.half is half])

    def _sleep(self) -> Work[NightReport]:
        return (yield from self._life.cycle("sleep"))

    def _revise(self) -> Work[None]:
        facts = self._life.facts
        pairs = [(facts[p.fact.id], p.correction) for p in self._parts if p.role is Role.CORRECTED]
        self.not_corrected = yield from self._life.correct(pairs)
        forgotten = [facts[p.fact.id] for p in self._parts if p.role is Role.FORGOTTEN]
        self.not_silenced = yield from self._life.forget(forgotten)

    def _ask(self, name: str) -> Work[None]:
        view = self._life.mounted(edits=True)
        found = yield from answers(self._backend, self._parts, self._asked.probes, self._asked.said, view, self._limits)
        now = yield from likelihoods(self._backend, self._parts, view)
        likely = beside_base(self._parts, now, self._asked.likely)
        seen = figures(found, likely)
        held = bounds(self.moments[0].figures, seen, slept=name == SLEPT) if self.moments else []
        self.moments.append(
            Moment(name=name, figures=seen, bounds=tuple(held), answers=tuple(found), likelihoods=tuple(likely))
        )


def without_replies(result: ReviseResult) -> ReviseResult:
    """The same without prompts, replies and log-probabilities."""

    def shorter(moment: Moment) -> Moment:
        return msgspec.structs.replace(moment, answers=(), likelihoods=())

    seeds = [msgspec.structs.replace(s, moments=tuple(map(shorter, s.moments))) for s in result.seeds]
    return msgspec.structs.replace(result, seeds=tuple(seeds))


def _row(part: Part, stage: int | None) -> PartRow:
    return PartRow(
        group=part.group,
        statement=part.fact.statement,
        object=part.fact.object,
        stage=stage,
        correction=part.correction.statement if part.role is Role.CORRECTED else "",
        matched=part.matched,
    )
