"""From a model's name to an engine that takes orders."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sleepengine.backends.base import Backend
from sleepengine.host.engine import ModelEngine
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.files import make_private_dir
from sleepengine.models.load import load
from sleepengine.models.registry import resolve
from sleepengine.wake.covariance import Covariance, cached
from sleepengine.wake.memit import Memit
from sleepengine.wake.profile import profile_for

STATISTICS = ".statistics"  # folder beside the models; what is measured of them once


def load_engine(
    model: str, models_dir: Path, blobs_dir: Path, device: str, announce: Callable[[str], None]
) -> ModelEngine:
    """Load the model and, the first time, measure its key statistics. Raises EngineError with the reason."""
    begun = time.monotonic()
    announce("loading the model")
    backend = open_backend(model, models_dir, device)
    profile = profile_for(backend.spec)
    covariance = statistics(backend, profile.layers, models_dir, announce)
    editor = Memit(backend, profile, covariance)
    return ModelEngine(backend, BlobStore(blobs_dir), editor, time.monotonic() - begun)


def open_backend(model: str, models_dir: Path, device: str) -> Backend:
    """The torch backend over a model that is on disk."""
    from sleepengine.backends.torch_backend.backend import TorchBackend
    from sleepengine.backends.torch_backend.tokenizer import HFTokenizer

    record = resolve(model, models_dir)
    loaded = load(record, device)
    return TorchBackend(loaded.model, HFTokenizer(loaded.tokenizer, ()), record.name, record.identity)


def statistics(
    backend: Backend, layers: tuple[int, ...], models_dir: Path, announce: Callable[[str], None]
) -> Covariance:
    """The covariance of the edited layers' keys: read where it was measured before, else measured now."""
    folder = models_dir / STATISTICS
    make_private_dir(folder)
    work = cached(backend, layers, folder)
    pieces = 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            covariance: Covariance = end.value
            return covariance
        pieces += 1
        announce(f"measuring the model once: {pieces} pieces of reference text")
