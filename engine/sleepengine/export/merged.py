"""A whole checkpoint: the base's own files, with the bytes of the changed tensors replaced.

Names, shapes, data types and shards stay as the base has them, so whatever loads the base loads the result. Copying
and adding are cut into short work items, and no more than one tensor is held in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from sleepengine.backends.base import LowRank, Work
from sleepengine.errors import ModelCorrupt, ModelUnsupported

_PIECE = 16 << 20  # bytes copied in one work item
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor's bytes lie: `start` and `size` in bytes from the file's beginning."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


@dataclass(frozen=True)
class Change:
    """A tensor and what is added to it."""

    tensor: StoredTensor
    delta: LowRank
    transposed: bool


def planned(
    source: Path, names: list[str], factors: Mapping[str, LowRank], transposed: Callable[[str], bool]
) -> list[Change]:
    """Which stored tensor each module's weight is. Raises ModelUnsupported where that cannot be told or changed."""
    stored: dict[str, StoredTensor] = {}
    for name in names:
        if name.endswith(".safetensors"):
            stored |= _tensors(source / name)
    return [_change(path, stored, part, transposed(path)) for path, part in sorted(factors.items())]


def pieces(sizes: Iterable[int], changes: list[Change]) -> int:
    """How many work items `write_merged` takes for files of these sizes in bytes."""
    return sum(-(-size // _PIECE) for size in sizes) + len(changes)


def write_merged(source: Path, names: list[str], target: Path, changes: list[Change]) -> Work[None]:
    """Copy the named files of `source` into `target` and add the changes. Yields after each short piece."""
    for name in names:
        with (source / name).open("rb") as old, (target / name).open("wb") as new:
            while piece := old.read(_PIECE):
                new.write(piece)
                yield
    for change in changes:
        with (target / change.tensor.file).open("r+b") as file:
            _add(file, change)
        yield


def _tensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file, by its header. Raises ModelCorrupt."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(length))
    header.pop("__metadata__", None)
    try:
        return {
            name: StoredTensor(
                path.name,
                entry["dtype"],
                tuple(entry["shape"]),
                8 + length + entry["data_offsets"][0],
                entry["data_offsets"][1] - entry["data_offsets"][0],
            )
            for name, entry in header.items()
        }
    except (KeyError, TypeError, IndexError) as error:
        raise ModelCorrupt(f"the header of {path.name} is not a safetensors header: {error!r}") from error


def _change(path: str, stored: Mapping[str, StoredTensor], delta: LowRank, transposed: bool) -> Change:
    wanted = f"{path}.weight"
    # A checkpoint may have been saved without the outermost prefix, such as `transformer.`.
    names = [wanted] if wanted in stored else [name for name in stored if wanted.endswith(f".{name}")]
    if len(names) != 1:
        raise ModelUnsupported(f"the checkpoint has no tensor for {wanted}; export an adapter instead")
    tensor = stored[names[0]]
    shape = (delta.left.shape[1], delta.right.shape[1])
    if tensor.dtype not in _DTYPES or tensor.shape != (shape[::-1] if transposed else shape):
        raise ModelUnsupported(
            f"{names[0]} is stored as {tensor.dtype} {list(tensor.shape)}, to which nothing can be added; "
            "export an adapter instead"
        )
    return Change(tensor, delta, transposed)


def _add(file: BinaryIO, change: Change) -> None:
    tensor, dtype = change.tensor, _DTYPES[change.tensor.dtype]
    file.seek(tensor.start)
    weight = torch.frombuffer(bytearray(file.read(tensor.size)), dtype=dtype).reshape(tensor.shape)
    delta = torch.from_numpy(change.delta.left).T @ torch.from_numpy(change.delta.right)  # (d_out, d_in)
    merged = (weight.to(torch.promote_types(dtype, torch.float32)) + (delta.T if change.transposed else delta)).to(
        dtype
    )
    file.seek(tensor.start)
    file.write(merged.contiguous().view(torch.uint8).numpy().tobytes())
