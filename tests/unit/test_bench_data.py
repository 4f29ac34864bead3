"""The bench's data: read rightly by the grammar, and apart from everything that editors, training and gates see."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from sleepengine.evaluation.bench.data import (
    Relation,
    UserFact,
    contexts,
    known_questions,
    people,
    pool_hash,
    relations,
    user_facts,
)
from sleepengine.evaluation.bench.probes import KNOWLEDGE, Cell, knowledge, probes
from sleepengine.evaluation.bench.scenario import bare, cloze, scenario
from sleepengine.evaluation.bench.tasks import user_task
from sleepengine.evaluation.texts import canaries, names
from sleepengine.memory.facts import Channel, Person
from sleepengine.wake.grammar import parse_statement
from sleepengine.wake.grammar.paraphrases import frames

NAME = "Zenobia Entwistle"
EACH = pytest.mark.parametrize("relation", relations(), ids=lambda r: r.key)
TEMPLATES = (
    "grammar/paraphrases.toml", "grammar/prompts.toml", "grammar/same_relations.toml", "anchors/relations.toml",
    "calibration/",
)  # fmt: skip
PHRASINGS = ("raw_paraphrase", "chat", "chat_paraphrase", "polite")


def words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def test_there_is_enough_and_half_is_unlisted() -> None:
    assert len(relations()) >= 12
    assert sum(r.listed for r in relations()) * 2 == len(relations())
    assert len(known_questions()) == 200
    assert len({q.question for q in known_questions()}) == 200
    assert len(people().she) + len(people().he) >= 100
    assert len(people().last) >= 100
    for r in relations():
        assert len(r.objects) >= 20
        assert len(set(r.objects)) == len(r.objects)
        assert len(r.raw_paraphrase) >= 1
        assert len(r.chat) >= 2
        assert len(r.chat_paraphrase) >= 3
        assert len(r.polite) >= 2


@EACH
def test_statements_are_read_with_the_object_that_is_scored(relation: Relation) -> None:
    for shown in relation.objects:
        statement = relation.statement.format(s=NAME, o=shown)
        parsed = parse_statement(statement)
        assert parsed.object == bare(shown)
        assert parsed.subject == NAME
        assert parsed.statement == statement
        assert any(p.text == cloze(relation, NAME, shown, parsed.object) for p in parsed.prompts)


@EACH
def test_only_listed_relations_have_paraphrases_in_the_grammar(relation: Relation) -> None:
    general = {words(p.text) for p in parse_statement(f"{NAME} waxes skis.").prompts}
    own = parse_statement(relation.statement.format(s=NAME, o=relation.objects[0]))
    pattern = [f for f in frames() if own.relation in f.relations or own.relation.split()[0] in f.relations]
    assert bool(pattern) == relation.listed or relation.key == "favourite food"
    assert relation.listed or len(own.prompts) <= len(general)


@EACH
def test_no_template_anywhere_knows_an_unlisted_relation(relation: Relation) -> None:
    verb = parse_statement(relation.statement.format(s=NAME, o=relation.objects[0])).relation.split()[0]
    forms = rf"{verb}(s|es|ed|d)?\b"
    asked = rf'\{{[sS]\}} {forms}|"{forms}( \*)?"'  # said or asked of a subject, or named in a list of relations
    named = [name for name, text in _other_data() if name.startswith(TEMPLATES) and re.search(asked, text)]
    assert relation.listed or not named


@EACH
def test_report_paraphrases_are_no_prompt_of_the_grammar(relation: Relation) -> None:
    for shown in relation.objects:
        parsed = parse_statement(relation.statement.format(s=NAME, o=shown))
        taken = {words(p.text) for p in parsed.prompts}
        fields = {"s": NAME, "o": shown, "det": shown.split()[0] if " " in shown else ""}
        for group in ("raw_paraphrase", "chat_paraphrase", "polite"):
            for text in getattr(relation, group):
                assert words(text.format(**fields)) not in taken, text


@EACH
def test_phrasings_are_disjoint_and_never_give_the_object_away(relation: Relation) -> None:
    texts = [words(t) for group in PHRASINGS for t in getattr(relation, group)]
    assert len(set(texts)) == len(texts)
    for text in (*texts, words(relation.implied), words(relation.pronoun)):
        assert not any(re.search(rf"\b{re.escape(words(bare(o)))}\b", text) for o in relation.objects)


def test_no_object_stands_inside_another() -> None:
    objects = [words(bare(o)) for r in relations() for o in r.objects]
    for one in objects:
        assert sum(bool(re.search(rf"\b{re.escape(one)}\b", other)) for other in objects) == 1, one


def test_names_are_the_bench_s_own() -> None:
    known = names()
    own = {*people().she, *people().he}
    assert not own & set(known.first)
    assert not {*people().last} & {*known.last, *known.first}
    assert not own & {*known.last, *people().last}
    assert not set(people().she) & set(people().he)


def test_no_other_data_file_holds_a_report_phrasing_or_question() -> None:
    others = " ".join(words(text) for _, text in _other_data())
    for relation in relations():
        for group in ("raw_paraphrase", "chat_paraphrase", "polite"):
            for text in getattr(relation, group):
                assert words(text) not in others, text  # {s} reads as the same word everywhere
    for own in user_facts():
        for text in (*own.raw_paraphrase, *own.chat_paraphrase, *own.polite):
            assert words(text) not in others, text
    asked = {c.question for c in canaries()}
    assert not asked & {q.question for q in known_questions()}
    for user, _ in contexts().unrelated:
        assert words(user) not in others, user


def _other_data() -> list[tuple[str, str]]:
    """Path and text of every data file outside the bench's folder, those of numbers left out."""
    found, folders = [], [("", files("sleepengine").joinpath("data"))]
    while folders:
        path, folder = folders.pop()
        for entry in folder.iterdir():
            if entry.is_dir() and entry.name != "bench":
                folders.append((f"{path}{entry.name}/", entry))
            elif entry.is_file() and not entry.name.endswith(".safetensors"):
                found.append((path + entry.name, entry.read_text(encoding="utf-8")))
    return found


def test_every_data_file_with_templates_is_known_to_these_tests() -> None:
    """A new file of wordings has to be added to `TEMPLATES`, or to those that hold none."""
    others = {name for name, text in _other_data() if "{s}" in text or "{q}" in text}
    assert all(name.startswith(TEMPLATES) for name in others)


def test_the_pool_s_hash_is_that_of_the_published_version() -> None:
    """A changed data file is a new version of the bench: change both, and CHANGELOG.md, together."""
    assert pool_hash() == POOL_OF_VERSION_2


POOL_OF_VERSION_2 = "812dc48c7989f3235dacbd75e107e83e589f64327368fdb6b9e3827ba1eea045"


@pytest.mark.parametrize("own", user_facts(), ids=lambda f: f.statement)
def test_facts_of_the_user_are_read_and_asked_for_in_words_of_their_own(own: UserFact) -> None:
    phrasings = [*own.raw_paraphrase, *own.chat, *own.chat_paraphrase, *own.polite]
    assert len(own.objects) >= 6
    assert len(own.contrast) >= 3
    assert len(set(map(words, [*phrasings, *own.contrast]))) == len(phrasings) + len(own.contrast)
    for shown in own.objects:
        statement = own.statement.format(o=shown)
        parsed = parse_statement(statement)
        assert (parsed.object, parsed.statement, parsed.person) == (bare(shown), statement, Person.FIRST)
        taken = {words(p.text) for p in parsed.prompts}
        for text in (*own.raw_paraphrase, *own.chat_paraphrase, *own.polite, *own.contrast):
            assert words(text) not in taken, text
            assert not re.search(rf"\b{re.escape(words(bare(shown)))}\b", words(text)), text


def test_the_user_has_twenty_facts_with_objects_of_their_own() -> None:
    made = user_task(0, 20)
    objects = [bare(o) for f in user_facts() for o in f.objects]
    assert len(objects) == len(set(objects))
    assert len({f.slot for f in made.facts}) == 20
    assert made.facts == user_task(0, 20).facts != user_task(1, 20).facts
    contrast = [p for p in made.probes if p.cell is Cell.CONTRAST]
    assert len(contrast) == 60
    assert all(len(p.others) == 19 for p in made.probes if p.fact is not None)
    with pytest.raises(ValueError, match="from 1 to 20"):
        user_task(0, 21)


@pytest.mark.parametrize("count", [1, 5, 20, 100])
def test_a_scenario_keeps_its_promises(count: int) -> None:
    made = scenario(0, count)
    again = scenario(0, count)
    assert made.facts == again.facts
    assert made.facts != scenario(1, count).facts
    taught = {t.subject.name for t in made.taught}
    near = [n for t in made.taught for n in t.near]
    assert len(made.facts) == count
    assert len({(t.subject.name, t.relation.key) for t in made.taught}) == count
    assert len({(t.relation.key, t.shown) for t in made.taught}) == count
    assert not taught & {n.name for n in (*near, *made.strangers)}
    assert len({n.name for n in near}) == len(near)
    edited = {n for t in made.taught for n in (t.subject.first, t.subject.last)}
    for t in made.taught:
        assert sum(n.first == t.subject.first for n in t.near) >= 2
        assert sum(n.last == t.subject.last for n in t.near) >= 2
        assert all((n.first in edited) + (n.last in edited) == 1 for n in t.near)
    assert not any(s.first in edited or s.last in edited for s in made.strangers)
    if count >= 20:
        assert len(taught) < count
        assert abs(sum(t.relation.listed for t in made.taught) * 2 - count) <= 1


@pytest.mark.parametrize("count", [20, 100])
def test_leak_cells_are_large_enough(count: int) -> None:
    asked = probes(scenario(0, count))
    for cell in set(Cell) - {Cell.CONTRAST}:
        here = [p for p in asked if p.cell is cell]
        assert here, cell
        if cell.value.endswith(("leak, chat", "leak, raw")):
            assert len(here) >= 300, (cell, len(here))
    assert sum(p.cell in KNOWLEDGE for p in asked) == 200
    assert [sum(p.cell is kind for p in knowledge(4)) for kind in KNOWLEDGE] == [4, 4]
    texts = [(p.turns, p.text, p.channel, p.targets) for p in asked]
    assert len(set(texts)) == len(texts)
    assert all("{" not in p.text and not p.text.endswith(" ") for p in asked)
    assert {p.channel for p in asked} == set(Channel)


def test_a_bench_of_more_facts_than_objects_is_refused() -> None:
    with pytest.raises(ValueError, match="from 1 to 352 facts"):
        scenario(0, 353)
