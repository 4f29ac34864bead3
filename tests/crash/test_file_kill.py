"""kill -9 in the middle of every other file that is written: settings, backups, restores, keys, the first start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("file_worker.py")
AT_EACH_FAILPOINT = 50


def killed(folder: Path, deaths: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, WORKER, folder, str(deaths)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    print(f"\n{done.stdout}")
    lines = [line.split(" ", 2) for line in done.stdout.splitlines()]
    assert [line for line in lines if line[1:] != [str(deaths), ""]] == []
    assert len(lines) == 44


def test_killed_at_every_step_of_every_file(tmp_path: Path) -> None:
    killed(tmp_path, 1)


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.timeout(1800)
def test_killed_fifty_times_at_every_step_of_every_file(tmp_path: Path) -> None:
    killed(tmp_path, AT_EACH_FAILPOINT)
