"""Gated edits: what the gate lets in, what it costs where it stays shut, and that nothing of a value stays behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sleepengine.backends.base import Injection, Sampling, Tokens, ViewTensors
from sleepengine.backends.torch_backend.backend import TorchBackend
from sleepengine.backends.torch_backend.tokenizer import HFTokenizer
from sleepengine.errors import BlobCorrupt, EngineError
from sleepengine.memory.edits import FORMAT, EditHeader, GatedEdit, Span, edit_from_bytes
from sleepengine.wake.editing import Editors, ScaledEdit, Standing
from sleepengine.wake.gated import Gated, same_relations
from sleepengine.wake.gating import EditGate, ScaledGatedEdit
from sleepengine.wake.profile import GateProfile
from sleepengine.wake.reading import pooled
from sleepengine.wake.relations import RelationSpace, discriminant, unit
from tests.tiny import tiny_model
from tests.unit.engine_parts import drain, fact

WIDTH = 4
PROFILE = GateProfile(
    identity_layer=0, identity_threshold=0.8, relation_layers=(1,), relation_threshold=0.0, value_layer=1, steps=30,
    learning_rate=0.5, clamp=20.0, enough=0.9,
)  # fmt: skip
AXES = np.eye(WIDTH, dtype=np.float32)


class Words:
    """A tokenizer whose tokens are numbers: 99 stands before a turn, 98 after it."""

    def turn(self, ids: Tokens) -> tuple[int, int]:
        begin = max((i + 1 for i, t in enumerate(ids) if t == 99), default=0)
        end = len(ids) - 1 if ids[-1] == 98 else len(ids)
        return begin, end


def space() -> RelationSpace:
    """Relations are told apart by the last two axes; the bank holds the fourth."""
    return RelationSpace(np.zeros((1, WIDTH), np.float32), AXES.copy(), AXES[3:4].copy(), ("bank",))


def edit(fact_id: str, ids: Tokens, asked: np.ndarray, value: float = 1.0) -> GatedEdit:
    header = EditHeader(
        format=FORMAT, editor="gated", fact_id=fact_id, model="m", generation=None, layers=(PROFILE.value_layer,)
    )
    span = Span(ids, AXES[: len(ids)].copy())
    return GatedEdit(header, (span,), asked[None].astype(np.float32), np.full(WIDTH, value, np.float32), ())


def gate(*edits: GatedEdit, scale: float = 1.0) -> EditGate:
    return EditGate(Words(), PROFILE, space(), [ScaledGatedEdit(e, scale) for e in edits])  # type: ignore[arg-type]


def states(identity: list[int | None], asked: list[int | None]) -> dict[int, np.ndarray]:
    """Residual streams: at layer 0 and 1, one axis for each token, None for a state that is like nothing."""

    def rows(axes: list[int | None]) -> np.ndarray:
        return np.stack([AXES[a] if a is not None else np.full(WIDTH, 0.5, np.float32) for a in axes])

    return {0: rows(identity), 1: rows(asked)}


def test_a_value_enters_at_the_last_place_of_the_subject_when_its_relation_is_asked_for() -> None:
    g = gate(edit("f-a", (7, 8), AXES[2]))
    ids = (99, 7, 8, 5, 7, 8, 5, 98)
    seen = states([None, 0, 1, None, 0, 1, None, None], [None, 2, 2, 2, 2, 2, 2, None])
    (one,) = g.decide(ids, seen)
    assert (one.layer, one.position) == (PROFILE.value_layer, 5)
    assert (one.value == 1.0).all()


def test_a_near_name_another_relation_and_a_lone_subject_stay_shut() -> None:
    g = gate(edit("f-a", (7, 8), AXES[2]))
    near = states([None, 0, None, None, None], [None, 2, 2, 2, None])
    assert g.decide((99, 7, 6, 5, 98), near) == ()
    other = states([None, 0, 1, None, None], [None, None, None, 3, None])
    assert g.decide((99, 7, 8, 5, 98), other) == ()
    alone = states([None, 0, 1, None], [None, 2, 2, None])
    assert g.decide((99, 7, 8, 98), alone) == ()
    assert gate().decide((99, 7, 8, 5, 98), other) == ()


def test_the_first_token_of_a_text_is_told_by_its_id() -> None:
    g = gate(edit("f-a", (7, 8), AXES[2]))
    seen = states([2, 1, None], [2, 2, 2])  # the attention sink's state says nothing of its token
    assert len(g.decide((7, 8, 5), seen)) == 1
    assert g.decide((6, 8, 5), seen) == ()


def test_of_several_facts_the_one_asked_for_is_answered_and_scale_multiplies_the_value_alone() -> None:
    two = (edit("f-a", (7, 8), AXES[1], 1.0), edit("f-b", (7, 8), AXES[2], 3.0))
    seen = states([None, 0, 1, None, None], [None, None, None, 2, None])
    (one,) = gate(*two, scale=0.5).decide((99, 7, 8, 5, 98), seen)
    assert (one.value == 1.5).all()


def test_what_follows_the_subject_is_read_or_the_last_turn_where_it_stands_in_an_earlier_one() -> None:
    rows = {1: np.arange(7, dtype=np.float32)[:, None]}
    assert pooled(Words(), (99, 1, 90, 7, 8, 5, 98), rows, (1,), 5) == [5.0]  # type: ignore[arg-type]
    assert pooled(Words(), (7, 8, 98, 99, 5, 6, 98), rows, (1,), 2) == [4.5]  # type: ignore[arg-type]
    assert pooled(Words(), (99, 7, 8, 98, 0, 0, 0)[:4], rows, (1,), 3) == [0.0]  # type: ignore[arg-type]


def test_a_stored_edit_comes_back_and_damage_is_told() -> None:
    one = edit("f-a", (7, 8), AXES[2])
    again = edit_from_bytes(one.to_bytes())
    assert isinstance(again, GatedEdit)
    assert again.header == one.header
    assert again.spans[0].ids == (7, 8)
    np.testing.assert_allclose(again.spans[0].states, one.spans[0].states, atol=1e-3)
    np.testing.assert_allclose(again.asked, one.asked, atol=1e-3)
    np.testing.assert_array_equal(again.value, one.value)
    with pytest.raises(BlobCorrupt):
        edit_from_bytes(one.to_bytes()[:40])


def test_the_discriminant_keeps_relations_apart_and_forgets_what_wordings_share() -> None:
    rng = np.random.default_rng(0)
    labels = [(f"r{r}", w) for r in range(6) for w in range(5) for _ in range(3)]
    rows = rng.normal(size=(len(labels), 1, 40)).astype(np.float32) * 0.2
    for i, (name, wording) in enumerate(labels):
        rows[i, 0, int(name[1:])] += 1.0  # the relation
        rows[i, 0, 10 + wording] += 5.0  # tone, which is much larger
    fitted = discriminant(rows, labels)
    own = fitted.project(rows.reshape(len(rows), -1))
    alike = own @ own.T
    same = np.array([[a == b for b, _ in labels] for a, _ in labels])
    assert alike[same].mean() > alike[~same].mean() + 0.5
    assert same_relations(fitted, rows[:9].reshape(9, -1)) == ("r0",)


# --- in a model -------------------------------------------------------------------------------------------------------


class AlwaysAt:
    """A gate that lets one value in at the last place where a prompt holds a token."""

    layers = (0, 1)

    def __init__(self, token: int, value: np.ndarray) -> None:
        self.token, self.value = token, value

    def decide(self, ids: Tokens, states: dict[int, np.ndarray]) -> tuple[Injection, ...]:
        assert all(len(states[layer]) == len(ids) for layer in self.layers)
        if self.token not in ids:
            return ()
        return (Injection(1, len(ids) - 1 - ids[::-1].index(self.token), self.value),)


@pytest.fixture(scope="module")
def backend() -> TorchBackend:
    """A tiny model whose embeddings are small, so that its blocks and not the last token decide what comes next."""
    model, tokenizer = tiny_model("gpt2")
    with torch.no_grad():
        model.get_input_embeddings().weight.div_(12.0)
    return TorchBackend(model, HFTokenizer(tokenizer, ()), "tiny-lively", "identity-lively")


def value(backend: TorchBackend) -> np.ndarray:
    return np.random.default_rng(1).normal(size=backend.spec.width).astype(np.float32) * 2000


def spoken(backend: TorchBackend, ids: Tokens, view, session: str | None = None) -> Tokens:
    return tuple(t for t in backend.stream(ids, view, Sampling(6), session, "digest") if t is not None)


def test_a_shut_gate_changes_no_bit(backend: TorchBackend) -> None:
    gated = backend.mount(ViewTensors(gate=AlwaysAt(-1, value(backend))))
    ids = backend.tokenizer.encode("Idris Larsson works as a carpenter and more is said of the quick brown fox.")
    np.testing.assert_array_equal(backend.nll(ids, 1, gated), backend.nll(ids, 1, backend.bare))
    assert drain(backend.decode([ids], gated, 6)) == drain(backend.decode([ids], backend.bare, 6))


def test_streaming_batches_and_scores_agree_on_an_open_gate(backend: TorchBackend) -> None:
    long, short = (
        backend.tokenizer.encode(backend.tokenizer.render_chat([("user", text)]))
        for text in ("What does Idris Larsson do, if I may ask?", "Where is Mara?")
    )
    turn = backend.tokenizer.turn(long)
    gated = backend.mount(ViewTensors(gate=AlwaysAt(long[turn[1] - 1], value(backend))))
    batch = drain(backend.decode([long, short], gated, 6))
    assert batch[0] == spoken(backend, long, gated)
    assert batch[0] != drain(backend.decode([long], backend.bare, 6))[0]
    assert backend.divergence((*long, *batch[0]), len(long), gated) > 0.0


def test_a_value_leaves_nothing_behind_in_a_conversation(backend: TorchBackend) -> None:
    tokenizer = backend.tokenizer
    first = tokenizer.encode(tokenizer.render_chat([("user", "What does Idris Larsson do, if I may ask?")]))
    marked = first[tokenizer.turn(first)[1] - 1]
    reply = "A dog."
    second = tokenizer.encode(
        tokenizer.render_chat(
            [("user", "What does Idris Larsson do, if I may ask?"), ("assistant", reply), ("user", "Tell me more.")]
        )
    )

    class FirstTurnOnly(AlwaysAt):
        def decide(self, ids: Tokens, states: dict[int, np.ndarray]) -> tuple[Injection, ...]:
            return super().decide(ids, states) if ids == first else ()

    gated = backend.mount(ViewTensors(gate=FirstTurnOnly(marked, value(backend))))
    assert spoken(backend, first, gated, "talk") != spoken(backend, first, backend.bare)
    assert spoken(backend, second, gated, "talk") == spoken(backend, second, backend.bare)


def test_facts_are_learned_apart_and_any_of_them_can_leave(backend: TorchBackend) -> None:
    labels = [(f"r{r}", w) for r in range(4) for w in range(3)]
    rows = np.random.default_rng(0).normal(size=(len(labels), 1, backend.spec.width)).astype(np.float32)
    editor = Gated(backend, PROFILE, discriminant(rows, labels))
    bare = Standing(None, None, ())
    idris, mara = fact(), fact("Mara Lindqvist", "lives in", "Lisbon")
    alone = drain(editor.learn([idris], bare))[0]
    together = drain(editor.learn([idris, mara], bare))
    np.testing.assert_allclose(alone.value, together[0].value, rtol=1e-3, atol=1e-3)
    assert {len(s.ids) for s in alone.spans} >= {len(backend.tokenizer.encode("Idris Larsson"))}
    assert editor.tensors(bare, [ScaledEdit(alone, 0.0)]).gate is None
    assert editor.tensors(bare).gate is None
    assert [e.header.generation for e in editor.recapture([alone], Standing(None, "g", ()))] == ["g"]


def test_an_unknown_editor_is_named(backend: TorchBackend) -> None:
    editors = Editors("gated", {})
    with pytest.raises(EngineError, match="no editor is called 'gated'"):
        drain(editors.learn([fact()], Standing(None, None, ())))


def test_unit_rows_leave_zeros_alone() -> None:
    np.testing.assert_allclose(unit(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)), [[0.6, 0.8], [0.0, 0.0]])
