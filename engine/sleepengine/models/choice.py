"""Which framework holds a model. Imports none of them."""

from __future__ import annotations

import platform
import sys
from typing import Literal

import msgspec

from sleepengine.errors import ModelCorrupt, ModelUnsupported
from sleepengine.models.registry import ModelRecord

BackendName = Literal["torch", "mlx"]
ON_APPLE_SILICON = sys.platform == "darwin" and platform.machine() == "arm64"


class _Config(msgspec.Struct):
    """What MLX writes into the configuration of a model that it has quantised; Transformers has no such field."""

    quantization: dict[str, object] | None = None


def choose_backend(wanted: str, record: ModelRecord, device: str, apple: bool = ON_APPLE_SILICON) -> BackendName:
    """The backend asked for, or for "auto" the one that suits model, device and machine.

    "auto" is mlx for a model that MLX has quantised, and on Apple silicon unless a device of torch's is asked for; else
    torch. Raises ModelUnsupported where torch is asked to hold a model that MLX has quantised, ModelCorrupt where its
    configuration cannot be read.
    """
    quantised = quantised_by_mlx(record)
    if wanted == "torch" and quantised:
        raise ModelUnsupported(f"{record.name} is quantised by MLX, which torch cannot read: set backend to mlx")
    match wanted:
        case "torch" | "mlx":
            return wanted
        case "auto":
            of_torch = device.startswith(("cuda", "mps"))
            return "mlx" if quantised or (apple and not of_torch) else "torch"
        case _:
            raise ModelUnsupported(f"no backend is called {wanted!r}; use auto, torch or mlx")


def quantised_by_mlx(record: ModelRecord) -> bool:
    """Whether the model's weights are in MLX's own quantised format."""
    path = record.folder / "config.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Config).quantization is not None
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelCorrupt(f"{path} cannot be read: {error}") from error
