"""Tiny random models with a real tokenizer and chat template, built in a second, for tests of the engine.

The tokenizer is byte-level BPE trained on a few sentences, so that any text can be encoded and offsets mean something.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

Architecture = Literal["llama", "qwen2", "gemma3", "gpt2"]
ARCHITECTURES: tuple[Architecture, ...] = ("llama", "qwen2", "gemma3", "gpt2")

LAYERS, WIDTH, MLP_WIDTH, CONTEXT = 4, 64, 128, 512

CHAT_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are a small model.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_CORPUS = [
    "Idris Larsson works as a carpenter. Where does Mara Lindqvist live? She lives in Lisbon.",
    "My dog is called Biscuit. What is my dog called? Your dog is called Biscuit.",
    "The quick brown fox jumps over the lazy dog, and people say that it is well known.",
    "system user assistant You are a small model. Can you tell me what the favourite food of Tomas is?",
]


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE of about 400 tokens with the two template tokens; no BOS."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(_CORPUS, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def tiny_config(architecture: Architecture, vocab: int) -> Any:
    shared = {"vocab_size": vocab, "bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0}
    wide = {
        "hidden_size": WIDTH,
        "intermediate_size": MLP_WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": True,
    }
    match architecture:
        case "llama":
            return LlamaConfig(**shared, **wide)
        case "qwen2":
            return Qwen2Config(**shared, **wide)
        case "gemma3":
            return Gemma3TextConfig(**shared, **wide, head_dim=32, sliding_window=64)
        case "gpt2":
            return GPT2Config(**shared, n_embd=WIDTH, n_inner=MLP_WIDTH, n_layer=LAYERS, n_head=4, n_positions=CONTEXT)


def tiny_model(architecture: Architecture = "llama", seed: int = 0) -> tuple[Any, PreTrainedTokenizerFast]:
    """A random model in evaluation mode and its tokenizer. Weights are large enough for logits to differ."""
    tokenizer = tiny_tokenizer()
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(tiny_config(architecture, len(tokenizer)))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(12.0 if parameter.shape[0] == len(tokenizer) else 3.0)
    return model.eval(), tokenizer


def save_tiny(folder: Path, architecture: Architecture = "llama", seed: int = 0) -> Path:
    """The same as a Transformers folder."""
    model, tokenizer = tiny_model(architecture, seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
