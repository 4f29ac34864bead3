"""The revise bench on a tiny random model, and its figures on answers written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from sleepengine.backends.silencing import Silencing
from sleepengine.evaluation.bench.__main__ import main
from sleepengine.evaluation.bench.asking import Reply
from sleepengine.evaluation.bench.life import Life
from sleepengine.evaluation.bench.probes import Cell, Probe
from sleepengine.evaluation.bench.revise.asking import Answer, Likelihood, likelihoods, questions
from sleepengine.evaluation.bench.revise.cast import MATCHED, Counts, Half, Role, cast
from sleepengine.evaluation.bench.revise.course import AT_ONCE, BEFORE, SLEPT, ReviseResult
from sleepengine.evaluation.bench.revise.scores import auc, bounds, figures, mean_bounds
from sleepengine.evaluation.bench.scenario import bare
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.facts import Channel
from sleepengine.models.pull import pull
from sleepengine.sleep.settings import SleepSettings
from sleepengine.wake.gated import Gated
from sleepengine.wake.relations import discriminant
from tests.unit.engine_parts import drain, small_measures, tiny_backend
from tests.unit.test_gated_edits import PROFILE as GATE_PROFILE

COUNTS = Counts(corrected=2, forgotten=2, others=2)
QUICK = SleepSettings(steps=1, gate="none", rem=False, mine_rows=0, leak_prompts=0)


def test_the_command_revises_and_writes_everything(
    tiny_model_dir: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_measures(monkeypatch)
    out, models = tmp_path / "out", tmp_path / "models"
    pull(str(tiny_model_dir), models)
    arguments = ["revise", "--model", str(tiny_model_dir), "--models-dir", str(models), "--device", "cpu"]
    arguments += ["--seeds", "3", "--raw-tokens", "1", "--chat-tokens", "1", "--out", str(out), "--json"]
    arguments += ["--corrections", "2", "--forgettings", "2", "--others", "2", "--editor", "memit"]
    arguments += ["--set", "steps=2", "gate=none", "rem=false", "leak_prompts=2", "mine_rows=2"]
    assert main(arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    result = msgspec.json.decode((out / "revise.json").read_bytes(), type=ReviseResult)
    (seed,) = result.seeds
    assert [m.name for m in seed.moments] == [BEFORE, AT_ONCE, SLEPT]
    assert [n.outcome for n in seed.nights] == ["committed", "committed"]
    assert len(seed.parts) == COUNTS.all == 8
    last = seed.moments[-1]
    assert {a.group for a in last.answers} == {
        "corrected, active", "corrected, consolidated", "forgotten, active", "forgotten, consolidated",
        "other facts, active", "other facts, consolidated", "never taught",
    }  # fmt: skip
    assert last.answers[0].reply.probe.text
    assert last.figures.shares["corrected, active"]["new value, raw"].n == 4
    assert last.figures.shares["never taught"]["answered, chat"].n == 14
    assert set(result.bounds) == {AT_ONCE, SLEPT}
    assert len(result.bounds[SLEPT]) == len(result.bounds[AT_ONCE]) + 4
    assert printed["seeds"][0]["moments"][-1]["answers"] == []
    table = (out / "revise.txt").read_text(encoding="utf-8")
    assert "forgotten, consolidated: answered, chat" in table
    assert "AUC against never taught, after the next sleep" in table
    assert (out / "revise.md").is_file()


def test_what_cannot_be_measured_is_refused_before_anything_is_loaded(tmp_path: Path, capsys) -> None:
    common = ["revise", "--models-dir", str(tmp_path), "--out", str(tmp_path), "--model", "no-such-model"]
    for wrong, reason in (
        (["--corrections", "1"], "two facts"),
        (["--nights", "0"], "consolidated"),
        (["--set", "stepz=2"], "stepz"),
        (["--corrections", "300"], "facts"),
    ):
        assert main([*common, *wrong]) == 1
        assert reason in capsys.readouterr().err


def test_roles_are_drawn_over_one_scenario_and_untaught_objects_are_nobodys() -> None:
    parts = cast(0, Counts())
    assert len(parts) == 120
    assert [sum(p.role is role for p in parts) for role in Role] == [30, 30, 30, 30]
    for role in (Role.CORRECTED, Role.FORGOTTEN, Role.OTHER):
        assert sum(p.half is Half.ACTIVE for p in parts if p.role is role) == 15
    taught = {(p.taught.relation.key, p.taught.shown) for p in parts}
    taught |= {(p.taught.relation.key, p.shown_new) for p in parts if p.role is Role.CORRECTED}
    for part in parts:
        assert len(set(part.matched)) == MATCHED
        assert not {(part.taught.relation.key, o) for o in part.matched} & taught
    corrected = next(p for p in parts if p.role is Role.CORRECTED)
    assert corrected.correction.slot == corrected.fact.slot
    assert corrected.correction.object == bare(corrected.shown_new) != corrected.fact.object
    with pytest.raises(ValueError, match="not corrected"):
        _ = next(p for p in parts if p.role is Role.CONTROL).correction
    assert [p.fact.id for p in cast(0, Counts())] == [p.fact.id for p in parts]


def test_only_report_phrasings_are_asked() -> None:
    parts = cast(1, COUNTS)
    trained = {prompt.text for p in parts for prompt in p.fact.prompts}
    asked = questions(parts, 1)
    assert {p.fact for p in asked} == set(range(len(parts)))
    plain = [p for p in asked if p.cell in (Cell.RAW_PARAPHRASE, Cell.CHAT_PARAPHRASE, Cell.POLITE)]
    assert plain
    assert not {p.text for p in plain} & trained


def test_an_object_is_scored_beside_others_on_the_same_prompts() -> None:
    backend = tiny_backend()
    parts = cast(2, COUNTS)[:2]
    found = drain(likelihoods(backend, parts, backend.bare))
    assert [len(own) for own in found] == [1 + MATCHED] * 2
    assert all(value < 0 for own in found for value in own)


def test_a_life_corrects_and_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_measures(monkeypatch)
    backend = Silencing(tiny_backend()).as_backend
    labels = [(f"r{r}", w) for r in range(4) for w in range(3)]
    rows = np.random.default_rng(0).normal(size=(len(labels), 1, backend.spec.width)).astype(np.float32)
    editor = Gated(backend, GATE_PROFILE, discriminant(rows, labels))
    life = Life(backend, BlobStore(tmp_path / "blobs"), editor, QUICK, editor)
    corrected = next(p for p in cast(0, COUNTS) if p.role is Role.CORRECTED)
    forgotten = next(p for p in cast(0, COUNTS) if p.role is Role.FORGOTTEN)
    drain(life.learn([forgotten.fact, corrected.fact]))
    report = drain(life.cycle("sleep"))
    assert report.outcome == "committed"
    life.facts = {
        i: msgspec.structs.replace(f, stage=1) for i, f in life.facts.items()
    }  # whatever a tiny model recalls
    one, other = life.facts.values()
    drain(life.forget([one]))
    failed = drain(life.correct([(other, corrected.correction)]))
    new = corrected.correction.id
    assert list(life.facts) == [new]
    named = [ref.fact_id for ref in life.view.edits]
    assert len(named) == len(set(named))
    assert (new in named) is (failed == 0)
    assert {one.id, other.id} <= set(named)  # silenced: the adapter knows them
    report = drain(life.cycle("sleep"))
    assert report.rebuilt.startswith("2 facts")
    assert {ref.fact_id for ref in life.view.edits} <= {new}


def test_the_area_under_the_curve_is_the_chance_to_be_the_likelier() -> None:
    assert auc([3.0, 4.0], [1.0, 2.0]) == 1.0
    assert auc([1.0], [1.0, 0.0]) == 0.75
    assert auc([], [1.0]) == 0.5


def test_bounds_are_held_to_what_was_found() -> None:
    def seen(old: bool, kept: bool, likely: float) -> tuple[list[Answer], list[Likelihood]]:
        groups = [(f"{role}, {half}", role) for role in list(Role)[:3] for half in (Half.ACTIVE, Half.CONSOLIDATED)]
        answers, likelihoods = [], []
        for group, role in [*groups, ("never taught", Role.CONTROL)]:
            own = {Role.CORRECTED: old, Role.FORGOTTEN: old, Role.OTHER: kept, Role.CONTROL: False}[role]
            for way, cell in (("raw", Cell.RAW), ("chat", Cell.CHAT), ("other ways", Cell.PRONOUN)):
                probe = Probe(cell=cell, channel=Channel.CHAT, text="?", targets=("x",), fact=0)
                reply = Reply(probe=probe, base="", reply="", base_hit=False, hit=own)
                new = role is Role.CORRECTED and not old
                answers.append(Answer(part=0, group=group, way=way, reply=reply, old=own, new=new, base_new=False))
            own_likely = likely if role is Role.FORGOTTEN else -2.0
            likelihoods.append(
                Likelihood(part=0, group=group, own=own_likely, own_base=-2.0, matched=(-2.0,), matched_base=(-2.0,))
            )
        return answers, likelihoods

    before = figures(*seen(old=True, kept=True, likely=-0.1))
    good = bounds(before, figures(*seen(old=False, kept=True, likely=-2.0)), slept=True)
    assert len(good) == 12
    assert all(b.kept for b in good)
    bad = bounds(before, figures(*seen(old=True, kept=False, likely=-0.1)), slept=True)
    assert not any(b.kept for b in bad)
    assert not any(b.kept for b in mean_bounds([good, bad]))
