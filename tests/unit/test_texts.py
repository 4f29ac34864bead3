"""The shipped texts: how much there is, that it is clean, and that no part leaks into another."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from itertools import combinations
from pathlib import Path

import pytest

import sleepengine
from sleepengine.evaluation import texts

DATA = Path(sleepengine.__file__).parent / "data"
FILES = sorted([*DATA.glob("reference/*"), *DATA.glob("anchors/*"), DATA / "names.json", DATA / "canaries.json"])
SHAPES_MEMORY = ["covariance", "anchor prose", "anchor questions", "canaries"]
MEASURES = ["gate", "report"]


def corpora() -> dict[str, str]:
    return {
        "covariance": "\n\n".join(texts.covariance_texts()),
        "anchor prose": "\n\n".join(texts.anchor_prose()),
        "anchor questions": "\n".join(texts.anchor_questions()),
        "canaries": "\n".join(canary.question for canary in texts.canaries()),
        "gate": texts.gate_text(),
        "report": texts.report_text(),
    }


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def long_sentences(text: str) -> set[tuple[str, ...]]:
    sentences = (tuple(words(part)) for part in re.split(r"[.!?:;]\s|\n", text))
    return {sentence for sentence in sentences if len(sentence) > 6}


def ngrams(text: str, n: int) -> set[tuple[str, ...]]:
    sequence = words(text)
    return set(zip(*(sequence[i:] for i in range(n)), strict=False))


def test_how_much_there_is() -> None:
    assert len(words("\n".join(texts.covariance_texts()))) >= 9_000
    assert len(texts.covariance_texts()) >= 100
    assert len(words(texts.gate_text())) >= 1_000
    assert len(words(texts.report_text())) >= 1_200
    assert len(texts.anchor_prose()) == 40
    assert len(texts.anchor_questions()) == 215
    assert len(texts.names().first) == len(texts.names().last) == 400
    assert len(texts.canaries()) == 20


def test_anchor_paragraphs_have_30_to_50_words() -> None:
    assert [p for p in texts.anchor_prose() if not 30 <= len(p.split()) <= 50] == []


def test_paragraphs_are_whole() -> None:
    for paragraph in [*texts.covariance_texts(), *texts.anchor_prose(), *texts.anchor_questions()]:
        assert paragraph
        assert paragraph == paragraph.strip()
        assert "\n\n" not in paragraph


def test_covariance_files_come_in_order() -> None:
    parts = sorted((DATA / "reference").glob("covariance-*.txt"))
    assert len(parts) >= 2
    whole = "\n\n".join(part.read_text(encoding="utf-8").strip() for part in parts)
    assert "\n\n".join(texts.covariance_texts()) == whole


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(DATA).as_posix())
def test_files_are_clean(path: Path) -> None:
    text = path.read_bytes().decode("utf-8")
    assert unicodedata.is_normalized("NFC", text)
    assert not text.startswith("\ufeff")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\n\n\n" not in text
    assert [c for c in text if c != "\n" and unicodedata.category(c).startswith("C")] == []
    assert [line for line in text.split("\n") if line != line.rstrip()] == []


@pytest.mark.parametrize(("one", "other"), list(combinations([*SHAPES_MEMORY, *MEASURES], 2)))
def test_no_long_sentence_is_shared(one: str, other: str) -> None:
    all_texts = corpora()
    assert long_sentences(all_texts[one]) & long_sentences(all_texts[other]) == set()


@pytest.mark.parametrize("measure", MEASURES)
def test_measures_share_no_8_gram_with_anything(measure: str) -> None:
    all_texts = corpora()
    own = ngrams(all_texts.pop(measure), 8)
    assert {name: shared for name, text in all_texts.items() if (shared := own & ngrams(text, 8))} == {}


@pytest.mark.parametrize("name", ["covariance", "gate", "report", "anchor prose", "anchor questions"])
def test_no_text_repeats_itself(name: str) -> None:
    sequence = words(corpora()[name])
    runs = list(zip(*(sequence[i:] for i in range(8)), strict=False))
    assert len(runs) == len(set(runs))


def test_anchor_questions_do_not_speak_of_the_user() -> None:
    about_user = re.compile(r"\b(my|mine|me about myself|who am I|I am|I'm|am I|I like|I live|I work)\b", re.IGNORECASE)
    assert [q for q in texts.anchor_questions() if about_user.search(q)] == []


def test_anchor_questions_are_none_that_a_gate_or_the_bench_asks() -> None:
    lines = (DATA / "bench" / "known.tsv").read_text(encoding="utf-8").splitlines()
    bench = [line.split("\t")[1] for line in lines if line[0] != "#"]
    asked = {tuple(words(q)) for q in [*bench, *(canary.question for canary in texts.canaries())]}
    assert [q for q in texts.anchor_questions() if tuple(words(q)) in asked] == []


def test_names_are_unique_single_words() -> None:
    names = texts.names()
    everyone = [*names.first, *names.last]
    assert len({name.casefold() for name in everyone}) == len(everyone)
    assert [name for name in everyone if not re.fullmatch(r"[^\W\d_]+('[^\W\d_]+)?", name)] == []
    assert [name for name in everyone if not name[0].isupper()] == []


def test_canaries_do_not_give_their_answer_away() -> None:
    for canary in texts.canaries():
        assert canary.answers
        assert not canary.accepts(canary.question), canary.question


def test_canary_accepts_whole_words_in_any_case() -> None:
    canary = texts.Canary(question="What is 2 + 2?", answers=("4", "four"))
    assert canary.accepts("The answer is 4.")
    assert canary.accepts("FOUR!")
    assert not canary.accepts("It is 40, or fourteen.")


def test_frozen() -> None:
    with pytest.raises(AttributeError):
        texts.names().first = ()  # type: ignore[misc]


def test_loads_no_torch() -> None:
    code = "import sys, sleepengine.evaluation.texts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
