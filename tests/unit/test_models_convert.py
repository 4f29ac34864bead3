"""GGUF to Transformers: the converted model computes what the original computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from sleepengine.errors import ModelUnsupported
from sleepengine.models.gguf_convert import convert_gguf
from tests.unit.model_parts import write_gguf

TEXT = "Idris Larsson works as a carpenter in 1984."


def convert(folder: Path, **options: Any) -> tuple[Any, Any, Path]:
    """The original model and tokenizer, and the folder of the converted ones."""
    model, tokenizer = write_gguf(folder / "m.gguf", **options)
    target = folder / "converted"
    target.mkdir()
    convert_gguf(folder / "m.gguf", target, lambda done, total: None)
    return model, tokenizer, target


@pytest.mark.parametrize(("quantised", "tolerance"), [(False, 0.0), (True, 0.3)])
def test_logits_are_those_of_the_original(tmp_path: Path, quantised: bool, tolerance: float) -> None:
    original, tokenizer, folder = convert(tmp_path, quantised=quantised)
    converted = AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    with torch.no_grad():
        expected, found = original(ids).logits, converted(ids).logits
    assert (expected - found).abs().max() <= tolerance
    assert expected.abs().max() > 10 * tolerance
    assert {p.dtype for p in converted.parameters()} == {torch.float32}


def test_progress_counts_every_tensor(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    seen: list[tuple[int, int]] = []
    convert_gguf(tmp_path / "m.gguf", tmp_path, lambda done, total: seen.append((done, total)))
    with safe_open(tmp_path / "model.safetensors", "np") as weights:
        count = len(weights.keys())
    assert seen == [(i, count) for i in range(1, count + 1)]


def test_tokenizer_is_the_original_with_digits_apart(tmp_path: Path) -> None:
    _, original, folder = convert(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in ("Where does Mara live?", "Ünï 🎉\n\n  x", "<|im_start|>user\nhi<|im_end|>"):
        assert tokenizer(text).input_ids == original(text).input_ids
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert tokenizer.tokenize("1984") == ["1", "9", "8", "4"]
    assert tokenizer.convert_tokens_to_ids("<|im_start|>") == tokenizer("<|im_start|>").input_ids[0] == 1
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (None, "<|im_end|>", "<|endoftext|>")
    chat = [{"role": "user", "content": "Hello"}]
    assert tokenizer.apply_chat_template(chat, tokenize=False) == original.apply_chat_template(chat, tokenize=False)


def test_norm_epsilon_is_written_as_it_was_meant(tmp_path: Path) -> None:
    *_, folder = convert(tmp_path)
    assert json.loads((folder / "config.json").read_text())["rms_norm_eps"] == 1e-06


@pytest.mark.parametrize(
    ("options", "message"),
    [({"architecture": "gemma3"}, "architecture gemma3"), ({"pre": "llama-bpe"}, "pre-tokenizer llama-bpe")],
)
def test_unknown_kinds_are_refused(tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(ModelUnsupported, match=message):
        convert(tmp_path, **options)
