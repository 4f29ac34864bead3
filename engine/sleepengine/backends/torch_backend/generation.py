"""Continuing text: one conversation token by token, or many prompts greedily side by side."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import DynamicCache

from sleepengine.backends.base import Sampling, Tokens, Work
from sleepengine.backends.torch_backend.batches import Batch, KeyValues, common_prefix, pad
from sleepengine.backends.torch_backend.patches import TorchView

if TYPE_CHECKING:
    from sleepengine.backends.torch_backend.backend import TorchBackend

PREFILL_CHUNK = 128  # tokens a work item
KEPT_CONVERSATIONS = 4


@dataclass
class Conversation:
    """A KV cache and what it was computed from: which tokens, under which view."""

    ids: Tokens
    digest: str
    cache: DynamicCache


class Conversations:
    """The caches of the latest conversations."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Conversation] = OrderedDict()

    def resume(self, prompt: Tokens, session: str | None, digest: str) -> tuple[DynamicCache, int]:
        """A cache that holds the first n tokens of `prompt`, and n. Another view's cache is of no use."""
        kept = self._kept.pop(session, None) if session is not None else None
        if kept is None or kept.digest != digest:
            return DynamicCache(), 0
        # The last prompt token is always run again: its logits are what generation starts from.
        known = common_prefix([kept.ids, prompt], limit=len(prompt) - 1)
        if known == 0:
            return DynamicCache(), 0
        return KeyValues.of(kept.cache, torch.ones(1, known, dtype=torch.long)).growing(known), known

    def keep(self, session: str, conversation: Conversation) -> None:
        """Remember a conversation's cache, forgetting the one unused for longest."""
        self._kept[session] = conversation
        self._kept.move_to_end(session)
        while len(self._kept) > KEPT_CONVERSATIONS:
            self._kept.popitem(last=False)


def stream(
    backend: TorchBackend,
    conversations: Conversations,
    prompt: Tokens,
    view: TorchView,
    sampling: Sampling,
    session: str | None,
    digest: str,
) -> Generator[int | None, None, str]:
    """See `Backend.stream`. Closing the generator early keeps what was computed."""
    cache, known = conversations.resume(prompt, session, digest)
    ids = prompt[:known]
    random = torch.Generator()
    if sampling.seed is None:
        random.seed()
    else:
        random.manual_seed(sampling.seed)
    try:
        logits = torch.empty(0)
        while len(ids) < len(prompt):
            piece = prompt[len(ids) : len(ids) + PREFILL_CHUNK]
            logits = extend(backend, piece, len(ids), view, cache)
            ids += piece
            if len(ids) < len(prompt):
                yield None
        for produced in range(sampling.max_tokens):
            token = choose(logits, sampling.temperature, random)
            if token in backend.tokenizer.stop_ids:
                return "stop"
            yield token
            if len(ids) + 1 >= backend.spec.context or produced + 1 == sampling.max_tokens:
                break
            logits = extend(backend, (token,), len(ids), view, cache)
            ids += (token,)
        return "length"
    finally:
        if session is not None:
            conversations.keep(session, Conversation(ids, digest, cache))


@torch.no_grad()
def extend(backend: TorchBackend, piece: Tokens, known: int, view: TorchView, cache: DynamicCache) -> Tensor:
    """Run more tokens of one sequence; returns the last position's logits (vocab,)."""
    ids = torch.tensor([piece], device=backend.device)
    positions = torch.arange(known, known + len(piece), device=backend.device)[None]
    last = torch.tensor([len(piece) - 1])
    with backend.patches.using(view.deltas, gather=(torch.zeros_like(last), last)):
        logits: Tensor = backend.model(
            input_ids=ids, position_ids=positions, past_key_values=cache, use_cache=True
        ).logits
    return logits[0, 0]


def choose(logits: Tensor, temperature: float, random: torch.Generator) -> int:
    """Greedy at temperature 0, else a draw from the softmax; `logits` is (vocab,)."""
    if temperature <= 0.0 or not math.isfinite(temperature):
        return int(logits.argmax())
    probabilities = (logits.float().cpu() / temperature).softmax(dim=-1)
    return int(torch.multinomial(probabilities, 1, generator=random))


def decode_batch(
    backend: TorchBackend, prompts: Sequence[Tokens], view: TorchView, max_tokens: int
) -> Work[list[Tokens]]:
    """Greedy continuations of one padded batch, up to a stop token each."""
    rows = len(prompts)
    shared = common_prefix(prompts, limit=min(map(len, prompts)) - 1)
    if shared:
        past = backend.prefix([prompts[0][:shared]], view).expand(rows)
        cache = past.growing()
    else:
        nothing = torch.zeros(rows, 0, dtype=torch.long, device=backend.device)
        past, cache = KeyValues((), nothing, nothing.sum(dim=1)), DynamicCache()
    # Padding stands on the left, so that every row's next token is in the last column.
    batch = pad([p[shared:] for p in prompts], backend.device, left=True)
    produced: list[list[int]] = [[] for _ in prompts]
    live = [True] * rows
    for _ in range(max_tokens):
        tokens = _next_tokens(backend, batch, past, view, cache)
        for row, token in enumerate(tokens):
            live[row] = live[row] and token not in backend.tokenizer.stop_ids
            if live[row]:
                produced[row].append(token)
        yield
        if not any(live):
            break
        mask = torch.cat([past.mask, batch.mask], dim=1)
        past = KeyValues((), mask, mask.sum(dim=1))
        ids = torch.tensor(tokens, device=backend.device)[:, None]
        batch = Batch(ids, torch.ones_like(ids), (0,) * rows)
    return [tuple(p) for p in produced]


@torch.no_grad()
def _next_tokens(
    backend: TorchBackend, batch: Batch, past: KeyValues, view: TorchView, cache: DynamicCache
) -> list[int]:
    rows = torch.arange(batch.ids.shape[0])
    last = torch.full_like(rows, batch.ids.shape[1] - 1)
    logits = backend.forward(batch, view, past, cache, gather=(rows, last)).logits[0]
    tokens: list[int] = logits.argmax(dim=-1).tolist()
    return tokens
