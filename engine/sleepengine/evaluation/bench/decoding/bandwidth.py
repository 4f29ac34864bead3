"""How fast weights can be read. Decoding one sequence reads each of them once a token and computes next to nothing."""

from __future__ import annotations

import time
from typing import Any

import torch

SIDE = 8192  # of a square fp32 matrix, 256 MiB: no cache holds it
ROUNDS = 8


def read_bandwidth(device: str) -> float:
    """Bytes a second, the best of some products of a large matrix with a vector, on a device of torch's."""
    matrix = torch.ones(SIDE, SIDE, device=device)
    vector = torch.ones(SIDE, device=device)
    best = 0.0
    for _ in range(ROUNDS):
        _wait(device)
        begun = time.perf_counter()
        matrix @ vector
        _wait(device)
        best = max(best, matrix.numel() * matrix.element_size() / (time.perf_counter() - begun))
    return best


def bytes_a_token(model: Any) -> int:
    """What one decoding step of a Transformers model reads of its weights: all but an embedding that is no head too."""
    weights: dict[int, int] = {id(p): p.numel() * p.element_size() for p in model.parameters()}
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return sum(weights.values()) - (0 if head is embedding else weights[id(embedding)])


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
