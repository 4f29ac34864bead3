"""Second moments C = mean of k k^T of the down projections' inputs on reference text (paper, Eq. 1).

The text is the shipped prose: several times as many tokens as the MLP is wide, so C has full rank. What is kept is the
inverse, which is what the solve needs; it is computed once for a model and stored beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sleepengine.backends.base import Array, Backend, Tokens, Work
from sleepengine.errors import BlobCorrupt
from sleepengine.evaluation.texts import covariance_texts
from sleepengine.memory.files import write_atomic

WINDOW = 128  # tokens a work item
JITTER = 1e-4  # of the mean diagonal, so that the inverse exists for models wider than the text is long


@dataclass(frozen=True)
class Covariance:
    """`inverse[layer]` is C^-1, (mlp_width, mlp_width); `tokens` is how many tokens C was estimated from."""

    inverse: dict[int, Array]
    tokens: int


def windows(backend: Backend, texts: Sequence[str]) -> list[Tokens]:
    """The texts, joined and cut into windows of `WINDOW` tokens; the last, shorter one is left out."""
    ids = [i for text in texts for i in backend.tokenizer.encode(text + "\n\n")]
    return [tuple(ids[a : a + WINDOW]) for a in range(0, len(ids) - WINDOW + 1, WINDOW)]


def estimate(backend: Backend, layers: Sequence[int], texts: Sequence[str]) -> Work[Covariance]:
    """C over all windows of `texts`, inverted in double precision."""
    width = backend.spec.mlp_width
    sums: dict[int, NDArray[np.float64]] = {layer: np.zeros((width, width)) for layer in layers}
    pieces = windows(backend, texts)
    for piece in pieces:
        for layer, moment in backend.second_moment(piece, layers).items():
            sums[layer] += moment
        yield
    tokens = len(pieces) * WINDOW
    inverse: dict[int, Array] = {}
    for layer, total in sums.items():
        c = total / tokens
        c[np.diag_indices(width)] += JITTER * np.trace(c) / width
        inverse[layer] = np.linalg.inv(c).astype(np.float32)
        yield
    return Covariance(inverse, tokens)


def cached(backend: Backend, layers: Sequence[int], folder: Path) -> Work[Covariance]:
    """The stored estimate for this model and these layers, or a fresh one, which is then stored."""
    name = "covariance-" + "-".join(map(str, layers)) + f"-{backend.spec.identity[:16]}.safetensors"
    path = folder / name
    if path.is_file():
        return _read(path, layers)
    fresh = yield from estimate(backend, layers, covariance_texts())
    tensors: dict[str, NDArray[np.generic]] = {f"inverse.{layer}": m for layer, m in fresh.inverse.items()}
    tensors["tokens"] = np.array([fresh.tokens])
    write_atomic(path, save(tensors))
    return fresh


def _read(path: Path, layers: Sequence[int]) -> Covariance:
    try:
        tensors = load(path.read_bytes())
        return Covariance({layer: tensors[f"inverse.{layer}"] for layer in layers}, int(tensors["tokens"][0]))
    except (KeyError, ValueError, SafetensorError) as error:
        raise BlobCorrupt(f"{path} is damaged ({error}); delete it and it is computed again") from error
