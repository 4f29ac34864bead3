"""From a folder to an mlx model: names, devices, quantised weights, masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sleepengine.backends.base import BARE, Backend, Example, LoraScope, Sampling, ViewTensors
from sleepengine.errors import ModelCorrupt, ModelUnsupported
from sleepengine.host.startup import load_engine, open_backend
from sleepengine.models.pull import pull
from sleepengine.models.registry import ModelRecord
from sleepengine.wake.covariance import estimate
from sleepengine.wake.editing import ScaledEdit, Standing
from sleepengine.wake.memit import Memit
from tests.mlx.conftest import Pair
from tests.mlx.test_mlx_memory import LINEAR, TEXTS
from tests.tiny import save_tiny
from tests.unit.engine_parts import drain, fact, few_wordings

__all__ = ["few_wordings"]  # a fixture


def as_folder(path: Path) -> ModelRecord:
    return pull(str(path), path.parent / "models")


def four_bit(folder: Path) -> ModelRecord:
    """A tiny model as `mlx_lm.convert --quantize` writes it."""
    pytest.importorskip("mlx_lm")
    from mlx_lm.utils import load_model, quantize_model, save_config, save_model

    whole = save_tiny(folder / "whole")
    model, config = load_model(whole)
    model, config = quantize_model(model, config, group_size=32, bits=4)
    small = folder / "four-bit"
    save_model(small, model)
    save_config(config, small / "config.json")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (small / name).write_bytes((whole / name).read_bytes())
    return as_folder(small)


@pytest.fixture(scope="module")
def quantised(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    return open_backend(four_bit(tmp_path_factory.mktemp("small")), "auto")


def test_a_model_quantised_by_mlx_is_held_by_mlx(quantised: Backend, pair: Pair) -> None:
    assert (quantised.spec.backend, quantised.spec.dtype) == ("mlx", "4-bit")
    assert (quantised.spec.width, quantised.spec.mlp_width) == (pair.mlx.spec.width, pair.mlx.spec.mlp_width)
    assert quantised.memory_bytes() < pair.mlx.memory_bytes() / 4
    ids = quantised.tokenizer.encode("The quick brown fox jumps over the lazy dog.")
    rough, fine = (b.nll(ids, 1, b.mount(BARE)) for b in (quantised, pair.mlx))
    assert np.corrcoef(rough, fine)[0, 1] > 0.5  # the same model, roughly


def test_quantised_weights_are_edited_and_trained_beside_and_never_touched(quantised: Backend) -> None:
    from mlx.utils import tree_flatten

    def weights() -> dict[str, bytes]:
        return {name: np.array(a).tobytes() for name, a in tree_flatten(quantised.model.parameters())}  # type: ignore[attr-defined]

    before = weights()
    editor = Memit(quantised, LINEAR, drain(estimate(quantised, LINEAR.layers, TEXTS)))
    bare = Standing(None, None, ())
    (edit,) = drain(editor.learn([fact()], bare))
    encode = quantised.tokenizer.encode
    ids, start = encode("Idris Larsson works as a carpenter"), len(encode("Idris Larsson works as a"))
    view = quantised.mount(editor.tensors(bare, [ScaledEdit(edit, 1.0)]))
    base = quantised.mount(BARE)
    assert quantised.nll(ids, start, view).mean() < quantised.nll(ids, start, base).mean() - 0.5
    trainer = quantised.trainer(None, 4, 8.0, 0, LoraScope())
    example = Example(ids, start, (1.0,) * (len(ids) - start))
    first = drain(trainer.accumulate([example], [1.0]))[0]
    for _ in range(20):
        trainer.step(0.02)
        last = drain(trainer.accumulate([example], [1.0]))[0]
    assert last < first / 2
    slept = quantised.mount(ViewTensors(trainer.adapter()))
    assert quantised.nll(ids, start, slept).mean() < quantised.nll(ids, start, base).mean() - 0.5
    assert len([t for t in quantised.stream(ids, view, Sampling(4)) if t is not None]) > 0
    assert weights() == before


def test_positions_are_read_from_what_transformers_5_writes(tmp_path: Path, pair: Pair) -> None:
    """With another base of its rotary positions, the model must be another one in both backends alike."""
    folder = save_tiny(tmp_path / "far")
    config = json.loads((folder / "config.json").read_text())
    assert "rope_theta" not in config
    config["rope_parameters"]["rope_theta"] = 500.0
    (folder / "config.json").write_text(json.dumps(config))
    record = as_folder(folder)
    ids = pair.mlx.tokenizer.encode("The quick brown fox jumps over the lazy dog.")
    ours, theirs = (b.nll(ids, 1, b.mount(BARE)) for b in (open_backend(record, "cpu", n) for n in ("mlx", "torch")))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
    assert np.abs(ours - pair.mlx.nll(ids, 1, pair.mlx.mount(BARE))).max() > 0.01


def test_scaled_positions_are_read_too(tmp_path: Path, pair: Pair) -> None:
    from sleepengine.models.load_mlx import renamed

    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    assert renamed({"rope_parameters": {"rope_theta": 5.0, **scaling}}) == {"rope_theta": 5.0, "rope_scaling": scaling}
    both = {"full_attention": {"rope_theta": 7.0}, "sliding_attention": {"rope_theta": 3.0}}
    assert renamed({"rope_parameters": both}) == {"rope_theta": 7.0, "rope_local_base_freq": 3.0}
    assert renamed({"rope_theta": 4.0}) == {}
    inner = {"hidden_size": 8, "rope_parameters": {"rope_theta": 2.0}}
    assert renamed({"text_config": inner}) == {"text_config": {**inner, "rope_theta": 2.0}}


def test_missing_and_torn_weights_are_told(tmp_path: Path) -> None:
    pytest.importorskip("mlx_lm")
    folder = save_tiny(tmp_path / "less")
    tensors = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if "layers.2.mlp" not in k}, folder / "model.safetensors")
    with pytest.raises(ModelCorrupt, match="do not fit"):
        open_backend(as_folder(folder), "cpu", "mlx")
    torn = save_tiny(tmp_path / "torn")
    record = as_folder(torn)
    (torn / "model.safetensors").write_bytes((torn / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(ModelCorrupt, match="cannot be read"):
        open_backend(record, "cpu", "mlx")


def test_an_architecture_that_mlx_does_not_know_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("mlx_lm")
    folder = save_tiny(tmp_path / "odd")
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "nobody-knows"}
    record = as_folder(folder)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelUnsupported, match="nobody-knows"):
        open_backend(record, "cpu", "mlx")


def test_a_device_or_dtype_that_is_not_there_is_refused(pair: Pair) -> None:
    with pytest.raises(ModelUnsupported, match="no dtype 'int8'"):
        open_backend(pair.record, "cpu", "mlx", "int8")
    assert open_backend(pair.record, "cpu", "mlx", "bfloat16").spec.dtype == "bfloat16"
    for device in ("gpu", "cuda"):
        with pytest.raises(ModelUnsupported, match="device"):
            open_backend(pair.record, device, "mlx")


@pytest.mark.usefixtures("few_wordings")
def test_the_host_says_which_backend_it_took(pair: Pair, tmp_path: Path) -> None:
    models = Path(pair.record.path).parent / "models"
    told: list[str] = []
    engine = load_engine(pair.record.name, models, tmp_path / "blobs", "auto", "gated", told.append, "mlx")
    ready = engine.ready()
    assert (ready.backend, ready.device, ready.dtype) == ("mlx", "cpu", "float32")
    assert told[0] == "loading the model"


def test_a_row_sees_its_own_past_inside_its_window_and_no_padding() -> None:
    pytest.importorskip("mlx_lm")
    from sleepengine.backends.mlx_backend.caches import Attention, pad

    past = np.array([[True, True, True], [True, False, False]])
    right = Attention(pad([(1, 2), (3,)]), past)
    assert np.array(right.offset).tolist() == [3, 1]
    seen = np.array(right.mask(False, None))[:, 0]
    assert seen[0].tolist() == [[True] * 4 + [False], [True] * 5]
    assert seen[1].tolist() == [[True, False, False, True, False], [True, False, False, True, True]]
    near = np.array(right.mask(False, 2))[:, 0]
    assert near[0].tolist() == [[False, False, True, True, False], [False, False, False, True, True]]
    left = Attention(pad([(1, 2), (3,)], left=True), None)
    assert np.array(left.offset).tolist() == [0, -1]
    assert np.array(left.mask(False, None))[1, 0].tolist() == [[True, False], [False, True]]
    whole = Attention(pad([(1, 2), (3, 4)]), None)
    assert (whole.offset, whole.mask(False, None), whole.mask(False, 8)) == (0, "causal", "causal")
    assert Attention(pad([(1,), (3,)]), np.ones((2, 4), bool)).mask(False, None) is None
