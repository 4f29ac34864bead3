"""Cuts what follows the finite verb into the words that a cloze shows, the object that it asks for, and the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sleepengine.wake.grammar import closed, morphology
from sleepengine.wake.grammar.clause import Clause, Finite, Words
from sleepengine.wake.grammar.closed import word_set
from sleepengine.wake.grammar.lexicon import word_classes
from sleepengine.wake.grammar.text import Word, join

#: Verbs whose complement describes the subject, so that an adjective and its preposition belong to the relation.
COPULAS = frozenset({"be", "become", "get", "feel", "seem", "look", "stay", "remain", "grow", "sound"})
_ADJECTIVE_ENDINGS = ("ful", "ous", "able", "ible", "ic", "ive", "less", "ish", "ant", "ent", "ed", "al")
_NOT_PROGRESSIVE = word_set(
    "something anything everything nothing king ring string spring thing wing evening morning ceiling building wedding"
)
_AMOUNTS = (("a", "lot", "of"), ("lots", "of"), ("plenty", "of"), ("a", "few"), ("a", "little"), ("a", "couple", "of"),
            ("a", "pair", "of"), ("a", "number", "of"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Complement:
    """The words after the finite verb.

    `shown` stands between the verb and the object (participles, prepositions, determiners); `relation` is the verb
    phrase in dictionary form; `verb` its last verb; `preposition` the preposition right before the object, if any;
    `determiners` how many words at the end of `shown` are determiners of the object.
    """

    shown: Words
    determiners: int
    object: Words
    tail: Words
    relation: tuple[str, ...]
    verb: str
    preposition: str | None
    infinitive: bool = False  # the object is itself a verb after "to" ("likes to" + "swim")
    progressive: bool = False  # the object is itself an -ing form after be ("is" + "sleeping")


@dataclass(frozen=True, slots=True)
class _Scan:
    """Where the reader stands: words before `position` are shown."""

    position: int
    relation: tuple[str, ...]
    verb: str
    preposition: str | None = None
    infinitive: bool = False


def read_complement(clause: Clause) -> Complement | None:
    """The complement of a clause, or None where nothing is left to be the object."""
    words = clause.rest
    scan = _verb_group(words, clause.finite)
    scan = _after_verb(words, scan)
    scan = _gerund(words, scan)
    start = _amount(words, scan.position)
    start = _determiners(words, start)
    end = _object_end(words, start)
    if _second_object(words, start, end, scan):
        scan = replace(scan, relation=(*scan.relation, *_content(words[scan.position : end])), position=end)
        start = _determiners(words, end)
        end = _object_end(words, start)
    if start >= len(words) or end <= start or words[start].lower in closed.PREPOSITIONS | closed.DETERMINERS:
        return None
    determiners = start - scan.position
    return Complement(
        shown=words[:start], determiners=determiners, object=words[start:end], tail=words[end:],
    relation=scan.relation,
        verb=scan.verb, preposition=scan.preposition, infinitive=scan.infinitive,
        progressive=scan.verb == "be" and not determiners and end - start == 1 and _is_progressive(words[start]),
    )  # fmt: skip


def _verb_group(words: Words, finite: Finite) -> _Scan:
    """Reads auxiliaries and their verb: "has been living", "is going to move", "was founded", "can play"."""
    scan = _Scan(0, (finite.base,), finite.base)
    if not finite.inverts:
        used_to = finite.text.lower() == "used" and _at(words, 0) == "to" and _base_at(words, 1)
        return _used_to(words, scan) if used_to else _infinitives(words, scan)
    if finite.base in ("will", "shall", "do"):
        return _bare_verb(words, replace(scan, relation=()))
    if finite.base in closed.MODALS:
        return _bare_verb(words, scan)
    if finite.base == "have":
        return _after_have(words, scan)
    return _after_be(words, scan)


def _used_to(words: Words, scan: _Scan) -> _Scan:
    return _bare_verb(words, replace(scan, position=1, relation=("use", "to")))


def _bare_verb(words: Words, scan: _Scan) -> _Scan:
    position = _skip_adverbs(words, scan.position)
    if position >= len(words):
        return scan
    base = words[position].lower
    scan = _Scan(position + 1, (*scan.relation, base), base)
    if base == "be":
        return _after_be(words, scan)
    if base == "have" and _participle_at(words, position + 1):
        return _after_have(words, replace(scan, relation=(*scan.relation[:-1], "have")))
    return _infinitives(words, scan)


def _after_have(words: Words, scan: _Scan) -> _Scan:
    position = _skip_adverbs(words, scan.position)
    if position >= len(words):
        return scan
    word = words[position].lower
    before = scan.relation[:-1]
    if word == "been":
        return _after_be(words, _Scan(position + 1, (*before, "be"), "be"))
    base = morphology.base_of_participle(word)
    if base is None:
        return scan
    if base == "get":
        return _infinitives(words, _Scan(position + 1, (*before, "have"), "have"))
    return _infinitives(words, _Scan(position + 1, (*before, base), base))


def _after_be(words: Words, scan: _Scan) -> _Scan:
    position = _skip_adverbs(words, scan.position)
    if position >= len(words):
        return scan
    word, more = words[position], position + 1 < len(words)
    before = scan.relation[:-1]
    if word.lower == "going" and more and words[position + 1].lower == "to" and _base_at(words, position + 2):
        return _bare_verb(words, _Scan(position + 2, before, "be"))
    if word.lower == "being" and more:
        return _after_be(words, _Scan(position + 1, scan.relation, "be"))
    if more and _is_progressive(word):
        base = morphology.base_of_progressive(word.lower) or word.lower
        return _infinitives(words, _Scan(position + 1, (*before, base), base))
    participle = morphology.base_of_participle(word.lower)
    if more and participle is not None and not _is_premodifier(words, position):
        return _infinitives(words, _Scan(position + 1, (*scan.relation, word.lower), participle))
    return scan


def _is_premodifier(words: Words, position: int) -> bool:
    """Whether a participle modifies the noun after it ("is retired staff") rather than being the verb."""
    word, after = words[position].lower, words[position + 1].lower
    known = morphology.is_known(morphology.base_of_participle(word))
    return not known and after not in closed.PREPOSITIONS | closed.ARTICLES


def _infinitives(words: Words, scan: _Scan) -> _Scan:
    """Reads "to" and a verb after a verb that takes an infinitive: "wants to learn", "has to take"."""
    position = _skip_adverbs(words, scan.position)
    catenative = scan.verb in word_classes().catenative_verbs
    if not catenative or not _base_at(words, position + 1) or words[position].lower != "to":
        return scan
    if position + 2 == len(words):
        return _Scan(position + 1, (*scan.relation, "to"), scan.verb, infinitive=True)
    base = words[position + 1].lower
    scan = _Scan(position + 2, (*scan.relation, "to", base), base)
    return _after_be(words, scan) if base == "be" else _infinitives(words, scan)


def _after_verb(words: Words, scan: _Scan) -> _Scan:
    """Reads what ties the object to the verb: me/us, an adjective, particles and prepositions."""
    position = _skip_adverbs(words, scan.position)
    relation = scan.relation
    if (
        _at(words, position) in ("me", "us")
        and position + 1 < len(words)
        and _at(words, position + 1) not in closed.PREPOSITIONS
    ):
        relation, position = (*relation, words[position].lower), position + 1
    adjective = _skip_adverbs(words, position)
    if scan.verb in COPULAS and _is_adjective_with_preposition(words, adjective):
        relation, position = (*relation, words[adjective].lower), adjective + 1
    preposition = None
    while position + 1 < len(words) and (_at(words, position) in closed.PREPOSITIONS | closed.PARTICLES):
        if words[position].comma:
            break
        preposition = words[position].lower
        relation, position = (*relation, preposition), position + 1
    if position == scan.position or (relation == scan.relation and preposition is None):
        return replace(scan, position=position)
    return replace(scan, position=position, relation=relation, preposition=preposition)


def _gerund(words: Words, scan: _Scan) -> _Scan:
    """Reads an -ing form that has an object of its own: "enjoys playing chess"."""
    position = scan.position
    if position + 1 >= len(words) or scan.verb == "be" or words[position].comma or not _is_progressive(words[position]):
        return scan
    base = morphology.base_of_progressive(words[position].lower)
    follows = words[position + 1].lower
    if not morphology.is_known(base) or base is None or follows in closed.CONJUNCTIONS:
        return scan
    relation = (*scan.relation, words[position].lower)
    return _after_verb(words, _Scan(position + 1, relation, base))


def _object_end(words: Words, start: int) -> int:
    """Where the object's noun phrase ends: before a preposition, a clause, an adverbial or an appositive."""
    listed = _is_list(words, start)
    for position in range(start, len(words)):
        if position > start and _is_boundary(words, position, start):
            return position
        if words[position].comma and not listed:
            return position + 1
        if position > start and words[position].lower in ("of", "and", "or") and _first_person_ahead(words, position):
            return position
    return len(words)


def _is_boundary(words: Words, position: int, start: int) -> bool:
    lower, before = words[position].lower, words[position - 1].lower
    last = position == len(words) - 1
    if lower in closed.PREPOSITIONS - {"of"}:
        return not last and not _keeps_preposition(words, position)
    if before in ("of", "and", "or", "&"):
        return False
    if lower in closed.RELATIVES | closed.SUBORDINATORS or lower in closed.TIME_OPENERS:
        return True
    if lower in closed.CLOSING_ADVERBS or closed.is_adverb_in_ly(lower):
        return (
            last or words[position + 1].lower in closed.PREPOSITIONS | closed.CONJUNCTIONS or lower in ("every", "ago")
        )
    return lower in closed.ARTICLES | closed.POSSESSIVES


def _keeps_preposition(words: Words, position: int) -> bool:
    """Whether a preposition is inside a time or range ("half past six", "9 to 5") or an idiom of names ("Stoke-on")."""
    before = words[position - 1].lower
    after = _at(words, position + 1)
    numeric = before[:1].isdigit() or before in closed.NUMBER_WORDS
    if words[position].lower in ("to", "past", "-") and (after[:1].isdigit() or after in closed.NUMBER_WORDS):
        return numeric or before in ("half", "quarter")
    return False


def _is_list(words: Words, start: int) -> bool:
    """Whether the commas from `start` on separate the members of a list: the last is followed by "and" or "or"."""
    commas = [i for i in range(start, len(words) - 1) if words[i].comma]
    if not commas:
        return False
    joined = [i for i in range(commas[-1], len(words)) if words[i].lower in ("and", "or", "&")]
    return bool(joined) and joined[0] - commas[-1] <= 4 and commas[0] - start <= 3


def _second_object(words: Words, start: int, end: int, scan: _Scan) -> bool:
    """Whether a second noun phrase follows the first with no preposition between ("gave Tom a watch")."""
    if end >= len(words) or end <= start or scan.preposition is not None or scan.verb == "be":
        return False
    if words[end].lower not in closed.ARTICLES | closed.POSSESSIVES or words[end - 1].comma:
        return False
    return not (end + 1 < len(words) and words[end + 1].lower in closed.TIME_UNITS)


def _amount(words: Words, position: int) -> int:
    for phrase in _AMOUNTS:
        if tuple(word.lower for word in words[position : position + len(phrase)]) == phrase:
            return position + len(phrase) if position + len(phrase) < len(words) else position
    return position


def _determiners(words: Words, position: int) -> int:
    counted = closed.ARTICLES | closed.POSSESSIVES | {"some", "any"}
    while position < len(words) - 1 and words[position].lower in counted:
        position += 1
    return position


def _is_adjective_with_preposition(words: Words, position: int) -> bool:
    if position + 2 >= len(words):
        return False
    word, after = words[position], words[position + 1].lower
    if word.capitalised or word.comma or after not in closed.PREPOSITIONS or word.lower in closed.DETERMINERS:
        return False
    lower = word.lower
    if lower in word_classes().adjectives or after == "than" or (after == "with" and lower == "friends"):
        return True
    return lower.endswith(_ADJECTIVE_ENDINGS) and after in (
        "to",
        "of",
        "at",
        "for",
        "with",
        "from",
        "about",
        "in",
        "by",
    )


def is_adjective(word: str) -> bool:
    """Whether a word in lower case is an adjective by the lexicon or by its ending."""
    return word in word_classes().adjectives or word.endswith(("ful", "ous", "able", "ible", "less", "ish"))


def _is_progressive(word: Word) -> bool:
    if word.capitalised or word.lower in _NOT_PROGRESSIVE:
        return False
    return morphology.base_of_progressive(word.lower) is not None


def _base_at(words: Words, position: int) -> bool:
    """Whether a base form may stand there: a known verb, or an unknown small word that is no determiner or name."""
    lower = _at(words, position)
    if not lower or words[position].capitalised:
        return False
    return morphology.is_known(lower)


def _participle_at(words: Words, position: int) -> bool:
    lower = _at(words, _skip_adverbs(words, position))
    return lower == "been" or morphology.is_known(morphology.base_of_participle(lower))


def _skip_adverbs(words: Words, position: int) -> int:
    """The next position that holds no adverb; a last word is never skipped, for it may be the object."""
    while position < len(words) - 1 and not words[position].capitalised:
        lower = words[position].lower
        if lower not in closed.ADVERBS and not closed.is_adverb_in_ly(lower):
            break
        position += 1
    return position


def _at(words: Words, position: int) -> str:
    return words[position].lower if position < len(words) else ""


def _first_person_ahead(words: Words, position: int) -> bool:
    return _at(words, position + 1) in closed.FIRST_WORDS


def _content(words: Words) -> tuple[str, ...]:
    kept = [word.text for word in words if word.lower not in closed.ARTICLES | closed.POSSESSIVES]
    return tuple(kept)


def object_text(complement: Complement) -> str:
    """The object as it was typed."""
    return join(complement.object)
