"""What every way of loading a model does with its files: read them ahead, load the tokenizer. No torch of its own."""

from __future__ import annotations

import os
from typing import Any

from sleepengine.errors import ModelUnsupported
from sleepengine.models.registry import ModelRecord


def load_tokenizer(record: ModelRecord) -> Any:
    """The model's fast tokenizer. Raises ModelUnsupported without one, or without a chat template."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(record.path, local_files_only=True)
    except (ValueError, KeyError, OSError) as error:
        raise ModelUnsupported(f"the tokenizer of {record.name} cannot be loaded: {one_line(error)}") from error
    if not tokenizer.is_fast:
        raise ModelUnsupported(f"{record.name} has no fast tokenizer (tokenizer.json)")
    if tokenizer.chat_template is None:
        raise ModelUnsupported(f"{record.name} has no chat template; use an instruct model")
    return tokenizer


def read_ahead(record: ModelRecord) -> None:
    """Ask the system to bring the weights into its page cache while we import; a hint, without effect elsewhere."""
    if not hasattr(os, "posix_fadvise"):
        return
    for file in record.files:
        if file.name.endswith(".safetensors"):
            with (record.folder / file.name).open("rb") as weights:
                os.posix_fadvise(weights.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def one_line(error: Exception) -> str:
    """The first line of an error's text, for a message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
