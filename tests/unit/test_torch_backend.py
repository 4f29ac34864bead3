"""The torch backend against plain Transformers, on four architectures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sleepengine.backends.base import (
    BARE,
    Adapter,
    Anchor,
    Example,
    Hold,
    LoraScope,
    LowRank,
    Sampling,
    Site,
    Target,
    ValueProblem,
    ValueSettings,
    ViewTensors,
)
from sleepengine.backends.torch_backend import training
from sleepengine.backends.torch_backend.backend import TorchBackend
from sleepengine.backends.torch_backend.structure import discover
from sleepengine.errors import ModelUnsupported
from tests.tiny import ARCHITECTURES, LAYERS, MLP_WIDTH, WIDTH, Architecture, tiny_model
from tests.unit.engine_parts import as_backend, drain, tiny_backend

TEXTS = ("Idris Larsson works as a", "Where does Mara live?", "My dog is called", "The quick brown fox jumps over")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> Architecture:
    return request.param


@pytest.fixture(scope="module")
def backend(architecture: Architecture) -> TorchBackend:
    return tiny_backend(architecture)


@pytest.fixture(scope="module")
def plain(architecture: Architecture):
    """The same weights without any hook."""
    return tiny_model(architecture)[0]


EVERYWHERE = LoraScope()


def random_view(backend: TorchBackend, seed: int = 0) -> ViewTensors:
    rng = np.random.default_rng(seed)

    def low_rank(d_in: int, d_out: int) -> LowRank:
        right = rng.normal(size=(3, d_in)).astype(np.float32) * 0.3
        return LowRank(right, rng.normal(size=(3, d_out)).astype(np.float32) * 0.3)

    adapter = Adapter(3, {s.path: low_rank(s.d_in, s.d_out) for s in backend.structure.linears})
    return ViewTensors(adapter, {1: low_rank(MLP_WIDTH, WIDTH), 2: low_rank(MLP_WIDTH, WIDTH)})


def logits_of(backend: TorchBackend, ids: tuple[int, ...], view: ViewTensors) -> torch.Tensor:
    return backend.log_probs(ids, 1, backend.mount(view))


def test_structure_is_found_by_shape(backend: TorchBackend) -> None:
    assert len(backend.structure.blocks) == LAYERS
    assert [s.d_in for s in backend.structure.down] == [MLP_WIDTH] * LAYERS
    assert [s.d_out for s in backend.structure.down] == [WIDTH] * LAYERS
    assert as_backend(backend).spec.mlp_width == MLP_WIDTH


def test_a_model_without_a_plain_mlp_is_refused() -> None:
    model, _ = tiny_model("llama")
    for block in model.model.layers:
        block.second = torch.nn.Linear(MLP_WIDTH, WIDTH)
    with pytest.raises(ModelUnsupported, match="several MLP down projections"):
        discover(model)


def test_the_bare_view_is_the_plain_model(backend: TorchBackend, plain) -> None:
    ids = backend.tokenizer.encode(TEXTS[0])
    with torch.no_grad():
        expected = plain(torch.tensor([ids])).logits[0, :-1].log_softmax(dim=-1)
    torch.testing.assert_close(logits_of(backend, ids, BARE), expected)


def test_a_view_equals_merged_weights_and_leaves_no_trace(backend: TorchBackend, architecture: Architecture) -> None:
    ids = backend.tokenizer.encode(TEXTS[0])
    view = random_view(backend)
    before = logits_of(backend, ids, BARE)
    viewed = logits_of(backend, ids, view)
    merged, _ = tiny_model(architecture)
    assert view.adapter is not None
    deltas = {path: [f] for path, f in view.adapter.factors.items()}
    for layer, factors in view.edits.items():
        deltas[backend.structure.down[layer].path].append(factors)
    for path, parts in deltas.items():
        weight = merged.get_submodule(path).weight
        dense = sum(torch.from_numpy(p.left.T @ p.right) for p in parts)
        with torch.no_grad():
            weight += dense.T if architecture == "gpt2" else dense
    with torch.no_grad():
        expected = merged(torch.tensor([ids])).logits[0, :-1].log_softmax(dim=-1)
    torch.testing.assert_close(viewed, expected, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(viewed, before, atol=1e-2)
    assert torch.equal(logits_of(backend, ids, BARE), before)


def test_streaming_equals_transformers_generate(backend: TorchBackend, plain) -> None:
    ids = backend.tokenizer.encode(TEXTS[3])
    produced = [t for t in backend.stream(ids, backend.bare, Sampling(12)) if t is not None]
    expected = plain.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)[0, len(ids) :].tolist()
    assert produced == [t for t in expected if t not in backend.tokenizer.stop_ids]


def test_batched_decoding_equals_streaming(backend: TorchBackend) -> None:
    prompts = [backend.tokenizer.encode(t) for t in TEXTS]
    prompts += [backend.tokenizer.encode(backend.tokenizer.render_chat([("user", t)])) for t in TEXTS]
    view = backend.mount(random_view(backend, 1))
    single = [tuple(t for t in backend.stream(p, view, Sampling(8)) if t is not None) for p in prompts]
    assert drain(backend.decode(prompts, view, 8)) == single


def test_a_conversation_resumes_from_its_cache_only_under_the_same_view(backend: TorchBackend) -> None:
    first = backend.tokenizer.encode("Where does Mara live?")
    longer = first + backend.tokenizer.encode(" She lives in Lisbon. And the dog?")
    fresh = [t for t in backend.stream(longer, backend.bare, Sampling(6)) if t is not None]
    list(backend.stream(first, backend.bare, Sampling(2), "s", "one"))
    assert [t for t in backend.stream(longer, backend.bare, Sampling(6), "s", "one") if t is not None] == fresh
    other = backend.mount(random_view(backend, 2))
    expected = [t for t in backend.stream(longer, other, Sampling(6)) if t is not None]
    assert [t for t in backend.stream(longer, other, Sampling(6), "s", "two") if t is not None] == expected


def test_sampling_is_repeatable_by_seed(backend: TorchBackend) -> None:
    ids = backend.tokenizer.encode(TEXTS[1])
    draws = [list(backend.stream(ids, backend.bare, Sampling(8, 1.5, seed))) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_capture_sees_what_transformers_sees(backend: TorchBackend, plain, architecture: Architecture) -> None:
    sequences = [backend.tokenizer.encode(t) for t in TEXTS]
    sites = [Site(s, len(s) - 2) for s in sequences]
    captured = drain(backend.capture(sites, (1, 2), 2, backend.bare))
    seen: dict[int, torch.Tensor] = {}
    for layer in (1, 2):
        module = plain.get_submodule(backend.structure.down[layer].path)
        module.register_forward_pre_hook(lambda _, inputs, layer=layer: seen.__setitem__(layer, inputs[0]))
    for row, (sequence, site) in enumerate(zip(sequences, sites, strict=True)):
        with torch.no_grad():
            hidden = plain(torch.tensor([sequence]), output_hidden_states=True).hidden_states[3]
        np.testing.assert_allclose(captured.hidden[row], hidden[0, site.position].numpy(), rtol=1e-3, atol=1e-3)
        for layer in (1, 2):
            expected = seen[layer][0, site.position].numpy()
            np.testing.assert_allclose(captured.keys[layer][row], expected, rtol=1e-3, atol=1e-3)


def test_second_moment_is_the_sum_of_outer_products(backend: TorchBackend) -> None:
    ids = backend.tokenizer.encode(TEXTS[3])
    moment = backend.second_moment(ids, (1,))[1]
    keys = drain(backend.capture([Site(ids, i) for i in range(len(ids))], (1,), 1, backend.bare)).keys[1]
    np.testing.assert_allclose(moment, keys.T @ keys, rtol=1e-2, atol=1e-3)


def test_optimised_values_reach_their_targets_and_spare_their_holds(backend: TorchBackend) -> None:
    encode = backend.tokenizer.encode
    contexts = []
    for text in ("Mara lives in", "People say that Mara lives in"):
        ids, answer = encode(text), encode(" Lisbon")
        contexts.append(Target((*ids, *answer), len(ids), (1.0,) * len(answer), len(encode(text[:-9])) - 1))
    held = encode("Mara is a")
    hold = Hold((*held, held[-1]), len(held), len(encode("Mara")) - 1)
    settings = ValueSettings(layer=1, steps=80, learning_rate=0.5, clamp=20.0, hold_weight=0.1, enough=0.5)
    problem = ValueProblem(tuple(contexts), (hold,))
    (result,) = drain(backend.optimise_values([problem], settings, backend.bare))
    untouched = ValueSettings(layer=1, steps=0, learning_rate=0.5, clamp=20.0, hold_weight=0.1, enough=0.5)
    (start,) = drain(backend.optimise_values([problem], untouched, backend.bare))
    assert result.loss < start.loss - 1.0


def test_problems_in_one_batch_do_not_disturb_each_other(backend: TorchBackend) -> None:
    encode = backend.tokenizer.encode

    def problem(name: str, city: str) -> ValueProblem:
        ids, answer = encode(f"{name} lives in"), encode(f" {city}")
        return ValueProblem((Target((*ids, *answer), len(ids), (1.0,) * len(answer), len(encode(name)) - 1),))

    settings = ValueSettings(layer=1, steps=10, learning_rate=0.5, clamp=20.0, hold_weight=0.0, enough=2.0)
    both = [problem("Mara", "Lisbon"), problem("Tomas", "Oslo")]
    together = drain(backend.optimise_values(both, settings, backend.bare))
    assert {r.steps for r in together} == {10}
    for one, result in zip(both, together, strict=True):
        (alone,) = drain(backend.optimise_values([one], settings, backend.bare))
        cosine = alone.value @ result.value / np.linalg.norm(alone.value) / np.linalg.norm(result.value)
        assert cosine > 0.8  # the step is relative to the mean norm of the batch, so not equal


def test_training_learns_and_the_anchor_holds(backend: TorchBackend) -> None:
    ids = backend.tokenizer.encode("Mara lives in Lisbon")
    example = Example(ids, len(ids) - 2, (1.0, 1.0))
    prose = backend.tokenizer.encode(TEXTS[3])
    anchor = Anchor(prose, 1, (1.0 / len(prose),) * (len(prose) - 1), returns=True)
    losses, divergences = {}, {}
    for weight in (0.0, 5.0):
        trainer = backend.trainer(None, 4, 8.0, 0, EVERYWHERE)
        for _ in range(60):
            loss = drain(trainer.accumulate([example, anchor], [1.0, weight]))[0]
            trainer.step(0.02)
        losses[weight] = loss
        divergences[weight] = backend.divergence(anchor.ids, 1, trainer.view)
        mounted = backend.mount(ViewTensors(trainer.adapter()))
        torch.testing.assert_close(
            backend.log_probs(ids, 1, mounted), backend.log_probs(ids, 1, trainer.view), rtol=1e-4, atol=1e-4
        )
    first = drain(backend.trainer(None, 4, 8.0, 0, EVERYWHERE).accumulate([example], [1.0]))[0]
    assert losses[0.0] < first / 3
    assert losses[5.0] < first
    assert divergences[5.0] < divergences[0.0]


def test_a_trainer_warm_starts_from_an_adapter(backend: TorchBackend) -> None:
    adapter = random_view(backend, 3).adapter
    assert adapter is not None
    again = backend.trainer(adapter, 3, 6.0, 0, EVERYWHERE).adapter()
    for path, factors in adapter.factors.items():
        np.testing.assert_allclose(again.factors[path].left, factors.left, rtol=1e-5)
        np.testing.assert_array_equal(again.factors[path].right, factors.right)


def test_an_anchor_may_be_held_in_both_directions(backend: TorchBackend) -> None:
    """KL(student || base) is computed here from log-probabilities that the backend does not compute for training."""
    ids = backend.tokenizer.encode("The quick brown fox jumps")
    weights = tuple(0.5 + i for i in range(len(ids) - 2))
    init = backend.trainer(None, 4, 8.0, 3, EVERYWHERE)
    drain(init.accumulate([Example(ids, 1, (1.0,) * (len(ids) - 1))], [1.0]))
    init.step(0.05)
    student, base = (backend.log_probs(ids, 2, v).double() for v in (init.view, backend.bare))
    forward = (base.exp() * (base - student)).sum(-1) @ torch.tensor(weights, dtype=torch.double)
    backward = (student.exp() * (student - base)).sum(-1) @ torch.tensor(weights, dtype=torch.double)
    (loss,) = drain(init.accumulate([Anchor(ids, 2, weights, reverse=2.0)], [1.0]))
    assert loss == pytest.approx(float(forward + 2.0 * backward), rel=1e-2)
    assert backward > 1e-3


def test_an_adapter_above_some_layer_trains_the_same_with_the_lower_blocks_left_out(backend: TorchBackend) -> None:
    texts = ("Mara lives in Lisbon, people say", "The quick brown fox jumps", "The quick brown dog jumps over")
    examples = [Example(ids, 2, (1.0,) * (len(ids) - 2)) for ids in map(backend.tokenizer.encode, texts)]
    anchors = [Anchor(e.ids, 3, (1.0,) * (len(e.ids) - 3), avoid=0.5, reverse=0.3) for e in examples]
    scope = LoraScope(first_layer=2, mlp_only=True)
    kept, plain = (backend.trainer(None, 4, 8.0, 0, scope) for _ in range(2))
    assert set(kept.adapter().factors) == {
        s.path for s in backend.structure.linears if s.layer >= 2 and "attn" not in s.path
    }
    plain._teachers.lower = lambda *_: {}  # type: ignore[method-assign]
    for _ in range(3):
        losses = [drain(t.accumulate([*examples, *anchors], [1.0] * 6)) for t in (kept, plain)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-3, abs=1e-4)
        for trainer in (kept, plain):
            trainer.step(0.02)


def test_one_pass_of_everything_is_the_same_as_many_that_share_prefixes(backend: TorchBackend) -> None:
    texts = ("Mara lives in Lisbon, people say", "Mara lives in Oslo", "A fox")
    examples = [Example(ids, len(ids) - 1, (1.0,)) for ids in map(backend.tokenizer.encode, texts)]
    many, one = (backend.trainer(None, 4, 8.0, 0, EVERYWHERE) for _ in range(2))
    one._many = True
    for _ in range(2):
        sums = [sum(drain(t.accumulate(examples, [1.0] * 3))) for t in (many, one)]
        assert sums[0] == pytest.approx(sums[1], rel=1e-4)
        for trainer in (many, one):
            trainer.step(0.01)


def test_the_base_reads_its_own_context(backend: TorchBackend) -> None:
    """A student that is the base differs from a base that has read something else."""
    ids, context = backend.tokenizer.encode("Mara lives in Lisbon"), backend.tokenizer.encode("Listen: Mara lives in")
    start = len(ids) - 2
    same, other = Anchor(ids, start, (1.0, 1.0)), Anchor(ids, start, (1.0, 1.0), context=context)
    trainer = backend.trainer(None, 4, 8.0, 0, EVERYWHERE)
    assert sum(drain(trainer.accumulate([same], [1.0]))) == pytest.approx(0.0, abs=0.02)
    assert sum(drain(trainer.accumulate([other], [1.0]))) > 0.05


def test_scores_agree_with_likelihoods(backend: TorchBackend) -> None:
    texts = ("Mara lives in Lisbon", "My dog is called Biscuit")
    examples = []
    for text in texts:
        ids = backend.tokenizer.encode(text)
        examples.append(Example(ids, len(ids) - 3, (0.0, 1.0, 1.0)))
    scores = drain(backend.scores(examples, backend.bare))
    for example, score in zip(examples, scores, strict=True):
        losses = backend.nll(example.ids, example.start, backend.bare)
        assert score.log_prob == pytest.approx(-losses[1:].mean(), abs=1e-3)


def test_divergence_from_itself_is_zero(backend: TorchBackend) -> None:
    ids = backend.tokenizer.encode(TEXTS[3])
    assert backend.divergence(ids, 1, backend.bare) == 0.0
    assert backend.divergence(ids, 1, backend.mount(random_view(backend))) > 0.0


def test_training_in_half_precision_weights_follows_the_exact_one(
    monkeypatch: pytest.MonkeyPatch, backend: TorchBackend
) -> None:
    """Where halves are used, losses and the adapter stay near those of full precision, and the base stays as it is."""
    monkeypatch.setattr(training, "WORTH_HALVING", 10**9)
    exact = backend.trainer(None, 4, 8.0, 0, EVERYWHERE)
    monkeypatch.setattr(training, "WORTH_HALVING", 1)
    half = backend.trainer(None, 4, 8.0, 0, EVERYWHERE)
    if not half._halves:
        pytest.skip("no plain linear layer here, or a processor that does not multiply bfloat16")
    before = backend.log_probs(backend.tokenizer.encode("The quick brown fox"), 1, backend.bare)
    ids = backend.tokenizer.encode("Mara lives in Lisbon, people say")
    rows = [Example(ids, 2, (1.0,) * (len(ids) - 2)), Anchor(ids, 3, (1.0,) * (len(ids) - 3))]
    for _ in range(3):
        losses = [drain(t.accumulate(rows, [1.0, 1.0])) for t in (exact, half)]
        assert losses[0] == pytest.approx(losses[1], rel=0.05, abs=0.02)
        for trainer in (exact, half):
            trainer.step(0.01)
    after = backend.log_probs(backend.tokenizer.encode("The quick brown fox"), 1, backend.bare)
    assert torch.equal(before, after)
