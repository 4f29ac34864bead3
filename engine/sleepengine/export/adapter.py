"""A PEFT adapter of a view's linear parts: `PeftModel.from_pretrained(base, folder)` answers as the view does.

Scaling is 1 throughout (alpha equals rank), and modules that edits stand beside have a rank of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from safetensors.numpy import save

from sleepengine.backends.base import Adapter, LowRank
from sleepengine.memory.generations import peft_config, peft_tensors


def write_adapter(folder: Path, factors: Mapping[str, LowRank], base: str, *, transposed: bool) -> int:
    """Write `adapter_model.safetensors` and `adapter_config.json`; returns the largest rank.

    `base` is what the configuration names as the base model. `transposed`: the base keeps weights as (d_in, d_out).
    """
    (folder / "adapter_model.safetensors").write_bytes(save(peft_tensors(factors), metadata={"format": "pt"}))
    config = adapter_config(factors, base, transposed=transposed)
    (folder / "adapter_config.json").write_bytes(msgspec.json.format(msgspec.json.encode(config)) + b"\n")
    return max(len(part.right) for part in factors.values())


def adapter_config(factors: Mapping[str, LowRank], base: str, *, transposed: bool) -> dict[str, Any]:
    """What `adapter_config.json` says: the commonest rank, and by module path the ranks that differ."""
    ranks = {path: len(part.right) for path, part in sorted(factors.items())}
    ((common, _),) = Counter(ranks.values()).most_common(1)
    others = {path: rank for path, rank in ranks.items() if rank != common}
    return {
        **peft_config(Adapter(common, factors), common, base),
        "target_modules": list(ranks),
        "rank_pattern": others,
        "alpha_pattern": others,
        "fan_in_fan_out": transposed,
    }


def adapter_bytes(factors: Mapping[str, LowRank]) -> int:
    """About how large the adapter's file is."""
    return sum(part.right.nbytes + part.left.nbytes for part in factors.values()) + (1 << 16)
