"""What a user turn asks of the memory itself, in words or after a slash: remember, forget, correct, take back. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sleepengine.wake.grammar.closed import word_set

_ID = r"f-[a-z0-9]{8}"


@dataclass(frozen=True, slots=True)
class RememberThat:
    """Learn `said`, which may hold several statements."""

    said: str


@dataclass(frozen=True, slots=True)
class ForgetAbout:
    """Forget the facts named by `ids`, or those that `words` find."""

    ids: tuple[str, ...] = ()
    words: str = ""


@dataclass(frozen=True, slots=True)
class CorrectFact:
    """Put `text` in the place of a fact."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class UndoLearning:
    """Take back a fact; None: the one learned last in this conversation."""

    id: str | None = None


@dataclass(frozen=True, slots=True)
class Privately:
    """Answer `text` and learn nothing from it."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes or no to the question whether to remember something."""

    yes: bool


Command = RememberThat | ForgetAbout | CorrectFact | UndoLearning | Privately

_POLITE = (
    r"(?:i(?:['’]d|\s+would)\s+like\s+you\s+to\s+|i\s+want\s+you\s+to\s+"
    r"|(?:please|pls|ok(?:ay)?|hey|and|now|also)[,\s]+|(?:can|could|would|will)\s+you\s+(?:please\s+)?)*"
)
_REMEMBER = re.compile(
    rf"""(?:/remember\b[\s:,]*
    |{_POLITE}(?:remember|memori[sz]e|note|keep\s+in\s+mind|bear\s+in\s+mind|make\s+a\s+note|don'?t\s+forget|do\s+not\s+forget)
     (?:\s*[:,]\s*|\s+that\s+|\s+(?=(?:my|our|i|i'm|we|the)\b))\s*)(?P<said>\S.*)""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_FORGET_SLASH = re.compile(r"/forget\s+(?P<what>\S.*)", re.IGNORECASE | re.DOTALL)
_FORGET = re.compile(
    rf"""{_POLITE}(?:(?:forget|delete|erase|unlearn)\s+(?:everything\s+|all\s+|anything\s+)?
      (?:(?:that\s+|what\s+)?(?:i|i've|i\s+have)\s+(?:just\s+)?(?:said|told\s+you|mentioned|say)\s+about\s+
        |(?:what\s+)?you\s+know\s+about\s+|(?:about|that)\s+|(?=(?:my|our|the\s+fact)\b))
    )(?P<what>\S.*)""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
#: "Could you remember that ...?" asks for something to be done; "Can you remember my name?" asks.
_REQUEST = re.compile(
    r"(?:please\s+)?(?:can|could|will|would)\s+you\s+(?:please\s+)?"
    r"(?:(?:remember|memori[sz]e|note|keep\s+in\s+mind|forget|delete|erase|unlearn)\s+that"
    r"|(?:forget|delete|erase|unlearn)\s+(?:everything\s+|all\s+)?(?:what|that|about|you\s+know\s+about))\s",
    re.IGNORECASE,
)
_CORRECT = re.compile(rf"/correct\s+(?P<id>{_ID})\s+(?P<text>\S.*)", re.IGNORECASE | re.DOTALL)
_UNDO = re.compile(
    rf"""/undo(?:\s+(?P<id>{_ID}))?\s*
    |{_POLITE}(?:undo\s+(?:that|it|this)|forget\s+(?:what\s+i\s+just\s+said|the\s+last\s+(?:one|fact|thing))
      |(?:don'?t|do\s+not)\s+remember\s+that|unlearn\s+(?:that|it))[.!]*""",
    re.IGNORECASE | re.VERBOSE,
)
_PRIVATE = re.compile(r"/private\s+(?P<text>\S.*)", re.IGNORECASE | re.DOTALL)
_YES = re.compile(
    r"(?:yes|yeah|yep|yup|sure|ok(?:ay)?|please do|do(?: so| it)?|go ahead|y)(?:[,\s]+(?:please|do|thanks))?[.!]*", re.I
)
_NO = re.compile(r"(?:no|nope|nah|don'?t|do not|better not|n)(?:[,\s]+(?:thanks|thank you|please))?[.!]*", re.I)
#: Words that a person puts around what shall be forgotten.
_AROUND = word_set(
    """a about all an and any everything i i'm is me mine my of our said told that the thing things to was what you
    your"""
)


def command(turn: str) -> Command | None:
    """The command that a turn is, or None where it is talk."""
    text = turn.strip()
    if match := _CORRECT.fullmatch(text):
        return CorrectFact(match["id"].lower(), match["text"])
    if match := _UNDO.fullmatch(text):
        return UndoLearning(match["id"] and match["id"].lower())
    if match := _PRIVATE.fullmatch(text):
        return Privately(match["text"])
    if match := _FORGET_SLASH.fullmatch(text):
        return _forget(match["what"])
    if text.endswith("?") and not text.startswith("/"):
        if not _REQUEST.match(text):
            return None
        text = text.rstrip("? ")
    if match := _REMEMBER.fullmatch(text):
        return RememberThat(match["said"])
    if match := _FORGET.fullmatch(text):
        return _forget(match["what"])
    return None


def answer(turn: str) -> Answer | None:
    """Yes or no, where a turn is nothing else."""
    text = turn.strip()
    if _YES.fullmatch(text):
        return Answer(True)
    return Answer(False) if _NO.fullmatch(text) else None


def _forget(what: str) -> ForgetAbout | None:
    ids = re.findall(_ID, what.lower())
    if ids:
        return ForgetAbout(ids=tuple(ids))
    words = [word for word in re.findall(r"[\w'’-]+", what.casefold()) if word not in _AROUND]
    return ForgetAbout(words=" ".join(words)) if words else None
