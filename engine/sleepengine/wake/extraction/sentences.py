"""From a turn to plain sentences: cut apart, and freed of greetings, asides and remarks that say nothing."""

from __future__ import annotations

import re

from sleepengine.wake.extraction.candidates import Span
from sleepengine.wake.grammar.clause import find_clause
from sleepengine.wake.grammar.screen import MAX_CHARACTERS
from sleepengine.wake.grammar.text import expand_contractions, sentences, words

_OPENING = re.compile(
    r"""^(?:(?:yes|yeah|yep|yup|no|nope|nah|ok(?:ay)?|right|sure|well|so|oh|ah|hm+|um+|uh|er|(?:hi|hello|hey|hiya|yo)(?:\ (?:there|all|everyone|again))?|good\ (?:morning|evening|afternoon)
    |thanks?(?:\ you)?|sorry|wait|actually|also|and|but|plus|anyway|besides|btw|by\ the\ way|fyi|for\ your\ information|for\ the\ record
    |just\ so\ you\ know|in\ fact|in\ real\ life|to\ be\ honest|honestly|tbh|incidentally|oh\ and|ps|p\.s\.|note|update|correction|dear
    |(?:i\ )?forgot\ to\ (?:say|mention|tell\ you)(?:\ that)?|(?:i\ )?should\ (?:say|mention|add)(?:\ that)?|did\ i\ (?:say|mention)(?:\ that)?
    |you\ (?:should|ought\ to|may)\ know(?:\ that)?|let\ me\ tell\ you(?:\ that)?|i(?:'d|\ would)\ like\ you\ to\ know(?:\ that)?)
    (?:\s*[,:!.–-]+\s*|\s+(?=(?:i|my|our|we|i'm|i've|the|his|her|he|she|it)\b)))+""",
    re.IGNORECASE | re.VERBOSE,
)
_CLOSING = re.compile(
    r"""(?:,\s*|\s+)(?:by\ the\ way|btw|fyi|if\ (?:that|it)\ (?:matters|helps)|if\ you\ must\ know|in\ case\ you(?:'re|\ are)?\ wonder(?:ing)?
    |you\ know|you\ see|though|tho|actually|anyway|thanks?(?:\ you)?|please|sorry|ok|haha|just\ so\ you\ know|for\ what\ it'?s\ worth)(?=[.!]*$)""",
    re.IGNORECASE | re.VERBOSE,
)
#: "I live in York now" says no more than "I live in York".
_NOW = re.compile(r"(?<=\w)\s+(?:now|currently)(?=[.!]*$)", re.IGNORECASE)
#: "Since March I have worked": a comma makes it a fronted adverbial for the grammar.
_FRONTED = re.compile(
    r"^((?:since|in|on|from|for|at|during)\s+(?:early\s+|late\s+|last\s+|the\s+)?[\w']+(?:\s+\d{4}|\s+(?:years?|months?|weeks?))?)\s+(?=(?:I|we|my|our)\b)",
    re.IGNORECASE,
)
#: "I can't stand coriander" denies nothing.
_CANNOT_STAND = re.compile(
    r"^(I|we)\s+(?:really\s+|just\s+)?(?:can['’]?t|cannot|can\s+not)\s+(?:stand|bear)\s+", re.IGNORECASE
)
_SPLICE = re.compile(
    r",\s+(?:and\s+|but\s+|so\s+|because\s+|as\s+|since\s+)?(?=(?:i|my|our|we|i'm|i've|he|she|his|her)\b)",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"(?:,?\s+(?:because|cuz|cos|'cause)|,\s+(?:so(?!\s+that)|which|hence|therefore))\s+", re.IGNORECASE
)


def cut(text: str) -> list[tuple[str, str]]:
    """The clauses of a text that can stand alone, each with the whole sentence that it is part of."""
    return [
        (bare, sentence) for sentence in sentences(text) for clause in _unspliced(sentence) if (bare := bared(clause))
    ]


def bared(sentence: str) -> str:
    """The sentence without what opens or closes it and says nothing, its fronted adverbial set off by a comma."""
    bare = _OPENING.sub("", sentence.strip())
    previous = None
    while previous != bare:
        previous, bare = bare, _CLOSING.sub("", bare)
    bare = _CANNOT_STAND.sub(r"\1 hate ", _NOW.sub("", bare))
    return _FRONTED.sub(r"\1, ", bare)


def span_of(part: str, turn: str, start: int = 0) -> Span:
    """Where a part's words stand in the turn; the whole turn where they cannot be found again."""
    spoken = [re.escape(word) for word in re.findall(r"[^\W_]+", part)]
    match = re.compile(r"[\W_]+".join(spoken), re.IGNORECASE).search(turn, start) if spoken else None
    return Span(match.start(), match.end()) if match else Span(0, len(turn))


def _unspliced(sentence: str) -> list[str]:
    """A sentence cut where a comma joins two clauses of the user's: "I'm Nadia, I'm 34". Reasons and results go."""
    if sentence.rstrip().endswith("?"):
        return [sentence]
    reason = _REASON.search(sentence)
    if reason is not None and _is_clause(sentence[: reason.start()]):
        return _unspliced(sentence[: reason.start()])
    clauses, start = [], 0
    for splice in _SPLICE.finditer(sentence):
        head, tail = sentence[start : splice.start()], sentence[splice.end() : splice.end() + MAX_CHARACTERS]
        if _is_clause(head) and _is_clause(tail):
            clauses.append(head)
            start = splice.end()
    return [*clauses, *_unspliced(sentence[start:])] if clauses else [sentence]


def _is_clause(text: str) -> bool:
    """Whether it has a subject and a verb, and is no longer than a statement may be."""
    if len(text) > MAX_CHARACTERS:
        return False
    found = words(expand_contractions(bared(text).rstrip(".!")))
    return len(found) > 1 and (find_clause(found) is not None)
