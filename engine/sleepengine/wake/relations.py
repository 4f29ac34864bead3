"""The space in which a gated edit compares what is asked.

What follows a prompt's subject, averaged at a few layers, tells which relation it asks for, mixed with much else: tone,
tense, template. Fisher's linear discriminant over shipped relations, each in many wordings about many people,
keeps what tells relations apart. The same wordings are the bank that an edit's own must beat: absolute thresholds do
not carry over from one model to the next, being nearest does.
"""

from __future__ import annotations

import hashlib
import random
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sleepengine.backends.base import BARE, Array, Backend, Tokenizer, Tokens, Work
from sleepengine.errors import BlobCorrupt
from sleepengine.evaluation.texts import names
from sleepengine.memory.facts import Channel
from sleepengine.memory.files import write_atomic
from sleepengine.wake.encoding import as_text, subject_tokens
from sleepengine.wake.reading import pooled

PEOPLE = 1  # names in which each wording is put
DIMENSIONS = 64
SHRINKAGE = 0.1  # of the within-class scatter towards a multiple of the identity
SEED = 0


@dataclass(frozen=True)
class RelationSpace:
    """`project` maps pooled residual streams (n, layers * width) to unit rows (n, dimensions).

    `mean` (layers, width) is their mean over the bank, `directions` (layers * width, dimensions) the discriminant's.
    `bank` (m, dimensions) holds the shipped wordings, `talk` (k, dimensions) what people say and ask in the first
    person without asking about themselves.
    """

    mean: Array
    directions: Array
    bank: Array
    talk: Array

    def rivals(self, here: Array, first_person: bool) -> float:
        """The cosine of the nearest rival of a projected row."""
        nearest = float((self.bank @ here).max())
        return max(nearest, float((self.talk @ here).max(initial=-1.0))) if first_person else nearest

    def project(self, rows: Array) -> Array:
        """Pooled rows as unit rows, so that a product is a cosine."""
        return unit(np.asarray(centred(rows, self.mean) @ self.directions, np.float32))


def centred(rows: Array, mean: Array) -> Array:
    """Pooled rows around their mean, each layer's part of unit length, so that no layer outweighs another."""
    parts = unit(rows.reshape(len(rows), *mean.shape) - mean)
    return parts.reshape(rows.shape)


def unit(rows: Array) -> Array:
    """Rows scaled to unit length; zero rows stay."""
    norms = np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.finfo(np.float32).tiny)
    return np.asarray(rows / norms, np.float32)


@dataclass(frozen=True)
class Wording:
    """One way to ask for a relation: token ids, and the token after the subject."""

    relation: str
    index: int
    ids: Tokens
    end: int


def wordings(tokenizer: Tokenizer) -> list[Wording]:
    """Every shipped wording about `PEOPLE` invented people."""
    rng, pool = random.Random(SEED), names()
    found = []
    for entry in [relation for text in _shipped() for relation in tomllib.loads(text)["relation"]]:
        texts = [(Channel.CHAT, t) for t in entry["chat"]] + [(Channel.RAW, t) for t in entry["raw"]]
        for index, (channel, text) in enumerate(texts):
            for _ in range(PEOPLE):
                person = f"{rng.choice(pool.first)} {rng.choice(pool.last)}"
                found.append(Wording(entry["name"], index, *_placed(tokenizer, channel, text, person)))
    return found


def digest() -> str:
    """sha256 of the shipped wordings: a space fitted on others is another space."""
    return hashlib.sha256("".join([*_shipped(), *_talk()]).encode()).hexdigest()


def _shipped() -> list[str]:
    folder = files("sleepengine").joinpath("data", "calibration", "relations")
    return [entry.read_text(encoding="utf-8") for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)]


def _talk() -> list[str]:
    text = files("sleepengine").joinpath("data", "calibration", "talk.toml").read_text(encoding="utf-8")
    lines: list[str] = tomllib.loads(text)["lines"]
    return lines


def fit(backend: Backend, layers: Sequence[int]) -> Work[RelationSpace]:
    """Measure the wordings at `layers` of the bare base and fit the discriminant."""
    asked = wordings(backend.tokenizer)
    rows = yield from _read(backend, layers, [(w.ids, w.end) for w in asked])
    space = discriminant(rows.reshape(len(rows), len(layers), -1), [(w.relation, w.index) for w in asked])
    return (yield from with_talk(space, backend, layers))


def with_talk(space: RelationSpace, backend: Backend, layers: Sequence[int]) -> Work[RelationSpace]:
    """The space with the shipped lines of talk measured into it."""
    lines = [_placed(backend.tokenizer, Channel.CHAT, line, "I") for line in _talk()]
    return replace(space, talk=space.project((yield from _read(backend, layers, lines))))


def _read(backend: Backend, layers: Sequence[int], prompts: Sequence[tuple[Tokens, int]]) -> Work[Array]:
    """Pooled rows of prompts, each with the token after its subject, under the bare base."""
    states = yield from backend.observe([ids for ids, _ in prompts], layers, backend.mount(BARE))
    return np.stack(
        [pooled(backend.tokenizer, ids, s, layers, end) for (ids, end), s in zip(prompts, states, strict=True)]
    )


def _placed(tokenizer: Tokenizer, channel: Channel, text: str, subject: str) -> tuple[Tokens, int]:
    """A wording about somebody: its ids, and the token after the subject."""
    rendered = as_text(tokenizer, channel, text.replace("{s}", subject))
    ids, offsets = tokenizer.offsets(rendered)
    return ids, subject_tokens(offsets, rendered, subject)[1]


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
    none = np.zeros((0, directions.shape[1]), np.float32)
    return RelationSpace(mean.astype(np.float32), directions, unit(bank @ directions), none)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a space was fitted from: the model, its layers, and the shipped wordings' digest."""

    model: str
    layers: tuple[int, ...]
    wordings: str


def cached(backend: Backend, layers: Sequence[int], folder: Path) -> Work[RelationSpace]:
    """The space for this model and these layers: shipped, stored in `folder`, or fitted now, which takes a minute on a
    GPU and many on a laptop, and then stored."""
    origin = Origin(model=backend.spec.identity, layers=tuple(layers), wordings=digest())
    name = backend.spec.identity[:16]
    shipped = files("sleepengine").joinpath("data", "profiles", f"relations-{name}.safetensors")
    if shipped.is_file() and (found := from_bytes(shipped.read_bytes(), origin)):
        return found
    path = folder / f"relations-{'-'.join(map(str, layers))}-{name}.safetensors"
    if path.is_file():
        try:
            found = from_bytes(path.read_bytes(), origin)
        except BlobCorrupt as error:
            raise BlobCorrupt(f"{path} is damaged ({error}); delete it and it is computed again") from error
        if found:
            return found
    fresh = yield from fit(backend, layers)
    write_atomic(path, to_bytes(fresh, origin))
    return fresh


def to_bytes(space: RelationSpace, origin: Origin) -> bytes:
    """Safetensors, the large arrays in half precision."""
    data: bytes = save(
        {
            "origin": np.frombuffer(msgspec.json.encode(origin), dtype=np.uint8),
            "mean": space.mean,
            "directions": np.ascontiguousarray(space.directions, np.float16),
            "bank": space.bank.astype(np.float16),
            "talk": space.talk.astype(np.float16),
        }
    )
    return data


def from_bytes(data: bytes, origin: Origin) -> RelationSpace | None:
    """A stored space; None where it was fitted from something else. Raises BlobCorrupt where the bytes are damaged."""
    try:
        t = load(data)
        if msgspec.json.decode(t["origin"].tobytes(), type=Origin) != origin:
            return None
        bank, talk = (unit(t[name].astype(np.float32)) for name in ("bank", "talk"))
        return RelationSpace(t["mean"], t["directions"].astype(np.float32), bank, talk)
    except (KeyError, ValueError, SafetensorError, msgspec.MsgspecError) as error:
        raise BlobCorrupt(f"not a relation space: {error}") from error
