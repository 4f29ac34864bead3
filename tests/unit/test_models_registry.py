"""Names, records and local folders: what is known of a model without loading it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from sleepengine.errors import ModelCorrupt, ModelNotFound, ModelUnsupported
from sleepengine.models.catalog import DEFAULT_MODEL
from sleepengine.models.identity import ModelFile, chat_template, model_identity
from sleepengine.models.messages import (
    Failure,
    Phase,
    PullDone,
    PullFailed,
    PullMessage,
    PullProgress,
    Unit,
    decode_message,
    encode_message,
)
from sleepengine.models.pull import pull
from sleepengine.models.registry import (
    RECORD_FILE,
    ModelRecord,
    Origin,
    canonical_name,
    list_models,
    origin_of,
    remove,
    resolve,
    storage_key,
    verify,
)


def stored(models: Path, name: str = "org/tiny") -> ModelRecord:
    """A model of one file, put there by hand."""
    folder = models / storage_key(name)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    record = ModelRecord(
        name=name,
        display_name="Tiny",
        path="/elsewhere",
        identity="1d",
        origin=Origin.HUB,
        source=f"{name}@c0ffee",
        bytes=7,
        files=(ModelFile(name="model.safetensors", bytes=7, sha256="0" * 64),),
    )
    (folder / RECORD_FILE).write_bytes(msgspec.json.encode(record))
    return record


@pytest.fixture
def own_folder(tiny_model_dir: Path, tmp_path: Path) -> Path:
    """A local model folder that the test may change."""
    return Path(shutil.copytree(tiny_model_dir, tmp_path / "own"))


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        (DEFAULT_MODEL, Origin.WHEEL),
        ("SmolLM2-135M-Instruct", Origin.WHEEL),
        ("Qwen/Qwen2.5-0.5B-Instruct", Origin.HUB),
        ("/some/folder", Origin.FOLDER),
        ("./folder", Origin.FOLDER),
        ("../folder", Origin.FOLDER),
        ("~/folder", Origin.FOLDER),
    ],
)
def test_a_name_says_where_a_model_comes_from(name: str, origin: Origin) -> None:
    assert origin_of(name) is origin


@pytest.mark.parametrize("name", ["", "tiny", "a/b/c", "a/..", "..a/b", "a/b\n", "a--b/c", "-a/b", ".x/y", "a\0/b"])
def test_other_names_are_not_found_and_say_what_is(name: str, tmp_path: Path) -> None:
    for look in (origin_of, lambda n: resolve(n, tmp_path), lambda n: pull(n, tmp_path), lambda n: remove(n, tmp_path)):
        with pytest.raises(ModelNotFound, match=DEFAULT_MODEL):
            look(name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_named_by_its_real_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    assert canonical_name("./link") == canonical_name(str(tmp_path / "real")) == str((tmp_path / "real").resolve())


# -- records -------------------------------------------------------------------------------------------------------


def test_a_record_moves_with_its_models_folder(tmp_path: Path) -> None:
    stored(tmp_path)
    assert resolve("org/tiny", tmp_path).path == str(tmp_path / "org--tiny")


def test_an_absent_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="sleepd model pull smollm2-135m-instruct"):
        resolve("SmolLM2-135M-Instruct", tmp_path / "none")


def test_missing_changed_and_unreadable_files_are_corrupt(tmp_path: Path) -> None:
    stored(tmp_path)
    weights = tmp_path / "org--tiny" / "model.safetensors"
    weights.write_bytes(b"longer than it was")
    with pytest.raises(ModelCorrupt, match="has 18 bytes, 7 were recorded"):
        resolve("org/tiny", tmp_path)
    weights.unlink()
    with pytest.raises(ModelCorrupt, match="No such file"):
        resolve("org/tiny", tmp_path)
    (tmp_path / "org--tiny" / RECORD_FILE).write_bytes(b'{"name": 1}')
    with pytest.raises(ModelCorrupt, match="is damaged"):
        resolve("org/tiny", tmp_path)


def test_verify_reads_what_sizes_cannot_show(tmp_path: Path) -> None:
    stored(tmp_path)
    record = resolve("org/tiny", tmp_path)
    with pytest.raises(ModelCorrupt, match=r"model\.safetensors does not hash"):
        verify(record)


def test_a_list_has_every_whole_record_and_logs_the_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stored(tmp_path, "org/b")
    stored(tmp_path, "org/a")
    stored(tmp_path, "org/broken")
    (tmp_path / "org--broken" / RECORD_FILE).write_bytes(b"{")
    (tmp_path / ".pull-org--c@1").mkdir()
    (tmp_path / "stray").mkdir()
    assert [record.name for record in list_models(tmp_path)] == ["org/a", "org/b"]
    assert "org--broken" in caplog.text
    assert list_models(tmp_path / "none") == []


def test_removal_takes_the_model_and_the_remains_of_its_pulls(tmp_path: Path) -> None:
    stored(tmp_path)
    stored(tmp_path, "org/tiny-two")
    (tmp_path / ".pull-org--tiny@1").mkdir()
    (tmp_path / ".pull-org--tiny-two@1").mkdir()
    remove("org/tiny", tmp_path)
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".lock-")}
    assert left == {"org--tiny-two", ".pull-org--tiny-two@1"}
    with pytest.raises(ModelNotFound, match="org/tiny is not on this machine"):
        remove("org/tiny", tmp_path)
    with pytest.raises(ModelNotFound):
        remove("org/tiny", tmp_path / "none")


# -- local folders -------------------------------------------------------------------------------------------------


def test_a_folder_is_used_in_place_and_remembered(own_folder: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    before = {path: path.stat().st_mtime_ns for path in own_folder.iterdir()}
    with pytest.raises(ModelNotFound, match="is new or has changed"):
        resolve(str(own_folder), models)
    record = pull(str(own_folder), models)
    assert (record.name, record.path, record.origin) == (str(own_folder), str(own_folder), Origin.FOLDER)
    assert resolve(str(own_folder), models) == record
    assert list_models(models) == [record]
    verify(record)
    assert {path: path.stat().st_mtime_ns for path in own_folder.iterdir()} == before


def test_a_changed_folder_has_to_be_read_again(own_folder: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    first = pull(str(own_folder), models)
    os.utime(own_folder / "model.safetensors", ns=(1, 1))
    with pytest.raises(ModelNotFound):
        resolve(str(own_folder), models)
    assert list_models(models) == []
    assert pull(str(own_folder), models).identity == first.identity
    (own_folder / "chat_template.jinja").write_text("{{ messages }}")
    assert pull(str(own_folder), models).identity != first.identity


def test_removing_a_folder_forgets_it_and_leaves_it(own_folder: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    pull(str(own_folder), models)
    remove(str(own_folder), models)
    assert list_models(models) == []
    assert (own_folder / "model.safetensors").exists()
    with pytest.raises(ModelNotFound):
        remove(str(own_folder), models)


@pytest.mark.parametrize(
    ("missing", "message"), [("model.safetensors", "safetensors weights are needed"), ("config.json", "config.json")]
)
def test_a_folder_that_is_no_model_is_unsupported(own_folder: Path, tmp_path: Path, missing: str, message: str) -> None:
    (own_folder / missing).unlink()
    with pytest.raises(ModelUnsupported, match=message):
        pull(str(own_folder), tmp_path / "models")


# -- identity ------------------------------------------------------------------------------------------------------


def test_identity_binds_weights_tokenizer_and_template(own_folder: Path) -> None:
    files = (ModelFile(name="tokenizer.json", bytes=1, sha256="aa"),)
    other_tokenizer = (ModelFile(name="tokenizer.json", bytes=1, sha256="bb"),)
    unrelated = (*files, ModelFile(name="generation_config.json", bytes=1, sha256="cc"))
    identities = [model_identity("w", files, own_folder), model_identity("x", files, own_folder)]
    identities.append(model_identity("w", other_tokenizer, own_folder))
    (own_folder / "chat_template.jinja").write_text("other")
    identities.append(model_identity("w", files, own_folder))
    assert len(set(identities)) == 4
    assert model_identity("w", unrelated, own_folder) == identities[-1]
    assert all(len(identity) == 64 for identity in identities)


def test_a_folder_without_tokenizer_has_no_identity(tmp_path: Path) -> None:
    with pytest.raises(ModelUnsupported, match="no tokenizer"):
        model_identity("w", (), tmp_path)


def test_the_chat_template_is_found_in_either_place(tmp_path: Path) -> None:
    assert chat_template(tmp_path) is None
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "inside"}')
    assert chat_template(tmp_path) == "inside"
    (tmp_path / "chat_template.jinja").write_text("beside")
    assert chat_template(tmp_path) == "beside"


# -- messages ------------------------------------------------------------------------------------------------------


def test_messages_survive_the_pipe(tmp_path: Path) -> None:
    messages: list[PullMessage] = [
        PullProgress(phase=Phase.CONVERT, done=1, total=272, unit=Unit.TENSORS),
        PullDone(record=stored(tmp_path)),
        PullFailed(error=Failure(code="storage", message="full")),
    ]
    for message in messages:
        line = encode_message(message)
        assert line.count(b"\n") == 1
        assert decode_message(line) == message
    for bad in (b"{}", b"[]", b"{", b'{"phase": "dance"}'):
        with pytest.raises(msgspec.MsgspecError):
            decode_message(bad)


def test_nothing_but_load_imports_torch() -> None:
    modules = (
        "catalog",
        "registry",
        "identity",
        "messages",
        "pull",
        "fetch_wheel",
        "fetch_hub",
        "gguf_convert",
        "__main__",
    )
    code = f"import sys, importlib\nfor m in {modules}: importlib.import_module('sleepengine.models.' + m)\n"
    code += "assert not {'torch', 'transformers'} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
