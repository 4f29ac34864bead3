"""`python -m sleepengine.evaluation.bench wake`: runs the bench in this process, without a daemon.

Progress goes to stderr; the table, or with --json the result without its prompts, to stdout.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from sleepengine.errors import EngineError
from sleepengine.evaluation.bench.asking import Limits
from sleepengine.evaluation.bench.runner import Arm, Plan, Result, run, save
from sleepengine.evaluation.bench.scenario import CELL
from sleepengine.evaluation.bench.setup import CONDITIONS, Setup
from sleepengine.evaluation.bench.table import as_markdown, as_text


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 1 with the reason on stderr."""
    options = _parser().parse_args(arguments)
    try:
        result = _wake(options)
    except EngineError as error:
        _say(str(error))
        return 1
    if options.json:
        print(msgspec.json.encode(_without_prompts(result)).decode())  # noqa: T201
    else:
        print(as_text(result), end="")  # noqa: T201
    return 0


def _wake(options: argparse.Namespace) -> Result:
    options.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        arms=tuple(Arm(condition=name, facts=count) for name in options.editor for count in options.facts),
        seeds=options.seeds,
        limits=Limits(raw=options.raw_tokens, chat=options.chat_tokens),
        command=tuple(sys.argv[1:]),
        cell=options.cell,
    )
    setup = Setup.load(options.model, options.models_dir, options.device, _say)
    result = run(setup.backend, plan, setup.condition, _say, lambda r: _keep(r, options.out))
    _keep(result, options.out)
    return result


def _keep(result: Result, folder: Path) -> None:
    save(result, folder)
    (folder / f"{result.bench}.txt").write_text(as_text(result), encoding="utf-8")
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
    wake.add_argument("--editor", type=_conditions, default=("memit",), help=f"a list of {', '.join(CONDITIONS)}")
    wake.add_argument("--facts", type=_numbers, default=(20,), help="how many facts; 20,100 for one arm each")
    wake.add_argument("--seeds", type=_numbers, default=(0, 1, 2), help="0,1,2")
    wake.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N, mps")
    wake.add_argument("--out", type=Path, required=True, help="folder for wake.json, wake.txt and wake.md")
    wake.add_argument("--cell", type=int, default=CELL, help="prompts that a leak column has at least")
    wake.add_argument("--raw-tokens", type=int, default=Limits().raw, help="longest raw reply")
    wake.add_argument("--chat-tokens", type=int, default=Limits().chat, help="longest chat reply")
    wake.add_argument("--json", action="store_true", help="print the result as JSON, without prompts and replies")
    return parser


if __name__ == "__main__":
    sys.exit(main())
