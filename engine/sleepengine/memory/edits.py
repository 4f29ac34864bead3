"""A fact's edit as it is stored: a few vectors a layer, never a dense matrix.

MemitEdit   keys and residuals; the linear update is solved jointly over all active edits
GatedEdit   keys of the subject and of what is asked, and one value that is let in where both match
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sleepengine.errors import BlobCorrupt

FORMAT = 1

Vectors = NDArray[np.float32]


class EditHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What an edit was made for. `model` is the base model's identity, `generation` the adapter blob it stood on."""

    format: int
    editor: str
    fact_id: str
    model: str
    generation: str | None
    layers: tuple[int, ...]

    def under(self, generation: str | None) -> EditHeader:
        """The same edit's header, named for another generation."""
        return msgspec.structs.replace(self, generation=generation)


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
        tensors = _with_header(self.header)
        for layer in self.header.layers:
            tensors[f"keys.{layer}"], tensors[f"norms.{layer}"] = _unit_rows(self.keys[layer])
            tensors[f"residuals.{layer}"] = self.residuals[layer].astype(np.float32)
        data: bytes = save(tensors)
        return data


@dataclass(frozen=True)
class Silence:
    """Makes of a gated edit one whose gate lets nothing in, but keeps the adapter out.

    What is asked must reach `threshold` and be nearer to the edit's own wordings than to every row of `against`
    (m, layers * width), the wordings of facts that shall still come out.
    """

    threshold: float
    against: Vectors


@dataclass(frozen=True)
class GatedEdit:
    """A gated edit of one fact.

    `spans` are the token ids of each way in which the subject is written. `asked` (n, layers * width) is what its
    wordings ask for, read at the gate's layers, one row each. `value` (width,) is added after layer `header.layers[0]`
    at the subject's last token. `first_person` tells that the subject is the user, whom many texts name that ask for
    nothing of the kind. With `silence` the fact is kept from coming out, and there is no value.
    """

    header: EditHeader
    spans: tuple[tuple[int, ...], ...]
    asked: Vectors
    value: Vectors
    first_person: bool
    silence: Silence | None = None

    def to_bytes(self) -> bytes:
        """Safetensors: a JSON header as bytes, keys in half precision, the value in single."""
        tensors = _with_header(self.header)
        tensors["span_ids"] = np.array([i for span in self.spans for i in span], np.int64)
        tensors["span_lengths"] = np.array([len(span) for span in self.spans], np.int64)
        tensors["asked"], tensors["asked_norms"] = _unit_rows(self.asked)
        tensors["value"] = self.value.astype(np.float32)
        tensors["first_person"] = np.array([self.first_person])
        if self.silence is not None:
            tensors["silence"] = np.array([self.silence.threshold], np.float32)
            tensors["against"], tensors["against_norms"] = _unit_rows(self.silence.against)
        data: bytes = save(tensors)
        return data


Edit = MemitEdit | GatedEdit


def edit_from_bytes(data: bytes) -> Edit:
    """Raises BlobCorrupt where the bytes are not an edit of a format that this version reads."""
    try:
        tensors = load(data)
        header = msgspec.json.decode(tensors["header"].tobytes(), type=EditHeader)
        if header.format != FORMAT or header.editor not in _READERS:
            raise BlobCorrupt(f"an edit of format {header.format} by {header.editor!r} cannot be read")
        return _READERS[header.editor](header, tensors)
    except (KeyError, ValueError, SafetensorError, msgspec.MsgspecError) as error:
        raise BlobCorrupt(f"not an edit: {error}") from error


def _memit(header: EditHeader, tensors: Mapping[str, NDArray[np.generic]]) -> MemitEdit:
    keys = {layer: _rows(tensors[f"keys.{layer}"], tensors[f"norms.{layer}"]) for layer in header.layers}
    return MemitEdit(header, keys, {layer: tensors[f"residuals.{layer}"].astype(np.float32) for layer in header.layers})


def _gated(header: EditHeader, tensors: Mapping[str, NDArray[np.generic]]) -> GatedEdit:
    ids = np.split(tensors["span_ids"], np.cumsum(tensors["span_lengths"])[:-1])
    return GatedEdit(
        header,
        tuple(tuple(span.tolist()) for span in ids),
        _rows(tensors["asked"], tensors["asked_norms"]),
        tensors["value"].astype(np.float32),
        bool(tensors["first_person"][0]),
        Silence(float(tensors["silence"][0]), _rows(tensors["against"], tensors["against_norms"]))
        if "silence" in tensors
        else None,
    )


_READERS: Mapping[str, Callable[[EditHeader, Mapping[str, NDArray[np.generic]]], Edit]] = {
    "memit": _memit,
    "gated": _gated,
}


def _with_header(header: EditHeader) -> dict[str, NDArray[np.generic]]:
    return {"header": np.frombuffer(msgspec.json.encode(header), dtype=np.uint8)}


def _unit_rows(rows: Vectors) -> tuple[NDArray[np.float16], Vectors]:
    """Rows of unit norm, so that half precision never overflows, and their norms."""
    norms = np.linalg.norm(rows, axis=1).astype(np.float32)
    return (rows / np.maximum(norms, np.finfo(np.float32).tiny)[:, None]).astype(np.float16), norms


def _rows(unit: NDArray[np.generic], norms: NDArray[np.generic]) -> Vectors:
    rows: Vectors = unit.astype(np.float32) * norms.astype(np.float32)[:, None]
    return rows
