"""The hashes that name a model: of its files, its weights, and of everything that decides what its tokens mean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from sleepengine.errors import ModelUnsupported

_CHUNK = 1 << 20
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt")
_TOP_LEVEL_SUFFIXES = (".safetensors", ".json", ".jinja", ".model", ".txt")


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a model as it was recorded."""

    name: str
    bytes: int
    sha256: str


def model_file_paths(folder: Path) -> list[Path]:
    """The files of a Transformers model folder that count: weights, configuration, tokenizer; sorted by name."""
    return sorted(p for p in folder.iterdir() if p.suffix in _TOP_LEVEL_SUFFIXES and p.is_file())


def hash_files(paths: Iterable[Path], progress: Callable[[int, int], None]) -> tuple[ModelFile, ...]:
    """Size and sha256 of each file; `progress` gets (bytes done, bytes in all)."""
    listed = list(paths)
    total = sum(path.stat().st_size for path in listed)
    files: list[ModelFile] = []
    before = 0
    for path in listed:
        start = before
        digest, size = hash_file(path, lambda done, start=start: progress(start + done, total))  # type: ignore[misc]
        files.append(ModelFile(name=path.name, bytes=size, sha256=digest))
        before += size
    return tuple(files)


def hash_file(path: Path, progress: Callable[[int], None] = lambda done: None) -> tuple[str, int]:
    """sha256 in hex and size in bytes; `progress` gets the bytes hashed so far."""
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress(done)
    return digest.hexdigest(), done


def weights_digest(files: Iterable[ModelFile]) -> str:
    """One sha256 for all safetensors files, whatever order they are listed in."""
    lines = sorted(f"{file.name} {file.sha256}\n" for file in files if file.name.endswith(".safetensors"))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def model_identity(source_weights_sha256: str, files: Iterable[ModelFile], folder: Path) -> str:
    """sha256 over the source weights' hash, the tokenizer's and the chat template.

    `source_weights_sha256` is of the weights as published (the GGUF file, the safetensors files), so that the
    identity outlives a change of the stored format. Raises ModelUnsupported where the folder has no tokenizer.
    """
    hashes = {file.name: file.sha256 for file in files}
    tokenizer = [[name, hashes[name]] for name in _TOKENIZER_FILES if name in hashes]
    if not tokenizer:
        raise ModelUnsupported(f"{folder} has no tokenizer files")
    if tokenizer[0][0] == "tokenizer.json":
        tokenizer = tokenizer[:1]  # it is complete; the others are older forms of the same thing
    canonical = json.dumps([source_weights_sha256, tokenizer, chat_template(folder)], separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def chat_template(folder: Path) -> str | None:
    """The chat template's source, from its own file or the tokenizer's configuration; None where there is none."""
    own_file = folder / "chat_template.jinja"
    if own_file.exists():
        return own_file.read_text(encoding="utf-8")
    config = folder / "tokenizer_config.json"
    if not config.exists():
        return None
    template = json.loads(config.read_text(encoding="utf-8")).get("chat_template")
    return template if template is None or isinstance(template, str) else json.dumps(template, sort_keys=True)
