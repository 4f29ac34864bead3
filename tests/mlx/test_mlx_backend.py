"""mlx against torch: the same weights and view give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from sleepengine.backends.base import (
    BARE,
    Adapter,
    Anchor,
    Backend,
    Example,
    Hold,
    Injection,
    LoraScope,
    LowRank,
    Sampling,
    Site,
    Target,
    Tokens,
    ValueProblem,
    ValueSettings,
    ViewTensors,
)
from sleepengine.errors import ModelUnsupported
from tests.mlx.conftest import Pair, opened
from tests.tiny import LAYERS, MLP_WIDTH, WIDTH, Architecture
from tests.unit.engine_parts import drain

TEXTS = (
    "Idris Larsson works as a",
    "Where does Mara live?",
    "My dog is called",
    "The quick brown fox jumps over the lazy dog, and people say that it is well known.",
)
CLOSE = {"rtol": 1e-3, "atol": 1e-3}


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    architecture: Architecture = request.param
    return opened(architecture, tmp_path_factory.mktemp("pair"))


def random_view(pair: Pair, seed: int = 0) -> ViewTensors:
    """An adapter beside every linear layer and edits in two."""
    rng = np.random.default_rng(seed)

    def low_rank(d_in: int, d_out: int) -> LowRank:
        right = rng.normal(size=(3, d_in)).astype(np.float32) * 0.3
        return LowRank(right, rng.normal(size=(3, d_out)).astype(np.float32) * 0.3)

    sites = pair.mlx.structure.linears  # type: ignore[attr-defined]
    adapter = Adapter(3, {s.path: low_rank(s.d_in, s.d_out) for s in sites})
    return ViewTensors(adapter, {1: low_rank(MLP_WIDTH, WIDTH), 2: low_rank(MLP_WIDTH, WIDTH)})


def encoded(pair: Pair) -> list[Tokens]:
    """Raw texts and chats, of different lengths."""
    tokenizer = pair.mlx.tokenizer
    return [tokenizer.encode(t) for t in TEXTS] + [
        tokenizer.encode(tokenizer.render_chat([("user", t)])) for t in TEXTS
    ]


class AlwaysAt:
    """A gate that lets one value in at the last place where a prompt holds a token."""

    layers = (0, 1)
    silencing = False

    def __init__(self, token: int, value: np.ndarray) -> None:
        self.token, self.value, self.seen = token, value, []

    def may_open(self, ids: Tokens) -> bool:
        return self.token in ids

    def decide(self, ids: Tokens, states: dict[int, np.ndarray]) -> tuple[Injection, ...]:
        assert all(len(states[layer]) == len(ids) for layer in self.layers)
        self.seen.append({layer: states[layer].copy() for layer in self.layers})
        if self.token not in ids:
            return ()
        return (Injection(1, len(ids) - 1 - ids[::-1].index(self.token), self.value),)


def spoken(backend: Backend, ids: Tokens, view: object, session: str | None = None, digest: str = "") -> Tokens:
    stream = backend.stream(ids, view, Sampling(8), session, digest)  # type: ignore[arg-type]
    return tuple(t for t in stream if t is not None)


def test_both_find_the_same_layers(pair: Pair) -> None:
    ours, theirs = pair.mlx.structure, pair.torch.structure  # type: ignore[attr-defined]
    assert {s.path for s in ours.linears} == {s.path for s in theirs.linears}
    assert [s.path for s in ours.down] == [s.path for s in theirs.down]
    assert len(ours.down) == LAYERS
    assert (pair.mlx.spec.backend, pair.mlx.spec.device, pair.mlx.spec.dtype) == ("mlx", "cpu", "float32")
    same = ("name", "identity", "layers", "width", "mlp_width", "vocab", "context")
    assert all(getattr(pair.mlx.spec, n) == getattr(pair.torch.spec, n) for n in same)
    assert pair.mlx.memory_bytes() == pair.torch.memory_bytes()


@pytest.mark.parametrize("seed", [None, 1])
def test_log_probabilities_agree_with_and_without_a_view(pair: Pair, seed: int | None) -> None:
    tensors = BARE if seed is None else random_view(pair, seed)
    for ids in encoded(pair):
        theirs = pair.torch.log_probs(ids, 1, pair.torch.mount(tensors)).numpy()  # type: ignore[attr-defined]
        ours = np.array(pair.mlx.log_probs(ids, 1, pair.mlx.mount(tensors)))  # type: ignore[attr-defined]
        np.testing.assert_allclose(ours, theirs, **CLOSE)
        nll = pair.mlx.nll(ids, 2, pair.mlx.mount(tensors))
        np.testing.assert_allclose(nll, pair.torch.nll(ids, 2, pair.torch.mount(tensors)), **CLOSE)


def test_divergences_agree(pair: Pair) -> None:
    ids, tensors = encoded(pair)[3], random_view(pair, 2)
    ours, theirs = (b.divergence(ids, 1, b.mount(tensors)) for b in (pair.mlx, pair.torch))
    assert ours == pytest.approx(theirs, rel=1e-2)
    assert pair.mlx.divergence(ids, 1, pair.mlx.mount(BARE)) == pytest.approx(0.0, abs=1e-6)


def test_streams_and_batches_say_the_same(pair: Pair) -> None:
    tensors = random_view(pair, 3)
    ours, theirs = pair.mlx.mount(tensors), pair.torch.mount(tensors)
    single = [spoken(pair.mlx, ids, ours) for ids in encoded(pair)]
    assert single == [spoken(pair.torch, ids, theirs) for ids in encoded(pair)]
    assert drain(pair.mlx.decode(encoded(pair), ours, 8)) == single


def test_a_long_prompt_is_read_in_pieces(pair: Pair) -> None:
    ids = (encoded(pair)[3] * 10)[:300]
    stream = pair.mlx.stream(ids, pair.mlx.mount(BARE), Sampling(4))
    produced = list(stream)
    assert produced.count(None) == 2
    assert tuple(t for t in produced if t is not None) == spoken(pair.torch, ids, pair.torch.mount(BARE))[:4]


def test_a_conversation_resumes_from_its_cache_only_under_the_same_view(pair: Pair) -> None:
    first = pair.mlx.tokenizer.encode("Where does Mara live?")
    longer = first + pair.mlx.tokenizer.encode(" She lives in Lisbon. And the dog?")
    bare, other = pair.mlx.mount(BARE), pair.mlx.mount(random_view(pair, 2))
    fresh = spoken(pair.mlx, longer, bare)
    spoken(pair.mlx, first, bare, "s", "one")
    assert pair.mlx._conversations._kept["s"].ids[: len(first)] == first  # type: ignore[attr-defined]
    assert spoken(pair.mlx, longer, bare, "s", "one") == fresh
    assert spoken(pair.mlx, longer, other, "s", "two") == spoken(pair.mlx, longer, other)


def test_a_closed_stream_keeps_what_it_computed(pair: Pair) -> None:
    ids = encoded(pair)[3]
    stream = pair.mlx.stream(ids, pair.mlx.mount(BARE), Sampling(50), "closed", "d")
    for token in stream:
        if token is not None:
            break
    stream.close()
    assert pair.mlx._conversations._kept["closed"].ids == ids  # type: ignore[attr-defined]


def test_sampling_is_repeatable_by_seed(pair: Pair) -> None:
    ids, bare = encoded(pair)[1], pair.mlx.mount(BARE)
    draws = [list(pair.mlx.stream(ids, bare, Sampling(8, 1.5, seed))) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_keys_streams_and_moments_agree(pair: Pair) -> None:
    tensors = random_view(pair, 4)
    sites = [Site(ids, len(ids) - 2) for ids in encoded(pair)]
    ours, theirs = (drain(b.capture(sites, (0, 1), 2, b.mount(tensors))) for b in (pair.mlx, pair.torch))
    np.testing.assert_allclose(ours.hidden, theirs.hidden, rtol=1e-3, atol=1e-2)
    for layer in (0, 1):
        np.testing.assert_allclose(ours.keys[layer], theirs.keys[layer], rtol=1e-3, atol=1e-2)
    moments = [b.second_moment(encoded(pair)[3], (0, 2)) for b in (pair.mlx, pair.torch)]
    for layer in (0, 2):
        scale = np.abs(moments[1][layer]).max()
        np.testing.assert_allclose(moments[0][layer], moments[1][layer], rtol=1e-2, atol=1e-4 * scale)
    seen = [drain(b.observe(encoded(pair), (1, 3), b.mount(tensors))) for b in (pair.mlx, pair.torch)]
    for mine, other in zip(*seen, strict=True):
        for layer in (1, 3):
            np.testing.assert_allclose(mine[layer], other[layer], rtol=1e-3, atol=1e-2)


def test_scores_agree(pair: Pair) -> None:
    examples = [Example(ids, len(ids) - 3, (0.0, 1.0, 1.0)) for ids in encoded(pair)]
    ours, theirs = (drain(b.scores(examples, b.mount(random_view(pair, 5)))) for b in (pair.mlx, pair.torch))
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.argmax == other.argmax
        assert mine.log_prob == pytest.approx(other.log_prob, rel=1e-3, abs=1e-3)


def test_gates_read_and_let_in_the_same(pair: Pair) -> None:
    tokenizer = pair.mlx.tokenizer
    prompts = encoded(pair)
    turn = tokenizer.turn(prompts[4])
    value = np.random.default_rng(1).normal(size=WIDTH).astype(np.float32) * 500
    gates = [AlwaysAt(prompts[4][turn[1] - 1], value) for _ in range(2)]
    ours, theirs = (b.mount(ViewTensors(gate=g)) for b, g in zip((pair.mlx, pair.torch), gates, strict=True))
    replies = drain(pair.mlx.decode(prompts, ours, 8))
    assert replies == drain(pair.torch.decode(prompts, theirs, 8))
    assert replies[4] == spoken(pair.mlx, prompts[4], ours)
    assert replies != drain(pair.mlx.decode(prompts, pair.mlx.mount(BARE), 8))
    for mine, other in zip(gates[0].seen, gates[1].seen, strict=False):
        for layer in AlwaysAt.layers:
            np.testing.assert_allclose(mine[layer], other[layer], rtol=1e-3, atol=1e-2)
    ids = (*prompts[4], *replies[4])
    for start in (1, len(prompts[4])):
        np.testing.assert_allclose(pair.mlx.nll(ids, start, ours), pair.torch.nll(ids, start, theirs), **CLOSE)
    examples = [Example((*p, 5), len(p), (1.0,)) for p in prompts]
    scores = [drain(b.scores(examples, v)) for b, v in ((pair.mlx, ours), (pair.torch, theirs))]
    assert [s.log_prob for s in scores[0]] == pytest.approx([s.log_prob for s in scores[1]], rel=1e-3, abs=1e-3)


def test_a_shut_gate_changes_no_bit_and_a_value_leaves_nothing_behind(pair: Pair) -> None:
    shut = pair.mlx.mount(ViewTensors(gate=AlwaysAt(-1, np.ones(WIDTH, np.float32))))
    first, longer = encoded(pair)[4], encoded(pair)[4] + encoded(pair)[3]
    np.testing.assert_array_equal(pair.mlx.nll(longer, 1, shut), pair.mlx.nll(longer, 1, pair.mlx.mount(BARE)))

    class FirstOnly(AlwaysAt):
        def decide(self, ids: Tokens, states: dict[int, np.ndarray]) -> tuple[Injection, ...]:
            return super().decide(ids, states) if ids == first else ()

    value = np.random.default_rng(1).normal(size=WIDTH).astype(np.float32) * 500
    gated = pair.mlx.mount(ViewTensors(gate=FirstOnly(first[-4], value)))
    spoken(pair.mlx, first, gated, "talk", "g")
    assert spoken(pair.mlx, longer, gated, "talk", "g") == spoken(pair.mlx, longer, pair.mlx.mount(BARE))


def problems(pair: Pair) -> list[ValueProblem]:
    """Two values, one of them with two contexts and something to leave as it is."""
    encode = pair.mlx.tokenizer.encode

    def target(before: str, name: str, city: str) -> Target:
        ids, answer = encode(f"{before}{name} lives in"), encode(f" {city}")
        weights = (1.0, *(0.3,) * (len(answer) - 1))
        return Target((*ids, *answer), len(ids), weights, len(encode(before + name)) - 1)

    held = encode("Mara is a")
    hold = Hold((*held, held[-1]), len(held), len(encode("Mara")) - 1)
    mara = (target("", "Mara", "Lisbon"), target("People say that ", "Mara", "Lisbon"))
    return [ValueProblem(mara, (hold,)), ValueProblem((target("", "Tomas", "Oslo"),))]


@pytest.mark.parametrize("enough", [0.5, 2.0])
def test_optimised_values_agree(pair: Pair, enough: float) -> None:
    settings = ValueSettings(layer=1, steps=12, learning_rate=0.3, clamp=5.0, hold_weight=0.5, enough=enough)
    tensors = random_view(pair, 6)
    ours, theirs = (
        drain(b.optimise_values(problems(pair), settings, b.mount(tensors))) for b in (pair.mlx, pair.torch)
    )
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.steps, mine.hits) == (other.steps, other.hits)
        assert mine.loss == pytest.approx(other.loss, rel=0.02, abs=1e-3)
        cosine = mine.value @ other.value / np.linalg.norm(mine.value) / np.linalg.norm(other.value)
        assert cosine > 0.99
    still = ValueSettings(layer=1, steps=0, learning_rate=0.3, clamp=5.0, hold_weight=0.5, enough=enough)
    begun = drain(pair.mlx.optimise_values(problems(pair), still, pair.mlx.mount(tensors)))
    assert all(end.loss < start.loss - 0.5 for end, start in zip(ours, begun, strict=True))


@pytest.mark.parametrize("scope", [LoraScope(), LoraScope(first_layer=2, mlp_only=True)])
def test_training_agrees(pair: Pair, scope: LoraScope) -> None:
    """From one adapter, the same rows give the same losses step by step, and adapters that say the same."""
    sites = {s.path for s in pair.mlx.structure.linears if not scope.mlp_only or (s.layer >= 2 and "mlp" in s.path)}  # type: ignore[attr-defined]
    random = random_view(pair, 7).adapter
    assert random is not None
    init = Adapter(3, {path: random.factors[path] for path in sites})
    texts = ("Mara lives in Lisbon, people say", "The quick brown fox jumps", "The quick brown dog jumps over")
    examples = [Example(ids, 2, (1.0,) * (len(ids) - 2)) for ids in map(pair.mlx.tokenizer.encode, texts)]
    context = pair.mlx.tokenizer.encode("Listen:")
    anchors = [
        Anchor(
            e.ids,
            3,
            (1.0,) * (len(e.ids) - 3),
            avoid=0.5,
            reverse=0.3,
            returns=i == 0,
            context=context if i == 1 else (),
        )
        for i, e in enumerate(examples)
    ]
    trainers = [b.trainer(init, 3, 6.0, 0, scope) for b in (pair.mlx, pair.torch)]
    for trainer in trainers:
        assert set(trainer.adapter().factors) == sites
    for _ in range(4):
        losses = [drain(t.accumulate([*examples, *anchors], [1.0] * 3 + [0.2] * 3)) for t in trainers]
        assert losses[0] == pytest.approx(losses[1], rel=0.03, abs=0.03)
        for trainer in trainers:
            trainer.step(0.01)
    ids = encoded(pair)[3]
    adapters = [t.adapter() for t in trainers]
    nlls = [pair.mlx.nll(ids, 1, pair.mlx.mount(ViewTensors(a))) for a in adapters]
    np.testing.assert_allclose(nlls[0].mean(), nlls[1].mean(), rtol=0.03)
    np.testing.assert_allclose(nlls[0], pair.mlx.nll(ids, 1, trainers[0].view), **CLOSE)


def test_training_learns_and_the_anchor_holds(pair: Pair) -> None:
    ids = pair.mlx.tokenizer.encode("Mara lives in Lisbon")
    example = Example(ids, len(ids) - 2, (1.0, 1.0))
    prose = encoded(pair)[3]
    anchor = Anchor(prose, 1, (1.0 / len(prose),) * (len(prose) - 1), returns=True)
    losses, divergences = {}, {}
    for weight in (0.0, 5.0):
        trainer = pair.mlx.trainer(None, 4, 8.0, 0, LoraScope())
        for _ in range(40):
            loss = drain(trainer.accumulate([example, anchor], [1.0, weight]))[0]
            trainer.step(0.02)
        losses[weight] = loss
        divergences[weight] = pair.mlx.divergence(anchor.ids, 1, trainer.view)
    first = drain(pair.mlx.trainer(None, 4, 8.0, 0, LoraScope()).accumulate([example], [1.0]))[0]
    assert losses[0.0] < first / 3
    assert divergences[5.0] < divergences[0.0]


def test_an_adapter_of_another_shape_of_model_is_refused(pair: Pair) -> None:
    stranger = Adapter(
        1, {"transformer.h.0.mlp.c_fc": LowRank(np.ones((1, 4), np.float32), np.ones((1, 4), np.float32))}
    )
    with pytest.raises(ModelUnsupported, match="has no layer transformer"):
        pair.mlx.mount(ViewTensors(stranger))
