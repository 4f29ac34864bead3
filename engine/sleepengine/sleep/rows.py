"""A fact's prompts as rows of a training step: token ids, where the answer begins, what each of its tokens weighs."""

from __future__ import annotations

from dataclasses import dataclass

from sleepengine.backends.base import Anchor, Example, Tokenizer, Tokens
from sleepengine.memory.facts import Channel, Prompt
from sleepengine.wake.encoding import prompt_text


@dataclass(frozen=True)
class Answered:
    """A prompt with its answer. Token i of `ids` belongs to the object where `is_object[i - start]` is true."""

    ids: Tokens
    start: int
    is_object: tuple[bool, ...]

    def weights(self, frame: float) -> tuple[float, ...]:
        """The object's tokens share 1, the others share `frame`."""
        inside = sum(self.is_object)
        outside = len(self.is_object) - inside
        return tuple(1.0 / inside if o else frame / outside for o in self.is_object)


def answered(tokenizer: Tokenizer, before: str, answer: str, object_: str, end: bool = False) -> Answered:
    """`before` and `answer` as they are tokenised together; `end` adds the token that ends a turn. Raises ValueError
    where the answer does not hold the object."""
    ids, offsets = tokenizer.offsets(before + answer)
    start = next(i for i, (_, b) in enumerate(offsets) if b > len(before))
    begin = len(before) + answer.rindex(object_)
    stop = begin + len(object_)
    is_object = tuple(a < stop and b > begin for a, b in offsets[start:])
    return (
        Answered((*ids, tokenizer.end_of_turn), start, (*is_object, False)) if end else Answered(ids, start, is_object)
    )


def example(tokenizer: Tokenizer, prompt: Prompt, object_: str, frame: float) -> Example:
    """A prompt's answer, to be trained; a chat reply must also learn to end."""
    row = answered(
        tokenizer, prompt_text(tokenizer, prompt), prompt.answer, object_, end=prompt.channel is Channel.CHAT
    )
    return Example(row.ids, row.start, row.weights(frame))


def probe(tokenizer: Tokenizer, prompt: Prompt, object_: str) -> Example:
    """Prompt and answer, to be scored on the object's tokens alone: how a sentence is framed is the model's affair."""
    row = answered(tokenizer, prompt_text(tokenizer, prompt), prompt.answer, object_)
    return Example(row.ids, row.start, row.weights(0.0))


def pair(
    tokenizer: Tokenizer, prompt: Prompt, object_: str, frame: float, reverse: float = 0.0, avoid: float = 0.0
) -> Anchor:
    """Prompt and answer up to and including the object's first token, held to the base: where a leak shows first.

    That position weighs 1, those of the answer before it share `frame`.
    """
    row = answered(tokenizer, prompt_text(tokenizer, prompt), prompt.answer, object_)
    before = row.is_object.index(True)
    weights = (*((frame / max(1, before),) * before), 1.0)
    return Anchor(row.ids[: row.start + before + 1], row.start, weights, avoid, reverse)


def held(ids: Tokens, start: int) -> Anchor:
    """A sequence that comes again, all of whose predictions from `start` on are held to the base alike."""
    count = len(ids) - start
    return Anchor(ids, start, (1.0 / count,) * count, returns=True)
