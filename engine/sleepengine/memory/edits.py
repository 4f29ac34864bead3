"""A fact's edit as it is stored: keys and residuals, a few vectors a layer, never a dense matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sleepengine.errors import BlobCorrupt

FORMAT = 1


class EditHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What an edit was made for. `model` is the base model's identity, `generation` the adapter blob it stood on."""

    format: int
    editor: str
    fact_id: str
    model: str
    generation: str | None
    layers: tuple[int, ...]


@dataclass(frozen=True)
class MemitEdit:
    """MEMIT's share of one fact: for each layer the keys (m, mlp_width) that shall map to the residuals (m, width).

    The update that realises them is solved jointly over all active edits when a view is mounted.
    """

    header: EditHeader
    keys: Mapping[int, NDArray[np.float32]]
    residuals: Mapping[int, NDArray[np.float32]]

    def to_bytes(self) -> bytes:
        """Safetensors: a JSON header as bytes, keys in half precision, residuals in single."""
        tensors: dict[str, NDArray[np.generic]] = {
            "header": np.frombuffer(msgspec.json.encode(self.header), dtype=np.uint8)
        }
        for layer in self.header.layers:
            # Each key row is scaled to unit norm, so that half precision never overflows; the norm stands beside it.
            norms = np.linalg.norm(self.keys[layer], axis=1).astype(np.float32)
            safe = np.maximum(norms, np.finfo(np.float32).tiny)
            tensors[f"keys.{layer}"] = (self.keys[layer] / safe[:, None]).astype(np.float16)
            tensors[f"norms.{layer}"] = norms
            tensors[f"residuals.{layer}"] = self.residuals[layer].astype(np.float32)
        data: bytes = save(tensors)
        return data

    @staticmethod
    def from_bytes(data: bytes) -> MemitEdit:
        """Raises BlobCorrupt where the bytes are not an edit of a format that this version reads."""
        try:
            tensors = load(data)
            header = msgspec.json.decode(tensors["header"].tobytes(), type=EditHeader)
            if header.format != FORMAT or header.editor != "memit":
                raise BlobCorrupt(f"an edit of format {header.format} by {header.editor!r} cannot be read")
            keys = {
                layer: tensors[f"keys.{layer}"].astype(np.float32) * tensors[f"norms.{layer}"][:, None]
                for layer in header.layers
            }
            residuals = {layer: tensors[f"residuals.{layer}"] for layer in header.layers}
        except (KeyError, ValueError, SafetensorError, msgspec.MsgspecError) as error:
            raise BlobCorrupt(f"not an edit: {error}") from error
        return MemitEdit(header, keys, residuals)
