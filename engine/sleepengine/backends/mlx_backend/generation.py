"""Continuing text: one conversation token by token, or many prompts greedily side by side."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import KVCache

from sleepengine.backends.base import Array, Injection, Sampling, Tokens, Work
from sleepengine.backends.gates import untouched
from sleepengine.backends.grouping import common_prefix
from sleepengine.backends.mlx_backend.arrays import as_numpy, values_of
from sleepengine.backends.mlx_backend.caches import Batch, cropped, pad
from sleepengine.backends.mlx_backend.patches import MLXView

if TYPE_CHECKING:
    from sleepengine.backends.mlx_backend.backend import Group, MLXBackend

PREFILL_CHUNK = 128  # tokens a work item
KEPT_CONVERSATIONS = 4


@dataclass
class Conversation:
    """A KV cache and what it was computed from: which tokens, under which view, with no gated value in it.

    `states` holds what the view's gate reads of these tokens, (len(ids), width) for each of its layers.
    """

    ids: Tokens
    digest: str
    caches: list[KVCache]
    states: dict[int, Array]


class Conversations:
    """The caches of the latest conversations."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Conversation] = OrderedDict()

    def resume(
        self, prompt: Tokens, session: str | None, digest: str, blocks: int, layers: Sequence[int] = ()
    ) -> Conversation:
        """A conversation that knows the first n tokens of `prompt`, n from 0 on, and their states at `layers`, which a
        gate reads. Another view's cache is of no use."""
        kept = self._kept.pop(session, None) if session is not None else None
        known = 0
        if kept is not None and kept.digest == digest:
            # The last prompt token is always run again: its logits are what generation starts from.
            known = common_prefix([kept.ids, prompt], limit=len(prompt) - 1)
        found = kept.states if kept is not None else {}
        states = {layer: found[layer][:known] for layer in layers if layer in found}
        if kept is None or known == 0 or [len(s) for s in states.values()] != [known] * len(layers):
            return Conversation((), digest, [KVCache() for _ in range(blocks)], {})
        return Conversation(prompt[:known], digest, cropped(kept.caches, known), states)

    def keep(self, session: str, conversation: Conversation) -> None:
        """Remember a conversation's cache, forgetting the one unused for longest."""
        self._kept[session] = conversation
        self._kept.move_to_end(session)
        while len(self._kept) > KEPT_CONVERSATIONS:
            self._kept.popitem(last=False)


def stream(
    backend: MLXBackend,
    conversations: Conversations,
    prompt: Tokens,
    view: MLXView,
    sampling: Sampling,
    session: str | None,
    digest: str,
) -> Generator[int | None, None, str]:
    """See `Backend.stream`. Closing the generator early keeps what was computed."""
    layers = view.gate.layers if view.gate is not None else ()
    talk = conversations.resume(prompt, session, digest, backend.structure.blocks, layers)
    random = np.random.default_rng(sampling.seed)
    try:
        while len(talk.ids) < len(prompt):
            logits = extend(backend, prompt[len(talk.ids) : len(talk.ids) + PREFILL_CHUNK], view, talk)
            if len(talk.ids) < len(prompt):
                yield None
        reply = talk
        if view.gate is not None and (fired := view.gate.decide(prompt, talk.states)):
            # Look back: the values belong to this answer alone, so what is kept of the conversation stays without.
            clean = untouched([fired], len(prompt) - 1)
            reply = Conversation(prompt[:clean], digest, cropped(talk.caches, clean), {})
            while len(reply.ids) < len(prompt):
                logits = extend(backend, prompt[len(reply.ids) : len(reply.ids) + PREFILL_CHUNK], view, reply, fired)
                if len(reply.ids) < len(prompt):
                    yield None
        held = None if sampling.schema is None else backend.constraint(sampling.schema, logits.shape[-1])
        for produced in range(sampling.max_tokens):
            if held is not None:
                logits = mx.where(mx.array(held.allowed()), logits, -mx.inf)
            token = choose(logits, sampling.temperature, random)
            if token in backend.tokenizer.stop_ids:
                return "stop"
            yield token
            if held is not None:
                held.accept(token)
                if held.finished:
                    return "stop"
            if len(reply.ids) + 1 >= backend.spec.context or produced + 1 == sampling.max_tokens:
                break
            logits = extend(backend, (token,), view, reply)
        return "length"
    finally:
        if session is not None:
            conversations.keep(session, talk)


def extend(
    backend: MLXBackend, piece: Tokens, view: MLXView, talk: Conversation, fired: Sequence[Injection] = ()
) -> mx.array:
    """Run more tokens of one conversation, with those of the values `fired` that fall among them; returns the last
    position's logits (vocab,). The gate's readings are kept where the conversation is free of values."""
    known = len(talk.ids)
    last = mx.array([len(piece) - 1])
    here = [i for i in fired if known <= i.position < known + len(piece)]
    layers = view.gate.layers if view.gate is not None and not fired else ()
    with backend.patches.using(
        view.deltas, gather=(mx.zeros_like(last), last), observe=layers, values=values_of([here], [-known])
    ) as patches:
        logits: mx.array = backend.model(mx.array([piece]), cache=talk.caches)[0, 0]
        mx.eval(logits, [(cache.keys, cache.values) for cache in talk.caches])
        for layer in layers:
            fresh = as_numpy(patches.observed[layer][0])
            talk.states[layer] = np.concatenate([talk.states[layer], fresh]) if layer in talk.states else fresh
    talk.ids += piece
    return logits


def choose(logits: mx.array, temperature: float, random: np.random.Generator) -> int:
    """Greedy at temperature 0, else a draw from the softmax; `logits` is (vocab,)."""
    if temperature <= 0.0 or not math.isfinite(temperature):
        return int(logits.argmax())
    probabilities = as_numpy(mx.softmax(logits.astype(mx.float32) / temperature)).astype(np.float64)
    return int(random.choice(len(probabilities), p=probabilities / probabilities.sum()))


def decode_batch(
    backend: MLXBackend,
    prompts: Sequence[Tokens],
    group: Group,
    view: MLXView,
    max_tokens: int,
    injections: Sequence[Sequence[Injection]],
) -> Work[list[Tokens]]:
    """Greedy continuations of one group, up to a stop token each, each prompt with its gated values. `prompts` are
    what follows the group's shared beginning."""
    # Padding stands on the left, so that every row's next token is in the last column.
    batch, past = pad(prompts, left=True), group.past
    values = values_of(injections, [int(shift) - group.shared for shift in batch.shift])
    rows = mx.arange(len(prompts))
    produced: list[list[int]] = [[] for _ in prompts]
    live = np.ones(len(prompts), np.bool_)
    for _ in range(max_tokens):
        last = mx.full(rows.shape, batch.ids.shape[1] - 1, mx.int32)
        done = backend.forward(batch, view, past, gather=(rows, last), values=values)
        tokens = np.array(done.logits[0].argmax(axis=-1)).astype(np.int32)
        past, values = backend.filled(batch, past, done), ()
        for row, token in enumerate(tokens.tolist()):
            live[row] &= token not in backend.tokenizer.stop_ids
            if live[row]:
                produced[row].append(token)
        yield
        if not live.any():
            break
        batch = Batch(tokens[:, None], np.ones((len(prompts), 1), np.bool_), np.zeros(len(prompts), np.int32))
    return [tuple(p) for p in produced]
