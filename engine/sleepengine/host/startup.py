"""From a model's name to an engine that takes orders."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sleepengine.backends.base import Backend, Work
from sleepengine.host.engine import ModelEngine
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.files import make_private_dir
from sleepengine.models.load import load
from sleepengine.models.registry import ModelRecord, profile_path, resolve
from sleepengine.wake import opening
from sleepengine.wake.calibrated import Profiles, profiles_for, read
from sleepengine.wake.editing import Editor, Editors

T = TypeVar("T")

STATISTICS = ".statistics"  # folder beside the models; what is measured of them once


def load_engine(
    model: str, models_dir: Path, blobs_dir: Path, device: str, editor: str, announce: Callable[[str], None]
) -> ModelEngine:
    """Load the model and, where that was not done before, measure what its editor needs. Raises EngineError with the
    reason."""
    begun = time.monotonic()
    announce("loading the model")
    checkpoint = resolve(model, models_dir)
    backend = open_backend(checkpoint, device)
    editors = open_editors(backend, models_dir, editor, announce)
    return ModelEngine(backend, BlobStore(blobs_dir), editors, time.monotonic() - begun, checkpoint)


def open_editors(backend: Backend, models_dir: Path, active: str, announce: Callable[[str], None]) -> Editors:
    """All editors over one model, the active one ready. What they measure of a model is measured once and kept."""
    folder = models_dir / STATISTICS
    make_private_dir(folder)
    profiles = stored_profiles(backend, models_dir)

    def measured(work: Work[T], what: str) -> T:
        pieces = 0
        while True:
            try:
                next(work)
            except StopIteration as end:
                result: T = end.value
                return result
            pieces += 1
            announce(f"measuring the model once: {pieces} pieces of {what}")

    def memit() -> Editor:
        return measured(opening.open_memit(backend, profiles.memit, folder), "reference text")

    def gated() -> Editor:
        return measured(opening.open_gated(backend, profiles.gated, folder), "wordings")

    editors = Editors(active, {"memit": memit, "gated": gated})
    editors.open(active)
    return editors


def stored_profiles(backend: Backend, models_dir: Path) -> Profiles:
    """The editors' settings for a model of the models folder. Raises BlobCorrupt where its calibration is damaged."""
    spec = backend.spec
    return profiles_for(spec, read(profile_path(spec.name, models_dir), spec.identity))


def open_backend(record: ModelRecord, device: str) -> Backend:
    """The torch backend over a model that is on disk."""
    from sleepengine.backends.tokenizer import HFTokenizer
    from sleepengine.backends.torch_backend.backend import TorchBackend

    loaded = load(record, device)
    return TorchBackend(loaded.model, HFTokenizer(loaded.tokenizer, ()), record.name, record.identity)
