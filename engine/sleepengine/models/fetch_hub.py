"""Download a snapshot from the Hugging Face hub: weights as safetensors, tokenizer and configuration, nothing else."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

import msgspec

from sleepengine.errors import DownloadFailed, ModelNotFound, ModelUnsupported

_POLL_SECONDS = 0.2
_WANTED = ("*.safetensors", "*.json", "*.jinja", "*.model", "vocab.txt", "merges.txt")
_UNWANTED = ("*/*", "consolidated*")  # exports to other formats, and the same weights in the publisher's own layout


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A model at one commit: the files to fetch and their size in bytes."""

    name: str
    commit: str
    files: tuple[str, ...]
    bytes: int


class Hub(Protocol):
    """Where snapshots come from."""

    def look_up(self, name: str) -> Snapshot:
        """The newest commit. Raises ModelNotFound, ModelUnsupported (no safetensors), DownloadFailed."""

    def download(self, snapshot: Snapshot, folder: Path, progress: Callable[[int], None]) -> None:
        """Fetch into `folder`, going on from what an earlier try left there; `progress` gets bytes on disk.

        Raises DownloadFailed, or OSError where the disk is at fault.
        """


class HuggingFaceHub:
    """The hub through huggingface_hub, which honours HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE."""

    def look_up(self, name: str) -> Snapshot:
        from huggingface_hub import HfApi

        with _hub_errors(name):
            info = HfApi().model_info(name, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        files = tuple(sorted(filter(_is_wanted, sizes)))
        if info.sha is None or not any(file.endswith(".safetensors") for file in files):
            raise ModelUnsupported(f"{name} has no safetensors weights on the hub")
        return Snapshot(name=name, commit=info.sha, files=files, bytes=sum(sizes[file] for file in files))

    def download(self, snapshot: Snapshot, folder: Path, progress: Callable[[int], None]) -> None:
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

        disable_progress_bars()
        with _hub_errors(snapshot.name), _watching(folder, progress):
            snapshot_download(
                snapshot.name, revision=snapshot.commit, local_dir=folder, allow_patterns=list(snapshot.files)
            )


def _is_wanted(file: str) -> bool:
    return any(fnmatchcase(file, p) for p in _WANTED) and not any(fnmatchcase(file, p) for p in _UNWANTED)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; a file that vanishes meanwhile counts nothing."""
    return sum(size for path in folder.rglob("*") if (size := _size(path)))


@contextmanager
def _watching(folder: Path, progress: Callable[[int], None]) -> Iterator[None]:
    """Tell the folder's size while the block runs: the client's own progress hook differs between its versions."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_POLL_SECONDS):
            progress(folder_bytes(folder))

    watcher = threading.Thread(target=watch, name="download-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # the client moves its files while we look
        return 0


@contextmanager
def _hub_errors(name: str) -> Iterator[None]:
    """Translate what the client raises, except a full disk."""
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    try:
        yield
    except GatedRepoError as error:
        raise DownloadFailed(f"{name} asks for its licence to be accepted on the hub, and for HF_TOKEN") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelNotFound(f"the hub has no model {name}, or it is private") from error
    except Exception as error:  # transport errors are of whichever HTTP library this version of the client uses
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DownloadFailed(f"{name} could not be downloaded: {reason}") from error
