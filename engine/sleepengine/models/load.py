"""A model on disk to a model in memory. The only module here that imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from sleepengine.errors import ModelCorrupt, ModelUnsupported
from sleepengine.models.registry import ModelRecord


@dataclass(frozen=True)
class LoadedModel:
    """A Transformers causal LM in evaluation mode and its fast tokenizer."""

    model: Any
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype


def load(record: ModelRecord, device: str = "auto") -> LoadedModel:
    """Load onto one device: fp32 on a CPU, bf16 on an accelerator.

    Raises ModelUnsupported for a device that is not there or an architecture that Transformers does not know,
    ModelCorrupt where the weights cannot be read.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    where = choose_device(device)
    dtype = torch.float32 if where.type == "cpu" else torch.bfloat16
    try:
        tokenizer = AutoTokenizer.from_pretrained(record.path)
        model = AutoModelForCausalLM.from_pretrained(record.path, dtype=dtype)
    except (ValueError, KeyError) as error:
        raise ModelUnsupported(f"{record.name} cannot be loaded: {_one_line(error)}") from error
    except (OSError, RuntimeError) as error:
        raise ModelCorrupt(f"{record.name} cannot be read: {_one_line(error)}") from error
    if tokenizer.chat_template is None:
        raise ModelUnsupported(f"{record.name} has no chat template; use an instruct model")
    return LoadedModel(model.to(where).eval(), tokenizer, where, dtype)


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


def _one_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
