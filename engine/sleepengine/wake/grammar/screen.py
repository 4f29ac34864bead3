"""What is no statement that can be learned, and the reason in one line. Each check names one cause."""

from __future__ import annotations

import re

from sleepengine.errors import StatementRefused
from sleepengine.wake.grammar import closed, morphology
from sleepengine.wake.grammar.clause import Clause, Words, find_clause, is_auxiliary
from sleepengine.wake.grammar.lexicon import word_classes
from sleepengine.wake.grammar.text import capitalised, sentences

#: Longest sentence that is read, in characters.
MAX_CHARACTERS = 300

_BRACKETS = re.compile(r"[()\[\]{}<>|\\^~`*_#]")
_JOINTS = re.compile(r"\s[-–—]\s|—|;|:(?=\s|$)|--|\.\.|…")
_FINITE_FORMS = frozenset({"is", "are", "am", "was", "were", "has", "had", "does", "did", "would", "could"})
_TWO_THINGS = "it says more than one thing; say one thing at a time"


def refuse_text(text: str) -> None:
    """Refuses what needs no grammar to refuse: nothing, no letters, too much, several sentences, a question."""
    if not text:
        raise StatementRefused("the text is empty")
    if not any(character.isalpha() for character in text):
        raise StatementRefused("there are no letters in it")
    found = sentences(text)
    if len(found) > 1:
        raise StatementRefused(f"it is {len(found)} sentences; say one at a time")
    if len(text) > MAX_CHARACTERS:
        raise StatementRefused(f"the sentence has {len(text)} characters; the limit is {MAX_CHARACTERS}")
    if "?" in text:
        raise StatementRefused("it is a question, not a statement")


def refuse_marks(text: str) -> None:
    """Refuses punctuation that joins or encloses clauses."""
    if match := _BRACKETS.search(text):
        raise StatementRefused(f"the sign {match.group()!r} is not understood; write it as one plain sentence")
    if _JOINTS.search(text):
        raise StatementRefused("it says more than one thing; say one thing at a time, in one plain sentence")


def refuse_quotation(words: Words) -> None:
    """Refuses a quotation, of which `words` is the sentence without its quotation marks."""
    verbs = (morphology.base_of_third_person(w.lower) or morphology.base_of_past(w.lower) or w.lower for w in words)
    if any(verb in word_classes().reporting_verbs for verb in verbs):
        raise StatementRefused("it quotes somebody's words; say the fact itself without quotation marks")


def refuse_words(words: Words) -> None:
    """Refuses by the words alone: questions, orders, conditions, hedges, negations, unknown people, the assistant."""
    lowers = [word.lower for word in words]
    _refuse_negation(lowers)
    _refuse_question(words)
    if set(lowers) & closed.CONDITIONS:
        raise StatementRefused("it holds only under a condition; say what is the case")
    for word in words:
        if word.lower in closed.HEDGES:
            raise StatementRefused(f"it is uncertain ({word.text!r}); leave that word out if it is so")
    if set(lowers) & closed.SECOND_WORDS:
        raise StatementRefused("it is about the assistant ('you'); only facts about you and the world are learned")
    _refuse_order(words)
    _refuse_unresolved(words)


def refuse_clause(clause: Clause) -> None:
    """Refuses a clause whose verb or complement makes it more than one plain statement."""
    if clause.finite.base in closed.UNREAL_MODALS:
        raise StatementRefused(f"{clause.finite.text!r} says what is possible or wished for; say what is the case")
    rest = clause.rest
    if not rest:
        raise StatementRefused(f"it has no object: nothing follows {clause.finite.text!r}")
    _refuse_report(clause)
    for position, word in enumerate(rest):
        if (
            word.lower in closed.SUBORDINATORS - {"so"}
            or word.lower in closed.THIRD_SUBJECTS - {"it"}
            or word.text == "I"
        ):
            raise StatementRefused(_TWO_THINGS)
        if word.lower in closed.THIRD_OBJECTS:
            joined = position and rest[position - 1].lower in closed.CONJUNCTIONS
            raise StatementRefused(_TWO_THINGS if joined else f"{word.text!r} may be anybody; say the name")
    if _second_verb(rest):
        raise StatementRefused(_TWO_THINGS)


def no_clause(words: Words) -> StatementRefused:
    """The reason why no subject and verb were found."""
    lowers = [word.lower for word in words]
    opens_with_verb = len(words) > 1 and morphology.is_known(lowers[0]) and not words[1].capitalised
    if opens_with_verb and not any(is_auxiliary(word) for word in words[1:]):
        return StatementRefused("it is an order, not a statement; or no verb was found after a subject")
    if any(word.comma for word in words[:-1]):
        return StatementRefused("the subject holds a comma; say it without the part between commas")
    for word in words[1:]:
        if is_auxiliary(word):
            return StatementRefused(f"the subject before {word.text!r} is not understood; say it more plainly")
    return StatementRefused("no verb was found; say it as a sentence such as 'My dog is called Biscuit.'")


def _refuse_negation(lowers: list[str]) -> None:
    for position, lower in enumerate(lowers):
        if lower in closed.NEGATIONS and not (lower == "no" and position and lowers[position - 1].endswith("no")):
            raise StatementRefused(f"it says what is not so ({lower!r}); learning would read it the other way round")


def _refuse_question(words: Words) -> None:
    first = words[0].lower
    if first in closed.WH_WORDS:
        raise StatementRefused("it is a question, not a statement")
    if first not in closed.AUXILIARIES:
        return
    is_name = first in ("will", "may") and words[0].capitalised and find_clause(words) is not None
    if not is_name:
        raise StatementRefused("it is a question or an order, not a statement")


def _refuse_order(words: Words) -> None:
    first = words[0].lower
    if first == "let" or first == "please":
        raise StatementRefused("it is an order, not a statement")
    if first not in word_classes().order_openers or len(words) < 2:
        return
    clause = find_clause(words)
    if clause is None or len(clause.subject) > 1:
        raise StatementRefused("it is an order, not a statement; say what is the case")


def _refuse_unresolved(words: Words) -> None:
    first, second = words[0].lower, words[1].lower if len(words) > 1 else ""
    if first == "there":
        raise StatementRefused("'there is' has no subject; say who or what it is about")
    if first in closed.DEMONSTRATIVES or first in ("it", "here"):
        raise StatementRefused(f"{capitalised(first)!r} may be anything; say what it is about")
    if first in closed.THIRD_SUBJECTS:
        raise StatementRefused(f"{capitalised(first)!r} may be anybody; say who it is about")
    for word in words:
        if word.lower in ("hers", "theirs"):
            raise StatementRefused(f"{word.text!r} may be anybody's; say whose it is")
    if first in closed.THIRD_POSSESSIVES:
        raise StatementRefused(f"{capitalised(first)!r} may be anybody's; say whose it is")
    if first in closed.INDEFINITE_SUBJECTS and second != "of":
        raise StatementRefused(f"{capitalised(first)!r} may be anybody or anything; say who or what it is about")


def _refuse_report(clause: Clause) -> None:
    """Refuses speech and thought about a whole statement: "said that ...", "thinks Tom is ..."."""
    if clause.finite.base not in word_classes().reporting_verbs:
        return
    if clause.rest[0].lower == "that" or find_clause(clause.rest) is not None or clause.rest[0].text == "I":
        raise StatementRefused("it reports what somebody says or thinks; say the one thing itself")


def _second_verb(rest: Words) -> bool:
    """Whether another finite verb follows that belongs to no relative clause."""
    for position, word in enumerate(rest):
        if position and word.lower in closed.RELATIVES:
            return False
        excused = position == 0 or rest[position - 1].lower in closed.DETERMINERS | {"to"} | closed.MODALS
        if word.lower in _FINITE_FORMS and not excused:
            return True
    return False
