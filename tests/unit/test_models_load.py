"""Loading a tiny model, and the ways in which a folder can refuse to be one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from sleepengine.errors import ModelCorrupt, ModelUnsupported
from sleepengine.models.load import choose_device, load
from sleepengine.models.pull import pull
from sleepengine.models.registry import ModelRecord
from tests.tiny import ARCHITECTURES, Architecture, save_tiny


@pytest.fixture
def record(tiny_model_dir: Path, tmp_path: Path) -> ModelRecord:
    """A tiny model whose files the test may change after it was recorded."""
    return pull(str(shutil.copytree(tiny_model_dir, tmp_path / "own")), tmp_path / "models")


def change_json(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_loads_as_plain_transformers_does(architecture: Architecture, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "own", architecture)
    loaded = load(pull(str(folder), tmp_path / "models"), "cpu")
    ids = torch.tensor([loaded.tokenizer("Where does Mara live?").input_ids])
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(folder).eval()(ids).logits
        assert torch.equal(loaded.model(ids).logits, expected)


def test_a_loaded_model_is_frozen_fp32_on_the_cpu(record: ModelRecord) -> None:
    loaded = load(record, "cpu")
    assert (loaded.device, loaded.dtype, loaded.identity) == (torch.device("cpu"), torch.float32, record.identity)
    assert not loaded.model.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in loaded.model.parameters())
    assert load(record, "cpu", "bfloat16").model.dtype == torch.bfloat16


def test_changing_a_loaded_model_leaves_its_file(record: ModelRecord) -> None:
    before = (record.folder / "model.safetensors").read_bytes()
    with torch.no_grad():
        for parameter in load(record, "cpu").model.parameters():
            parameter.zero_()
    assert (record.folder / "model.safetensors").read_bytes() == before


def test_missing_tensors_are_not_made_up(record: ModelRecord) -> None:
    weights = load_file(record.folder / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, record.folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelCorrupt, match=r"1 tensors of .* such as model\.layers\.1\.mlp\.down_proj\.weight"):
        load(record, "cpu")


def test_unreadable_weights_are_corrupt(record: ModelRecord) -> None:
    (record.folder / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ModelCorrupt, match="cannot be read"):
        load(record, "cpu")


def test_an_unknown_architecture_is_unsupported(record: ModelRecord) -> None:
    change_json(record.folder / "config.json", model_type="perceptron", architectures=["PerceptronForCausalLM"])
    with pytest.raises(ModelUnsupported) as caught:
        load(record, "cpu")
    assert "\n" not in str(caught.value)


def test_a_model_without_chat_template_is_unsupported(record: ModelRecord) -> None:
    (record.folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelUnsupported, match="no chat template"):
        load(record, "cpu")


@pytest.mark.parametrize(("device", "dtype"), [("toaster", "auto"), ("cuda:99", "auto"), ("cpu", "int3")])
def test_absent_devices_and_unknown_dtypes_are_refused(record: ModelRecord, device: str, dtype: str) -> None:
    with pytest.raises(ModelUnsupported):
        load(msgspec.structs.replace(record), device, dtype)


def test_auto_takes_a_device_that_exists() -> None:
    assert torch.zeros(1, device=choose_device("auto")).item() == 0
