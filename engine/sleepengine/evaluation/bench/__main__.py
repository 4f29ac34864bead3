"""`python -m sleepengine.evaluation.bench wake|sleep|revise|speed`: runs a bench in this process, without a daemon.

Progress goes to stderr; the table, or with --json the result without its prompts, to stdout.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sleepengine.errors import EngineError
from sleepengine.evaluation.bench import night_options, night_table
from sleepengine.evaluation.bench.asking import Limits
from sleepengine.evaluation.bench.decoding import course as speed_course, show as speed_show
from sleepengine.evaluation.bench.nights import Nights, SleepResult, without_replies
from sleepengine.evaluation.bench.plot import draw, drawable
from sleepengine.evaluation.bench.revise import course, plan as revise_plan, table as revise_table
from sleepengine.evaluation.bench.revise.course import Course, ReviseResult
from sleepengine.evaluation.bench.runner import Arm, Plan, Result, run, save
from sleepengine.evaluation.bench.scenario import CELL
from sleepengine.evaluation.bench.setup import BASELINES, CONDITIONS, EDITORS, Setup
from sleepengine.evaluation.bench.table import as_markdown, as_text
from sleepengine.evaluation.bench.tasks import Set
from sleepengine.evaluation.work import finish


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0; 1 with the reason as the last line on stderr; 130 when interrupted."""
    options = _parser().parse_args(arguments)
    try:
        if options.bench == "sleep":
            return _sleep(options)
        if options.bench == "revise":
            return _revise(options)
        if options.bench == "speed":
            return _speed(options)
        result = _wake(options)
    except (EngineError, ValueError) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        print(msgspec.json.encode(_without_prompts(result)).decode())  # noqa: T201
    else:
        print(as_text(result), end="")  # noqa: T201
    return 0


def _wake(options: argparse.Namespace) -> Result:
    options.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        arms=arms(options.editor, options.facts, options.set, options.sweep, options.alone),
        seeds=options.seeds,
        limits=Limits(raw=options.raw_tokens, chat=options.chat_tokens),
        command=tuple(sys.argv[1:]),
        cell=options.cell,
    )
    setup = Setup.load(options.model, options.models_dir, options.device, _say)
    result = run(setup.backend, plan, setup.condition, _say, lambda r: _keep(r, options.out))
    _keep(result, options.out)
    return result


def arms(
    conditions: Sequence[str],
    facts: Sequence[int],
    kind: Set,
    sweep: tuple[str, tuple[float, ...]] | None = None,
    alone: bool = False,
) -> tuple[Arm, ...]:
    """One arm for each condition, number of facts and value of the sweep, which may be over the number of facts.

    Baselines have no settings to sweep.
    """
    name, values = sweep or ("", ())
    counts = [int(v) for v in values] if name == "facts" else facts
    settings = [{name: value} for value in values] if sweep and name != "facts" else [{}]
    nothing: list[dict[str, float]] = [{}]
    return tuple(
        Arm(condition=condition, facts=count, set=kind, alone=alone, settings=one)
        for condition in conditions
        for count in counts
        for one in (nothing if condition in BASELINES else settings)
    )


def _sleep(options: argparse.Namespace) -> int:
    plan = night_options.plan_from(options)
    options.out.mkdir(parents=True, exist_ok=True)
    setup = Setup.load(options.model, options.models_dir, options.device, _say)
    editor = EDITORS[options.editor](setup.backend, setup.profiles, setup.folder, {})

    def keep(result: SleepResult) -> None:
        save(result, options.out)
        (options.out / "sleep.txt").write_text(night_table.as_text(result), encoding="utf-8")
        (options.out / "sleep.md").write_text(night_table.as_markdown(result), encoding="utf-8")

    result = finish(Nights(setup.backend, editor, plan, _say).run(keep))
    keep(result)
    text = msgspec.json.encode(without_replies(result)).decode() if options.json else night_table.as_text(result)
    print(text, end="" if text.endswith("\n") else "\n")  # noqa: T201
    return 0


def _revise(options: argparse.Namespace) -> int:
    plan = revise_plan.plan_from(options)
    options.out.mkdir(parents=True, exist_ok=True)
    setup = Setup.load(options.model, options.models_dir, options.device, _say)
    editors = setup.editors(options.editor)

    def keep(result: ReviseResult) -> None:
        save(result, options.out)
        (options.out / "revise.txt").write_text(revise_table.as_text(result), encoding="utf-8")
        (options.out / "revise.md").write_text(revise_table.as_markdown(result), encoding="utf-8")

    result = finish(Course(setup.backend, editors, plan, _say).run(keep))
    if options.json:
        print(msgspec.json.encode(course.without_replies(result)).decode())  # noqa: T201
    else:
        print(revise_table.as_text(result), end="")  # noqa: T201
    return 0


def _speed(options: argparse.Namespace) -> int:
    plan = speed_course.plan_from(options)
    options.out.mkdir(parents=True, exist_ok=True)
    result = speed_course.run(plan, options.models_dir, _say)
    save(result, options.out)
    (options.out / "speed.txt").write_text(speed_show.as_text(result), encoding="utf-8")
    (options.out / "speed.md").write_text(speed_show.as_markdown(result), encoding="utf-8")
    if drawable():
        speed_show.draw(result, options.out / "speed.png")
    print(msgspec.json.encode(result).decode() if options.json else speed_show.as_text(result).rstrip("\n"))  # noqa: T201
    return 0


def _keep(result: Result, folder: Path) -> None:
    save(result, folder)
    (folder / f"{result.bench}.txt").write_text(as_text(result), encoding="utf-8")
    if drawable():
        draw(result, folder / f"{result.bench}.png")
    (folder / f"{result.bench}.md").write_text(as_markdown(result), encoding="utf-8")


def _without_prompts(result: Result) -> Result:
    arms = tuple(
        msgspec.structs.replace(a, seeds=tuple(msgspec.structs.replace(s, prompts=()) for s in a.seeds))
        for a in result.arms
    )
    return msgspec.structs.replace(result, arms=arms)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _sweep(text: str) -> tuple[str, tuple[float, ...]]:
    name, _, values = text.partition("=")
    if not values:
        raise argparse.ArgumentTypeError("say what is swept and over which values: facts=5,10,20 or lambda=10,100")
    return name, tuple(float(value) for value in values.split(","))


def _conditions(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in CONDITIONS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(CONDITIONS)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sleepengine.evaluation.bench", description="Measure what is remembered.")
    kinds = parser.add_subparsers(dest="bench", required=True)
    wake = kinds.add_parser("wake", help="facts learned while awake")
    wake.add_argument("--model", required=True, help="short name, hub name or folder")
    wake.add_argument("--models-dir", type=Path, required=True)
    wake.add_argument("--editor", type=_conditions, default=("gated",), help=f"a list of {', '.join(CONDITIONS)}")
    wake.add_argument("--facts", type=_numbers, default=(20,), help="how many facts; 20,100 for one arm each")
    wake.add_argument("--set", type=Set, choices=tuple(Set), default=Set.PEOPLE, help="whom the facts are about")
    wake.add_argument(
        "--sweep", type=_sweep, help="facts=5,10,20,40,80, or a setting of the editor: lambda=10,100,1000"
    )
    wake.add_argument("--alone", action="store_true", help="learn the facts one after another, not in one batch")
    wake.add_argument("--seeds", type=_numbers, default=(0, 1, 2), help="0,1,2")
    wake.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N, mps")
    wake.add_argument("--out", type=Path, required=True, help="folder for wake.json, .txt, .md and .png")
    wake.add_argument(
        "--cell", type=int, default=CELL, help="prompts of a leak column, at least; of a knowledge column, at most"
    )
    wake.add_argument("--raw-tokens", type=int, default=Limits().raw, help="longest raw reply")
    wake.add_argument("--chat-tokens", type=int, default=Limits().chat, help="longest chat reply")
    wake.add_argument("--json", action="store_true", help="print the result as JSON, without prompts and replies")
    night_options.add_parser(kinds)
    revise_plan.add_parser(kinds)
    speed_course.add_parser(kinds)
    return parser


if __name__ == "__main__":
    sys.exit(main())
