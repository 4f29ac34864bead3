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
from sleepengine.models.registry import ModelRecord, resolve
from sleepengine.wake.covariance import Covariance, cached
from sleepengine.wake.memit import Memit
from sleepengine.wake.profile import profile_for

STATISTICS = ".statistics"  # folder beside the models; what is measured of them once


def load_engine(
    model: str, models_dir: Path, blobs_dir: Path, device: str, announce: Callable[[str], None]
) -> ModelEngine:
    """Load the model and, where that was not done before, measure its keys. Raises EngineError with the reason."""
    begun = time.monotonic()
    announce("loading the model")
    backend = open_backend(resolve(model, models_dir), device)
    covariance = statistics(
        backend, models_dir, lambda n: announce(f"measuring the model once: {n} pieces of reference text")
    )
    editor = Memit(backend, profile_for(backend.spec), covariance)
    return ModelEngine(backend, BlobStore(blobs_dir), editor, time.monotonic() - begun)


def open_backend(record: ModelRecord, device: str) -> Backend:
    """The torch backend over a model that is on disk."""
    from sleepengine.backends.torch_backend.backend import TorchBackend
    from sleepengine.backends.torch_backend.tokenizer import HFTokenizer

    loaded = load(record, device)
    return TorchBackend(loaded.model, HFTokenizer(loaded.tokenizer, ()), record.name, record.identity)


def statistics(backend: Backend, models_dir: Path, progress: Callable[[int], None]) -> Covariance:
    """The covariance of the edited layers' keys: read where it was measured before, else measured now."""
    folder = models_dir / STATISTICS
    make_private_dir(folder)
    work = cached(backend, profile_for(backend.spec).layers, folder)
    pieces = 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            covariance: Covariance = end.value
            return covariance
        pieces += 1
        progress(pieces)
