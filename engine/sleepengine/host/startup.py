"""From a model's name to an engine that takes orders."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sleepengine.backends.base import Backend, Work
from sleepengine.backends.silencing import Silencing
from sleepengine.backends.tokenizer import HFTokenizer
from sleepengine.errors import ModelUnsupported
from sleepengine.host.engine import ModelEngine
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.files import make_private_dir
from sleepengine.models.choice import choose_backend
from sleepengine.models.registry import ModelRecord, profile_path, resolve
from sleepengine.wake import opening
from sleepengine.wake.calibrated import Profiles, profiles_for, read
from sleepengine.wake.editing import Editor, Editors

T = TypeVar("T")

STATISTICS = ".statistics"  # folder beside the models; what is measured of them once


def load_engine(
    model: str,
    models_dir: Path,
    blobs_dir: Path,
    device: str,
    editor: str,
    announce: Callable[[str], None],
    backend: str = "auto",
    dtype: str = "auto",
) -> ModelEngine:
    """Load the model and, where that was not done before, measure what its editor needs. Raises EngineError with the
    reason."""
    begun = time.monotonic()
    announce("loading the model")
    checkpoint = resolve(model, models_dir)
    opened = open_backend(checkpoint, device, backend, dtype)
    editors = open_editors(opened, models_dir, editor, announce)
    return ModelEngine(opened, BlobStore(blobs_dir), editors, time.monotonic() - begun, checkpoint, editors)


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


def open_backend(record: ModelRecord, device: str, backend: str = "auto", dtype: str = "auto") -> Backend:
    """A model that is on disk in the framework that is asked for or suits it; see `choice.choose_backend`.

    Its views may silence what their adapter knows. Raises ModelUnsupported where the framework is not installed or
    cannot hold the model; it never falls back to another one.
    """
    opening = {"torch": _open_torch, "mlx": _open_mlx}[choose_backend(backend, record, device)]
    return Silencing(opening(record, device, dtype)).as_backend


def _open_torch(record: ModelRecord, device: str, dtype: str) -> Backend:
    from sleepengine.backends.torch_backend.backend import TorchBackend
    from sleepengine.models.load import load

    loaded = load(record, device, dtype)
    tokenizer = HFTokenizer(loaded.tokenizer, ())
    return TorchBackend(loaded.model, tokenizer, record.name, record.identity, loaded.precision)


def _open_mlx(record: ModelRecord, device: str, dtype: str) -> Backend:
    try:
        for library in ("mlx.core", "mlx_lm"):
            importlib.import_module(library)
    except ImportError as error:
        raise ModelUnsupported(f"the mlx backend needs mlx and mlx-lm: pip install 'sleepd[mlx]' ({error})") from error
    from sleepengine.backends.mlx_backend.backend import MLXBackend
    from sleepengine.models.load_mlx import load

    loaded = load(record, device, dtype)
    return MLXBackend(loaded.model, HFTokenizer(loaded.tokenizer, ()), loaded.description)
