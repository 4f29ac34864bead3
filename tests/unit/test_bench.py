"""The bench on a tiny random model: every step real, seconds long."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from sleepengine.evaluation.bench.__main__ import main
from sleepengine.evaluation.bench.asking import Limits, Reply, prompt
from sleepengine.evaluation.bench.conditions import Untouched
from sleepengine.evaluation.bench.data import pool_hash
from sleepengine.evaluation.bench.probes import LEAKS, RECALL, Cell, Probe
from sleepengine.evaluation.bench.runner import Arm, Plan, Result, run
from sleepengine.evaluation.bench.scoring import (
    ABSTENTION,
    CHANCE,
    EXCLUSIVE,
    KEPT,
    chance,
    exclusive,
    metrics,
    wilson,
)
from sleepengine.evaluation.bench.table import as_markdown, as_text
from sleepengine.memory.facts import Channel
from sleepengine.models.pull import pull
from tests.unit.engine_parts import tiny_backend

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
    assert all(arm.all[cell].mean == 0.0 for cell in LEAKS)
    assert arm.all[ABSTENTION].mean == 1.0
    assert set(arm.all) >= {*RECALL, EXCLUSIVE, CHANCE} - {Cell.TWO_HOP}
    assert arm.numbers["perplexity_change"].mean == 0.0
    assert arm.numbers["kl_biographies"].mean == pytest.approx(0.0, abs=1e-6)
    assert all(r.reply == r.base for seed in arm.seeds for r in seed.prompts)
    for table in (as_text(result), as_markdown(result)):
        assert "near-name leak, chat" in table
        assert result.pool[:12] in table


def test_the_command_edits_a_model_and_writes_everything(tiny_model_dir: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    folder, models = str(tiny_model_dir), tmp_path / "models"
    pull(folder, models)
    arguments = ["wake", "--model", folder, "--models-dir", str(models), "--editor", "memit,none", "--facts", "2"]
    arguments += ["--seeds", "3", "--device", "cpu", "--cell", "4", "--raw-tokens", "2"]
    assert main([*arguments, "--chat-tokens", "2", "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    result = msgspec.json.decode((out / "wake.json").read_bytes(), type=Result)
    assert printed["pool"] == result.pool == pool_hash()
    memit, none = result.arms
    assert printed["arms"][0]["seeds"][0]["prompts"] == []
    assert len(memit.seeds[0].prompts) > 200
    assert memit.numbers["steps_per_fact"].mean > 0
    assert memit.numbers["bytes_per_fact"].mean > 0
    assert none.numbers["bytes_per_fact"].mean == 0
    assert {f.listed for f in memit.seeds[0].facts} == {True, False}
    assert (out / "wake.txt").read_text(encoding="utf-8").count("\n") > 30
    assert (out / "wake.md").is_file()


def test_an_unknown_model_and_an_unknown_editor_are_said(tmp_path: Path, capsys) -> None:
    common = ["wake", "--models-dir", str(tmp_path), "--out", str(tmp_path)]
    assert main([*common, "--model", "no-such-model"]) == 1
    assert "no model" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main([*common, "--model", "x", "--editor", "magic"])
    assert end.value.code == 2
