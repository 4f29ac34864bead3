"""The subject's noun phrase: its forms inside and at the start of a sentence, and spoken back to the user."""

from __future__ import annotations

from dataclasses import dataclass

from sleepengine.wake.grammar import closed, morphology
from sleepengine.wake.grammar.clause import Clause, Words, head_index
from sleepengine.wake.grammar.lexicon import word_classes
from sleepengine.wake.grammar.text import Word, join

#: Private-use characters around the mention while a prompt is assembled; `text.tidy` keeps them out of what users say.
MENTION_OPENS, MENTION_CLOSES = "\ue000", "\ue001"

_TO_SECOND = {
    "i": "you", "we": "you", "me": "you", "us": "you", "my": "your", "our": "your", "mine": "yours", "ours": "yours",
    "myself": "yourself", "ourselves": "yourselves",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase as it stands inside a sentence, with the part that names the fact's subject marked out.

    "the favourite food of Mara" is ("the favourite food of ", "Mara", ""), "Mara's dog" whole or ("", "Mara", "'s dog")
    """

    before: str
    mention: str
    after: str

    @property
    def text(self) -> str:
        return self.before + self.mention + self.after

    @property
    def marked(self) -> str:
        return f"{self.before}{MENTION_OPENS}{self.mention}{MENTION_CLOSES}{self.after}"

    @property
    def speaker(self) -> bool:
        """Whether the phrase is the user alone: "I"."""
        return self.text == "I"


def to_second_person(text: str) -> str:
    """Words of the user turned towards the user: "my brother and I" -> "your brother and you"."""
    return " ".join(_TO_SECOND.get(word.lower(), word) for word in text.split(" "))


def inside(clause: Clause) -> Words:
    """The subject's words as they stand inside a sentence: "The office" -> "the office", "Cats" -> "cats"."""
    first, *others = clause.subject
    if _loses_capital(clause):
        first = Word(first.text[:1].lower() + first.text[1:], first.lower, first.comma)
    return (first, *others)


def display(words: Words) -> str:
    """The subject as the ledger shows it: "my dog" -> "the user's dog", "I" -> "the user"."""
    shown = {"i": "the user", "we": "the user", "my": "the user's", "our": "the user's", "me": "the user"}
    return join(tuple(Word(shown.get(word.lower, word.text), word.lower, word.comma) for word in words))


def is_first_person(words: Words) -> bool:
    """Whether the phrase starts from the user: "I", "my dog", "the name of my boat", "my brother's wife"."""
    return any(word.lower in closed.FIRST_WORDS for word in words)


def head(words: Words) -> str:
    """The head noun in lower case, without a possessive ending: "owner" of "the owner of the bar"."""
    return words[head_index(words)].lower


def owner_and_attribute(words: Words) -> tuple[Words, Words] | None:
    """Splits "Mara's favourite food", "my favourite food" and "the favourite food of Mara"; None for other phrases."""
    for position in range(len(words) - 2, -1, -1):
        if words[position].possessive:
            return words[: position + 1], words[position + 1 :]
    if words[0].lower in closed.FIRST_POSSESSIVES and len(words) > 1 and not _has_name(words[1:]):
        return words[:1], words[1:]
    lowers = [word.lower for word in words]
    if lowers[0] == "the" and "of" in lowers[2:-1]:
        middle = lowers.index("of", 2)
        return words[middle + 1 :], words[1:middle]
    return None


def without_possessive(text: str) -> str:
    """A name without its possessive ending: "Mara's" -> "Mara", "Joneses'" -> "Joneses"."""
    if text.endswith("'s"):
        return text[:-2]
    return text[:-1] if text.endswith("s'") else text


def possessive(phrase: str) -> str:
    """The possessive of a phrase: "Idris" -> "Idris's", "my parents" -> "my parents'", "I" -> "my"."""
    if phrase == "I":
        return "my"
    if phrase.lower() == "we":
        return "our"
    last = phrase.rsplit(" ", 1)[-1]
    plural = morphology.is_plural(last) and last.endswith("s") and not last[:1].isupper()
    return phrase + ("'" if plural else "'s")


def _has_name(words: Words) -> bool:
    """Whether a proper name ends the phrase ("my sister Anna"), so that it is no attribute."""
    if any(word.lower in closed.PREPOSITIONS for word in words[:-1]):
        return False  # "my flight to Oslo"
    return len(words) > 1 and words[-1].capitalised and not words[0].capitalised


def _loses_capital(clause: Clause) -> bool:
    first = clause.subject[0]
    if first.lower in closed.DETERMINERS | {"we"}:
        return True
    if first.lower in word_classes().bare_nouns:
        return not (len(clause.subject) > 1 and clause.subject[1].capitalised)
    bare_plural = len(clause.subject) == 1 and morphology.is_plural(first.lower) and clause.finite.plural is True
    return bare_plural and first.text[1:].islower()
