"""What a statement is about: its subject and relation, and the slot under which a new value replaces an old one."""

from __future__ import annotations

from dataclasses import dataclass

from sleepengine.memory.facts import Person
from sleepengine.wake.grammar import closed, morphology
from sleepengine.wake.grammar.asking import Asking, Kind, is_time
from sleepengine.wake.grammar.clause import Words, is_plural_subject
from sleepengine.wake.grammar.complement import Complement
from sleepengine.wake.grammar.lexicon import relation_families, word_classes
from sleepengine.wake.grammar.phrase import (
    Phrase,
    display,
    head,
    is_first_person,
    owner_and_attribute,
    without_possessive,
)
from sleepengine.wake.grammar.text import Word, join

_BRITISH = {"favorite": "favourite", "color": "colour", "neighbor": "neighbour"}
_CALLED = "be called"


@dataclass(frozen=True, slots=True)
class Identity:
    """Subject, relation and slot of a fact, and the subject's phrase with its mention.

    `owner` is who or what the fact is about, as it stands inside a sentence ("I", "my dog", "Mara"); `attribute` is
    the noun phrase of "Mara's favourite food", or empty.
    """

    subject: str
    relation: str
    slot: str
    exclusive: bool
    person: Person
    phrase: Phrase
    owner: str
    owner_plural: bool
    attribute: str = ""


def identify(subject: Words, complement: Complement, asking: Asking) -> Identity:
    """Names what a sentence is about. `subject` is in its form inside a sentence."""
    person = Person.FIRST if is_first_person(subject) else Person.THIRD
    parts = owner_and_attribute(subject) if _is_attribute(subject, complement, asking) else None
    if parts is not None:
        return _attribute(subject, *parts, person)
    relation = _relation(complement.relation)
    slot = f"{_plain_subject(subject)}|{family(_slot_relation(relation, complement, asking))}"
    counted = asking.kind in (Kind.HOW_MANY, Kind.HOW_OLD, Kind.HOW_MUCH, Kind.WHEN)
    exclusive = counted or _is_designation(subject, complement) or not _holds_many(complement, asking)
    whole = Phrase("", join(subject), "")
    return Identity(display(subject), relation, slot, exclusive, person, whole, whole.text, is_plural_subject(subject))


def family(relation: str) -> str:
    """The relation under which its rephrasings share a slot ("reside in" is "live in"); itself where none is known."""
    return relation_families().get(relation, relation)


def _is_designation(subject: Words, complement: Complement) -> bool:
    """Whether the sentence gives a thing its one number or name ("the garage code is 4821"), not a description."""
    if complement.relation != ("be",) or complement.shown or subject[0].lower not in ("the", *closed.FIRST_POSSESSIVES):
        return False
    first = complement.object[0].text
    return first[:1].isdigit() or first[:1].isupper()


def _is_attribute(subject: Words, complement: Complement, asking: Asking) -> bool:
    """Whether the sentence names the value of somebody's attribute ("Mara's favourite food is"), not a predicate."""
    dated = complement.relation in (("be", "on"), ("be", "in"), ("be", "at")) and is_time(complement.object)
    if complement.relation != ("be",) and not dated:
        return False
    if complement.progressive and head(subject) in _creatures():
        return False
    indefinite = any(word.lower in ("a", "an") for word in complement.shown)
    return not indefinite and asking.kind not in (Kind.LIKE, Kind.HOW_OLD)


def _creatures() -> frozenset[str]:
    classes = word_classes()
    return classes.companion_nouns | classes.kin_nouns | classes.person_nouns


def _attribute(subject: Words, owner: Words, attribute: Words, person: Person) -> Identity:
    """Reads "Mara's favourite food" and "the favourite food of Mara" alike, as an attribute of its owner."""
    bare = _bare(owner)
    named = [word.lower for word in attribute] == ["name"]
    noun = " ".join(_BRITISH.get(word.lower, word.lower) for word in attribute)
    relation = _CALLED if named else f"{noun} be"
    whole = join(subject)
    if subject[0] is owner[0]:  # "Mara's food", "my food": the user's own mention is the whole phrase
        mention = whole if _is_user(bare) else join(bare)
        phrase = Phrase("", mention, whole[len(mention) :])
    elif named or "favourite" in noun.split() or attribute[-1].lower in word_classes().kin_nouns:
        phrase = Phrase(whole[: -len(join(owner))], join(owner), "")
    else:
        phrase = Phrase("", whole, "")
    by_owner = phrase.text != phrase.mention or _is_user(bare)
    return Identity(
        subject=("the user" if _is_user(bare) else display(bare)) if by_owner else display(subject),
        relation=relation if by_owner else "be", slot=f"{_plain_subject(bare)}|{family(relation)}", exclusive=True,
        person=person, phrase=phrase, owner=_spoken(bare) if by_owner else whole,
        owner_plural=is_plural_subject(bare) if by_owner else is_plural_subject(subject), attribute=join(attribute),
    )  # fmt: skip


def _spoken(owner: Words) -> str:
    """The owner as a subject: "my" -> "I", "our" -> "we"."""
    return {"my": "I", "our": "we"}.get(owner[0].lower, join(owner)) if _is_user(owner) else join(owner)


def _bare(owner: Words) -> Words:
    *others, last = owner
    return (*others, Word(without_possessive(last.text), without_possessive(last.lower)))


def _is_user(owner: Words) -> bool:
    return len(owner) == 1 and owner[0].lower in closed.FIRST_WORDS


def _relation(parts: tuple[str, ...]) -> str:
    if parts == ("be", "named"):
        return _CALLED
    return " ".join(parts)


def _slot_relation(relation: str, complement: Complement, asking: Asking) -> str:
    """The relation, with the kind of value where one verb phrase holds several: born in a place or in a year."""
    if asking.kind is Kind.HOW_MANY:
        return f"{relation} {morphology.singular(asking.counted[-1])}".casefold()
    if asking.kind is Kind.HOW_OLD:
        return "be aged"
    if asking.kind is Kind.WHEN and complement.preposition in ("in", "on", "at"):
        return f"{relation.rsplit(' ', 1)[0]} when".casefold()
    return relation.casefold()


def _plain_subject(words: Words) -> str:
    """The subject for comparison: no leading article, no capitals, British spelling, the user as "the user"."""
    if _is_user(words):
        return "the user"
    if words[0].lower in closed.ARTICLES and len(words) > 1:
        words = words[1:]
    shown = display(words).casefold()
    return " ".join(_BRITISH.get(word, word) for word in shown.split(" "))


def _holds_many(complement: Complement, asking: Asking) -> bool:
    """Whether one subject has many values of this relation at once, so that a new one replaces none."""
    many = word_classes().many_valued
    first, *others = complement.relation
    if complement.relation[:3] == ("want", "to", "be"):
        return False  # one name to be called by, one language to be answered in
    if complement.relation == ("be",) or asking.kind in (Kind.LIKE, Kind.DOING):
        return True  # one is a nurse and a vegetarian and tall
    if first in many or first in closed.MODALS or complement.verb in many:
        return not complement.preposition or complement.preposition in ("to", "of", "about", "in", "for", "with")
    return bool(others) and (others[0] in many or "to" in others[:-1])
