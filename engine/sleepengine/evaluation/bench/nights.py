"""The sleep bench: what the adapter alone knows after nights, on phrasings and names of the bench's own.

After every step of an arm's script the same prompts are asked as in the wake bench, of the facts that were given so
far: of the adapter alone, with every edit silenced, and where that is asked for of the live view too.
"""

from __future__ import annotations

import datetime
import platform
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sleepengine.backends.base import BARE, Backend, Mounted, Work
from sleepengine.evaluation.bench.asking import Limits, Reply, ask_base, ask_view
from sleepengine.evaluation.bench.data import VERSION, pool_hash
from sleepengine.evaluation.bench.life import Life, Stages
from sleepengine.evaluation.bench.probes import Cell, Probe, fill, probes
from sleepengine.evaluation.bench.recipes import SleepArm, count_of, settings_of
from sleepengine.evaluation.bench.scenario import Scenario, Taught, scenario
from sleepengine.evaluation.bench.scoring import Estimate, estimate, metrics
from sleepengine.evaluation.perplexity import perplexity
from sleepengine.evaluation.recall import contains
from sleepengine.evaluation.texts import report_text
from sleepengine.memory.blobs import BlobStore
from sleepengine.sleep.report import NightReport
from sleepengine.wake.editing import Editor

JOINT = "two facts at once"
JOINT_PAIRS = 60


class Viewed(msgspec.Struct, frozen=True, kw_only=True):
    """What one view answers. `first` are the same columns over the facts of the script's first step alone. Perplexities
    are of the report text, which neither training nor gates read."""

    all: dict[str, Estimate]
    first: dict[str, Estimate]
    perplexity_base: float
    perplexity: float
    perplexity_change: float  # relative
    replies: tuple[Reply, ...]


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the script, what it cost and left. `adapter` and `awake` are None where they were not measured."""

    step: str
    seconds: float
    facts: int
    stages: Stages
    report: NightReport | None
    adapter: Viewed | None
    awake: Viewed | None


class SeedNights(msgspec.Struct, frozen=True, kw_only=True):
    """All steps of one seed."""

    seed: int
    steps: tuple[StepResult, ...]


class ArmNights(msgspec.Struct, frozen=True, kw_only=True):
    """One arm's seeds."""

    arm: SleepArm
    seeds: tuple[SeedNights, ...]


class SleepResult(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the sleep bench. `pool` is the hash of the bench's data files: only equal ones compare."""

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
    arms: tuple[ArmNights, ...]


class SleepPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `cell` is how many prompts a leak column has at least; `awake` measures the live view too."""

    arms: tuple[SleepArm, ...]
    seeds: tuple[int, ...]
    limits: Limits
    command: tuple[str, ...]
    cell: int
    awake: bool = False


@dataclass(frozen=True)
class Ground:
    """One seed's facts, and everything that is asked of them with what the bare base says to it."""

    known: Scenario
    asked: tuple[tuple[Probe, str], ...]


class Nights:
    """Runs a plan on one loaded model; what the base answers is asked once a seed."""

    def __init__(self, backend: Backend, editor: Editor, plan: SleepPlan, announce: Callable[[str], None]) -> None:
        self._backend, self._editor, self._plan, self._announce = backend, editor, plan, announce
        self._grounds: dict[tuple[int, int], Ground] = {}
        self._base_ppl: float | None = None

    def run(self, keep: Callable[[SleepResult], None]) -> Work[SleepResult]:
        """All arms and seeds; `keep` is given the result as far as it is after every seed."""
        done: list[ArmNights] = []
        for arm in self._plan.arms:
            seeds: list[SeedNights] = []
            for seed in self._plan.seeds:
                seeds.append((yield from self._seed(arm, seed)))
                keep(self._result([*done, ArmNights(arm=arm, seeds=tuple(seeds))]))
            done.append(ArmNights(arm=arm, seeds=tuple(seeds)))
        return self._result(done)

    def _seed(self, arm: SleepArm, seed: int) -> Work[SeedNights]:
        settings = settings_of(arm, seed)
        ground = yield from self._ground(arm.facts, seed)
        steps: list[StepResult] = []
        with tempfile.TemporaryDirectory(prefix="sleepd-bench-") as folder:
            life = Life(self._backend, BlobStore(Path(folder)), self._editor, settings)
            for number, step in enumerate(arm.script):
                self._announce(f"{arm.name}, seed {seed}, step {number + 1} of {len(arm.script)}: {step}")
                found = yield from self._step(life, step, ground, count_of(arm.script[0]))
                self._announce(brief(found))
                steps.append(found)
        return SeedNights(seed=seed, steps=tuple(steps))

    def _step(self, life: Life, step: str, ground: Ground, first: int) -> Work[StepResult]:
        fresh = ground.known.facts[len(life.facts) : len(life.facts) + count_of(step)]
        begun, report = time.monotonic(), None
        if step.startswith("learn"):
            yield from life.learn(fresh)
        elif step.startswith("teach"):
            life.teach(fresh)
        else:
            report = yield from life.cycle(step)
        seconds = time.monotonic() - begun
        adapter = awake = None
        if report is not None:
            adapter = yield from self._viewed(life.mounted(edits=False), ground, len(life.facts), first)
        if self._plan.awake:
            awake = yield from self._viewed(life.mounted(edits=True), ground, len(life.facts), first)
        return StepResult(
            step=step,
            seconds=seconds,
            facts=len(life.facts),
            stages=life.stages,
            report=report,
            adapter=adapter,
            awake=awake,
        )

    def _ground(self, facts: int, seed: int) -> Work[Ground]:
        if (facts, seed) not in self._grounds:
            known = scenario(seed, facts, self._plan.cell)
            asked = probes(known, self._plan.cell)
            self._announce(f"seed {seed}: asking the base {len(asked)} prompts")
            before = yield from ask_base(self._backend, asked, self._plan.limits)
            self._grounds[(facts, seed)] = Ground(known, tuple(zip(asked, before, strict=True)))
        return self._grounds[(facts, seed)]

    def _viewed(self, view: Mounted, ground: Ground, given: int, first: int) -> Work[Viewed]:
        here = [(p, b) for p, b in ground.asked if p.fact is None or p.fact < given]
        replies = yield from ask_view(
            self._backend, [p for p, _ in here], view, [b for _, b in here], self._plan.limits
        )
        joint = yield from self._joint(view, ground.known.taught[:given], ground.known.seed)
        if self._base_ppl is None:
            base = yield from perplexity(self._backend, report_text(), self._backend.mount(BARE))
            self._base_ppl = base.value
        now = yield from perplexity(self._backend, report_text(), view)
        earliest = [r for r in replies if r.probe.fact is not None and r.probe.fact < first]
        return Viewed(
            all={**metrics(replies), **joint},
            first=metrics(earliest),
            perplexity_base=self._base_ppl,
            perplexity=now.value,
            perplexity_change=now.value / self._base_ppl - 1.0,
            replies=tuple(replies),
        )

    def _joint(self, view: Mounted, taught: Sequence[Taught], seed: int) -> Work[dict[str, Estimate]]:
        """Questions that ask for two facts; right where both objects are in the reply."""
        asked = list(joint_questions(taught, seed))
        if not asked:
            return {}
        tokenizer = self._backend.tokenizer
        prompts = [tokenizer.encode(tokenizer.render_chat([("user", q)])) for q, _ in asked]
        found = yield from self._backend.decode(prompts, view, 2 * self._plan.limits.chat)
        texts = [tokenizer.decode(reply) for reply in found]
        hits = sum(all(contains(text, o) for o in objects) for text, (_, objects) in zip(texts, asked, strict=True))
        return {JOINT: estimate(hits, len(asked), 0)}

    def _result(self, arms: Sequence[ArmNights]) -> SleepResult:
        spec = self._backend.spec
        return SleepResult(
            bench="sleep",
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
            cell=self._plan.cell,
            arms=tuple(arms),
        )


def without_replies(result: SleepResult) -> SleepResult:
    """The same without every prompt and reply."""

    def bare(viewed: Viewed | None) -> Viewed | None:
        return None if viewed is None else msgspec.structs.replace(viewed, replies=())

    def shorter(step: StepResult) -> StepResult:
        return msgspec.structs.replace(step, adapter=bare(step.adapter), awake=bare(step.awake))

    arms = []
    for arm in result.arms:
        seeds = [msgspec.structs.replace(s, steps=tuple(shorter(step) for step in s.steps)) for s in arm.seeds]
        arms.append(msgspec.structs.replace(arm, seeds=tuple(seeds)))
    return msgspec.structs.replace(result, arms=tuple(arms))


def joint_questions(taught: Sequence[Taught], seed: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Pairs of facts asked for together, in the bench's own words: those of one subject first, then at random."""
    draw = random.Random(f"joint:{seed}")
    pairs = [(a, b) for i, a in enumerate(taught) for b in taught[i + 1 :]]
    draw.shuffle(pairs)
    pairs.sort(key=lambda pair: pair[0].subject != pair[1].subject)
    for one, other in pairs[:JOINT_PAIRS]:
        same = one.subject == other.subject
        first = fill(draw.choice(one.relation.chat), one.subject)
        second = fill(draw.choice(other.relation.chat), other.subject)
        if same:
            second = second.replace(other.subject.name, other.subject.they)
        question = f"{first.rstrip('?')} and {second[0].lower()}{second[1:]}"
        yield question, (one.fact.object, other.fact.object)


def brief(step: StepResult) -> str:
    """A step in one line, for progress."""
    text = f"  {step.step}: {step.seconds:.1f} s"
    if step.report is not None:
        text += f", {step.report.outcome}" + (f" ({step.report.reason})" if step.report.reason else "")
    if step.adapter is not None:
        seen = step.adapter.all
        shown = (
            ("raw", Cell.RAW), ("rawP", Cell.RAW_PARAPHRASE), ("chat", Cell.CHAT), ("chatP", Cell.CHAT_PARAPHRASE),
            ("joint", JOINT), ("near", Cell.NEAR_CHAT), ("nearR", Cell.NEAR_RAW), ("other", Cell.OTHER_CHAT),
            ("stranger", Cell.STRANGER_CHAT),
        )  # fmt: skip
        text += "".join(f", {name} {seen[cell].value:.2f}" for name, cell in shown if cell in seen)
        text += f", ppl {100 * step.adapter.perplexity_change:+.2f} %"
    return text
