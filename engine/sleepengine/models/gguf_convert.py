"""From a GGUF file of the Llama family to a folder that Transformers loads. numpy only, no torch.

Tensors are dequantised to fp32 one at a time and streamed to disk, so memory stays at one tensor. Two things differ
between the formats beyond names: GGUF stores the rows of the query and key projections for interleaved rotary
pairs, Transformers for rotary halves; and GGUF names its pre-tokenizer instead of carrying it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import msgspec
import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from sleepengine.errors import ModelUnsupported

Float32 = npt.NDArray[np.float32]

WEIGHTS_FILE = "model.safetensors"
_CONTROL_TOKEN = 3  # gguf.TokenType.CONTROL

_GLOBAL_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


class LlamaShape(msgspec.Struct, frozen=True, kw_only=True):
    """The hyperparameters that a Llama config needs."""

    layers: int
    width: int
    mlp_width: int
    heads: int
    kv_heads: int
    head_width: int
    context: int
    rope_theta: float
    norm_eps: float
    vocabulary: int
    tied: bool


class TokenIds(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of the special tokens; None where the file names none."""

    bos: int | None
    eos: int | None
    pad: int | None
    unk: int | None


def convert_gguf(source: Path, folder: Path, progress: Callable[[int, int], None]) -> None:
    """Write config, generation config, tokenizer and fp32 weights of `source` into the existing `folder`.

    `progress` gets (tensors done, tensors in all). Raises ModelUnsupported for another architecture, pre-tokenizer
    or tensor layout than those known here; an OSError of the disk rises as it is.
    """
    reader = gguf.GGUFReader(source)
    shape = _read_shape(reader)
    ids = _read_token_ids(reader)
    _write_json(folder / "config.json", _config(shape, ids))
    _write_json(folder / "generation_config.json", _generation_config(ids))
    _write_tokenizer(reader, ids, shape.context, folder)
    _write_weights(reader, shape, folder / WEIGHTS_FILE, progress)


# -- metadata ----------------------------------------------------------------------------------------------------


def _field(reader: gguf.GGUFReader, key: str) -> Any:
    """The value of one metadata key; ModelUnsupported where it is missing."""
    value = _field_or_none(reader, key)
    if value is None:
        raise ModelUnsupported(f"the GGUF file has no {key}")
    return value


def _field_or_none(reader: gguf.GGUFReader, key: str) -> Any:
    field = reader.fields.get(key)
    return None if field is None else field.contents()


def _read_shape(reader: gguf.GGUFReader) -> LlamaShape:
    architecture = _field(reader, "general.architecture")
    if architecture != "llama":
        raise ModelUnsupported(f"GGUF files of architecture {architecture} cannot be converted, only llama")
    scaling = _field_or_none(reader, "llama.rope.scaling.type")
    if scaling not in (None, "none") or any(t.name == "rope_freqs.weight" for t in reader.tensors):
        raise ModelUnsupported("GGUF files with scaled rotary positions cannot be converted")
    width, heads = int(_field(reader, "llama.embedding_length")), int(_field(reader, "llama.attention.head_count"))
    return LlamaShape(
        layers=int(_field(reader, "llama.block_count")),
        width=width,
        mlp_width=int(_field(reader, "llama.feed_forward_length")),
        heads=heads,
        kv_heads=int(_field_or_none(reader, "llama.attention.head_count_kv") or heads),
        head_width=int(_field_or_none(reader, "llama.attention.key_length") or width // heads),
        context=int(_field(reader, "llama.context_length")),
        rope_theta=_as_written(_field_or_none(reader, "llama.rope.freq_base") or 10_000.0),
        norm_eps=_as_written(_field(reader, "llama.attention.layer_norm_rms_epsilon")),
        vocabulary=len(_field(reader, "tokenizer.ggml.tokens")),
        tied=all(tensor.name != "output.weight" for tensor in reader.tensors),
    )


def _as_written(value: float) -> float:
    """The shortest decimal that is this float32: 1e-05, not 9.999999747378752e-06."""
    return float(str(np.float32(value)))


def _read_token_ids(reader: gguf.GGUFReader) -> TokenIds:
    return TokenIds(
        bos=_field_or_none(reader, "tokenizer.ggml.bos_token_id"),
        eos=_field_or_none(reader, "tokenizer.ggml.eos_token_id"),
        pad=_field_or_none(reader, "tokenizer.ggml.padding_token_id"),
        unk=_field_or_none(reader, "tokenizer.ggml.unknown_token_id"),
    )


# -- configuration files -----------------------------------------------------------------------------------------


def _config(shape: LlamaShape, ids: TokenIds) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": ids.bos,
        "eos_token_id": ids.eos,
        "pad_token_id": ids.pad,
        "dtype": "float32",
        "head_dim": shape.head_width,
        "hidden_act": "silu",
        "hidden_size": shape.width,
        "intermediate_size": shape.mlp_width,
        "max_position_embeddings": shape.context,
        "mlp_bias": False,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "rms_norm_eps": shape.norm_eps,
        "rope_parameters": {"rope_theta": shape.rope_theta, "rope_type": "default"},
        "rope_theta": shape.rope_theta,  # where readers older than `rope_parameters`, and mlx-lm, look
        "tie_word_embeddings": shape.tied,
        "vocab_size": shape.vocabulary,
    }


def _generation_config(ids: TokenIds) -> dict[str, Any]:
    return {"bos_token_id": ids.bos, "eos_token_id": ids.eos, "pad_token_id": ids.pad, "do_sample": False}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


# -- tokenizer ---------------------------------------------------------------------------------------------------


def _pre_tokenizer(name: str) -> pre_tokenizers.PreTokenizer:
    """The splitter behind GGUF's name for it."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if name in ("gpt-2", "default"):
        return byte_level
    if name == "smollm":  # every digit is a token of its own
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    raise ModelUnsupported(f"GGUF pre-tokenizer {name} is not known")


def _write_tokenizer(reader: gguf.GGUFReader, ids: TokenIds, context: int, folder: Path) -> None:
    kind = _field(reader, "tokenizer.ggml.model")
    if kind != "gpt2":
        raise ModelUnsupported(f"GGUF tokenizers of kind {kind} cannot be converted, only gpt2 (byte-level BPE)")
    if _field_or_none(reader, "tokenizer.ggml.add_bos_token"):
        raise ModelUnsupported("GGUF tokenizers that add a BOS token cannot be converted")
    tokens: list[str] = _field(reader, "tokenizer.ggml.tokens")
    kinds: list[int] = _field(reader, "tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ")) for merge in _field(reader, "tokenizer.ggml.merges")]

    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = _pre_tokenizer(_field_or_none(reader, "tokenizer.ggml.pre") or "default")
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tokenizer.save(str(folder / "tokenizer.json"))

    def spelled(token_id: int | None) -> str | None:
        return None if token_id is None else tokens[token_id]

    named = {
        "bos_token": spelled(ids.bos),
        "eos_token": spelled(ids.eos),
        "pad_token": spelled(ids.pad),
        "unk_token": spelled(ids.unk),
        "chat_template": _field_or_none(reader, "tokenizer.chat_template"),
    }
    _write_json(
        folder / "tokenizer_config.json",
        {
            # The generic class takes tokenizer.json as it is; a family's class would rebuild the pre-tokenizer.
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            "model_max_length": context,
            "additional_special_tokens": [token for token in special if token not in named.values()],
            **{key: value for key, value in named.items() if value is not None},
        },
    )


# -- weights -----------------------------------------------------------------------------------------------------


def _write_weights(
    reader: gguf.GGUFReader, shape: LlamaShape, path: Path, progress: Callable[[int, int], None]
) -> None:
    """Stream a safetensors file: 8 bytes of header length, the JSON header, then the tensors' bytes in its order."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in reader.tensors:
        size = 4 * int(tensor.n_elements)
        header[_transformers_name(tensor.name)] = {
            "dtype": "F32",
            "shape": [int(n) for n in reversed(tensor.shape)],
            "data_offsets": [offset, offset + size],
        }
        offset += size
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)  # the tensors start aligned, so that they can be mapped in place
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for done, array in enumerate(_tensors(reader, shape), start=1):
            file.write(array.data.cast("B"))
            progress(done, len(reader.tensors))


def _tensors(reader: gguf.GGUFReader, shape: LlamaShape) -> Iterator[Float32]:
    """Each tensor, dequantised to contiguous fp32, (rows, columns), in the file's order."""
    for tensor in reader.tensors:
        array = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
        if tensor.name.endswith("attn_q.weight"):
            array = _rotary_halves(array, shape.heads)
        elif tensor.name.endswith("attn_k.weight"):
            array = _rotary_halves(array, shape.kv_heads)
        yield np.ascontiguousarray(array)


def _rotary_halves(rows: Float32, heads: int) -> Float32:
    """Reorder each head's rows from rotary pairs (0, 1), (2, 3) ... to halves (0, 2, ...), (1, 3, ...)."""
    count, columns = rows.shape
    return rows.reshape(heads, count // heads // 2, 2, columns).swapaxes(1, 2).reshape(count, columns)


def _transformers_name(name: str) -> str:
    if name in _GLOBAL_NAMES:
        return _GLOBAL_NAMES[name]
    match name.split("."):
        case ["blk", index, part, "weight"] if part in _LAYER_NAMES:
            return f"model.layers.{index}.{_LAYER_NAMES[part]}.weight"
    raise ModelUnsupported(f"the GGUF tensor {name} has no place in a Llama model")
