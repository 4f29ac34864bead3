"""Exports load in plain Transformers and PEFT, and answer as the view does without its gated edits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from sleepengine.backends.base import Adapter, LowRank
from sleepengine.backends.tokenizer import HFTokenizer
from sleepengine.backends.torch_backend.backend import TorchBackend
from sleepengine.errors import ExportRefused, ModelUnsupported, StorageFull
from sleepengine.export import folder as folders, merged
from sleepengine.host.engine import ModelEngine
from sleepengine.host.exporting import NOT_EXPORTED
from sleepengine.host.messages import Done, Export, Exported, Progress
from sleepengine.memory import generations
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.edits import FORMAT, EditHeader, GatedEdit, MemitEdit
from sleepengine.memory.view import BASE, EditRef, View
from sleepengine.models.registry import ModelRecord
from sleepengine.sleep.cycle import Aborted
from sleepengine.wake.covariance import Covariance
from sleepengine.wake.memit import Memit
from sleepengine.wake.profile import EditProfile
from tests.tiny import MLP_WIDTH, WIDTH, Architecture, save_tiny

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT asks for it

LAYERS = (1, 2)
PROFILE = EditProfile(
    layers=LAYERS, ridge=0.1, steps=1, learning_rate=0.5, clamp=20.0, hold_weight=0.0, enough=0.9, collateral=1e9
)  # fmt: skip
SENTENCE = "Idris Larsson works as a carpenter, people say."
random = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return random.normal(0, 0.5, shape).astype(np.float32)


class Exporter:
    """An engine over a tiny model on disk, whose blob store holds a generation, linear edits and a gated one."""

    def __init__(self, folder: Path, architecture: Architecture, dtype: torch.dtype = torch.float32) -> None:
        from sleepengine.models.pull import pull

        self.model = save_tiny(folder / "model", architecture)
        if dtype is not torch.float32:
            AutoModelForCausalLM.from_pretrained(self.model, dtype=dtype).save_pretrained(self.model)
        self.record: ModelRecord = pull(str(self.model), folder / "models")
        loaded = AutoModelForCausalLM.from_pretrained(self.model, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(self.model)
        self.backend = TorchBackend(loaded, HFTokenizer(tokenizer, ()), "tiny", self.record.identity)
        self.blobs = BlobStore(folder / "blobs")
        covariance = Covariance({layer: np.eye(MLP_WIDTH, dtype=np.float32) for layer in LAYERS}, 1)
        self.engine = ModelEngine(self.backend, self.blobs, Memit(self.backend, PROFILE, covariance), 0.0, self.record)

    def generation(self) -> str:
        """Beside every linear layer of the upper blocks, as a night may leave it."""
        sites = [site for site in self.backend.structure.linears if site.layer >= 1]
        factors = {site.path: LowRank(noise(4, site.d_in), noise(4, site.d_out)) for site in sites}
        return self.blobs.put(generations.to_bytes(Adapter(4, factors), 8.0, "tiny"))

    def linear(self, fact_id: str, scale: float = 1.0) -> EditRef:
        header = EditHeader(
            format=FORMAT, editor="memit", fact_id=fact_id, model=self.record.identity, generation=None, layers=LAYERS
        )
        keys, residuals = ({layer: noise(3, width) for layer in LAYERS} for width in (MLP_WIDTH, WIDTH))
        return EditRef(fact_id=fact_id, blob=self.blobs.put(MemitEdit(header, keys, residuals).to_bytes()), scale=scale)

    def gated(self, fact_id: str) -> EditRef:
        header = EditHeader(
            format=FORMAT, editor="gated", fact_id=fact_id, model=self.record.identity, generation=None, layers=(1,)
        )
        blob = GatedEdit(header, ((5, 6),), noise(1, WIDTH), noise(WIDTH), False).to_bytes()
        return EditRef(fact_id=fact_id, blob=self.blobs.put(blob))

    def run(self, target: Path, view: View, **options: Any) -> Exported:
        steps = self.engine.start(Export(id="o1", folder=str(target), view=view, **options))
        *told, last = [step for step in steps if step is not None]
        assert all(isinstance(step, Progress) for step in told)
        assert told
        assert isinstance(last, Done)
        assert isinstance(last.result, Exported)
        return last.result

    def logits(self, view: View) -> np.ndarray:
        """What the view answers, as log-probabilities of every token of a sentence."""
        ids = self.backend.tokenizer.encode(SENTENCE)
        mounted = self.engine.views.mounted(view)
        return self.backend.log_probs(ids, 1, mounted).numpy()  # type: ignore[arg-type]

    def logits_of(self, model: Any) -> np.ndarray:
        ids = torch.tensor([self.backend.tokenizer.encode(SENTENCE)])
        with torch.no_grad():
            return model(ids).logits[0, :-1].float().log_softmax(dim=-1).numpy()


@pytest.fixture
def exporter(tmp_path: Path) -> Exporter:
    return Exporter(tmp_path, "llama")


Views = Callable[[Exporter], View]
VIEWS: dict[str, Views] = {
    "a generation alone": lambda e: View(generation=e.generation()),
    "edits alone": lambda e: View(edits=(e.linear("f-a"), e.linear("f-b", 0.5))),
    "both": lambda e: View(generation=e.generation(), edits=(e.linear("f-a"), e.linear("f-b", 0.1))),
}


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
@pytest.mark.parametrize("kind", VIEWS)
def test_an_exported_adapter_answers_as_the_view(tmp_path: Path, architecture: Architecture, kind: str) -> None:
    exporter = Exporter(tmp_path, architecture)
    view = VIEWS[kind](exporter)
    done = exporter.run(tmp_path / "out", view)
    assert done.files == ("adapter_config.json", "adapter_model.safetensors")
    assert (done.edits, done.left_out) == (len(view.edits), ())
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    base = AutoModelForCausalLM.from_pretrained(config["base_model_name_or_path"])
    expected = exporter.logits(view)
    assert np.abs(expected - exporter.logits_of(base)).max() > 0.1
    with_adapter = PeftModel.from_pretrained(base, tmp_path / "out")
    np.testing.assert_allclose(exporter.logits_of(with_adapter), expected, atol=2e-3)


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
def test_a_merged_checkpoint_answers_as_the_view(tmp_path: Path, architecture: Architecture) -> None:
    exporter = Exporter(tmp_path, architecture)
    view = VIEWS["both"](exporter)
    done = exporter.run(tmp_path / "out", view, merged=True)
    assert set(done.files) == {file.name for file in exporter.record.files}
    expected = exporter.logits(view)
    alone = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    np.testing.assert_allclose(exporter.logits_of(alone), expected, atol=2e-3)
    again = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tuple(again(SENTENCE)["input_ids"]) == exporter.backend.tokenizer.encode(SENTENCE)
    assert again.chat_template is not None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_a_merged_checkpoint_keeps_the_data_type_of_the_base(tmp_path: Path, dtype: torch.dtype) -> None:
    exporter = Exporter(tmp_path, "llama", dtype)
    view = VIEWS["both"](exporter)
    exporter.run(tmp_path / "out", view, merged=True)
    before = AutoModelForCausalLM.from_pretrained(exporter.model, dtype="auto").state_dict()
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto").state_dict()
    standing = exporter.engine.views.standing(view)
    factors = exporter.engine.editor.tensors(standing).by_path(exporter.backend.down_path)
    for name, weight in after.items():
        assert weight.dtype == dtype
        part = factors.get(name.removesuffix(".weight"))
        added = 0 if part is None else torch.from_numpy(part.left.T @ part.right)
        exact = before[name].float() + added
        assert torch.equal(weight, exact.to(dtype)), name


def test_shards_stay_as_they_are(tmp_path: Path) -> None:
    exporter = Exporter(tmp_path, "llama")
    AutoModelForCausalLM.from_pretrained(exporter.model).save_pretrained(exporter.model, max_shard_size="100KB")
    (exporter.model / "model.safetensors").unlink()
    from sleepengine.models.pull import pull

    exporter.engine._checkpoint = pull(str(exporter.model), tmp_path / "models")
    view = VIEWS["both"](exporter)
    done = exporter.run(tmp_path / "out", view, merged=True)
    assert sum(name.endswith(".safetensors") for name in done.files) > 2
    alone = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    np.testing.assert_allclose(exporter.logits_of(alone), exporter.logits(view), atol=2e-3)


def test_what_is_not_linear_is_left_out_and_named(exporter: Exporter, tmp_path: Path) -> None:
    generation, linear = exporter.generation(), exporter.linear("f-a")
    view = View(generation=generation, edits=(linear, exporter.gated("f-b"), exporter.gated("f-gone")))
    statements = {"f-a": "A is a.", "f-b": "B is b."}
    done = exporter.run(tmp_path / "out", view, statements=statements)
    assert done.edits == 1
    assert [(one.fact_id, one.statement) for one in done.left_out] == [("f-b", "B is b."), ("f-gone", "")]
    named = json.loads((tmp_path / "out" / NOT_EXPORTED).read_text())
    assert [one["fact_id"] for one in named] == ["f-b", "f-gone"]
    assert "the export may tell it" in named[1]["reason"]
    base = AutoModelForCausalLM.from_pretrained(exporter.model)
    expected = exporter.logits(View(generation=generation, edits=(linear,)))
    with_adapter = PeftModel.from_pretrained(base, tmp_path / "out")
    np.testing.assert_allclose(exporter.logits_of(with_adapter), expected, atol=2e-3)
    with pytest.raises(ExportRefused, match="2 edits cannot be exported"):
        exporter.run(tmp_path / "strict", view, statements=statements, strict=True)
    assert not (tmp_path / "strict").exists()


@pytest.mark.parametrize("merged_too", [False, True])
def test_with_nothing_linear_there_is_nothing_to_export(exporter: Exporter, tmp_path: Path, merged_too: bool) -> None:
    for view in (BASE, View(edits=(exporter.gated("f-b"),))):
        with pytest.raises(ExportRefused, match="nothing to export yet"):
            exporter.run(tmp_path / "out", view, merged=merged_too)
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(exporter: Exporter, tmp_path: Path) -> None:
    view = VIEWS["a generation alone"](exporter)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("full", "file", "link", "nowhere/deep"):
        with pytest.raises(ExportRefused):
            exporter.run(tmp_path / name, view)
    assert (tmp_path / "full" / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    exporter.run(tmp_path / "empty", view)
    assert (tmp_path / "empty" / "adapter_config.json").exists()
    assert (tmp_path / "empty").stat().st_mode & 0o077 == 0


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".out") or path.name == "out"]


def test_a_cancelled_or_failed_export_leaves_nothing(
    exporter: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = VIEWS["both"](exporter)
    steps = exporter.engine.start(Export(id="o1", folder=str(tmp_path / "out"), view=view, merged=True))
    next(steps)
    next(steps)
    assert leftovers(tmp_path) != []
    with pytest.raises(Aborted):
        steps.throw(Aborted("cancelled"))
    assert leftovers(tmp_path) == []

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(merged, "_add", fails)
    with pytest.raises(StorageFull):
        exporter.run(tmp_path / "out", view, merged=True)
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(StorageFull, match="are free"):
        exporter.run(tmp_path / "out", view)
    assert leftovers(tmp_path) == []


def test_a_checkpoint_that_cannot_be_added_to_is_refused(exporter: Exporter, tmp_path: Path) -> None:
    view = VIEWS["a generation alone"](exporter)
    weights = exporter.model / "model.safetensors"
    whole = weights.read_bytes()
    for old, new in ((b'"dtype":"F32"', b'"dtype":"I32"'), (b"mlp.down_proj", b"mlp.doun_proj")):
        weights.write_bytes(whole.replace(old, new))
        with pytest.raises(ModelUnsupported, match="export an adapter instead"):
            exporter.run(tmp_path / "out", view, merged=True)
    assert leftovers(tmp_path) == []


def test_the_examples_of_the_page_run(exporter: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    beside, merged_alone = re.findall(r"```python\n(.*?)```", page, re.S)
    view = VIEWS["both"](exporter)
    exporter.run(tmp_path / "my-memory", view)
    exporter.run(tmp_path / "my-model", view, merged=True)
    monkeypatch.chdir(tmp_path)
    for example in (beside, merged_alone):
        names: dict[str, Any] = {}
        exec(example, names)
        np.testing.assert_allclose(exporter.logits_of(names["model"]), exporter.logits(view), atol=2e-3)
