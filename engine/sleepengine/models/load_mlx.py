"""A model on disk to an mlx model in memory. The only module here that imports mlx.

mlx-lm reads the same folders as Transformers does: full-precision checkpoints, and those that MLX has quantised. On
Linux, mlx computes on the CPU; on Apple silicon it uses the GPU through Metal, which has not been tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx_lm.utils import load_config, load_model

from sleepengine.errors import ModelCorrupt, ModelUnsupported
from sleepengine.models.files import load_tokenizer, one_line, read_ahead
from sleepengine.models.registry import ModelRecord

_DTYPES = {"float32": mx.float32, "bfloat16": mx.bfloat16, "float16": mx.float16}


@dataclass(frozen=True)
class Description:
    """What a checkpoint and its loading say of a model.

    `width` is of the residual stream, `context` in tokens, `device` cpu or gpu, `dtype` the weights' own, or such as
    "4-bit" where they are quantised.
    """

    name: str
    identity: str
    width: int
    vocab: int
    context: int
    device: str
    dtype: str


@dataclass(frozen=True)
class LoadedMLXModel:
    """A model of mlx-lm and its fast tokenizer."""

    model: Any
    tokenizer: Any
    description: Description


def load(record: ModelRecord, device: str = "auto", dtype: str = "auto") -> LoadedMLXModel:
    """Load onto one device; "auto" is fp32 on a CPU and as stored on a GPU. Quantised weights stay as they are.

    Raises ModelUnsupported for a device that is not there, an unknown dtype, an architecture that mlx-lm does not know
    or a model without chat template or fast tokenizer; ModelCorrupt where the weights cannot be read or are not all
    there.
    """
    where = choose_device(device)
    kind = choose_dtype(dtype, where)
    read_ahead(record)
    tokenizer = load_tokenizer(record)
    mx.set_default_device(mx.Device(mx.cpu if where == "cpu" else mx.gpu))
    try:
        model, config = load_model(record.folder, lazy=True, model_config=renamed(load_config(record.folder)))
        if kind is not None:
            model.set_dtype(kind)
        mx.eval(model.parameters())
    except FileNotFoundError as error:
        raise ModelCorrupt(f"the weights of {record.name} cannot be read: {one_line(error)}") from error
    except RuntimeError as error:
        raise ModelCorrupt(f"the weights of {record.name} cannot be read: {one_line(error)}") from error
    except (ValueError, KeyError) as error:
        if "parameters" in one_line(error):  # "Missing 2 parameters", "Received 1 parameters not in model"
            raise ModelCorrupt(f"tensors of {record.name} do not fit its architecture: {one_line(error)}") from error
        raise ModelUnsupported(f"mlx-lm cannot load {record.name}: {one_line(error)}") from error
    return LoadedMLXModel(model, tokenizer, _described(record, config, where, kind))


def choose_device(wanted: str) -> str:
    """ "cpu" or "gpu", by what is asked for or, for "auto", by what there is. Raises ModelUnsupported."""
    there = mx.metal.is_available() or mx.cuda.is_available()
    if wanted == "auto":
        return "gpu" if there else "cpu"
    if wanted not in ("cpu", "gpu"):
        raise ModelUnsupported(f"mlx has no device {wanted!r}; use auto, cpu or gpu")
    if wanted == "gpu" and not there:
        raise ModelUnsupported("the device 'gpu' is not available to mlx here")
    return wanted


def choose_dtype(wanted: str, device: str) -> mx.Dtype | None:
    """The dtype asked for, for "auto" fp32 on a CPU, and None to leave a GPU's weights as they are stored.

    Raises ModelUnsupported for an unknown one.
    """
    if wanted == "auto":
        return mx.float32 if device == "cpu" else None
    if wanted not in _DTYPES:
        raise ModelUnsupported(f"mlx has no dtype {wanted!r}; use auto, {', '.join(_DTYPES)}, or a quantised model")
    return _DTYPES[wanted]


def renamed(config: dict[str, Any]) -> dict[str, Any]:
    """What Transformers 5 writes as `rope_parameters`, under the names that mlx-lm reads.

    mlx-lm would otherwise take its own defaults, and the model would stand on other positions without a word.
    """
    if isinstance(text := config.get("text_config"), dict):
        return {"text_config": text | renamed(text)}
    rope = config.get("rope_parameters")
    if not isinstance(rope, dict):
        return {}
    if "full_attention" in rope:  # one set for each kind of attention
        local = rope.get("sliding_attention", {}).get("rope_theta")
        return _rope(rope["full_attention"]) | ({"rope_local_base_freq": local} if local else {})
    return _rope(rope)


def _rope(parameters: dict[str, Any]) -> dict[str, Any]:
    scaling = {name: value for name, value in parameters.items() if name != "rope_theta"}
    plain = scaling.get("rope_type", "default") == "default"
    return {"rope_theta": parameters["rope_theta"]} | ({} if plain else {"rope_scaling": scaling})


def _described(record: ModelRecord, config: dict[str, Any], device: str, kind: mx.Dtype | None) -> Description:
    text = config.get("text_config", config)
    if quantised := config.get("quantization"):
        dtype = f"{quantised['bits']}-bit"
    elif kind is not None:
        dtype = next(name for name, known in _DTYPES.items() if known == kind)
    else:
        dtype = str(text.get("dtype") or text.get("torch_dtype") or "as stored")
    try:
        return Description(
            name=record.name,
            identity=record.identity,
            width=int(text["hidden_size"] if "hidden_size" in text else text["n_embd"]),
            vocab=int(text["vocab_size"]),
            context=int(text["max_position_embeddings"] if "max_position_embeddings" in text else text["n_positions"]),
            device=device,
            dtype=dtype,
        )
    except KeyError as error:
        raise ModelUnsupported(f"the configuration of {record.name} does not say its {error}") from error
