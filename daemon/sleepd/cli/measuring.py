"""`sleepd bench` and `sleepd calibrate`: the engine's own command lines in a child process, without a daemon.

No memory is read or written, only settings and models: what is learned on the way lives in the child and ends with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from sleepd.cli.models import chosen_model, fetch
from sleepd.cli.options import Common, common
from sleepd.protocol.errors import SleepdError, UsageError

_USAGE = 2  # what a child's argument parser exits with


@click.group()
@common
def bench(own: Common) -> None:
    """Measure what a model remembers."""


@bench.command("wake")
@click.option("--model", help="Measure this model instead of the configured one.")
@click.option("--editor", default="gated", show_default=True, help="Editors and baselines, separated by commas.")
@click.option("--set", "kind", default="people", show_default=True, help="Whom the facts are about: people or user.")
@click.option("--facts", default="20", show_default=True, help="How many facts; several numbers for several columns.")
@click.option("--seeds", default="0,1,2", show_default=True, help="One run for each.")
@click.option("--sweep", help="A number to vary: facts=5,10,20 or lambda=10,100,1000.")
@click.option("--alone", is_flag=True, help="Learn the facts one after another, not in one batch.")
@click.option(
    "--cell", default=300, show_default=True, help="Prompts of a leak column at least, of a knowledge column at most."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Keep table, plot and all replies here.")
@common
def wake(
    own: Common,
    model: str | None,
    editor: str,
    kind: str,
    facts: str,
    seeds: str,
    sweep: str | None,
    alone: bool,
    cell: int,
    device: str,
    out: Path | None,
) -> None:
    """Teach facts to a fresh memory, ask for them in other words, and measure what else changed."""
    options = ["--editor", editor, "--set", kind, "--facts", facts, "--seeds", seeds, "--cell", str(cell)]
    options += ["--sweep", sweep] if sweep else []
    options += ["--alone"] if alone else []
    _measure(own, "wake", model, device, out, options)


@bench.command("sleep", context_settings={"ignore_unknown_options": True})
@click.option("--model", help="Measure this model instead of the configured one.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Keep tables and all replies here.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@common
def sleep(own: Common, model: str | None, device: str, out: Path | None, options: tuple[str, ...]) -> None:
    """Let a fresh memory sleep, and measure what its adapter alone knows.

    OPTIONS are the engine's own: --recipe, --facts, --nights, --cycles, --seeds, --set and more.
    """
    _measure(own, "sleep", model, device, out, options)


@bench.command("revise", context_settings={"ignore_unknown_options": True})
@click.option("--model", help="Measure this model instead of the configured one.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Keep tables and all replies here.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@common
def revise(own: Common, model: str | None, device: str, out: Path | None, options: tuple[str, ...]) -> None:
    """Correct and forget facts of a fresh memory, and measure what is left of them, at once and after a night.

    OPTIONS are the engine's own: --corrections, --forgettings, --others, --nights, --seeds, --set and more.
    """
    _measure(own, "revise", model, device, out, options)


@bench.command("speed")
@click.option("--model", help="Measure this model instead of the configured one.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--dtypes", default="auto", show_default=True, help="What the weights are stored in; auto,int8 for both.")
@click.option("--facts", default=5, show_default=True, help="Facts that are edited in for a view of their own.")
@click.option("--tokens", default=48, show_default=True, help="Length of a reply.")
@click.option("--rounds", default=3, show_default=True, help="Of which the best counts.")
@click.option(
    "--gguf",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A GGUF file of the model, to measure llama.cpp too.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Keep table, plot and numbers here.")
@common
def speed(
    own: Common,
    model: str | None,
    device: str,
    dtypes: str,
    facts: int,
    tokens: int,
    rounds: int,
    gguf: Path | None,
    out: Path | None,
) -> None:
    """Measure how fast a conversation is answered, next to Hugging Face's generate and what the memory allows."""
    options = ["--dtypes", dtypes, "--facts", str(facts), "--tokens", str(tokens), "--rounds", str(rounds)]
    options += ["--gguf", str(gguf)] if gguf else []
    _measure(own, "speed", model, device, out, options)


def _measure(own: Common, kind: str, model: str | None, device: str, out: Path | None, options: Sequence[str]) -> None:
    """Run one of the engine's benches and show what it prints; without `out` its files are thrown away."""
    name = chosen_model(own, model)
    own.place.prepare()
    fetch(own, name)
    where = ["--model", name, "--models-dir", str(own.place.models), "--device", device]
    where += ["--json"] if own.as_json else []
    with tempfile.TemporaryDirectory(prefix="sleepd-bench-") as throwaway:
        folder = str(out or throwaway)
        printed = run_engine("sleepengine.evaluation.bench", [kind, *where, "--out", folder, *options], own.note)
    own.show(json.loads(printed) if own.as_json else {}, printed.rstrip("\n"))


@click.command()
@click.argument("model", required=False)
@click.option("--editor", default="gated,memit", show_default=True, help="Editors to calibrate.")
@click.option("--facts", default=8, show_default=True, help="Facts in a trial.")
@click.option("--trials", default=16, show_default=True, help="Trials for each editor.")
@click.option("--limit", default=80, show_default=True, help="Largest number of facts to measure the capacity with.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@common
def calibrate(own: Common, model: str | None, editor: str, facts: int, trials: int, limit: int, device: str) -> None:
    """Find the editors' settings for a model and keep them beside it; a running daemon takes them at its next start."""
    name = chosen_model(own, model)
    own.place.prepare()
    fetch(own, name)
    options = ["--model", name, "--models-dir", str(own.place.models), "--editor", editor, "--device", device]
    options += ["--facts", str(facts), "--trials", str(trials), "--limit", str(limit)]
    options += ["--json"] if own.as_json else []
    printed = run_engine("sleepengine.evaluation.calibration", options, own.note)
    own.show(json.loads(printed) if own.as_json else {}, printed.rstrip("\n"))


def run_engine(module: str, arguments: Sequence[str], note: Callable[[str], None]) -> str:
    """What a module of the engine prints; its progress is passed on to `note` line by line.

    Raises UsageError where it does not understand its arguments, SleepdError with its last line where it fails.
    """
    last = "it gave no reason"
    with tempfile.TemporaryFile() as output:  # a pipe could fill up while we read the other one
        child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE
        )
        with child:
            assert child.stderr is not None
            try:
                for line in child.stderr:
                    last = line.decode(errors="replace").rstrip()
                    note(last)
            except BaseException:
                child.terminate()
                raise
        if child.returncode == _USAGE:
            raise UsageError(last)
        if child.returncode:
            raise SleepdError(last)
        output.seek(0)
        return output.read().decode()
