"""The entry point: one sentence in, a `Parsed` fact out, or a refusal with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sleepengine.errors import StatementRefused
from sleepengine.memory.facts import Parsed
from sleepengine.wake.grammar import closed, morphology, screen
from sleepengine.wake.grammar.asking import Asking, decide
from sleepengine.wake.grammar.clause import Clause, Words, find_clause
from sleepengine.wake.grammar.closed import word_set
from sleepengine.wake.grammar.complement import Complement, object_text, read_complement
from sleepengine.wake.grammar.identity import identify
from sleepengine.wake.grammar.phrase import inside
from sleepengine.wake.grammar.prompts import build_prompts, occurrences
from sleepengine.wake.grammar.sentence import compose
from sleepengine.wake.grammar.split import coordinated
from sleepengine.wake.grammar.text import Word, expand_contractions, tidy, without_ending, without_quotes, words

#: What people say before the statement proper.
_LEAD_IN = re.compile(
    r"""^(?:(?:please\s+|pls\s+)?(?:remember|note|know|learn|memori[sz]e)(?:\s+that\b|\s*:|\s*,)\s*
    |(?:by\s+the\s+way|btw|fyi|for\s+your\s+information|just\s+so\s+you\s+know|actually|in\s+fact|well|so|hi|hello|hey|ok|okay|oh|also)\s*[,:]\s*
    )+""",
    re.IGNORECASE | re.VERBOSE,
)
#: Participles after "'s" that read as "is" rather than "has".
_IS_PARTICIPLES = word_set("""called named born married based known located made situated engaged allergic""")


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence that was understood: its parts, how its object is asked for, and the fact that it makes."""

    clause: Clause
    complement: Complement
    asking: Asking
    parsed: Parsed


def parse_statement(text: str) -> Parsed:
    """The fact that one simple declarative sentence makes; see `read_statement`."""
    return read_statement(text).parsed


def read_statement(text: str) -> Statement:
    """Reads one simple declarative sentence.

    A lead-in ("please remember that", "by the way,") and a final period are not needed. Hedged, negated, conditional,
    reported and joined statements are refused, as is everything that the grammar does not understand: the sentence is
    learned as it stands or not at all. Raises StatementRefused, whose message is one line for a person.
    """
    text = tidy(text)
    screen.refuse_text(text)
    sentence = without_ending(_LEAD_IN.sub("", text))
    screen.refuse_marks(sentence)
    unquoted = without_quotes(sentence)
    found = words(expand_contractions(unquoted))
    if '"' in sentence:
        screen.refuse_quotation(found)
    if not found:
        raise StatementRefused("the text is empty")
    screen.refuse_words(found)
    return _read(_clause(_fronted(found)))


def _read(clause: Clause) -> Statement:
    complement = read_complement(clause)
    if complement is None:
        raise StatementRefused("it has no object; say what, where or who")
    if any(word.lower in closed.FIRST_OBJECTS | closed.FIRST_SUBJECTS for word in complement.object):
        raise StatementRefused(
            f"its object is yourself ({object_text(complement)!r}); say it of yourself, or use your name"
        )
    subject = inside(clause)
    asking = decide(clause, complement)
    identity = identify(subject, complement, asking)
    sentence = compose(clause, complement, asking, identity.phrase)
    if occurrences(sentence.object, sentence.cloze):
        raise StatementRefused(
            f"its object {sentence.object!r} is already in its subject or verb; the question would answer itself"
        )
    parsed = Parsed(
        subject=identity.subject, relation=identity.relation, object=sentence.object, statement=sentence.statement,
        person=identity.person, slot=identity.slot, exclusive=identity.exclusive,
        prompts=build_prompts(identity, sentence),
    )  # fmt: skip
    return Statement(clause, complement, asking, parsed)


def _clause(found: Words) -> Clause:
    """The one clause of a sentence; raises StatementRefused when there is none, or more than one."""
    clause = find_clause(found)
    if clause is None:
        expanded = _expand_possessive(found)
        clause = find_clause(expanded) if expanded else None
        found = expanded or found
    if clause is None:
        raise screen.no_clause(found)
    screen.refuse_clause(clause)
    if len(coordinated(found)) > 1:
        raise StatementRefused("it says more than one thing; say one thing at a time")
    return clause


def _fronted(found: Words) -> Words:
    """A sentence whose opening adverbial has moved to its end: "In 2019, Anna moved" -> "Anna moved in 2019"."""
    if found[0].lower not in closed.PREPOSITIONS:
        return found
    for position, word in enumerate(found[:-2]):
        if word.comma:
            opening = (Word(found[0].lower, found[0].lower), *found[1:position], Word(word.text, word.lower))
            return (*found[position + 1 :], *opening)
    return found


def _expand_possessive(found: Words) -> Words | None:
    """The sentence with its first "'s" read as is or has ("Anna's a dentist"), or None where there is none."""
    for position, word in enumerate(found[:-1]):
        if word.lower.endswith("'s"):
            after = found[position + 1].lower
            perfect = morphology.is_known(morphology.base_of_participle(after)) and after not in _IS_PARTICIPLES
            verb = "has" if after in ("been", "got") or perfect else "is"
            owner = Word(word.text[:-2], word.lower[:-2])
            return (*found[:position], owner, Word(verb, verb), *found[position + 1 :])
    return None
