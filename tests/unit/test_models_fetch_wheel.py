"""Downloading a wheel with pip: a stand-in for pip says what the real one says."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from sleepengine.errors import DownloadFailed, StorageFull
from sleepengine.models import fetch_wheel
from sleepengine.models.pull import pull
from tests.unit.model_parts import NAME, FakeIndex, fake_index


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> FakeIndex:
    return fake_index(tmp_path_factory.mktemp("index"))


class Pip(NamedTuple):
    """A stand-in for `python -m pip`: the script that runs in its place."""

    script: Path

    def says(self, code: str) -> None:
        self.script.write_text(f"#!{sys.executable}\nimport sys, os, time\n{code}\n")
        self.script.chmod(0o700)


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pip:
    monkeypatch.setattr(fetch_wheel, "sys", SimpleNamespace(executable=str(tmp_path / "python")))
    return Pip(tmp_path / "python")


def ignore(done: int) -> None:
    """A download's progress that nobody looks at."""


def test_pip_progress_is_told_as_it_comes(index: FakeIndex, tmp_path: Path, pip: Pip) -> None:
    pip.says(
        "assert os.environ['TMPDIR'] == sys.argv[-2]\n"
        "print('Collecting tiny-package==1.0')\n"
        "for n in (0, 50, 100): print(f'Progress {n} of 100')\n"
        "open(sys.argv[-2] + '/tiny.whl', 'w').close()"
    )
    (tmp_path / "work").mkdir()
    seen: list[int] = []
    assert fetch_wheel.pip_download(index.source, tmp_path / "work", seen.append).name == "tiny.whl"
    assert seen == [0, 50, 100]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("WARNING: Retrying (Retry(total=4)) after NewConnectionError\nERROR: No matching", "cannot be reached"),
        ("noise\nERROR: No matching distribution found for tiny-package==1.0", "No matching distribution found"),
        ("python: No module named pip", "No module named pip"),
        ("", "no reason given"),
    ],
)
def test_a_failing_pip_is_explained_in_one_line(
    index: FakeIndex, tmp_path: Path, pip: Pip, output: str, message: str
) -> None:
    pip.says(f"print({output!r}); sys.exit(1)")
    with pytest.raises(DownloadFailed, match=message) as caught:
        fetch_wheel.pip_download(index.source, tmp_path, ignore)
    assert "\n" not in str(caught.value)


def test_a_full_disk_under_pip_is_a_full_disk(index: FakeIndex, tmp_path: Path, pip: Pip) -> None:
    pip.says("print('ERROR: Could not install: [Errno 28] No space left on device'); sys.exit(1)")
    with pytest.raises(StorageFull, match="MB are free"):
        pull(NAME, tmp_path / "models", catalog=index.catalog)
    assert [path.name for path in (tmp_path / "models").iterdir()] == [f".lock-{NAME}"]


def test_pip_ends_with_the_pull(index: FakeIndex, tmp_path: Path, pip: Pip) -> None:
    pip.says(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\nprint('Progress 1 of 9')\ntime.sleep(60)")

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetch_wheel.pip_download(index.source, tmp_path, interrupt)
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_an_old_pip_is_not_asked_for_raw_progress(
    index: FakeIndex, tmp_path: Path, pip: Pip, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip.says("print(sys.argv[sys.argv.index('--progress-bar') + 1]); sys.exit(1)")
    for version, bar in (("23.0.1", "off"), ("24.1", "raw"), ("26.3", "raw")):
        monkeypatch.setattr("importlib.metadata.version", lambda name, version=version: version)
        with pytest.raises(DownloadFailed, match=bar):
            fetch_wheel.pip_download(index.source, tmp_path, ignore)
