"""Verb and noun forms, both ways: works -> work, studied -> study, grow -> grew. All words in lower case."""

from __future__ import annotations

from sleepengine.wake.grammar.lexicon import (
    bases_by_participle,
    bases_by_past,
    irregular_verbs,
    verb_bases,
    word_classes,
)

_VOWELS = "aeiou"
_SIBILANTS = ("s", "x", "z", "ch", "sh")
_THIRD_PERSON = {"is": "be", "has": "have", "does": "do", "goes": "go"}


def third_person(base: str) -> str:
    """The third person singular of the simple present: teach -> teaches."""
    for form, known in _THIRD_PERSON.items():
        if known == base:
            return form
    if base.endswith((*_SIBILANTS, "o")):
        return base + "es"
    if base.endswith("y") and base[-2:-1] not in _VOWELS:
        return base[:-1] + "ies"
    return base + "s"


def past_tense(base: str) -> str:
    """The simple past: grow -> grew, study -> studied, stop -> stopped."""
    if base in irregular_verbs():
        return irregular_verbs()[base].past
    if base.endswith("e"):
        return base + "d"
    if base.endswith("y") and base[-2:-1] not in _VOWELS:
        return base[:-1] + "ied"
    return _doubled(base) + "ed"


def progressive(base: str) -> str:
    """The -ing form: make -> making, run -> running, lie -> lying."""
    if base.endswith("ie"):
        return base[:-2] + "ying"
    if base.endswith("e") and not base.endswith(("ee", "ye", "oe")) and base != "be":
        return base[:-1] + "ing"
    return _doubled(base) + "ing"


def _doubled(base: str) -> str:
    """The stem with its last consonant doubled where one short syllable asks for it: stop -> stopp, open -> open."""
    one_vowel = sum(letter in _VOWELS for letter in base) == 1
    if len(base) < 3 or not one_vowel or base[-1] in _VOWELS + "wxy" or base[-2] not in _VOWELS:
        return base
    return base + base[-1]


def base_of_third_person(word: str) -> str | None:
    """The base of a third person singular; of an unknown verb the likeliest base; None when it cannot be one."""
    if word in _THIRD_PERSON:
        return _THIRD_PERSON[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is", "'s")):
        return None
    if not word.isalpha() or word in word_classes().singular_in_s:
        return None
    return _first_known(_singular_stems(word))


def base_of_past(word: str) -> str | None:
    """The base of a simple past form, or None."""
    return bases_by_past().get(word) or _base_of_ed(word)


def base_of_participle(word: str) -> str | None:
    """The base of a past participle, or None."""
    return bases_by_participle().get(word) or _base_of_ed(word)


def base_of_progressive(word: str) -> str | None:
    """The base of an -ing form, or None; the word may still be a noun or an adjective."""
    if len(word) < 5 or not word.endswith("ing") or not word.isalpha():
        return None
    stem = word[:-3]
    if not any(letter in _VOWELS + "y" for letter in stem):
        return None
    stems = [stem, stem + "e"]
    if len(stem) > 2 and stem[-1] == stem[-2]:
        stems.insert(0, stem[:-1])
    if stem.endswith("y"):
        stems.append(stem[:-1] + "ie")
    return _first_known(stems)


def is_known(base: str | None) -> bool:
    """Whether a base form is in the verb lexicon."""
    return base is not None and base in verb_bases()


def is_plural(noun: str) -> bool:
    """Whether a noun looks plural."""
    classes = word_classes()
    if noun in classes.plural_nouns:
        return True
    return noun.endswith("s") and not noun.endswith(("ss", "us", "is", "'s")) and noun not in classes.singular_in_s


def singular(noun: str) -> str:
    """A plural's singular, well enough to compare two nouns: cats -> cat, studies -> study."""
    return _singular_stems(noun)[-1] if is_plural(noun) and noun.endswith("s") else noun


def _base_of_ed(word: str) -> str | None:
    if len(word) < 4 or not word.endswith("ed") or word.endswith("eed") or not word.isalpha():
        return None
    stem = word[:-2]
    if not any(letter in _VOWELS + "y" for letter in stem):
        return None
    stems = [stem, stem + "e"]
    if len(stem) > 2 and stem[-1] == stem[-2]:
        stems.insert(0, stem[:-1])
    if stem.endswith("i"):
        stems.insert(0, stem[:-1] + "y")
    return _first_known(stems)


def _singular_stems(word: str) -> list[str]:
    """Words that gain this -s form, the likeliest unknown one last."""
    if word.endswith("ies") and len(word) > 4:
        return [word[:-1], word[:-3] + "y"]
    if word.endswith("es") and word[:-2].endswith((*_SIBILANTS, "o")):
        return [word[:-1], word[:-2]]
    return [word[:-1]]


def _first_known(stems: list[str]) -> str:
    """The first stem in the lexicon, else the likeliest guess, which `stems` holds last or only."""
    for stem in stems:
        if stem in verb_bases():
            return stem
    return stems[0] if stems[0][-1] not in "iu" else stems[-1]
