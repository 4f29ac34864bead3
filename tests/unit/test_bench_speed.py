"""The speed bench: the contenders take turns over a tiny model, and what they are compared by."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import msgspec
import pytest

from sleepengine.errors import EngineError
from sleepengine.evaluation.bench.__main__ import main
from sleepengine.evaluation.bench.decoding.bandwidth import bytes_a_token, read_bandwidth
from sleepengine.evaluation.bench.decoding.contenders import HuggingFace, LlamaCpp, Ours, Timing, timing
from sleepengine.evaluation.bench.decoding.course import SpeedPlan, SpeedResult, summary, take_turns
from sleepengine.models.int8 import quantise
from sleepengine.models.pull import pull
from tests.tiny import tiny_model
from tests.unit.engine_parts import few_wordings, tiny_backend

__all__ = ["few_wordings"]  # a fixture


class Scripted:
    """A contender that says what it is told to."""

    bytes_a_token = 100

    def __init__(self, name: str, *timings: Timing) -> None:
        self.name, self.timings, self.asked = name, list(timings), []

    def run(self, prompt: tuple[int, ...], count: int) -> Timing:
        self.asked.append(count)
        return self.timings.pop(0)


def test_the_rate_leaves_out_the_first_token() -> None:
    assert timing(10.0, [12.0, 12.5, 13.0], (1, 2, 3)) == Timing(2.0, 2.0, (1, 2, 3))
    assert timing(10.0, [12.0], (1,)).rate == 0.0
    assert timing(10.0, [], ()) == Timing(0.0, 0.0, ())


def test_contenders_take_turns_and_the_best_round_counts() -> None:
    slow = Scripted("slow", *(Timing(f, r, (1, 2)) for f, r in ((9.0, 0.1), (0.5, 3.0), (0.4, 2.0))))
    other = Scripted("other", *(Timing(1.0, 5.0, (1, 3)) for _ in range(3)))
    told: list[str] = []
    found = take_turns([slow, other], (7,), SpeedPlan(model="m", rounds=2, tokens=6), told.append)
    assert slow.asked == [2, 6, 6]
    assert [line.split(":")[1].split(",")[0].strip() for line in told] == ["slow", "other"] * 2
    best = summary(slow, found[0], (1, 2), 1000.0)
    assert (best.first, best.rate, best.rates, best.roofline, best.same_text) == (0.4, 3.0, (3.0, 2.0), 10.0, True)
    assert summary(other, found[1], (1, 2), 1000.0).same_text is False
    assert summary(other, found[1], None, 1000.0).same_text is None


def test_generate_says_what_a_stream_says() -> None:
    backend = tiny_backend()
    ids = backend.tokenizer.encode("The quick brown fox jumps over")
    said = HuggingFace(tiny_model()[0], 0).run(ids, 12)
    ours = Ours("ours", backend, backend.bare, 0).run(ids, 12)
    assert said.tokens == ours.tokens
    assert 0 < len(ours.tokens) <= 12
    assert min(said.first, ours.first) > 0


def test_a_token_reads_all_weights_but_an_embedding_of_its_own() -> None:
    model, _ = tiny_model()  # its head is its embedding
    everything = sum(p.numel() * 4 for p in model.parameters())
    assert bytes_a_token(model) == everything
    embedding = model.get_input_embeddings().weight
    quantise(model)
    stored = sum(p.numel() * p.element_size() for p in model.parameters())
    assert bytes_a_token(model) == stored - embedding.numel() * 4
    assert bytes_a_token(model) < everything / 3


def test_reading_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sleepengine.evaluation.bench.decoding.bandwidth.SIDE", 256)
    assert read_bandwidth("cpu") > 1e6


@pytest.mark.usefixtures("few_wordings")
def test_the_command_measures_and_writes_everything(
    tiny_model_dir: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sleepengine.evaluation.bench.decoding.bandwidth.SIDE", 256)
    out, models = tmp_path / "out", tmp_path / "models"
    pull(str(tiny_model_dir), models)
    arguments = ["speed", "--model", str(tiny_model_dir), "--models-dir", str(models), "--device", "cpu"]
    arguments += ["--dtypes", "auto,int8", "--facts", "1", "--tokens", "4", "--rounds", "1", "--out", str(out)]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bench"] == "speed"
    result = msgspec.json.decode((out / "speed.json").read_bytes(), type=SpeedResult)
    names = [s.name for s in result.speeds]
    assert names == [
        "Hugging Face generate",
        "sleepd, float32", "sleepd, float32, 1 gated edits", "sleepd, int8", "sleepd, int8, 1 gated edits",
    ]  # fmt: skip
    assert [s.same_text for s in result.speeds[:2]] == [None, True]
    assert result.speeds[3].bytes_a_token < result.speeds[1].bytes_a_token / 3
    assert set(result.seconds_a_fact) == {"float32", "int8"}
    assert result.left_out == ("llama.cpp: no GGUF file was given",)
    assert "Hugging Face generate" in (out / "speed.md").read_text(encoding="utf-8")
    assert (out / "speed.png").stat().st_size > 1000


def test_llama_cpp_is_measured_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gguf = tmp_path / "m.gguf"
    gguf.write_bytes(b"x" * 123)
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(EngineError, match="llama-cpp-python"):
        LlamaCpp(gguf, 2, 64)

    class Llama:
        def __init__(self, path: str, **settings: object) -> None:
            assert (path, settings["n_threads"], settings["n_ctx"]) == (str(gguf), 2, 64)

        def reset(self) -> None: ...

        def token_eos(self) -> int:
            return 2

        def generate(self, tokens: list[int], temp: float):
            assert (tokens, temp) == ([5, 6], 0.0)
            yield from (7, 8, 9, 2, 11)

    module = types.ModuleType("llama_cpp")
    module.Llama = Llama  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "llama_cpp", module)
    rival = LlamaCpp(gguf, 2, 64)
    assert (rival.name, rival.bytes_a_token) == ("llama.cpp, m.gguf", 123)
    assert rival.run((5, 6), 2).tokens == (7, 8)
    assert rival.run((5, 6), 40).tokens == (7, 8, 9)


@pytest.mark.parametrize("wrong", [["--tokens", "1"], ["--rounds", "0"], ["--facts", "-1"]])
def test_what_cannot_be_measured_is_refused(tmp_path: Path, wrong: list[str], capsys) -> None:
    assert main(["speed", "--model", "m", "--models-dir", str(tmp_path), "--out", str(tmp_path), *wrong]) == 1
    assert "two tokens" in capsys.readouterr().err
