"""What every test may ask for: a tiny model folder, and the default model on disk. Imports nothing heavy by itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sleepengine.models.registry import ModelRecord

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Where the default model lies between test runs: SLEEPD_MODELS, else `.models` in the repository."""
    return Path(os.environ.get("SLEEPD_MODELS") or REPOSITORY / ".models")


@pytest.fixture(scope="session")
def default_model(models_dir: Path) -> ModelRecord:
    """The default model, pulled and converted at its first use. Its pull holds a file lock, so runs may overlap."""
    from sleepengine.models.catalog import DEFAULT_MODEL
    from sleepengine.models.pull import pull

    return pull(DEFAULT_MODEL, models_dir)


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Transformers folder with a random Llama of four layers and a real tokenizer. Read only: tests share it."""
    from tests.tiny import save_tiny

    return save_tiny(tmp_path_factory.mktemp("tiny-llama"))
