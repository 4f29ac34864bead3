"""What of a turn is not the user's own plain assertion: pasted text, quotations, jokes, stories, words off the record."""

from __future__ import annotations

import re

from sleepengine.wake.extraction.candidates import Context
from sleepengine.wake.extraction.vocabulary import vocabulary

_OFF_RECORD = re.compile(
    r"""\b(?:(?:do\ not|don'?t|never|please\ don'?t)\s+(?:remember|learn|store|save|record|memori[sz]e|note|keep)\b
    |off\s+the\s+record|between\s+(?:you\s+and\s+me|us)\s+only|forget\s+(?:i|that\s+i)\s+said)""",
    re.IGNORECASE | re.VERBOSE,
)
_JOKE = re.compile(
    r"""\b(?:(?:just|only|was|am|i'?m)\s+(?:kidding|joking)|kidding|j/?k|jokes?(?:\ aside)?|joking|haha+|hehe+|lol|lmao|rofl
    |obviously\ not|sarcas\w+|april\ fool\w*|pretend\w*|imagine|make[-\s]believe|in\ my\ dreams|hypothetically)\b
    |[;:]-?[)pPD](?!\w)|😂|🤣|😜|😉|(?<!\S)/s(?!\S)""",
    re.IGNORECASE | re.VERBOSE,
)
_STORY = re.compile(
    r"""^(?:so\s+|and\s+|but\s+)?in\s+(?:the|my|our|this|that|a|his|her|their)\s+(?:\w+\s+)?
    (?:story|tale|novel|book|film|movie|series|show|play|game|poem|song|dream|episode|comic|campaign|sequel|role-?play)\b
    |,?\s+in\s+(?:the|our|this)\s+(?:story|game|novel|film|movie|book)\W*$
    |^once\s+upon\s+a\s+time""",
    re.IGNORECASE | re.VERBOSE,
)
#: "In Dune, Paul lives on Arrakis." - in some work or place, somebody that is not the user.
_IN_A_WORK = re.compile(r"^In\s+(?:[A-Z][\w'’-]*\s?)+,\s+(?!(?:I|we|my|our)\b)")
_HEARSAY = re.compile(
    r"""^(?:according\ to|apparently|supposedly|allegedly|reportedly|rumou?r\ has\ it|legend\ has\ it|word\ is|i\s+(?:heard|read|was\ told)\b)
    |^(?:people|they|everyone|everybody|some|many|experts|scientists|critics|the\ papers?)\s+(?:say|says|think|believe|claim)\b
    |\bas\s+(?!(?:i|we)\b)[\w' ]{1,30}?\s+(?:said|says|put\ it|told|used\ to\ say|always\ said|always\ says)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_EXAMPLE = re.compile(r"^(?:for\s+(?:example|instance)|e\.?g\.?|say|let'?s\s+say|assume|suppose)\b", re.IGNORECASE)
_LETTER = re.compile(
    r"^\s*(?:dear\s+\w+|to\s+whom)|\b(?:yours\s+\w+|sincerely|(?:best|kind)\s+regards|best\s+wishes)\b", re.IGNORECASE
)
#: "I have three apples. How many are left?"
_PUZZLE = re.compile(r"\bhow\s+(?:many|much|far|long|fast|old|tall)\b[^.!]*\?", re.IGNORECASE)
_NUMBERS = re.compile(
    r"\b(?:\d+|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|twice|half)\b", re.IGNORECASE
)
_RECALL = re.compile(
    r"\byou\s+(?:said|say|told|mentioned|remember|wrote)\b|\bas\s+you\s+\w+|\bas\s+i\s+(?:said|told|mentioned)\b",
    re.IGNORECASE,
)
_HEDGED = re.compile(
    r"""\b(?:i\s+(?:think|guess|suppose|believe|reckon|imagine|assume|bet)|if\s+i\s+remember|iirc|afaik|not\s+sure|maybe|perhaps
    |probably|possibly|presumably|or\s+so|or\s+something|sort\s+of|kind\s+of|must\s+be|must\s+have|might|i'?m\s+not\s+certain)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_GAME_ON = re.compile(
    r"\b(?:let'?s|shall\s+we|we\s+could)\s+(?:play|pretend|role-?play|imagine)\b|\byou\s+are\s+(?:now\s+)?an?\s|\bact\s+as\b|\bpretend\b",
    re.IGNORECASE,
)
_GAME_OFF = re.compile(
    r"\b(?:stop|end|enough|quit|over|done|finish)\b.*\b(?:game|role-?play|story|pretending)\b|\bin\s+real\s+life\b|\bseriously\b",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"```|^\s{4,}\S|^\s*(?:def|class|import|from|for|if|return|print|#include|SELECT)\b.*[:;({]", re.MULTILINE
)
_LABEL = re.compile(r"^\s*([A-Z][\w'’ -]{0,30}|[a-z][\w-]{0,15}|[A-Z ]{2,30}):(?=\s|$)")
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”|„[^“]*“|«[^»]*»')
_SPOKEN = re.compile(
    r"\b(?:sa(?:y|ys|id)|wr(?:ite|ites|ote)|ask(?:s|ed)?|read(?:s)?|told|tells|repl(?:y|ies|ied)|shout(?:s|ed)?|quote[sd]?|goes)\b",
    re.IGNORECASE,
)
_LONG = 700
"""Characters above which a turn of many sentences is taken for a document."""


def off_the_record(turn: str) -> bool:
    """Whether the user said that this turn shall not be learned from."""
    return _OFF_RECORD.search(turn) is not None


def in_play(turn: str, context: Context) -> bool:
    """Whether a game or a story is going on, in which nobody means what they say."""
    playing = False
    for text in (*context.before, turn):
        if _GAME_OFF.search(text):
            playing = False
        elif _GAME_ON.search(text):
            playing = True
    return playing


def own_part(turn: str) -> tuple[str, str]:
    """The user's own words of a turn that also holds a document, code or a log; and why the rest is left out.

    The reason is empty where nothing was left out. What stands before a pasted text is the user's own.
    """
    if code := _CODE.search(turn):
        return turn[: code.start()], "it is code"
    lines = [line for line in turn.splitlines() if line.strip()]
    if len(lines) > 1:
        if lines[0].rstrip().endswith(":") or sum(_LABEL.match(line) is not None for line in lines) > 1:
            return ("" if _LABEL.match(lines[0]) else lines[0].rstrip().rstrip(":")), "it is a pasted text"
        if any(line.lstrip().startswith((">", "|", "- [", "Traceback")) for line in lines):
            return "", "it is a pasted text"
    if _LETTER.search(turn):
        return "", "it is a letter"
    if (question := _PUZZLE.search(turn)) and _NUMBERS.search(turn[: question.start()]):
        return "", "it is an exercise"
    head, colon, tail = turn.partition(": ")
    if colon and _SPOKEN.search(head):
        return "", "it quotes somebody's words"
    if label := _LABEL.match(turn):
        return (
            ("", "it stands under a heading") if label.group(1).lower() not in vocabulary().own_labels else (turn, "")
        )
    if colon and (len(re.findall(r"[.!?](?:\s|$)", tail)) > 1 or re.search(r"\b(?:this|article|text|letter)\b", head)):
        return "", "it is a pasted text"
    if len(turn) > _LONG and len(re.findall(r"\b(?:I|my|we|our)\b", turn)) * 120 < len(turn):
        return "", "it is a pasted text"
    return turn, ""


def disowned(sentence: str) -> str | None:
    """Why a sentence is not the user's own serious assertion, or None."""
    for quoted in _QUOTED.findall(sentence):
        if len(quoted.split()) > 3 or _SPOKEN.search(sentence):
            return "it quotes somebody's words; say the fact itself without quotation marks"
    if sentence.count('"') % 2 or sentence.count("“") != sentence.count("”"):
        return "it is part of a quotation"
    if _JOKE.search(sentence):
        return "it is marked as a joke"
    if _STORY.search(sentence) or _IN_A_WORK.search(sentence):
        return "it is so in a story"
    if _EXAMPLE.search(sentence):
        return "it is an example"
    if _HEARSAY.search(sentence):
        return "it reports what others say; say it as your own statement"
    if _RECALL.search(sentence):
        return "it repeats what was said before"
    return None


def hedged(sentence: str) -> bool:
    """Whether the user said not to be sure."""
    return _HEDGED.search(sentence) is not None


def joking(turn: str) -> bool:
    """Whether the whole turn is a joke: the mark of one stands at its end or opens it."""
    marks = list(_JOKE.finditer(turn))
    if not marks:
        return False
    return marks[-1].end() >= len(turn.rstrip(" .!)")) or marks[0].start() == 0
