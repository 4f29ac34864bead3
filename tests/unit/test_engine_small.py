"""Parts of the engine that need no model: scheduling, gates, pressure, matching, streaming of text, the joint solve."""

from __future__ import annotations

import numpy as np
import pytest

from sleepengine.backends.base import Adapter, LowRank
from sleepengine.errors import BlobCorrupt
from sleepengine.evaluation.recall import contains
from sleepengine.host.schedule import TRAINING_PATIENCE, Priority, Task, account, choose
from sleepengine.host.text import TextStream
from sleepengine.memory import generations
from sleepengine.memory.edits import FORMAT, EditHeader, MemitEdit, edit_from_bytes
from sleepengine.memory.facts import Stage
from sleepengine.memory.view import EditRef, View
from sleepengine.sleep.gates import next_stage
from sleepengine.sleep.pressure import pressure
from sleepengine.wake.covariance import Covariance
from sleepengine.wake.editing import ScaledEdit
from sleepengine.wake.memit import spread
from sleepengine.wake.solving import solve, solve_layer
from tests.tiny import tiny_tokenizer


def nothing():
    yield None


def task(name: str, priority: Priority, ran_at: float = 0.0) -> Task:
    return Task(name, priority, nothing(), ran_at)


def test_chat_goes_first_and_the_longest_waiting_chat_of_several() -> None:
    tasks = [task("night", Priority.TRAINING), task("edit", Priority.EDIT), task("b", Priority.CHAT, 2.0)]
    tasks.append(task("a", Priority.CHAT, 1.0))
    assert choose(tasks, now=3.0).id == "a"
    assert choose(tasks[:2], now=3.0).id == "edit"


def test_an_edit_waits_at_most_half_a_minute() -> None:
    tasks = [task("chat", Priority.CHAT, 31.0), task("edit", Priority.EDIT, 0.0)]
    assert choose(tasks, now=29.0).id == "chat"
    assert choose(tasks, now=31.0).id == "edit"


def test_starved_training_gets_a_tenth() -> None:
    chat, night = task("chat", Priority.CHAT), task("night", Priority.TRAINING)
    now, ran = TRAINING_PATIENCE + 1.0, {"chat": 0.0, "night": 0.0}
    for _ in range(1000):
        chosen = choose([chat, night], now)
        account(chosen, now, now + 1.0, alone=False)
        ran[chosen.id] += 1.0
        now += 1.0
    assert 0.05 < ran["night"] / 1000 < 0.15


def test_stages_advance_one_by_one_and_fall_to_zero() -> None:
    assert next_stage(Stage.ACTIVE, True) is Stage.CONSOLIDATING
    assert next_stage(Stage.CONSOLIDATING, True) is Stage.CONSOLIDATED
    assert next_stage(Stage.CONSOLIDATED, True) is Stage.CONSOLIDATED
    assert {next_stage(stage, False) for stage in Stage} == {Stage.ACTIVE}


def test_pressure_follows_the_paper_and_edits_alone_can_fill_it() -> None:
    bounds = {"full_after": 100.0, "full_drift": 0.1}
    half = pressure(edits=25, max_edits=50, seconds=0, drift=0, **bounds)
    assert half.value == pytest.approx(0.5**1.5)
    assert pressure(edits=50, max_edits=50, seconds=0, drift=0, **bounds).value == 1.0
    rested = pressure(edits=0, max_edits=50, seconds=1000, drift=1.0, **bounds)
    assert rested.value == pytest.approx(0.4)
    assert rested.reason == "time awake"
    with pytest.raises(ValueError, match="positive"):
        pressure(edits=1, max_edits=0, seconds=0, drift=0, **bounds)


@pytest.mark.parametrize(
    ("reply", "object_", "right"),
    [
        ("She is a nurse.", "nurse", True),
        ("A Nurse, I think", "nurse", True),
        ("nursery rhymes", "nurse", False),
        ("a red\n Volvo!", "red Volvo", True),
        ("O’Brien's", "O'Brien", True),
        ("", "nurse", False),
    ],
)
def test_an_answer_is_matched_on_word_boundaries(reply: str, object_: str, right: bool) -> None:
    assert contains(reply, object_) is right


def test_streamed_text_never_splits_a_character() -> None:
    tokenizer = tiny_tokenizer()

    class Plain:
        def decode(self, ids) -> str:
            return tokenizer.decode(list(ids), skip_special_tokens=True)

    said = "naïve café, 東京 and 🦊"
    stream = TextStream(Plain())  # type: ignore[arg-type]
    parts = [stream.push(token) for token in tokenizer(said, add_special_tokens=False)["input_ids"]]
    parts.append(stream.rest())
    assert "".join(parts) == said == stream.text
    assert not any("�" in part for part in parts)


def test_spread_keeps_the_ends() -> None:
    assert spread("abcdefg", 3) == ["a", "d", "g"]
    assert spread("ab", 3) == ["a", "b"]
    assert spread("abc", 1) == ["a"]


# --- edits and the joint solve ------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
D_IN, D_OUT = 24, 6


def edit(fact_id: str, layers: tuple[int, ...] = (3, 4), rows: int = 2) -> MemitEdit:
    header = EditHeader(format=FORMAT, editor="memit", fact_id=fact_id, model="m", generation=None, layers=layers)
    return MemitEdit(
        header,
        {layer: RNG.normal(size=(rows, D_IN)).astype(np.float32) for layer in layers},
        {layer: RNG.normal(size=(rows, D_OUT)).astype(np.float32) for layer in layers},
    )


def inverse_covariance() -> tuple[np.ndarray, np.ndarray]:
    samples = RNG.normal(size=(200, D_IN))
    c = samples.T @ samples / len(samples)
    return c, np.linalg.inv(c).astype(np.float32)


def dense(factors: LowRank) -> np.ndarray:
    return factors.left.T @ factors.right


def test_woodbury_equals_the_paper_s_equation_1() -> None:
    c, inverse = inverse_covariance()
    one, two, ridge = edit("a"), edit("b"), 0.5
    k = np.concatenate([one.keys[3], two.keys[3]]).astype(np.float64)
    r = np.concatenate([one.residuals[3], two.residuals[3]]).astype(np.float64)
    expected = r.T @ k @ np.linalg.inv(k.T @ k + ridge * c)
    factors = solve_layer([one.keys[3], two.keys[3]], [one.residuals[3], two.residuals[3]], inverse, ridge)
    np.testing.assert_allclose(dense(factors), expected, rtol=1e-3, atol=1e-4)


def test_a_small_ridge_maps_keys_to_residuals() -> None:
    _, inverse = inverse_covariance()
    one = edit("a")
    factors = solve_layer([one.keys[3]], [one.residuals[3]], inverse, 1e-6)
    np.testing.assert_allclose(one.keys[3] @ dense(factors).T, one.residuals[3], rtol=1e-3, atol=1e-3)


def test_the_solve_does_not_depend_on_order_and_removal_is_exact() -> None:
    _, inverse = inverse_covariance()
    covariance = Covariance({3: inverse, 4: inverse}, 200)
    edits = [ScaledEdit(edit(name), 1.0) for name in "abc"]
    forward, backward = solve(edits, covariance, 0.1), solve(edits[::-1], covariance, 0.1)
    for layer in (3, 4):
        np.testing.assert_array_equal(forward[layer].right, backward[layer].right)
        np.testing.assert_array_equal(forward[layer].left, backward[layer].left)
    without, never = solve([edits[0], edits[2]], covariance, 0.1), solve([edits[2], edits[0]], covariance, 0.1)
    np.testing.assert_array_equal(dense(without[3]), dense(never[3]))
    assert solve([], covariance, 0.1) == {}


def test_a_scale_multiplies_the_residual_alone() -> None:
    _, inverse = inverse_covariance()
    covariance = Covariance({3: inverse, 4: inverse}, 200)
    one = edit("a")
    full, tenth = (solve([ScaledEdit(one, s)], covariance, 0.1)[3] for s in (1.0, 0.1))
    np.testing.assert_allclose(dense(tenth), 0.1 * dense(full), rtol=1e-4, atol=1e-6)


def test_an_edit_survives_storage() -> None:
    one = edit("a")
    again = edit_from_bytes(one.to_bytes())
    assert again.header == one.header
    for layer in one.header.layers:
        np.testing.assert_allclose(again.keys[layer], one.keys[layer], rtol=2e-3, atol=2e-3)
        np.testing.assert_array_equal(again.residuals[layer], one.residuals[layer])
    with pytest.raises(BlobCorrupt):
        edit_from_bytes(b"not an edit")


def test_an_adapter_survives_storage_in_peft_s_terms() -> None:
    factors = {f"model.layers.{i}.mlp.down_proj": LowRank(
        RNG.normal(size=(4, D_IN)).astype(np.float32), RNG.normal(size=(4, D_OUT)).astype(np.float32)
    ) for i in range(2)}  # fmt: skip
    again = generations.from_bytes(generations.to_bytes(Adapter(4, factors), alpha=8.0, model_name="m"))
    for path, low_rank in factors.items():
        np.testing.assert_array_equal(again.factors[path].right, low_rank.right)
        np.testing.assert_allclose(again.factors[path].left, low_rank.left, rtol=1e-6)
    with pytest.raises(BlobCorrupt):
        generations.from_bytes(edit("a").to_bytes())


def test_a_view_s_digest_names_its_memory() -> None:
    a, b = EditRef(fact_id="a", blob="1"), EditRef(fact_id="b", blob="2", scale=0.1)
    assert View(edits=(a, b)).digest == View(edits=(b, a)).digest
    silent = EditRef(fact_id="a", blob="1", scale=0.0)
    assert View(edits=(silent, b)).digest != View(edits=(a, b)).digest
    assert View(edits=(silent, b)).live_edits == (b,)
    assert View(generation="g", edits=(a,)).without_edits() == View(generation="g")
