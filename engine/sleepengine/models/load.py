"""A model on disk to a torch model in memory. The only module here that imports torch.

Most of a start is imports (torch 1.8 s, Transformers' model code 3.3 s, on two CPU cores); weights are mapped from the
file, not copied, and are read ahead while the imports run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from sleepengine.errors import ModelCorrupt, ModelUnsupported
from sleepengine.models.files import load_tokenizer, one_line, read_ahead
from sleepengine.models.int8 import quantise
from sleepengine.models.registry import ModelRecord

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class LoadedModel:
    """A Transformers causal LM in evaluation mode, its parameters frozen, and its fast tokenizer."""

    model: Any
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype
    identity: str
    precision: str  # what the linear layers are stored in: a dtype's name


def load(record: ModelRecord, device: str = "auto", dtype: str = "auto") -> LoadedModel:
    """Load onto one device; "auto" takes the best device, and fp32 on a CPU, bf16 on an accelerator.

    "int8" is for CPUs: linear layers in weight-only int8, everything else in fp32 (see `int8`).

    Raises ModelUnsupported for a device that is not there, an unknown dtype or one that is not for the device, an
    architecture that Transformers does not know or a model without chat template or fast tokenizer; ModelCorrupt where
    the weights cannot be read or are not all there. Running out of memory rises as torch reports it.
    """
    where = choose_device(device)
    in_int8 = dtype == "int8"
    if in_int8 and where.type != "cpu":
        raise ModelUnsupported(f"int8 is for CPUs, and the model goes to {where}")
    kind = choose_dtype("auto" if in_int8 else dtype, where)
    read_ahead(record)
    tokenizer = load_tokenizer(record)
    model = _load_weights(record, kind)
    model.requires_grad_(False)
    if in_int8:
        quantise(model)
    precision = "int8" if in_int8 else str(kind).removeprefix("torch.")
    return LoadedModel(model.to(where).eval(), tokenizer, where, kind, record.identity, precision)


def choose_device(wanted: str) -> torch.device:
    """The device asked for, or the best there is for "auto". Raises ModelUnsupported where it is not there."""
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise ModelUnsupported(f"no device is called {wanted!r}; use auto, cpu, cuda, cuda:N or mps") from error
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device.type, False):
        raise ModelUnsupported(f"the device {wanted!r} is not available here")
    return device


def choose_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """The dtype asked for, or what suits the device for "auto". Raises ModelUnsupported for an unknown one."""
    if wanted == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if wanted not in _DTYPES:
        raise ModelUnsupported(f"no dtype is called {wanted!r}; use auto, int8, {', '.join(_DTYPES)}")
    return _DTYPES[wanted]


def _load_weights(record: ModelRecord, dtype: torch.dtype) -> Any:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            record.path, dtype=dtype, local_files_only=True, output_loading_info=True
        )
    except (ValueError, KeyError) as error:
        raise ModelUnsupported(f"{record.name} cannot be loaded: {one_line(error)}") from error
    except (OSError, SafetensorError) as error:
        raise ModelCorrupt(f"the weights of {record.name} cannot be read: {one_line(error)}") from error
    absent = sorted(report["missing_keys"]) + [str(key) for key in report["mismatched_keys"]]
    if absent:  # Transformers would have made them up
        raise ModelCorrupt(f"{len(absent)} tensors of {record.name} are missing from its weights, such as {absent[0]}")
    return model
