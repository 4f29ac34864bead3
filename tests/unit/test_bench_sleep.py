"""The sleep bench on a tiny random model: every step real, seconds long."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from sleepengine.errors import EngineError
from sleepengine.evaluation.bench.__main__ import main
from sleepengine.evaluation.bench.nights import JOINT, SleepResult, joint_questions
from sleepengine.evaluation.bench.probes import Cell
from sleepengine.evaluation.bench.recipes import SleepArm, count_of, parse_arm, settings_of, tables
from sleepengine.evaluation.bench.scenario import scenario
from sleepengine.models.pull import pull
from sleepengine.sleep.settings import SleepSettings
from tests.unit.engine_parts import small_measures


def test_the_command_learns_sleeps_and_writes_everything(
    tiny_model_dir: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_measures(monkeypatch)
    out, models = tmp_path / "out", tmp_path / "models"
    pull(str(tiny_model_dir), models)
    arguments = ["sleep", "--model", str(tiny_model_dir), "--models-dir", str(models), "--device", "cpu"]
    arguments += ["--seeds", "3", "--cell", "2", "--raw-tokens", "1", "--chat-tokens", "1", "--out", str(out), "--json"]
    arguments += ["--cycles", "2", "--facts-per-cycle", "2", "--no-learn", "--editor", "memit"]
    arguments += ["--arm", "two nights:", "--arm", "nap:script=learn:2+nap,rem=false"]
    arguments += ["--set", "steps=2", "gate=none", "leak_prompts=2", "mine_rows=2", "dreams=1", "nap_steps=1"]
    assert main(arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    result = msgspec.json.decode((out / "sleep.json").read_bytes(), type=SleepResult)
    two, nap = (arm.seeds[0].steps for arm in result.arms)
    assert [s.step for s in two] == ["teach:2", "sleep", "teach:2", "sleep"]
    last = two[-1]
    assert last.facts == 4
    assert last.adapter is not None
    assert last.report is not None
    assert last.report.outcome == "committed"
    assert last.report.sws is not None
    assert last.report.sws.steps == 2
    assert {Cell.RAW, Cell.CHAT_PARAPHRASE, Cell.NEAR_CHAT, JOINT} <= set(last.adapter.all)
    assert last.adapter.first[Cell.RAW].n < last.adapter.all[Cell.RAW].n
    assert nap[-1].report is not None
    assert (nap[-1].report.kind, nap[-1].report.rem) == ("nap", None)
    assert printed["arms"][0]["seeds"][0]["steps"][-1]["adapter"]["replies"] == []
    table = (out / "sleep.txt").read_text(encoding="utf-8")
    assert "step by step" in table
    assert "near-name leak, chat" in table
    assert (out / "sleep.md").is_file()


def test_arms_and_settings_are_checked_before_anything_is_loaded(tmp_path: Path, capsys) -> None:
    common = ["sleep", "--models-dir", str(tmp_path), "--out", str(tmp_path), "--model", "no-such-model"]
    for wrong, reason in (
        (["--set", "stepz=2"], "stepz"),
        (["--set", "steps=many"], "a setting of sleep"),
        (["--set", "steps"], "key=value"),
        (["--recipe", "theirs"], "theirs"),
        (["--script", "dream"], "dream"),
        (["--script", "sleep"], "begins with"),
    ):
        assert main([*common, *wrong]) == 1
        assert reason in capsys.readouterr().err


def test_arms_are_read_and_the_papers_tables_are_there() -> None:
    arm = parse_arm("slow:learning_rate=1e-3,recipe=paper,script=learn:3+sleep", (), "ours", {"rem": "false"})
    assert arm == SleepArm(
        name="slow", recipe="paper", script=("learn:3", "sleep"), settings={"rem": "false", "learning_rate": "1e-3"}
    )
    settings = settings_of(arm, 7)
    assert (settings.learning_rate, settings.rem, settings.seed, settings.steps) == (1e-3, False, 7, 9)
    assert settings_of(SleepArm(name="", recipe="ours", script=("learn:1",)), 0) == SleepSettings()
    assert set(tables(20)) == {"5", "6", "7", "8", "9"}
    for arms in tables(20).values():
        assert all(arm.facts == 20 and settings_of(arm, 0) for arm in arms)
    with pytest.raises(EngineError, match="no step"):
        count_of("learn")


def test_joint_questions_ask_for_two_facts_and_one_subject_first() -> None:
    known = scenario(0, 20, 20)
    asked = list(joint_questions(known.taught, 0))
    assert len(asked) == 60
    assert all(len(objects) == 2 and " and " in question for question, objects in asked)
    same = [t.subject for t in known.taught]
    shared = sum(same.count(s) > 1 for s in set(same))
    assert [(" she" in q or " he" in q) for q, _ in asked[:shared]] == [True] * shared
