"""Text before grammar: Unicode and spacing made uniform, sentences found, contractions written out, words cut apart."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from sleepengine.wake.grammar.closed import word_set

_QUOTES = str.maketrans(
    {"‘": "'", "’": "'", "ʼ": "'", "‛": "'", "′": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
)
#: Words whose final period does not end a sentence.
ABBREVIATIONS = word_set(
    """dr mr mrs ms prof sr jr st rev fr hon capt col gen lt sgt maj cpl pres gov sen rep mt ft no vs etc eg ie ca
    approx inc ltd co corp dept univ ave blvd rd ph.d m.sc b.sc"""
)
_INITIALS = re.compile(r"(?:\w\.)+\w?$")  # "J." and "p.m"
_BREAK = re.compile(r"[.!?…]+[\"')\]]*(?=\s)|;(?=\s)|\n+")
_ENDINGS = ".!?…;"

_FULL_FORMS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), full)
    for pattern, full in (
        (r"\bwon't\b", "will not"), (r"\bcan't\b", "can not"), (r"\bcannot\b", "can not"), (r"\bshan't\b", "shall not"),
        (r"\bain't\b", "is not"), (r"\b(\w+)n't\b", r"\1 not"),
        (r"\b(do|does|did|is|was|has|are|wo|ca)nt\b", r"\1 not"),
        (r"\bI'm\b", "I am"), (r"^im\b", "I am"), (r"^ive\b", "I have"),
        (r"\b(\w+)'re\b", r"\1 are"), (r"\b(\w+)'ve\b", r"\1 have"), (r"\b(\w+)'ll\b", r"\1 will"),
        (r"\b(I|he|she|it|we|they|you|that|there)'d\b", r"\1 would"),
        (r"\b(he|she|it|that|there|this|here|what|who|where)'s\b", r"\1 is"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it was typed, in lower case, and whether a comma follows it."""

    text: str
    lower: str
    comma: bool = False

    @property
    def capitalised(self) -> bool:
        return self.text[:1].isupper()

    @property
    def possessive(self) -> bool:
        return self.lower.endswith(("'s", "s'"))


def tidy(text: str, *, keep_lines: bool = False) -> str:
    """Text in NFC with straight quotes, single spaces and no control, format or private-use characters."""
    text = unicodedata.normalize("NFC", text).translate(_QUOTES)
    marked = (_visible(character, keep_lines) for character in text)
    lines = "".join(marked).split("\n")
    return "\n".join(line for line in (" ".join(line.split()) for line in lines) if line)


def _visible(character: str, keep_lines: bool) -> str:
    if character == "\n" and keep_lines:
        return character
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    return "" if category in ("Cf", "Co", "Cs", "Cn") else " " if category == "Cc" else character


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order; line breaks and semicolons end a sentence too."""
    found: list[str] = []
    start = 0
    text = tidy(text, keep_lines=True)
    for match in _BREAK.finditer(text):
        if match.group().startswith(".") and not _ends_sentence(text[start : match.start()], text[match.end() :]):
            continue
        found.append(text[start : match.end()])
        start = match.end()
    found.append(text[start:])
    trimmed = (sentence.strip().rstrip(";").rstrip() for sentence in found)
    return [sentence for sentence in trimmed if any(character.isalnum() for character in sentence)]


def _ends_sentence(before: str, after: str) -> bool:
    """Whether the period between two stretches of text ends a sentence."""
    last = before.rsplit(maxsplit=1)[-1] if before.strip() else ""
    following = after.lstrip(" ")
    if following.startswith("\n") or not following:
        return True
    if last.lower().strip("'\"(") in ABBREVIATIONS:
        return False
    if _INITIALS.fullmatch(last + ".") or _INITIALS.fullmatch(last):
        # "J. Smith", "3 p.m. in Turin": an initial before a name; a lower-case abbreviation before a small letter.
        return last.islower() and following[:1].isupper()
    return True


def without_ending(sentence: str) -> str:
    """The sentence without its final period or exclamation mark; an abbreviation keeps its period."""
    stripped = sentence.rstrip(_ENDINGS + " ,")
    last = stripped.rsplit(maxsplit=1)[-1] if stripped else ""
    if sentence.startswith(stripped + ".") and (last.lower() in ABBREVIATIONS or re.fullmatch(r"\w(\.\w)+", last)):
        return stripped + "."
    return stripped


def expand_contractions(sentence: str) -> str:
    """Contractions that have one reading, written out; "'s" after a noun is left to the grammar."""
    for pattern, full in _FULL_FORMS:
        sentence = pattern.sub(full, sentence)
    return re.sub(r"(?<!\w)i(?![\w.'])", "I", sentence)


def without_quotes(sentence: str) -> str:
    """The sentence without quotation marks around its words; apostrophes stay."""
    return re.sub(r"(?<!\w)'([^']+)'(?!\w)", r"\1", sentence.replace('"', ""))


def words(sentence: str) -> tuple[Word, ...]:
    """The words of a sentence; a comma is noted on the word before it."""
    found: list[Word] = []
    for piece in sentence.replace(" ,", ",").split():
        bare = piece.rstrip(",")
        if bare:
            found.append(Word(bare, bare.lower(), comma=bare != piece))
    return tuple(found)


def join(span: tuple[Word, ...]) -> str:
    """Words as text again, with their inner commas."""
    last = len(span) - 1
    return " ".join(word.text + ("," if word.comma and i < last else "") for i, word in enumerate(span))


def capitalised(text: str) -> str:
    """Text whose first letter is a capital, the rest untouched."""
    return text[:1].upper() + text[1:]
