"""What the user wants of the assistant, said as an order: "call me Sam", "answer in German". Read as a wish of theirs."""

from __future__ import annotations

import re

from sleepengine.wake.extraction.vocabulary import vocabulary

_POLITE = r"(?:(?:and|also|but|then)\s+|please\s+|pls\s+|could\s+you\s+|from\s+now\s+on,?\s+|in\s+future,?\s+|always\s+|you\s+(?:can|may|should)\s+)*"
_CALL = re.compile(
    rf"^{_POLITE}(?:call|address)\s+me\s+(?:as\s+)?(?P<name>(?:[A-Z][\w.'’-]*)(?:\s[A-Z][\w.'’-]*){{0,3}}|[a-z][\w'’-]+)\W*$",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    rf"^(?P<polite>{_POLITE})(?:answer|reply|respond|write|speak|talk)(?:\s+(?:to\s+)?me)?\s+(?:only\s+)?in\s+(?P<manner>[\w-]+(?:\s[\w-]+)?)"
    r"(?P<lasting>(?:,?\s+(?:from\s+now\s+on|in\s+future|always|please))*)\W*$",
    re.IGNORECASE,
)
_USE = re.compile(
    rf"^(?P<polite>{_POLITE})(?:always\s+)?use\s+(?P<manner>[\w-]+(?:\s[\w-]+)?)(?P<lasting>(?:,?\s+(?:from\s+now\s+on|in\s+future|always|please))*)\W*$",
    re.IGNORECASE,
)
_KEEP = re.compile(
    rf"^{_POLITE}keep\s+your\s+(?P<what>answers|replies|responses)\s+(?P<manner>[\w-]+)(?:,?\s+(?:from\s+now\s+on|always|please))*\W*$",
    re.IGNORECASE,
)
_AVOID = re.compile(
    rf"^{_POLITE}(?:do\s+not|don['’]?t|never|stop)\s+us(?:e|ing)\s+(?P<manner>[\w-]+)(?:,?\s+(?:from\s+now\s+on|in\s+future|ever|again|any\s?more|please))*\W*$",
    re.IGNORECASE,
)
_NOT_NAMES = frozenset(
    {"later", "back", "when", "if", "tomorrow", "today", "a", "an", "the", "maybe", "again", "now", "at", "crazy"}
)


def as_wish(sentence: str) -> str | None:
    """The order as a statement about the user, or None where it is no lasting order: a request for now is not learned."""
    sentence = sentence.strip()
    if match := _CALL.match(sentence):
        name = match["name"].rstrip(".")
        return None if name.split()[0].lower() in _NOT_NAMES else f"I want to be called {name}."
    if (match := _ANSWER.match(sentence)) and _is_manner(match["manner"]):
        manner = match["manner"]
        return f"I want to be answered in {manner}."
    if (match := _USE.match(sentence)) and _is_manner(match["manner"]) and (match["polite"] or match["lasting"]):
        return f"I prefer {match['manner']}."
    if (match := _KEEP.match(sentence)) and _is_manner(match["manner"]):
        return f"I prefer {match['manner'].lower()} {match['what'].lower()}."
    if (match := _AVOID.match(sentence)) and _is_manner(match["manner"]):
        return f"I dislike {match['manner'].lower()}."
    return None


def _is_manner(text: str) -> bool:
    return all(word in vocabulary().manners for word in text.lower().split())
