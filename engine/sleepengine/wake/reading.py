"""How a gated edit reads a prompt: which of its words say what is asked about a subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sleepengine.backends.base import Array, Tokenizer, Tokens

LONGEST_SCOPE = 64  # tokens that are averaged, at most


def pooled(tokenizer: Tokenizer, ids: Tokens, states: Mapping[int, Array], layers: Sequence[int], end: int) -> Array:
    """The mean residual streams (len(layers) * width,) of what follows a subject that ends before token `end`.

    That is all to the end of the turn: in a causal model these tokens have seen what stands before the subject too, and
    they have seen it as a question about the subject. Where the subject stands in an earlier turn, it is the whole last
    turn. Zeros where nothing follows.
    """
    begin, stop = tokenizer.turn(ids)
    places = range(max(begin, end, stop - LONGEST_SCOPE), stop)
    if not places:
        return np.zeros(sum(states[layer].shape[1] for layer in layers), np.float32)
    return np.concatenate([states[layer][places].mean(axis=0) for layer in layers])
