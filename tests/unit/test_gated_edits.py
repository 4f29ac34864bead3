"""Gated edits: what the gate lets in, what it costs where it stays shut, and that nothing of a value stays behind."""

from __future__ import annotations

import dataclasses
from importlib.resources import files

import msgspec
import numpy as np
import pytest
import torch
from safetensors.numpy import load

from sleepengine.backends.base import Injection, Sampling, Tokens, ViewTensors
from sleepengine.backends.tokenizer import HFTokenizer
from sleepengine.backends.torch_backend.backend import TorchBackend
from sleepengine.errors import BlobCorrupt, EngineError
from sleepengine.memory.edits import FORMAT, EditHeader, GatedEdit, Silence, edit_from_bytes
from sleepengine.wake.editing import Editors, ScaledEdit, Standing
from sleepengine.wake.gated import Gated
from sleepengine.wake.gating import NOTHING_ASKED, EditGate, ScaledGatedEdit
from sleepengine.wake.profile import GateProfile
from sleepengine.wake.reading import pooled
from sleepengine.wake.relations import Origin, RelationSpace, digest, discriminant, from_bytes, to_bytes, unit
from tests.tiny import tiny_model
from tests.unit.engine_parts import drain, fact

WIDTH = 4
PROFILE = GateProfile(
    relation_layers=(1,), relation_threshold=0.0, first_person_threshold=0.5, value_layer=1, steps=30,
    learning_rate=0.5, clamp=20.0, enough=0.9,
)  # fmt: skip
AXES = np.eye(WIDTH, dtype=np.float32)
HE = 50


class Words:
    """A tokenizer whose tokens are numbers: 99 stands before a turn, 98 after it, and " he" is one of its words."""

    def encode(self, text: str) -> Tokens:
        return (HE,) if text == " he" else (1, 2)

    def turn(self, ids: Tokens) -> tuple[int, int]:
        begin = max((i + 1 for i, t in enumerate(ids) if t == 99), default=0)
        end = len(ids) - 1 if ids[-1] == 98 else len(ids)
        return begin, end


def space() -> RelationSpace:
    """The bank holds the fourth axis, talk the third."""
    return RelationSpace(np.zeros((1, WIDTH), np.float32), AXES.copy(), AXES[3:4].copy(), AXES[2:3].copy())


def edit(fact_id: str, ids: Tokens, axis: int, value: float = 1.0, first_person: bool = False) -> GatedEdit:
    header = EditHeader(
        format=FORMAT, editor="gated", fact_id=fact_id, model="m", generation=None, layers=(PROFILE.value_layer,)
    )
    return GatedEdit(header, (ids,), AXES[axis : axis + 1].copy(), np.full(WIDTH, value, np.float32), first_person)


def gate(*edits: GatedEdit, scale: float = 1.0) -> EditGate:
    return EditGate(Words(), PROFILE, space(), [ScaledGatedEdit(e, scale) for e in edits])  # type: ignore[arg-type]


def asking(*axes: int | None) -> dict[int, np.ndarray]:
    """The residual stream at the relation's layer, one axis for each token, None for a state that says nothing."""
    return {1: np.stack([AXES[a] if a is not None else np.zeros(WIDTH, np.float32) for a in axes])}


def test_a_value_enters_at_the_last_place_of_the_subject_when_its_relation_is_asked_for() -> None:
    g = gate(edit("f-a", (7, 8), 2))
    (one,) = g.decide((99, 7, 8, 5, 7, 8, 5, 98), asking(None, 3, 3, 3, 3, 3, 2, None))
    assert (one.layer, one.position) == (PROFILE.value_layer, 5)
    assert (one.value == 1.0).all()


def test_a_near_name_another_relation_and_a_lone_subject_stay_shut() -> None:
    g = gate(edit("f-a", (7, 8), 2))
    asked = asking(None, None, None, 2, None)
    assert len(g.decide((99, 7, 8, 5, 98), asked)) == 1
    for near in ((99, 7, 6, 5, 98), (99, 6, 8, 5, 98), (99, 8, 7, 5, 98)):
        assert g.decide(near, asked) == ()
    assert g.decide((99, 7, 8, 5, 98), asking(None, 2, 2, 3, None)) == ()
    assert g.decide((99, 7, 8, 98), asking(None, 2, 2, None)) == ()
    assert gate().decide((99, 7, 8, 5, 98), asked) == ()


def test_a_subject_of_an_earlier_turn_is_meant_by_a_pronoun_alone() -> None:
    g = gate(edit("f-a", (7, 8), 2))
    asked = asking(*[None] * 5, 2, 2, None)
    assert len(g.decide((99, 7, 8, 98, 99, HE, 5, 98), asked)) == 1
    assert g.decide((99, 7, 8, 98, 99, 6, 5, 98), asked) == ()
    user = gate(edit("f-a", (7, 8), 1, first_person=True))
    assert user.decide((99, 7, 8, 98, 99, HE, 5, 98), asking(*[None] * 5, 1, 1, None)) == ()


def silence(ids: Tokens, axis: int, threshold: float = 0.0, against: tuple[int, ...] = ()) -> GatedEdit:
    rows = AXES[list(against)].copy() if against else np.zeros((0, WIDTH), np.float32)
    return dataclasses.replace(
        edit("f-gone", ids, axis), silence=Silence(threshold, rows), value=np.zeros(0, np.float32)
    )


def test_a_silenced_fact_lets_nothing_in_and_leaves_the_prompt_to_the_base() -> None:
    g = gate(silence((7, 8), 2))
    ids, asked, other = (99, 7, 8, 5, 98), asking(None, None, None, 2, None), asking(None, None, None, 1, None)
    assert g.silencing
    assert not gate(edit("f-a", (7, 8), 2)).silencing
    assert g.may_silence(ids)
    assert not g.may_silence((99, 7, 9, 5, 98))
    assert g.silences(ids, asked)
    assert g.decide(ids, asked) == ()
    assert g.silences(ids, other)  # nearer to its wordings than to the bank, if not near
    assert not gate(silence((7, 8), 2, threshold=0.5)).silences(ids, other)
    assert gate(silence((7, 8), 2, threshold=NOTHING_ASKED)).silences((99, 5, 7, 8, 98), asking(None, 3, None, None, 3))


def test_what_is_held_of_the_same_subject_is_still_answered() -> None:
    ids, asked, other = (99, 7, 8, 5, 98), asking(None, None, None, 2, None), asking(None, None, None, 1, None)
    in_the_adapter = gate(silence((7, 8), 2, threshold=NOTHING_ASKED, against=(1,)))
    assert in_the_adapter.silences(ids, asked)
    assert not in_the_adapter.silences(ids, other)
    edited = gate(silence((7, 8), 2, threshold=NOTHING_ASKED), edit("f-a", (7, 8), 1))
    assert edited.silences(ids, asked)
    assert not edited.silences(ids, other)
    assert len(edited.decide(ids, other)) == 1
    renewed = gate(silence((7, 8), 2), edit("f-new", (7, 8), 2))  # another value, asked for in the same words
    assert not renewed.silences(ids, asked)
    assert len(renewed.decide(ids, asked)) == 1


def test_a_bare_i_has_talk_for_a_rival_and_a_threshold_of_its_own() -> None:
    halfway = asking(None, None, 1, 2, None)  # as near to the fact as to what people say in passing
    assert len(gate(edit("f-a", (7,), 1)).decide((99, 7, 5, 5, 98), halfway)) == 1
    assert gate(edit("f-a", (7,), 1, first_person=True)).decide((99, 7, 5, 5, 98), halfway) == ()
    mine = gate(edit("f-a", (6, 7), 1, first_person=True))
    assert len(mine.decide((99, 6, 7, 5, 5, 98), asking(None, None, None, 1, 2, None))) == 1
    assert len(gate(edit("f-a", (7,), 1, first_person=True)).decide((99, 7, 5, 98), asking(None, None, 1, None))) == 1


def test_of_several_facts_the_one_asked_for_is_answered_and_scale_multiplies_the_value_alone() -> None:
    two = (edit("f-a", (7, 8), 1, 1.0), edit("f-b", (7, 8), 2, 3.0))
    (one,) = gate(*two, scale=0.5).decide((99, 7, 8, 5, 98), asking(None, None, None, 2, None))
    assert (one.value == 1.5).all()


def test_what_follows_the_subject_is_read_or_the_last_turn_where_it_stands_in_an_earlier_one() -> None:
    rows = {1: np.arange(7, dtype=np.float32)[:, None]}
    assert pooled(Words(), (99, 1, 90, 7, 8, 5, 98), rows, (1,), 5) == [5.0]  # type: ignore[arg-type]
    assert pooled(Words(), (7, 8, 98, 99, 5, 6, 98), rows, (1,), 2) == [4.5]  # type: ignore[arg-type]
    assert pooled(Words(), (99, 7, 8, 98), rows, (1,), 3) == [0.0]  # type: ignore[arg-type]


def test_a_stored_edit_comes_back_and_damage_is_told() -> None:
    one = edit("f-a", (7, 8), 2, first_person=True)
    again = edit_from_bytes(one.to_bytes())
    assert isinstance(again, GatedEdit)
    assert (again.header, again.spans, again.first_person) == (one.header, ((7, 8),), True)
    np.testing.assert_allclose(again.asked, one.asked, atol=1e-3)
    np.testing.assert_array_equal(again.value, one.value)
    with pytest.raises(BlobCorrupt):
        edit_from_bytes(one.to_bytes()[:40])
    for against in ((1,), ()):
        silenced = edit_from_bytes(silence((7, 8), 2, 0.25, against).to_bytes())
        assert isinstance(silenced, GatedEdit)
        assert silenced.silence is not None
        assert silenced.silence.threshold == 0.25
        assert silenced.silence.against.shape == (len(against), WIDTH)


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


def test_a_space_is_stored_with_what_it_was_fitted_from() -> None:
    origin = Origin(model="m", layers=(1,), wordings="w")
    data = to_bytes(space(), origin)
    again = from_bytes(data, origin)
    assert again is not None
    np.testing.assert_array_equal(again.bank, space().bank)
    np.testing.assert_array_equal(again.talk, space().talk)
    assert from_bytes(data, Origin(model="m", layers=(1,), wordings="other")) is None
    with pytest.raises(BlobCorrupt):
        from_bytes(data[:-9], origin)


def test_the_default_models_space_is_the_one_that_its_wordings_give() -> None:
    (shipped,) = files("sleepengine").joinpath("data", "profiles").glob("relations-*.safetensors")  # type: ignore[attr-defined]
    origin = msgspec.json.decode(load(shipped.read_bytes())["origin"].tobytes(), type=Origin)
    assert origin.wordings == digest()
    assert from_bytes(shipped.read_bytes(), origin) is not None


# --- in a model -------------------------------------------------------------------------------------------------------


class AlwaysAt:
    """A gate that lets one value in at the last place where a prompt holds a token."""

    layers = (0, 1)

    def __init__(self, token: int, value: np.ndarray) -> None:
        self.token, self.value = token, value

    def may_open(self, ids: Tokens) -> bool:
        return self.token in ids

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
    assert backend.tokenizer.encode("Idris Larsson") in alone.spans
    named = backend.tokenizer.encode("What does Idris Larsson do?")
    for edits, opens in (([ScaledEdit(alone, 1.0)], True), ([ScaledEdit(alone, 0.0)], False), ([], False)):
        gate = editor.tensors(bare, edits).gate
        assert gate is not None
        assert gate.may_open(named) is opens
    assert alone.silence is None
    assert [e.header.generation for e in editor.recapture([alone], Standing(None, "g", ()))] == ["g"]


def test_an_unknown_editor_is_named(backend: TorchBackend) -> None:
    editors = Editors("gated", {})
    with pytest.raises(EngineError, match="no editor is called 'gated'"):
        drain(editors.learn([fact()], Standing(None, None, ())))


def test_unit_rows_leave_zeros_alone() -> None:
    np.testing.assert_allclose(unit(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)), [[0.6, 0.8], [0.0, 0.0]])
