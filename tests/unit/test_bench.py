"""The bench on a tiny random model: every step real, seconds long."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from sleepengine.errors import EngineError
from sleepengine.evaluation.bench.__main__ import arms, main
from sleepengine.evaluation.bench.asking import Limits, Reply, ask, ask_base, prompt
from sleepengine.evaluation.bench.baselines import AllNotes, Retrieved, Untouched, search
from sleepengine.evaluation.bench.data import pool_hash
from sleepengine.evaluation.bench.probes import LEAKS, RECALL, Cell, Probe, probes
from sleepengine.evaluation.bench.runner import Arm, Plan, Result, run
from sleepengine.evaluation.bench.scenario import scenario
from sleepengine.evaluation.bench.scoring import (
    ABSTENTION,
    CHANCE,
    EXCLUSIVE,
    KEPT,
    MIXED,
    chance,
    exclusive,
    metrics,
    wilson,
)
from sleepengine.evaluation.bench.setup import Setup, changed, open_alphaedit, open_memit
from sleepengine.evaluation.bench.table import as_markdown, as_text
from sleepengine.evaluation.bench.tasks import Set
from sleepengine.evaluation.work import finish
from sleepengine.memory.facts import Channel
from sleepengine.models.pull import pull
from sleepengine.wake.calibrated import profiles_for
from sleepengine.wake.editing import ScaledEdit, Standing
from sleepengine.wake.null_space import ENERGY, projection
from sleepengine.wake.profile import derived
from tests.tiny import ARCHITECTURES, Architecture
from tests.unit.engine_parts import few_wordings, tiny_backend  # noqa: F401  a fixture

SMALL = Limits(raw=2, chat=2)


def reply(cell: Cell, text: str, base: str = "", target: str = "clocks", fact: int | None = 0) -> Reply:
    probe = Probe(cell=cell, channel=Channel.CHAT, text="?", targets=(target,), others=("violins",), fact=fact)
    return Reply(probe=probe, base=base, reply=text, base_hit=target in base, hit=target in text)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 0, 0.0, 1.0), (95, 100, 0.888, 0.978), (0, 300, 0.0, 0.0126), (20, 20, 0.839, 1.0)],
)  # fmt: skip
def test_wilson_intervals(hits: int, n: int, low: float, high: float) -> None:
    assert wilson(hits, n) == pytest.approx((low, high), abs=1e-3)


def test_a_leak_is_counted_above_the_base_s_and_recall_beside_it() -> None:
    replies = [reply(Cell.NEAR_CHAT, "clocks", "clocks")] + [reply(Cell.NEAR_CHAT, "clocks", "no")] * 2
    replies += [reply(Cell.NEAR_CHAT, "no", "no"), reply(Cell.CHAT, "clocks", "clocks"), reply(Cell.CHAT, "clocks")]
    found = metrics(replies)
    near, chat = found[Cell.NEAR_CHAT], found[Cell.CHAT]
    assert (near.hits, near.n, near.value, near.base) == (2, 4, 0.5, 0.25)
    assert (chat.hits, chat.value, chat.base) == (2, 1.0, 0.5)
    assert Cell.RAW not in found


def test_exclusive_recall_wants_the_target_alone() -> None:
    assert exclusive(reply(Cell.CHAT, ""), "She repairs clocks.")
    assert not exclusive(reply(Cell.CHAT, ""), "She repairs clocks and violins.")
    assert not exclusive(reply(Cell.CHAT, ""), "She repairs sundials.")


def test_chance_scores_the_replies_against_another_fact() -> None:
    replies = [reply(Cell.CHAT, "clocks harps", target="clocks", fact=0), reply(Cell.CHAT, "x", target="harps", fact=1)]
    assert (chance(replies).hits, chance(replies).n) == (1, 2)
    assert chance(replies[:1]).n == 0


def test_abstention_and_knowledge_are_compared_with_the_base() -> None:
    strangers = [reply(Cell.STRANGER_CHAT, "a", "a", fact=None), reply(Cell.STRANGER_RAW, "b", "a", fact=None)]
    known = [reply(Cell.KNOWN, "no", "clocks", fact=None), reply(Cell.KNOWN, "clocks", "clocks", fact=None)]
    known += [reply(Cell.KNOWN, "clocks", "no", fact=None)]
    found = metrics([*strangers, *known])
    assert found[ABSTENTION].value == 0.5
    assert (found[KEPT].hits, found[KEPT].n) == (1, 2)
    assert found[Cell.KNOWN].base == found[Cell.KNOWN].value == pytest.approx(2 / 3)


def test_a_prompt_holds_what_it_should() -> None:
    tokenizer = tiny_backend().tokenizer
    turns = (("user", "A"), ("assistant", "B"))
    asked = Probe(cell=Cell.AFTER_ONE, channel=Channel.CHAT, text="Who?", targets=("x",), turns=turns)
    text = prompt(tokenizer, asked)
    assert text.index("user\nA") < text.index("assistant\nB") < text.index("user\nWho?")
    assert "X repairs clocks." in prompt(tokenizer, asked, ["X repairs clocks."])
    raw = msgspec.structs.replace(asked, channel=Channel.RAW, turns=())
    assert prompt(tokenizer, raw) == "Who?"
    assert prompt(tokenizer, raw, ["X repairs clocks."]) == "X repairs clocks.\nWho?"


def test_the_untouched_model_is_its_own_control() -> None:
    backend, kept, said = tiny_backend(), [], []
    plan = Plan(arms=(Arm(condition="none", facts=2),), seeds=(0, 1), limits=SMALL, command=("wake",), cell=4)
    result = run(backend, plan, lambda arm: Untouched(backend), said.append, kept.append)
    (arm,) = result.arms
    assert [len(r.arms[0].seeds) for r in kept] == [1, 2]
    assert said
    assert all(arm.all[cell].mean == 0.0 for cell in LEAKS if cell is not Cell.CONTRAST)
    assert arm.all[ABSTENTION].mean == 1.0
    assert set(arm.all) >= {*RECALL, EXCLUSIVE, CHANCE} - {Cell.TWO_HOP}
    assert arm.numbers["perplexity_change"].mean == 0.0
    assert arm.numbers["kl_biographies"].mean == pytest.approx(0.0, abs=1e-6)
    assert all(r.reply == r.base for seed in arm.seeds for r in seed.prompts)
    for table in (as_text(result), as_markdown(result)):
        assert "near-name leak, chat" in table
        assert result.pool[:12] in table


@pytest.mark.usefixtures("few_wordings")
@pytest.mark.parametrize("architecture", [a for a in ARCHITECTURES if a != "llama"])  # the other tests' model
def test_any_causal_model_with_an_mlp_is_edited_and_evaluated(architecture: Architecture, tmp_path: Path) -> None:
    backend = tiny_backend(architecture)
    setup = Setup(backend, profiles_for(backend.spec), tmp_path)
    arms_ = tuple(Arm(condition=name, facts=1) for name in ("gated", "memit"))
    plan = Plan(arms=arms_, seeds=(0,), limits=Limits(raw=1, chat=1), command=(), cell=2)
    result = run(backend, plan, setup.condition, lambda text: None, lambda kept: None)
    for arm in result.arms:
        assert arm.numbers["steps_per_fact"].mean > 0
        assert arm.numbers["perplexity"].mean > 1
        assert arm.all[Cell.RAW].n == 1


@pytest.fixture
def command(tiny_model_dir: Path, tmp_path: Path) -> list[str]:
    """A command line for two facts and two-token replies; it writes to `tmp_path`."""
    folder, models = str(tiny_model_dir), tmp_path / "models"
    pull(folder, models)
    return ["wake", "--model", folder, "--models-dir", str(models), "--device", "cpu", "--seeds", "3", "--facts", "2",
            "--cell", "4", "--raw-tokens", "2", "--chat-tokens", "2", "--out", str(tmp_path)]  # fmt: skip


def written(tmp_path: Path) -> Result:
    return msgspec.json.decode((tmp_path / "wake.json").read_bytes(), type=Result)


@pytest.mark.usefixtures("few_wordings")
def test_the_command_compares_editors_and_writes_everything(command: list[str], tmp_path: Path, capsys) -> None:
    assert main([*command, "--editor", "memit,gated,none", "--json"]) == 0
    printed, result = json.loads(capsys.readouterr().out), written(tmp_path)
    assert printed["pool"] == result.pool == pool_hash()
    assert printed["arms"][0]["seeds"][0]["prompts"] == []
    memit, gated, none = result.arms
    assert len(memit.seeds[0].prompts) > 60
    for edited in (memit, gated):
        assert edited.numbers["steps_per_fact"].mean > 0
        assert edited.numbers["bytes_per_fact"].mean > 1000
        assert edited.numbers["decode"].mean > 0
    assert none.numbers["bytes_per_fact"].mean == none.numbers["perplexity_change"].mean == 0.0
    assert {f.listed for f in memit.seeds[0].facts} == {True, False}
    assert (tmp_path / "wake.txt").read_text(encoding="utf-8").count("\n") > 30
    assert (tmp_path / "wake.md").is_file()
    assert (tmp_path / "wake.png").read_bytes()[1:4] == b"PNG"


def test_a_sweep_of_a_setting_over_the_facts_of_a_user(command: list[str], tmp_path: Path, capsys) -> None:
    assert main([*command, "--editor", "memit", "--set", "user", "--sweep", "lambda=1,100", "--alone"]) == 0
    assert "2 facts of the user, one by one, lambda 100" in capsys.readouterr().out
    one, hundred = written(tmp_path).arms
    assert (one.arm.settings, hundred.arm.settings) == ({"lambda": 1.0}, {"lambda": 100.0})
    assert set(one.all) >= {Cell.RAW, Cell.CHAT, Cell.CONTRAST, MIXED, Cell.KNOWN}
    assert Cell.NEAR_CHAT not in one.all
    assert one.listed == {}
    assert 0 < one.numbers["seconds_median"].mean <= 2 * one.numbers["seconds_per_fact"].mean
    assert one.numbers["decode"].mean > 0


def test_arms_cross_conditions_with_numbers_of_facts_or_a_sweep() -> None:
    assert [(a.condition, a.facts) for a in arms(["memit", "none"], [5, 9], Set.PEOPLE, None)] == [
        ("memit", 5), ("memit", 9), ("none", 5), ("none", 9),
    ]  # fmt: skip
    assert [a.facts for a in arms(["memit"], [5], Set.USER, ("facts", (1.0, 2.0)))] == [1, 2]
    swept = arms(["memit", "none"], [5], Set.USER, ("steps", (1.0, 2.0)))
    assert [(a.condition, a.settings) for a in swept] == [
        ("memit", {"steps": 1}),
        ("memit", {"steps": 2}),
        ("none", {}),
    ]


def test_settings_change_numbers_of_a_profile_and_nothing_else() -> None:
    profile = derived(tiny_backend().spec)
    again = changed(profile, {"lambda": 7, "steps": 3.0})
    assert (again.ridge, again.steps, again.layers) == (7.0, 3, profile.layers)
    with pytest.raises(EngineError, match="no setting 'lr': there are lambda, ridge"):
        changed(profile, {"lr": 1.0})


def test_retrieval_finds_the_statement_that_is_asked_for() -> None:
    statements = ["Ada Byron repairs clocks.", "Carl Orff keeps bees.", "Ada Orff lives in Lima."]
    found = search(statements, count=2)("What does Carl Orff keep?")
    assert found[0] == "Carl Orff keeps bees."
    assert len(found) <= 2
    assert search(statements)("zzz") == []


def test_notes_are_read_and_leave_the_model_alone() -> None:
    backend, made = tiny_backend(), scenario(0, 2, 4)
    asked = [p for p in probes(made, 4) if p.cell in (Cell.RAW, Cell.CHAT)]
    before = finish(ask_base(backend, asked, SMALL))
    for condition in (AllNotes(backend), Retrieved(backend)):
        prepared = finish(condition.prepare(made.facts))
        assert made.facts[1].statement in prepared.notes(asked[-1].text)
        assert 10 < prepared.cost.bytes < 100
        replies = finish(ask(backend, asked, prepared, before, SMALL))
        assert [r.base for r in replies] == before
        assert len(replies) == len(asked)


def test_notes_that_do_not_fit_are_an_error() -> None:
    backend, made = tiny_backend(), scenario(0, 60, 4)
    asked = probes(made, 4)[:3]
    prepared = finish(AllNotes(backend).prepare(made.facts))
    with pytest.raises(EngineError, match="the model holds 512"):
        finish(ask(backend, asked, prepared, [""] * 3, SMALL))


def test_alphaedit_is_memit_in_another_metric(tmp_path: Path) -> None:
    backend, nothing = tiny_backend(), Standing(None, None, ())
    profiles = profiles_for(backend.spec)
    memit, alphaedit = open_memit(backend, profiles, tmp_path, {}), open_alphaedit(backend, profiles, tmp_path, {})
    edits = finish(memit.learn(scenario(0, 1, 4).facts, nothing))
    scaled = [ScaledEdit(e, 1.0) for e in edits]
    for layer, factors in memit.tensors(nothing, scaled).edits.items():
        other = alphaedit.tensors(nothing, scaled).edits[layer]
        assert np.array_equal(other.left, factors.left)
        null, _ = projection(memit.covariance.inverse[layer], ENERGY)
        assert other.right @ null == pytest.approx(other.right, abs=1e-4 * float(np.abs(other.right).max()))
        assert not np.allclose(factors.right @ null, factors.right, rtol=1e-2)


def test_the_null_space_is_where_the_reference_is_not() -> None:
    draw = np.random.default_rng(0)
    keys = draw.normal(size=(500, 12)) * np.array([10.0] * 8 + [0.1] * 4)
    c = keys.T @ keys / len(keys)
    matrix, trace = projection(np.linalg.inv(c).astype(np.float32), energy=0.01)
    assert trace == pytest.approx(np.trace(c), rel=1e-3)
    assert matrix @ matrix == pytest.approx(matrix, abs=1e-4)
    assert np.trace(matrix) == pytest.approx(4.0, abs=1e-3)
    assert np.abs(keys @ matrix).max() < 1.0
    assert np.abs(matrix[:8, :8]).max() < 0.05


def test_an_unknown_model_and_an_unknown_editor_are_said(tmp_path: Path, capsys) -> None:
    common = ["wake", "--models-dir", str(tmp_path), "--out", str(tmp_path)]
    assert main([*common, "--model", "no-such-model"]) == 1
    assert "no model" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main([*common, "--model", "x", "--editor", "magic"])
    assert end.value.code == 2
