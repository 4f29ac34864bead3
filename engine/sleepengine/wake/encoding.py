"""A fact's prompts as token ids, with the places that editing, training and scoring need to know."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sleepengine.backends.base import Hold, Target, Tokenizer, Tokens
from sleepengine.memory.facts import Channel, Fact, Prompt

FRAME_WEIGHT = 0.2
"""Weight of an answer's tokens that do not belong to the object; the object's tokens weigh 1."""

END_WEIGHT = 0.6
"""Weight of the end after a bare object. With less, a value says its object again and again; with 1, it takes many more
steps, since then the end too must be sure before the optimisation stops."""


def prompt_text(tokenizer: Tokenizer, prompt: Prompt) -> str:
    """The exact text that is given to the model: the raw text, or the chat template around it."""
    return as_text(tokenizer, prompt.channel, prompt.text)


def as_text(tokenizer: Tokenizer, channel: Channel, text: str) -> str:
    """A text as the model sees it through one channel."""
    return tokenizer.render_chat([("user", text)]) if channel is Channel.CHAT else text


def prompt_ids(tokenizer: Tokenizer, prompt: Prompt) -> Tokens:
    """Token ids of a prompt without its answer."""
    return tokenizer.encode(prompt_text(tokenizer, prompt))


def target(tokenizer: Tokenizer, prompt: Prompt, object_: str) -> Target:
    """Prompt and answer, with the position of the subject's last token as the place of the edit."""
    ids, start, weights, edit = _with_answer(tokenizer, prompt, object_)
    return Target(ids, start, weights, edit)


def bare_target(tokenizer: Tokenizer, prompt: Prompt, object_: str, history: Sequence[tuple[str, str]] = ()) -> Target:
    """Prompt and the bare object as its answer, in chat with the end of the turn: what the reply shall begin with is
    then decided at its first token. `history` is an earlier exchange that stands before a chat prompt."""
    if prompt.channel is Channel.RAW:
        before, answer = prompt.text, f" {object_}"
    else:
        before, answer = tokenizer.render_chat([*history, ("user", prompt.text)]), object_
    ids, offsets = tokenizer.offsets(before + answer)
    start = next(i for i, (_, b) in enumerate(offsets) if b > len(before))
    edit = subject_position(offsets[:start], before, prompt.mention)
    weights = (1.0,) * (len(ids) - start)
    if prompt.channel is Channel.CHAT:
        return Target((*ids, tokenizer.end_of_turn), start, (*weights, END_WEIGHT), edit)
    return Target(ids, start, weights, edit)


def hold(tokenizer: Tokenizer, channel: Channel, text: str, mention: str) -> Hold:
    """A prompt whose next-token prediction shall not change."""
    rendered = as_text(tokenizer, channel, text)
    ids, offsets = tokenizer.offsets(rendered)
    return Hold((*ids, ids[-1]), len(ids), subject_position(offsets, rendered, mention))


def targets(tokenizer: Tokenizer, fact: Fact, prompts: Sequence[Prompt]) -> list[Target]:
    """The targets of some of a fact's prompts, those left out whose subject ends at the very first token.

    Models without a start token make the first token an attention sink, with a residual stream many times as long as
    any other; an edit there would be felt everywhere.
    """
    found = [target(tokenizer, prompt, fact.object) for prompt in prompts]
    return [t for t in found if t.edit > 0]


def subject_position(offsets: Sequence[tuple[int, int]], text: str, mention: str) -> int:
    """Index of the token that ends the last occurrence of `mention` in `text`. Raises ValueError where it is absent."""
    return subject_tokens(offsets, text, mention)[1] - 1


def subject_tokens(offsets: Sequence[tuple[int, int]], text: str, mention: str) -> tuple[int, int]:
    """(start, end) of the tokens of `mention`'s last occurrence in `text`. Raises ValueError where it is absent."""
    found = list(re.finditer(rf"(?<!\w){re.escape(mention)}(?!\w)", text))
    if not found:
        raise ValueError(f"{mention!r} does not occur in {text!r}")
    begin, end = found[-1].span()
    start = next(i for i, (_, b) in enumerate(offsets) if b > begin)
    return start, next(i for i, (a, b) in enumerate(offsets) if a < end <= b) + 1


def _with_answer(tokenizer: Tokenizer, prompt: Prompt, object_: str) -> tuple[Tokens, int, tuple[float, ...], int]:
    before = prompt_text(tokenizer, prompt)
    text = before + prompt.answer
    ids, offsets = tokenizer.offsets(text)
    start = next(i for i, (_, b) in enumerate(offsets) if b > len(before))
    begin = text.rindex(object_)
    end = begin + len(object_)
    weights = tuple(1.0 if a < end and b > begin else FRAME_WEIGHT for a, b in offsets[start:])
    edit = subject_position(offsets[:start], before, prompt.mention)
    return ids, start, weights, edit
