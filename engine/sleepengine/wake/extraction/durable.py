"""Whether a statement says something that will still be so: a fact, or a mood, an errand, the weather."""

from __future__ import annotations

import re

from sleepengine.memory.facts import Person
from sleepengine.wake.extraction.vocabulary import vocabulary
from sleepengine.wake.grammar import Statement, closed, morphology
from sleepengine.wake.grammar.asking import Kind, is_time
from sleepengine.wake.grammar.complement import COPULAS, is_adjective
from sleepengine.wake.grammar.lexicon import word_classes
from sleepengine.wake.grammar.phrase import head as phrase_head

_WEEKDAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_NOW = re.compile(
    rf"""\b(?:this|next|last|coming)\s+{_WEEKDAY}\b|\bon\s+{_WEEKDAY}\b
    |\b(?:this|last|next)\s+(?:morning|afternoon|evening|night|week|weekend|month|time|minute)\b|\bat\s+the\s+(?:moment|minute)\b|\bright\s+now\b
    |\ball\s+(?:day|night|morning|week)\b|\bfor\s+now\b|\bthese\s+days\b|\ban?\s+(?:hour|minute|moment|day|week|while)\s+ago\b|\bthe\s+other\s+day\b
    |\bin\s+(?:an?|\w+)\s+(?:minutes?|moments?|hours?|while|seconds?)\b|\bjust\s+now\b|\b(?:so|too|very|really|super|totally|sooo+)\s+\w+\W*$|\bthan\s+(?:me|you|him|her|us)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_DATE = re.compile(
    rf"\b(?:{'|'.join(month.capitalize() for month in closed.MONTHS_IN_ORDER)})\b|\b\d{{1,2}}[./]\d{{1,2}}\b|\b20\d\d-\d\d-\d\d\b"
)
_YEAR = re.compile(r"\b(?:1[5-9]|20)\d\d\b")
_SINCE = re.compile(r"\bsince\b", re.IGNORECASE)


def passing(statement: Statement) -> str | None:
    """Why a statement is not kept from chat though it is understood, or None where it lasts."""
    text = statement.parsed.statement
    words = {word.lower().strip(".,!") for word in text.split()}
    lasting = _SINCE.search(text) is not None
    if _NOW.search(text) or (
        words & (vocabulary().passing_times - {"now", "currently", "already", "still"}) and not lasting
    ):
        return "it is about now; it will soon be out of date"
    return (
        _vague(statement)
        or _of_a_moment(statement)
        or _past_event(statement)
        or _mental(statement)
        or _state(statement)
        or _unanchored(statement)
    )


def _vague(statement: Statement) -> str | None:
    words = [word.lower.strip(".!") for word in statement.complement.object]
    if all(
        word in vocabulary().empty_objects | closed.ADVERBS | closed.QUANTIFIERS | closed.PREPOSITIONS for word in words
    ):
        return "it names nothing that could be remembered"
    if words[-1] in ("one", "ones", "version", "option", "suggestion", "draft", "next"):
        return "what it speaks of is not named"
    if words[0] in closed.DEMONSTRATIVES:
        return "what it speaks of is not named"
    head = phrase_head(statement.clause.subject)
    of_talk = head in vocabulary().talk_things and len(statement.clause.subject) < 3
    if of_talk and statement.asking.kind is not Kind.WHEN:
        return "it is about what is being talked of"
    if words[-1] in vocabulary().figures_of_speech and statement.complement.relation == ("be",):
        return "it is a figure of speech"
    adverb = len(words) == 1 and (closed.is_adverb_in_ly(words[0]) or words[0] in closed.CLOSING_ADVERBS - {"home"})
    if statement.asking.kind is Kind.HOW or adverb:
        return "it says only how"
    return None


def _of_a_moment(statement: Statement) -> str | None:
    """The progressive of a verb that does not last: "I'm making dinner"."""
    finite, complement = statement.clause.finite, statement.complement
    if complement.progressive and statement.parsed.relation == "be":
        return "it is about what goes on now"
    shown = [word.lower for word in complement.shown]
    progressive = finite.base in ("be", "have") and any(morphology.base_of_progressive(word) for word in shown)
    if not progressive or "going" in shown[:1]:
        return None
    bases = {morphology.base_of_progressive(word) for word in shown}
    if bases & vocabulary().lasting_progressives or _is_dated(statement):
        return None
    return "it is about what goes on now"


def _is_dated(statement: Statement) -> bool:
    """Whether it says when: a day, a month, a year, a time of day."""
    complement = statement.complement
    return any(is_time((word,)) for word in (*complement.object, *complement.tail))


def _past_event(statement: Statement) -> str | None:
    """A thing that happened once and is no event of a life, with no year to it."""
    finite, complement = statement.clause.finite, statement.complement
    text = statement.parsed.statement
    if _YEAR.search(text) or complement.relation[:2] == ("use", "to"):
        return None
    past = finite.past and finite.base not in closed.MODALS
    perfect = finite.base == "have" and finite.inverts and complement.relation[0] != "have"
    if not past and not perfect:
        return None
    if complement.verb in vocabulary().life_verbs or complement.relation[0] in vocabulary().life_verbs:
        return None
    if complement.relation in (("be",), ("be", "to")):
        return _past_state(statement)
    return "it tells of something that happened once"


def _past_state(statement: Statement) -> str | None:
    """ "Her father was a tailor" lasts, "I was late" does not."""
    noun = any(word.lower in closed.ARTICLES for word in statement.complement.shown)
    return None if noun or statement.complement.relation != ("be",) else "it tells of something that happened once"


def _mental(statement: Statement) -> str | None:
    complement = statement.complement
    verb = complement.relation[0]
    if complement.relation[:3] == ("want", "to", "be"):
        return None
    if verb == "want" or verb == "hope" or verb == "plan" or (verb == "love" and "to" in complement.relation):
        last = complement.object[-1].lower if complement.infinitive else complement.verb
        if complement.relation[1:2] == ("to",) and (last in vocabulary().lasting_wishes or verb == "love"):
            return None
        return "it is a wish for now" if verb != "love" else None
    if _is_dated(statement) and (
        verb in ("start", "begin", "finish", "end", "stop") or "married" in complement.relation
    ):
        return None
    if statement.asking.kind is Kind.WHEN:
        return None
    if verb in vocabulary().passing_verbs:
        return "it tells what goes on at the moment"
    if complement.verb == "get" or verb == "get":
        return "it tells what goes on at the moment"
    return None


def _state(statement: Statement) -> str | None:
    """How somebody feels, where somebody is, what somebody has for a while."""
    complement, asking = statement.complement, statement.asking
    relation, last = complement.relation, complement.object[-1].lower.strip(".")
    if relation[0] in COPULAS and len(relation) > 1 and relation[1] in vocabulary().passing_adjectives:
        return "it tells how somebody feels"
    if relation == ("be", "to") and morphology.is_known(complement.object[0].lower):
        return "it names nothing that could be remembered"
    if relation[0] in COPULAS and relation[0] not in ("be", "become") and "married" not in relation:
        return "it tells how something seems"
    if relation == ("be",) and asking.kind is not Kind.HOW_OLD and not _is_noun(statement) and not _lasts(last):
        return "it tells how something is at the moment"
    if relation[0] == "have" and last in vocabulary().passing_things and not _DATE.search(statement.parsed.statement):
        return "it passes"
    creature = _is_creature(statement)
    if (
        relation in (("be", "in"), ("be", "at"), ("be", "on"), ("be", "with"))
        and creature
        and not is_time(complement.object)
    ):
        return "it tells where somebody is at the moment"
    return None


def _is_noun(statement: Statement) -> bool:
    complement = statement.complement
    if any(word.lower in ("a", "an", "the", *closed.POSSESSIVES) for word in complement.shown):
        return True
    first, last = complement.object[0], complement.object[-1].lower
    if "favourite" in statement.parsed.relation:
        return True
    if any(word.capitalised for word in complement.object) or first.text[:1].isdigit():
        return True
    described = (
        statement.asking.kind is Kind.LIKE or is_adjective(last) or morphology.base_of_participle(last) is not None
    )
    return not described and statement.parsed.relation != "be"


def _lasts(adjective: str) -> bool:
    return adjective in vocabulary().lasting_adjectives


def _is_creature(statement: Statement) -> bool:
    classes = word_classes()
    subject = statement.parsed.subject.lower().split()
    if statement.parsed.subject == "the user":
        return statement.parsed.relation.split()[0] == "be"
    named = statement.parsed.person is Person.THIRD and statement.parsed.subject[:1].isupper()
    return named or bool(set(subject[1:]) & (classes.kin_nouns | classes.person_nouns | {"dog", "cat"}))


def _unanchored(statement: Statement) -> str | None:
    """A general claim about a kind of thing: nothing that the user told of themselves or of somebody by name."""
    first = statement.clause.subject[0]
    words = statement.clause.subject
    if statement.parsed.person is Person.FIRST or any(word.possessive for word in words):
        return None
    if first.lower == "the":
        verb = statement.complement.relation[0]
        timed = verb in vocabulary().timed_verbs and statement.asking.kind is Kind.WHEN
        return (
            None
            if timed or verb in vocabulary().thing_verbs or _YEAR.search(statement.parsed.statement)
            else "it is about what is being talked of"
        )
    if statement.asking.kind is Kind.HOW_MANY:
        return "it counts things, as in an exercise"
    bare = len(words) == 1 and statement.parsed.subject[:1].islower()
    if bare and statement.clause.finite.plural is True and statement.asking.kind is Kind.WHEN:
        return None
    if bare or first.lower in closed.DETERMINERS | {"some", "most", "all", "many"}:
        return "it is a general claim; say it with `remember` to have it kept"
    return None if any(word.capitalised for word in words) else "whom or what it speaks of is not named"
