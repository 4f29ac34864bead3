"""Which backend a model gets. It is what was asked for, or a reason; never something else in silence."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from sleepengine.errors import ModelCorrupt, ModelUnsupported
from sleepengine.host.startup import open_backend
from sleepengine.models.choice import choose_backend
from sleepengine.models.registry import ModelRecord, Origin


def record(folder: Path, **config: object) -> ModelRecord:
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    return ModelRecord(
        name="m", display_name="m", path=str(folder), identity="i", origin=Origin.FOLDER, source="", bytes=0, files=()
    )


MLX = {"quantization": {"group_size": 64, "bits": 4}}
BITSANDBYTES = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}


@pytest.mark.parametrize(
    ("wanted", "config", "device", "apple", "chosen"),
    [
        ("auto", {}, "auto", False, "torch"),
        ("auto", {}, "auto", True, "mlx"),
        ("auto", {}, "mps", True, "torch"),
        ("auto", MLX, "auto", False, "mlx"),
        ("auto", BITSANDBYTES, "auto", False, "torch"),
        ("torch", {}, "auto", True, "torch"),
        ("mlx", {}, "auto", False, "mlx"),
    ],
)
def test_the_backend_is_what_was_asked_for_or_what_suits(
    tmp_path: Path, wanted: str, config: dict[str, object], device: str, apple: bool, chosen: str
) -> None:
    assert choose_backend(wanted, record(tmp_path, **config), device, apple) == chosen


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnsupported, match="quantised by MLX"):
        choose_backend("torch", record(tmp_path, **MLX), "auto")
    with pytest.raises(ModelUnsupported, match="no backend is called 'jax'"):
        choose_backend("jax", record(tmp_path), "auto")
    damaged = record(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelCorrupt, match=r"config\.json"):
        choose_backend("auto", damaged, "auto")


def test_without_mlx_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlx.core", None)
    with pytest.raises(ModelUnsupported, match=r"sleepd\[mlx\]"):
        open_backend(record(tmp_path), "cpu", "mlx")
