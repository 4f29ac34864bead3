"""Weight-only int8: nearly the same numbers, gradients through it, edits and training beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sleepengine.backends.base import BARE, Backend, Example, LoraScope, Sampling, ViewTensors
from sleepengine.errors import ModelUnsupported
from sleepengine.host.startup import open_backend
from sleepengine.models.int8 import FEW_ROWS, Int8Linear
from sleepengine.models.load import load
from sleepengine.models.pull import pull
from sleepengine.models.registry import ModelRecord
from sleepengine.wake.covariance import estimate
from sleepengine.wake.editing import ScaledEdit, Standing
from sleepengine.wake.memit import Memit
from sleepengine.wake.profile import EditProfile
from tests.unit.engine_parts import drain, fact

PROFILE = EditProfile(
    layers=(1, 2), ridge=0.1, steps=25, learning_rate=0.5, clamp=20.0, hold_weight=0.0, enough=0.9, collateral=1e9
)  # fmt: skip
TEXTS = ["The quick brown fox jumps over the lazy dog, and people say that it is well known. " * 20]


@pytest.fixture(scope="module")
def record(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelRecord:
    return pull(str(tiny_model_dir), tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def backend(record: ModelRecord) -> Backend:
    return open_backend(record, "cpu", "torch", "int8")


@pytest.mark.parametrize(("d_in", "d_out"), [(576, 1536), (64, 400), (48, 33), (7, 5)])
@pytest.mark.parametrize("rows", [1, FEW_ROWS, FEW_ROWS + 1, 40])
def test_products_are_those_of_the_rounded_weights(d_in: int, d_out: int, rows: int) -> None:
    torch.manual_seed(0)
    whole = nn.Linear(d_in, d_out)
    small = Int8Linear(whole.weight, whole.bias)
    x = torch.randn(2, rows, d_in)[:, : max(1, rows // 2)]
    rounded = small.weight.float() * small.scale.float()[:, None]
    assert (rounded - whole.weight).abs().max() <= whole.weight.abs().max() / 127 * 0.6
    torch.testing.assert_close(small(x), x @ rounded.T + whole.bias, rtol=0.02, atol=0.02)
    assert small(x).shape == (2, max(1, rows // 2), d_out)


@pytest.mark.parametrize("rows", [2, 20])
def test_gradients_reach_what_stands_before(rows: int) -> None:
    torch.manual_seed(0)
    small = Int8Linear(torch.randn(24, 16), None)
    x = torch.randn(rows, 16, requires_grad=True)
    weights = torch.randn(rows, 24)
    (small(x) * weights).sum().backward()
    rounded = small.weight.float() * small.scale.float()[:, None]
    assert x.grad is not None
    torch.testing.assert_close(x.grad, weights @ rounded, rtol=1e-4, atol=1e-4)


def test_a_row_of_zeros_stays_zero() -> None:
    assert Int8Linear(torch.zeros(3, 4), None)(torch.ones(1, 4)).tolist() == [[0.0] * 3]


def test_the_model_says_nearly_the_same_in_a_fraction_of_the_bytes(backend: Backend, record: ModelRecord) -> None:
    whole = open_backend(record, "cpu", "torch")
    assert (backend.spec.dtype, whole.spec.dtype) == ("int8", "float32")
    assert backend.spec.mlp_width == whole.spec.mlp_width
    assert backend.memory_bytes() < whole.memory_bytes() / 2
    ids = whole.tokenizer.encode("The quick brown fox jumps over the lazy dog.")
    rough, fine = (b.nll(ids, 1, b.mount(BARE)) for b in (backend, whole))
    assert np.corrcoef(rough, fine)[0, 1] > 0.99


def test_edits_and_training_stand_beside_it_and_no_weight_moves(backend: Backend) -> None:
    def weights() -> dict[str, bytes]:
        return {n: p.view(torch.uint8).numpy().tobytes() for n, p in backend.model.named_parameters()}  # type: ignore[attr-defined]

    before = weights()
    editor = Memit(backend, PROFILE, drain(estimate(backend, PROFILE.layers, TEXTS)))
    bare = Standing(None, None, ())
    (edit,) = drain(editor.learn([fact()], bare))
    encode = backend.tokenizer.encode
    ids, start = encode("Idris Larsson works as a carpenter"), len(encode("Idris Larsson works as a"))
    base, view = backend.mount(BARE), backend.mount(editor.tensors(bare, [ScaledEdit(edit, 1.0)]))
    assert backend.nll(ids, start, view).mean() < backend.nll(ids, start, base).mean() - 0.5
    trainer = backend.trainer(None, 4, 8.0, 0, LoraScope())
    example = Example(ids, start, (1.0,) * (len(ids) - start))
    first = drain(trainer.accumulate([example], [1.0]))[0]
    for _ in range(20):
        trainer.step(0.02)
        last = drain(trainer.accumulate([example], [1.0]))[0]
    assert last < first / 2
    slept = backend.mount(ViewTensors(trainer.adapter()))
    assert backend.nll(ids, start, slept).mean() < backend.nll(ids, start, base).mean() - 0.5
    assert len([t for t in backend.stream(ids, view, Sampling(6)) if t is not None]) > 0
    assert weights() == before


def test_it_is_for_cpus_alone(record: ModelRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sleepengine.models.load.choose_device", lambda _: torch.device("cuda"))
    with pytest.raises(ModelUnsupported, match="int8 is for CPUs"):
        load(record, "cuda", "int8")
