"""The same tiny random models in both backends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from sleepengine.backends.base import Backend
from sleepengine.models.registry import ModelRecord
from tests.tiny import Architecture

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.mlx)


@dataclass(frozen=True)
class Pair:
    """One model on disk, held by torch and by mlx."""

    record: ModelRecord
    torch: Backend
    mlx: Backend


def opened(architecture: Architecture, folder: Path) -> Pair:
    """Write a tiny model and load it twice, as the host does."""
    pytest.importorskip("mlx_lm", reason="the extra `mlx` is not installed")
    from sleepengine.host.startup import open_backend
    from sleepengine.models.pull import pull
    from tests.tiny import save_tiny

    record = pull(str(save_tiny(folder / architecture, architecture)), folder / "models")
    return Pair(record, open_backend(record, "cpu", "torch"), open_backend(record, "cpu", "mlx"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The Llama shape."""
    return opened("llama", tmp_path_factory.mktemp("pair"))
