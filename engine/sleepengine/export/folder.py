"""A folder that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sleepengine.errors import ExportRefused, StorageFull
from sleepengine.memory import files


@contextmanager
def appearing(target: Path, size: int) -> Iterator[Path]:
    """A private folder beside `target` to write about `size` bytes into; at the end it takes the target's place.

    Where the block raises, nothing stays. Raises ExportRefused where the target is in use, StorageFull, StorageFailed.
    """
    _require_free(target)
    with files.translated(target):
        free = shutil.disk_usage(target.parent).free
    if free < size:
        raise StorageFull(f"the export needs {size / 1e6:,.0f} MB; {free / 1e6:,.0f} MB are free at {target.parent}")
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    with files.translated(target):
        partial.mkdir(mode=0o700)
        try:
            yield partial
            for file in partial.iterdir():
                _sync(file)
            files.fsync_dir(partial)
            partial.rename(target)  # over an empty folder too
            files.fsync_dir(target.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _require_free(target: Path) -> None:
    if not target.parent.is_dir():
        raise ExportRefused(f"there is no folder {target.parent}")
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise ExportRefused(f"{target} is there already and not empty; nothing is overwritten")


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
