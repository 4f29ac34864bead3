"""Download a snapshot from the Hugging Face hub: weights as safetensors, tokenizer and configuration, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sleepengine.errors import DownloadFailed, ModelNotFound

_PATTERNS = (
    "*.safetensors",
    "*.safetensors.index.json",
    "*.json",
    "*.jinja",
    "tokenizer.model",
    "merges.txt",
    "vocab.txt",
)


def snapshot(name: str, folder: Path, progress: Callable[[int], None]) -> str:
    """Fetch the newest commit into `folder`; returns that commit. Raises ModelNotFound, DownloadFailed."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        commit = HfApi().model_info(name).sha
        assert commit is not None, "the hub names a commit for every model"
        snapshot_download(name, revision=commit, local_dir=folder, allow_patterns=list(_PATTERNS))
    except GatedRepoError as error:
        raise DownloadFailed(f"{name} asks for a licence to be accepted on the hub first") from error
    except RepositoryNotFoundError as error:
        raise ModelNotFound(f"the hub has no model {name}, or it is private") from error
    except (HfHubHTTPError, OSError, ConnectionError, ValueError) as error:
        raise DownloadFailed(f"{name} could not be downloaded: {_one_line(error)}") from error
    if not list(folder.glob("*.safetensors")):
        raise DownloadFailed(f"{name} has no safetensors weights")
    progress(sum(p.stat().st_size for p in folder.iterdir() if p.is_file()))
    return commit


def _one_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
