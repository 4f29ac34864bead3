"""`python -m sleepengine.evaluation.calibration`: finds the editors' settings for a model and stores them beside it.

Progress goes to stderr; what was found goes to stdout, with --json as one document.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from sleepengine.errors import EngineError
from sleepengine.evaluation.calibration.tunables import EDITORS
from sleepengine.evaluation.calibration.tune import Effort, Tuned, tune
from sleepengine.host.startup import STATISTICS, open_backend
from sleepengine.memory.files import make_private_dir
from sleepengine.models.registry import profile_path, resolve
from sleepengine.wake.calibrated import write


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0; 1 with the reason as the last line on stderr; 130 when interrupted."""
    options = _parser().parse_args(arguments)
    try:
        tuned, path = _calibrate(options)
    except (EngineError, ValueError) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    document = {"profile": str(path)} | msgspec.to_builtins(tuned)
    print(msgspec.json.encode(document).decode() if options.json else _text(tuned, path))  # noqa: T201
    return 0


def _calibrate(options: argparse.Namespace) -> tuple[Tuned, Path]:
    _say(f"loading {options.model}")
    record = resolve(options.model, options.models_dir)
    backend = open_backend(record, options.device)
    effort = Effort(facts=options.facts, trials=options.trials, limit=options.limit)
    statistics = options.models_dir / STATISTICS
    make_private_dir(statistics)
    tuned = tune(backend, options.editor, effort, statistics, _say)
    path = profile_path(record.name, options.models_dir)
    write(tuned.calibration, path)
    return tuned, path


def _text(tuned: Tuned, path: Path) -> str:
    lines = [f"{tuned.calibration.editor} does best; calibrated in {tuned.calibration.seconds:.0f} s, stored in {path}"]
    for name, one in tuned.editors.items():
        last = one.by_count[-1].facts
        limit = f"at least {last}" if one.capacity == last else str(one.capacity)
        lines.append(
            f"{name}: score {one.start.score:.3f} -> {one.figures.score:.3f} in {one.trials} trials of "
            f"{one.figures.facts} facts; raw {one.figures.raw:.2f}, chat {one.figures.chat:.2f}, near leak "
            f"{one.figures.near_leak:.2f}; {one.figures.seconds_per_fact:.1f} s a fact; capacity {limit} facts"
        )
        lines.append(f"  {msgspec.json.encode(one.profile).decode()}")
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _editors(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in EDITORS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(EDITORS)}")
    return names


def _parser() -> argparse.ArgumentParser:
    effort = Effort()
    parser = argparse.ArgumentParser(prog="sleepengine.evaluation.calibration", description="Tune editors for a model.")
    parser.add_argument("--model", required=True, help="short name, hub name or folder")
    parser.add_argument("--models-dir", type=Path, required=True)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N, mps")
    parser.add_argument("--editor", type=_editors, default=EDITORS, help=f"a list of {', '.join(EDITORS)}")
    parser.add_argument("--facts", type=int, default=effort.facts, help="facts in a trial")
    parser.add_argument("--trials", type=int, default=effort.trials, help="trials for each editor")
    parser.add_argument("--limit", type=int, default=effort.limit, help="largest number of facts for capacity")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


if __name__ == "__main__":
    sys.exit(main())
