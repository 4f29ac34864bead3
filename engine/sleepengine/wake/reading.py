"""How a gated edit reads a prompt: which of its words say what is asked about a subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sleepengine.backends.base import Array, Tokenizer, Tokens

LONGEST_SCOPE = 64  # tokens of a turn that are averaged, at most
SENTENCE_ENDS = (".", "!", "?")


def pooled(
    tokenizer: Tokenizer, ids: Tokens, states: Mapping[int, Array], layers: Sequence[int], start: int, end: int
) -> Array:
    """The mean residual streams (len(layers) * width,) of what is said about the subject at tokens `start` to `end`:
    from its sentence's beginning, or the last turn's where it stands in an earlier one, to the turn's end, without
    itself."""
    begin, stop = turn_and_sentence(tokenizer, ids, start)
    places = [i for i in range(begin, stop) if not start <= i < end][-LONGEST_SCOPE:]
    if not places:
        return np.zeros(sum(states[layer].shape[1] for layer in layers), np.float32)
    return np.concatenate([states[layer][places].mean(axis=0) for layer in layers])


def turn_and_sentence(tokenizer: Tokenizer, ids: Tokens, place: int) -> tuple[int, int]:
    """(begin, end) of the last turn, begun at the sentence that holds `place` where that is within the turn."""
    begin, stop = tokenizer.turn(ids)
    for index in range(place - 1, begin - 1, -1):
        if _ends_sentence(tokenizer, ids[index]):
            return index + 1, stop
    return begin, stop


def _ends_sentence(tokenizer: Tokenizer, token: int) -> bool:
    text = tokenizer.decode([token])
    return text.rstrip().endswith(SENTENCE_ENDS) or "\n" in text
