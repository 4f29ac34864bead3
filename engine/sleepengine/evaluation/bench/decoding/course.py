"""Rounds in which the contenders take turns, so that a busy moment of the machine falls on none of them alone."""

from __future__ import annotations

import argparse
import datetime
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sleepengine.backends.base import BARE, Backend
from sleepengine.errors import EngineError
from sleepengine.evaluation.bench.decoding.contenders import Contender, HuggingFace, LlamaCpp, Ours, Timing
from sleepengine.evaluation.bench.scenario import scenario
from sleepengine.evaluation.bench.speed import QUESTION
from sleepengine.evaluation.work import finish, silently
from sleepengine.host.startup import open_backend, open_editors
from sleepengine.models.registry import ModelRecord, resolve
from sleepengine.wake.editing import ScaledEdit, Standing
from sleepengine.wake.learning import learn

VERSION = 1

Say = Callable[[str], None]


class SpeedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured. `facts` are edited in for a view of their own; `gguf` is a file for llama.cpp, "" for none."""

    model: str
    device: str = "auto"
    dtypes: tuple[str, ...] = ("auto",)
    facts: int = 5
    tokens: int = 48
    rounds: int = 3
    gguf: str = ""


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """One contender, its best round. Seconds to the first token, tokens a second after it.

    `roofline` is tokens a second if nothing but reading the weights took time, 0 where that is not known; `same_text`
    whether its greedy text was Hugging Face's, None where that was not measured.
    """

    name: str
    first: float
    rate: float
    rates: tuple[float, ...]
    tokens: int
    bytes_a_token: int
    roofline: float
    same_text: bool | None


class SpeedResult(msgspec.Struct, frozen=True, kw_only=True):
    """All of a run. `bandwidth` in bytes a second, `seconds_a_fact` by dtype, `threads` of torch, `load` the machine's
    load average at the end: above the number of cores the figures say little."""

    bench: str = "speed"
    version: int = VERSION
    model: str
    identity: str
    device: str
    threads: int
    date: str
    load: float
    bandwidth: float
    peak_bytes: int
    speeds: tuple[Speed, ...]
    seconds_a_fact: dict[str, float]
    left_out: tuple[str, ...]


def add_parser(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`speed`, beside the other benches."""
    speed = kinds.add_parser("speed", help="how fast a conversation is answered")
    speed.add_argument("--model", required=True, help="short name, hub name or folder")
    speed.add_argument("--models-dir", type=Path, required=True)
    speed.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N, mps")
    speed.add_argument(
        "--dtypes", default="auto", help="auto,int8: what the weights are stored in, one after the other"
    )
    speed.add_argument("--facts", type=int, default=5, help="facts that are edited in for a view of their own; 0: none")
    speed.add_argument("--tokens", type=int, default=48, help="length of a reply")
    speed.add_argument("--rounds", type=int, default=3, help="of which the best counts")
    speed.add_argument("--gguf", default="", help="a GGUF file of the model, for llama.cpp (needs llama-cpp-python)")
    speed.add_argument("--out", type=Path, required=True, help="folder for speed.json, .txt, .md and .png")
    speed.add_argument("--json", action="store_true", help="print the result as JSON")


def plan_from(options: argparse.Namespace) -> SpeedPlan:
    """What the options ask for. Raises EngineError before anything is loaded."""
    if options.tokens < 2 or options.rounds < 1 or options.facts < 0:
        raise EngineError("a speed needs two tokens, one round and no negative number of facts")
    names = ("model", "device", "facts", "tokens", "rounds", "gguf")
    return SpeedPlan(dtypes=tuple(options.dtypes.split(",")), **{name: getattr(options, name) for name in names})


def run(plan: SpeedPlan, models_dir: Path, say: Say) -> SpeedResult:
    """Load every contender, let them take turns, and compare. Raises EngineError where a model cannot be loaded."""
    import torch

    from sleepengine.evaluation.bench.decoding.bandwidth import read_bandwidth

    record = resolve(plan.model, models_dir)
    ours: list[Contender] = []
    facts: dict[str, float] = {}
    backends = []
    for dtype in plan.dtypes:
        say(f"loading {record.name}, {dtype}")
        backend = open_backend(record, plan.device, "torch", dtype)
        backends.append(backend)
        ours.append(Ours(f"sleepd, {backend.spec.dtype}", backend, backend.mount(BARE), _read(backend)))
        if plan.facts:
            edited, facts[backend.spec.dtype] = _edited(backend, models_dir, plan.facts, say)
            ours.append(edited)
    first = backends[0]
    plain = _plain(record, plan.device, say)
    contenders = [plain, *ours]
    left_out = []
    if plan.gguf:
        contenders.append(LlamaCpp(Path(plan.gguf), torch.get_num_threads(), 2048))
    else:
        left_out.append("llama.cpp: no GGUF file was given")
    prompt = first.tokenizer.encode(first.tokenizer.render_chat([("user", QUESTION)]))
    timings = take_turns(contenders, prompt, plan, say)
    say("reading a large matrix")
    bandwidth = read_bandwidth(first.spec.device)
    return SpeedResult(
        model=record.name,
        identity=record.identity,
        device=first.spec.device,
        threads=torch.get_num_threads(),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        load=os.getloadavg()[0],
        bandwidth=bandwidth,
        peak_bytes=first.peak_memory_bytes(),
        speeds=tuple(
            summary(c, t, timings[0][0].tokens if c is not plain else None, bandwidth)
            for c, t in zip(contenders, timings, strict=True)
        ),
        seconds_a_fact=facts,
        left_out=tuple(left_out),
    )


def take_turns(
    contenders: Sequence[Contender], prompt: tuple[int, ...], plan: SpeedPlan, say: Say
) -> list[list[Timing]]:
    """Every contender's timings, after one short run of each that does not count."""
    for contender in contenders:
        contender.run(prompt, 2)
    found: list[list[Timing]] = [[] for _ in contenders]
    for number in range(plan.rounds):
        for contender, timings in zip(contenders, found, strict=True):
            timings.append(contender.run(prompt, plan.tokens))
            say(f"round {number + 1}: {contender.name}, {timings[-1].rate:.1f} tokens/s")
    return found


def summary(contender: Contender, timings: Sequence[Timing], wanted: tuple[int, ...] | None, bandwidth: float) -> Speed:
    """The best of a contender's rounds; `wanted` is the text to compare with."""
    best = max(timings, key=lambda t: t.rate)
    return Speed(
        name=contender.name,
        first=min(t.first for t in timings),
        rate=best.rate,
        rates=tuple(t.rate for t in timings),
        tokens=len(best.tokens),
        bytes_a_token=contender.bytes_a_token,
        roofline=bandwidth / contender.bytes_a_token if contender.bytes_a_token else 0.0,
        same_text=None if wanted is None else best.tokens == wanted,
    )


def _plain(record: ModelRecord, device: str, say: Say) -> HuggingFace:
    from sleepengine.evaluation.bench.decoding.bandwidth import bytes_a_token
    from sleepengine.models.load import load

    say(f"loading {record.name} into plain Transformers")
    model = load(record, device).model
    return HuggingFace(model, bytes_a_token(model))


def _edited(backend: Backend, models_dir: Path, count: int, say: Say) -> tuple[Ours, float]:
    """The backend with facts edited in, and how long a fact took, verification included."""
    editors = open_editors(backend, models_dir, "gated", say)
    say(f"learning {count} facts, {backend.spec.dtype}")
    begun = time.perf_counter()
    bare = Standing(None, None, ())
    learnt = finish(silently(learn(backend, editors, scenario(0, count).facts, bare)))
    seconds = (time.perf_counter() - begun) / count
    view = backend.mount(editors.tensors(bare, [ScaledEdit(one.edit, 1.0) for one in learnt]))
    return Ours(f"sleepd, {backend.spec.dtype}, {count} gated edits", backend, view, _read(backend)), seconds


def _read(backend: Any) -> int:
    from sleepengine.evaluation.bench.decoding.bandwidth import bytes_a_token

    return bytes_a_token(backend.model)
