"""`sleepd bench`: the engine's command line in a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sleepd.cli.measuring import run_engine
from sleepd.protocol.errors import SleepdError, UsageError


def test_a_child_s_failures_are_told_apart() -> None:
    notes: list[str] = []
    with pytest.raises(UsageError, match="unrecognized arguments"):
        run_engine("json.tool", ["--no-such-option"], notes.append)
    assert notes
    with pytest.raises(SleepdError, match="No module named") as failure:
        run_engine("no_such_module", [], notes.append)
    assert failure.value.exit_code == 1


def test_a_child_s_long_output_is_not_cut_short() -> None:
    assert len(run_engine("this", [], print)) > 800
    assert len(run_engine("pydoc", ["subprocess"], print)) > 20_000


def test_bench_wake_measures_without_a_daemon(tiny_model_dir: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sleepd", "--home", str(tmp_path / "home"), "bench", "wake", "--json"]
    command += [
        "--model",
        str(tiny_model_dir),
        "--editor",
        "none",
        "--set",
        "user",
        "--facts",
        "1",
        "--seeds",
        "0",
        "--cell",
        "4",
    ]
    environment = {k: v for k, v in os.environ.items() if k != "SLEEPD_MODELS"} | {
        "PYTHONPATH": os.pathsep.join(sys.path)
    }
    done = subprocess.run(
        [*command, "--device", "cpu", "--out", str(tmp_path / "out")], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["arms"][0]["arm"]["condition"] == "none"
    assert document["arms"][0]["all"]["chat"]["n"] == 2
    assert (tmp_path / "out" / "wake.json").is_file()
    assert not (tmp_path / "home" / "ledger.db").exists()
    assert "asking the base" in done.stderr
    wrong = subprocess.run([*command, "--sweep", "lambda"], env=environment, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "say what is swept" in wrong.stderr


def test_calibrate_says_what_is_wrong(tiny_model_dir: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sleepd", "--home", str(tmp_path), "calibrate", str(tiny_model_dir), "--json"]
    environment = {k: v for k, v in os.environ.items() if k != "SLEEPD_MODELS"} | {
        "PYTHONPATH": os.pathsep.join(sys.path)
    }
    done = subprocess.run([*command, "--editor", "magic"], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "'magic' is none of gated, memit" in json.loads(done.stdout)["error"]["message"]
    unknown = [*command[:-2], "no-such-model"]
    assert subprocess.run(unknown, env=environment, capture_output=True, text=True).returncode == 6


@pytest.mark.parametrize(
    ("kind", "wrong", "reason"),
    [
        ("sleep", ["--recipe", "no-such"], "no recipe 'no-such'"),
        ("revise", ["--corrections", "1"], "two facts at least"),
    ],
)
def test_other_benches_pass_their_options_on(
    tiny_model_dir: Path, tmp_path: Path, kind: str, wrong: list[str], reason: str
) -> None:
    command = [sys.executable, "-m", "sleepd", "--home", str(tmp_path), "bench", kind, "--model", str(tiny_model_dir)]
    environment = {k: v for k, v in os.environ.items() if k != "SLEEPD_MODELS"} | {
        "PYTHONPATH": os.pathsep.join(sys.path)
    }
    done = subprocess.run([*command, *wrong, "--seeds", "0"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert reason in done.stderr
