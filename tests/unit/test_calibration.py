"""Calibration: the search on made-up figures, and all of it on a tiny random model with a tiny budget."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import msgspec
import pytest

from sleepengine.errors import BlobCorrupt
from sleepengine.evaluation.bench.data import people, relations as bench_relations
from sleepengine.evaluation.calibration.__main__ import main
from sleepengine.evaluation.calibration.capacity import capacity, counts
from sleepengine.evaluation.calibration.facts import lesson, most, relations
from sleepengine.evaluation.calibration.search import Knob, search
from sleepengine.evaluation.calibration.trial import Figures
from sleepengine.evaluation.calibration.tunables import gated_knobs, layer_spans, memit_knobs
from sleepengine.memory.facts import Channel, Pool
from sleepengine.models.pull import pull
from sleepengine.models.registry import profile_path, remove, resolve
from sleepengine.wake.calibrated import Calibration, profiles_for, read, write
from sleepengine.wake.grammar import parse_statement
from sleepengine.wake.profile import EditProfile, derived, gate_profile_for
from tests.unit.engine_parts import few_wordings, tiny_backend  # noqa: F401  a fixture

START = EditProfile(
    layers=(1, 2), ridge=1.0, steps=4, learning_rate=0.5, clamp=1.0, hold_weight=0.0, enough=0.9, collateral=1e9
)  # fmt: skip


def figures(facts: int = 8, raw: float = 1.0, chat: float = 1.0, near: float = 0.0, divergence: float = 0.0) -> Figures:
    return Figures(
        facts=facts, raw=raw, chat=chat, near_leak=near, other_leak=0.0, divergence=divergence, seconds_per_fact=1.0
    )  # fmt: skip


def test_the_score_weighs_chat_twice_and_takes_off_what_it_costs() -> None:
    assert figures().score == 1.0
    assert figures(raw=0.0).score == pytest.approx(2 / 3)
    assert figures(near=0.25).score == pytest.approx(0.75)
    assert figures(divergence=0.01).score == pytest.approx(0.9)


def test_the_search_keeps_what_is_clearly_better_and_its_budget() -> None:
    def measure(profile: EditProfile) -> Figures:
        asked.append((profile.ridge, profile.steps))
        return figures(chat=0.5 + (0.2 if profile.ridge == 100.0 else 0.0) + (0.005 if profile.steps == 9 else 0.0))

    asked: list[tuple[float, int]] = []
    said: list[str] = []
    knobs = (Knob("ridge", (1.0, 10.0, 100.0)), Knob("steps", (9, 10)))
    best, tried = search(START, knobs, measure, 16, said.append)
    assert asked == [(1.0, 4), (10.0, 4), (100.0, 4), (100.0, 9), (100.0, 10)]
    assert (best.profile.ridge, best.profile.steps) == (100.0, 4)  # a gain of .003 is noise
    assert len(tried) == len(said) == 5
    asked.clear()
    best, tried = search(START, knobs, measure, 2, said.append)
    assert len(tried) == len(asked) == 2
    assert best.profile == START


def test_capacity_is_the_last_number_before_something_falls_off() -> None:
    def at(number: int) -> Figures:
        return figures(number, chat=1.0 if number < 40 else 0.2)

    assert counts(80) == [10, 20, 40, 80]
    assert counts(50) == [10, 20, 40, 50]
    assert counts(4) == [4]
    found, measured = capacity(at, counts(80), lambda text: None)
    assert (found, [f.facts for f in measured]) == (20, [10, 20, 40])
    assert capacity(lambda n: figures(n), counts(20), lambda text: None)[0] == 20
    assert capacity(lambda n: figures(n, raw=0.0, chat=0.0), counts(20), lambda text: None)[0] == 0
    assert capacity(lambda n: figures(n, near=n / 100), counts(40), lambda text: None)[0] == 20


@pytest.mark.parametrize("depth", [2, 4, 6, 30, 80])
def test_layers_lie_within_the_model(depth: int) -> None:
    for span in layer_spans(depth):
        assert span
        assert span[0] >= 0
        assert span[-1] < depth - 1 or depth <= 2
    assert len(set(layer_spans(depth))) == len(layer_spans(depth))
    spec = dataclasses.replace(tiny_backend().spec, layers=depth)
    for knobs, profile in ((memit_knobs(spec), derived(spec)), (gated_knobs(spec), gate_profile_for(spec))):
        for knob in knobs:
            assert knob.values
            for value in knob.values:
                msgspec.convert(
                    msgspec.to_builtins(msgspec.structs.replace(profile, **{knob.name: value})), type(profile)
                )


def test_the_facts_are_not_the_bench_s() -> None:
    taught = {parse_statement(r.statement.format(s="Rosa Lund", o=r.objects[0])).relation for r in relations()}
    asked = {parse_statement(r.statement.format(s="Rosa Lund", o=r.objects[0])).relation for r in bench_relations()}
    assert not taught & asked
    made = lesson(most())
    assert made.facts == lesson(most()).facts
    words = {word for f in made.facts for word in f.subject.split()}
    assert not words & {*people().she, *people().he, *people().last}


def test_foils_ask_others_and_other_things() -> None:
    made = lesson(4)
    subjects = {f.subject for f in made.facts}
    assert len(subjects) == 4
    assert {f.prompt.channel for f in made.near} == set(Channel)
    assert {f.prompt.pool for f in (*made.near, *made.other)} == {Pool.GATE}
    for foil in made.near:
        assert foil.prompt.mention not in subjects
        assert foil.prompt.mention in foil.prompt.text
        assert not any(s in foil.prompt.text for s in subjects)
    own = {f.object: f.subject for f in made.facts}
    assert all(own[foil.object] in foil.prompt.text for foil in made.other)
    with pytest.raises(ValueError, match="from 2 to 144"):
        lesson(145)


def test_a_calibration_is_stored_beside_its_model_and_goes_with_it(tiny_model_dir: Path, tmp_path: Path) -> None:
    record = pull(str(tiny_model_dir), tmp_path)
    path = profile_path(record.name, tmp_path)
    made = Calibration(identity=record.identity, editor="memit", memit=START, date="now", device="cpu", seconds=1.0)
    assert read(path, record.identity) is None
    write(made, path)
    assert read(path, record.identity) == made
    assert read(path, "another model") is None
    spec = tiny_backend().spec
    assert profiles_for(spec, made).memit == START
    assert profiles_for(spec, made).gated == profiles_for(spec).gated == gate_profile_for(spec)
    assert profiles_for(spec).memit == derived(spec)
    assert resolve(str(tiny_model_dir), tmp_path) == record
    path.write_text("{", encoding="utf-8")
    with pytest.raises(BlobCorrupt, match="sleepd calibrate"):
        read(path, record.identity)
    remove(str(tiny_model_dir), tmp_path)
    assert not path.exists()


@pytest.mark.usefixtures("few_wordings")
def test_a_tiny_model_is_calibrated(tiny_model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = pull(str(tiny_model_dir), tmp_path)
    arguments = ["--model", str(tiny_model_dir), "--models-dir", str(tmp_path), "--device", "cpu"]
    assert main([*arguments, "--facts", "2", "--trials", "2", "--limit", "2", "--json"]) == 0
    output = capsys.readouterr()
    document = json.loads(output.out)
    stored = read(profile_path(record.name, tmp_path), record.identity)
    assert stored is not None
    assert document["profile"] == str(profile_path(record.name, tmp_path))
    assert document["calibration"] == json.loads(msgspec.json.encode(stored))
    assert (document["gated"]["trials"], document["memit"]["trials"]) == (2, 2)
    assert stored.memit is not None
    assert stored.gated is not None
    assert stored.memit.layers in {derived(tiny_backend().spec).layers, *memit_knobs(tiny_backend().spec)[0].values}
    assert stored.seconds > 0
    assert "memit: as it was: score" in output.err
    assert not list((tmp_path / ".statistics").glob("covariance*"))  # those of candidates are thrown away


def test_what_cannot_be_calibrated_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "no-such-model", "--models-dir", str(tmp_path)]) == 1
    assert "no model" in capsys.readouterr().err
