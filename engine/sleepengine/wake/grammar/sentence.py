"""A sentence that has been read, and every shape it can be put into: statement, cloze, question, indirect question.

Each shape carries the subject's phrase with its mention marked (see `phrase.Phrase.marked`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sleepengine.wake.grammar import closed
from sleepengine.wake.grammar.asking import Asking, Kind
from sleepengine.wake.grammar.clause import Clause, Finite, Words
from sleepengine.wake.grammar.complement import Complement
from sleepengine.wake.grammar.phrase import Phrase, to_second_person
from sleepengine.wake.grammar.text import Word, capitalised, join

_SECOND_BE = {"am": "are", "was": "were"}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A statement in parts. Joining them in order gives the statement back."""

    phrase: Phrase
    adverbs: str
    finite: Finite
    shown: Words
    determiners: int
    object: str
    tail: str  # starts with a space or a comma, or is empty
    asking: Asking
    relation: tuple[str, ...]

    @property
    def statement(self) -> str:
        """The sentence itself, with a capital and a period."""
        words = _joined(self.phrase.text, self.adverbs, self.finite.text, join(self.shown), self.object)
        return _closed(capitalised(words) + self.tail)

    @property
    def answer(self) -> str:
        """The sentence as a reply to the user: "Your dog is called Biscuit."."""
        verb = _SECOND_BE.get(self.finite.text, self.finite.text) if self.phrase.speaker else self.finite.text
        shown = to_second_person(join(self.shown))
        words = _joined(to_second_person(self.phrase.text), self.adverbs, verb, shown, self.object)
        return _closed(capitalised(words) + to_second_person(self.tail))

    @property
    def cloze(self) -> str:
        """The statement up to its object, beginning in small letters: "my dog is called"."""
        return _joined(self.phrase.marked, self.adverbs, self.finite.text, join(self.shown))

    @property
    def aside(self) -> str:
        """The cloze with a remark between subject and verb."""
        return _joined(self.phrase.marked + ", as you may know,", self.adverbs, self.finite.text, join(self.shown))

    @property
    def blank(self) -> str:
        """The statement with a blank for its object."""
        return self.cloze + " ___" + self.tail

    def question(self, *, with_tail: bool = True) -> str:
        """The direct question without its question mark: "what does Idris work as"."""
        tail = self.question_tail if with_tail else ""
        if self.finite.inverts:
            verb, remainder = self.finite.text, self._question_words()
        else:
            verb, remainder = self.support, _joined(self.finite.base, self._question_words())
        return _joined(self.asking.word, verb, self.phrase.marked, self.adverbs, remainder) + tail

    def indirect(self, *, with_tail: bool = True) -> str:
        """The question inside a sentence: "what Idris works as", "where I was born"."""
        tail = self.question_tail if with_tail else ""
        words = (self.asking.word, self.phrase.marked, self.adverbs, self.finite.text, self._question_words())
        return _joined(*words) + tail

    @property
    def echo(self) -> str | None:
        """The statement with a question word for its object: "Idris works as what"; None where that is no English."""
        if self.asking.kind in (Kind.LIKE, Kind.DO, Kind.DOING):
            return None
        asked = join(self._without_determiners())
        if self.asking.drops_preposition:
            asked = join(self._without_determiners()[:-1])
        return _joined(self.phrase.marked, self.adverbs, self.finite.text, asked, self.asking.word) + self.question_tail

    @property
    def cleft(self) -> str | None:
        """The cloze turned round: "what Idris drives is a"; None where the relation is a bare copula or asks how."""
        opening = {Kind.WHAT: "what", Kind.HOW_MANY: "what", Kind.WHERE: "the place where", Kind.WHO: "the person"}
        if self.asking.kind not in opening or self.relation in (("be",), ("be", "called"), ("be", "named")):
            return None
        if self.finite.inverts and self.finite.base in closed.MODALS:
            return None
        determiners = join(self.shown[len(self.shown) - self.determiners :]) if self.determiners else ""
        verb = "are" if self.asking.kind is Kind.HOW_MANY else "is"
        words = (opening[self.asking.kind], self.phrase.marked, self.adverbs, self.finite.text, self._question_words())
        return _joined(*words, verb, determiners)

    @property
    def question_tail(self) -> str:
        """What of the tail a question keeps: adverbials ("in Lyon"), not appositives or relative clauses."""
        first = self.tail.split()[0].lower() if self.tail.startswith(" ") else ""
        adverbial = first in closed.PREPOSITIONS | closed.CLOSING_ADVERBS | closed.TIME_OPENERS | {"a", "an"}
        return self.tail if adverbial or closed.is_adverb_in_ly(first) else ""

    @property
    def is_simple(self) -> bool:
        """Whether the verb is in the simple present or past: no perfect, progressive, future or modal."""
        return self.finite.base == self.relation[0] and not any(word.lower == "going" for word in self.shown)

    @property
    def support(self) -> str:
        """The form of do that a question about a lexical verb takes."""
        if self.finite.past:
            return "did"
        return "do" if self.finite.plural else "does"

    def _question_words(self) -> str:
        """What of `shown` stays behind in a question: no determiners, the preposition only where it is stranded."""
        kept = self._without_determiners()
        if self.asking.drops_preposition:
            kept = kept[:-1]
        extra = {Kind.LIKE: "like", Kind.DO: "do", Kind.DOING: "doing"}.get(self.asking.kind, "")
        return _joined(join(kept), extra)

    def _without_determiners(self) -> Words:
        return self.shown[: len(self.shown) - self.determiners]


def compose(clause: Clause, complement: Complement, asking: Asking, phrase: Phrase) -> Sentence:
    """Puts the parts of a reading together."""
    tail = join(complement.tail)
    comma = complement.object[-1].comma
    last = complement.object[-1]
    object_words = (*complement.object[:-1], Word(last.text, last.lower))
    return Sentence(
        phrase=phrase, adverbs=join(clause.adverbs), finite=clause.finite, shown=complement.shown,
        determiners=complement.determiners, object=join(object_words),
        tail=(", " if comma else " ") + tail if tail else "", asking=asking, relation=complement.relation,
    )  # fmt: skip


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _closed(sentence: str) -> str:
    return sentence if sentence.endswith(".") else sentence + "."
