"""The space in which a gated edit compares what is asked.

A prompt's words without its subject, averaged at a few layers, tell which relation it speaks of, mixed with much else:
tone, tense, template. Fisher's linear discriminant over shipped relations, each in many wordings about many people,
keeps what tells relations apart. The same wordings are the bank that an edit's own must beat: absolute thresholds do
not carry over from one model to the next, being nearest does.
"""

from __future__ import annotations

import hashlib
import random
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sleepengine.backends.base import BARE, Array, Backend, Tokenizer, Tokens, Work
from sleepengine.errors import BlobCorrupt
from sleepengine.evaluation.texts import names
from sleepengine.memory.facts import Channel
from sleepengine.memory.files import write_atomic
from sleepengine.wake.encoding import as_text, subject_tokens
from sleepengine.wake.reading import pooled

PEOPLE = 4  # names in which each wording is put
DIMENSIONS = 38
SHRINKAGE = 0.02  # of the within-class scatter towards a multiple of the identity
SEED = 0


@dataclass(frozen=True)
class RelationSpace:
    """`project` maps pooled residual streams (n, layers * width) to unit rows (n, dimensions).

    `mean` (layers, width) is their mean over the bank, `directions` (layers * width, dimensions) the discriminant's.
    `bank` (m, dimensions) holds the shipped wordings, `owners[i]` the name of the relation that row i asks for.
    """

    mean: Array
    directions: Array
    bank: Array
    owners: tuple[str, ...]

    def project(self, rows: Array) -> Array:
        """Pooled rows as unit rows, so that a product is a cosine."""
        return unit(np.asarray(centred(rows, self.mean) @ self.directions, np.float32))


def centred(rows: Array, mean: Array) -> Array:
    """Pooled rows around their mean, each layer's part of unit length, so that no layer outweighs another."""
    parts = unit(rows.reshape(len(rows), *mean.shape) - mean)
    return parts.reshape(len(rows), -1)


def unit(rows: Array) -> Array:
    """Rows scaled to unit length; zero rows stay."""
    norms = np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.finfo(np.float32).tiny)
    return np.asarray(rows / norms, np.float32)


@dataclass(frozen=True)
class Wording:
    """One way to ask for a relation: token ids, and the (start, end) of the subject's tokens."""

    relation: str
    index: int
    ids: Tokens
    subject: tuple[int, int]


def wordings(tokenizer: Tokenizer) -> list[Wording]:
    """Every shipped wording about `PEOPLE` invented people."""
    table = tomllib.loads(_shipped())
    rng, pool = random.Random(SEED), names()
    found = []
    for entry in table["relation"]:
        texts = [(Channel.CHAT, t) for t in entry["chat"]] + [(Channel.RAW, t) for t in entry["raw"]]
        for index, (channel, text) in enumerate(texts):
            for _ in range(PEOPLE):
                person = f"{rng.choice(pool.first)} {rng.choice(pool.last)}"
                rendered = as_text(tokenizer, channel, text.replace("{s}", person))
                ids, offsets = tokenizer.offsets(rendered)
                found.append(Wording(entry["name"], index, ids, subject_tokens(offsets, rendered, person)))
    return found


def digest() -> str:
    """sha256 of the shipped wordings: a space fitted on others is another space."""
    return hashlib.sha256(_shipped().encode()).hexdigest()


def _shipped() -> str:
    return files("sleepengine").joinpath("data", "calibration", "relations.toml").read_text(encoding="utf-8")


def fit(backend: Backend, layers: Sequence[int]) -> Work[RelationSpace]:
    """Measure the wordings at `layers` of the bare base and fit the discriminant."""
    asked = wordings(backend.tokenizer)
    bare = backend.mount(BARE)
    rows = []
    states = yield from backend.observe([w.ids for w in asked], layers, bare)
    for wording, state in zip(asked, states, strict=True):
        rows.append(pooled(backend.tokenizer, wording.ids, state, layers, *wording.subject))
    return discriminant(np.stack(rows).reshape(len(rows), len(layers), -1), [(w.relation, w.index) for w in asked])


def discriminant(rows: Array, labels: Sequence[tuple[str, int]]) -> RelationSpace:
    """Fisher's discriminant of the relations from rows (n, layers, width); the bank is each wording's mean over its
    people."""
    mean = rows.mean(axis=0)
    x = centred(rows.reshape(len(rows), -1), mean).astype(np.float64)
    classes = np.array([label for label, _ in labels])
    within, centres = np.zeros((x.shape[1], x.shape[1])), []
    for name in dict.fromkeys(classes.tolist()):
        own = x[classes == name]
        centres.append(own.mean(axis=0))
        within += (own - centres[-1]).T @ (own - centres[-1])
    within /= len(x)
    width = len(within)
    within = (1 - SHRINKAGE) * within + SHRINKAGE * np.trace(within) / width * np.eye(width)
    values, vectors = np.linalg.eigh(within)
    whiten = vectors / np.sqrt(values)
    _, _, right = np.linalg.svd(np.stack(centres) @ whiten, full_matrices=False)
    directions = (whiten @ right[: min(DIMENSIONS, len(centres) - 1)].T).astype(np.float32)
    keys = list(dict.fromkeys(labels))
    bank = np.stack([x[[label == key for label in labels]].mean(axis=0) for key in keys]).astype(np.float32)
    return RelationSpace(mean.astype(np.float32), directions, unit(bank @ directions), tuple(name for name, _ in keys))


def cached(backend: Backend, layers: Sequence[int], folder: Path) -> Work[RelationSpace]:
    """The stored space for this model and these layers, or a fresh one, which is then stored."""
    path = folder / f"relations-{'-'.join(map(str, layers))}-{digest()[:8]}-{backend.spec.identity[:16]}.safetensors"
    if path.is_file():
        return _read(path)
    fresh = yield from fit(backend, layers)
    tensors: dict[str, NDArray[np.generic]] = {
        "mean": fresh.mean,
        "directions": np.ascontiguousarray(fresh.directions),
        "bank": fresh.bank,
        "owners": np.frombuffer(msgspec.json.encode(fresh.owners), dtype=np.uint8),
    }
    write_atomic(path, save(tensors))
    return fresh


def _read(path: Path) -> RelationSpace:
    try:
        t = load(path.read_bytes())
        owners = msgspec.json.decode(t["owners"].tobytes(), type=tuple[str, ...])
        return RelationSpace(t["mean"], t["directions"], t["bank"], owners)
    except (KeyError, ValueError, SafetensorError, msgspec.MsgspecError) as error:
        raise BlobCorrupt(f"{path} is damaged ({error}); delete it and it is computed again") from error
