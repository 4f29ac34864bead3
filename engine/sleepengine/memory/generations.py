"""An adapter generation as it is stored: PEFT's tensors and its configuration in one safetensors blob."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sleepengine.backends.base import Adapter, LowRank
from sleepengine.errors import BlobCorrupt

_PREFIX = "base_model.model."
_CONFIG = "adapter_config"


def to_bytes(adapter: Adapter, alpha: float, model_name: str) -> bytes:
    """`lora_A` is (rank, d_in), `lora_B` is (d_out, rank), scaled by alpha / rank when used, as PEFT does."""
    tensors = peft_tensors(adapter.factors, alpha / adapter.rank)
    config = peft_config(adapter, alpha, model_name)
    tensors[_CONFIG] = np.frombuffer(msgspec.json.encode(config, order="sorted"), dtype=np.uint8)
    data: bytes = save(tensors)
    return data


def from_bytes(data: bytes) -> Adapter:
    """Raises BlobCorrupt where the bytes are not an adapter."""
    try:
        tensors = load(data)
        config = msgspec.json.decode(tensors.pop(_CONFIG).tobytes())
        rank, scale = int(config["r"]), float(config["lora_alpha"]) / int(config["r"])
        factors = {
            name.removeprefix(_PREFIX).removesuffix(".lora_A.weight"): LowRank(
                right, np.ascontiguousarray(tensors[name.replace("lora_A", "lora_B")].T * np.float32(scale))
            )
            for name, right in tensors.items()
            if name.endswith(".lora_A.weight")
        }
    except (KeyError, ValueError, TypeError, SafetensorError, msgspec.MsgspecError) as error:
        raise BlobCorrupt(f"not an adapter: {error}") from error
    return Adapter(rank, factors)


def peft_tensors(factors: Mapping[str, LowRank], scale: float = 1.0) -> dict[str, NDArray[np.generic]]:
    """PEFT's tensors of factors that it shall multiply by `scale`."""
    tensors: dict[str, NDArray[np.generic]] = {}
    for path, part in factors.items():
        tensors[f"{_PREFIX}{path}.lora_A.weight"] = np.ascontiguousarray(part.right, np.float32)
        tensors[f"{_PREFIX}{path}.lora_B.weight"] = np.ascontiguousarray(part.left.T / scale, np.float32)
    return tensors


def peft_config(adapter: Adapter, alpha: float, model_name: str) -> dict[str, Any]:
    """What PEFT's `adapter_config.json` says of this adapter."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": model_name,
        "r": adapter.rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
        "target_modules": sorted({path.rpartition(".")[2] for path in adapter.factors}),
    }
