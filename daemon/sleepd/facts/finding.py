"""Facts by the words with which a person speaks of them: "what I said about my job"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sleepengine.memory.facts import Channel, Fact
from sleepengine.memory.mentions import words
from sleepengine.wake.grammar import morphology


def found_by_words(facts: Sequence[Fact], query: str) -> list[Fact]:
    """The facts whose statement has all the words, inflection aside; where none has, those whose questions do.

    "my job" finds "I work as a florist": one of its questions asks for the job.
    """
    sought = _stems(words(query))
    if not sought:
        return []
    told = [fact for fact in facts if sought <= _stems(words(f"{fact.statement} {fact.subject}"))]
    return told or [fact for fact in facts if sought <= _stems(_asked(fact))]


def _asked(fact: Fact) -> list[str]:
    return [word for prompt in fact.prompts if prompt.channel is Channel.CHAT for word in words(prompt.text)]


def _stems(found: Iterable[str]) -> set[str]:
    return {morphology.singular(word) for word in found}
