"""Learning costs a conversation no speed: the same forty turns, learned from and not, side by side on the real model.

Every turn is said in both conversations, one right after the other and in changing order, so that what else the machine
does falls on both. Each waits until the last turn was learned, as a person does who types.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import pytest

from sleepc import Client, requests
from tests.lifecycle.conftest import Place
from tests.lifecycle.test_real_model import real  # noqa: F401

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(3600)]

TOLD = (
    ("My dog is called Biscuit.", "What is my dog called?"),
    ("My sister lives in Oslo.", "Where does my sister live?"),
    ("I work as a florist.", "What do I work as?"),
    ("Petra Novak drives a Volvo.", "What does Petra Novak drive?"),
    ("Tomas Okafor plays the cello.", "What does Tomas Okafor play?"),
    ("My favourite colour is teal.", "What is my favourite colour?"),
    ("Mara Lindqvist lives in Lisbon.", "Where does Mara Lindqvist live?"),
    ("My brother's name is Jonas.", "What is my brother's name?"),
)
TALK = (
    "Hello!", "What is the capital of Italy?", "Tell me a fact about owls.",
    "How do I boil an egg?", "Thanks, that helps.", "What rhymes with moon?",
    "Why is the sky blue?", "Name a river in France.", "What is seven times eight?",
    "I am tired today.", "Suggest a name for a boat.", "What is a sonnet?",
    "How far is the moon?", "Who wrote Hamlet?", "What is bread made of?",
    "Is it going to rain?", "Give me a synonym for happy.", "What does a plumber do?",
    "How many legs has a spider?", "What is the opposite of cold?", "Tell me a short joke.",
    "What colour is grass?", "Which month comes after May?", "Goodbye for now.",
)  # fmt: skip
TURNS = tuple(
    turn for index, (fact, question) in enumerate(TOLD) for turn in (fact, question, *TALK[3 * index : 3 * index + 3])
)
AT_LEAST = 0.9


@dataclass(frozen=True)
class Spoken:
    """One turn: seconds to its first token, and tokens a second after that (None for a reply too short to tell)."""

    first: float
    pace: float | None


def say(client: Client, session: str, text: str, learn: bool) -> Spoken:
    began = time.monotonic()
    pending = client.start(requests.say(session, text, max_tokens=24, learn=learn))
    pieces: Iterator[object] = iter(pending)
    next(pieces, None)
    first = time.monotonic() - began
    for _ in pieces:
        pass
    reply = pending.result()
    rest = time.monotonic() - began - first
    return Spoken(first, (reply.tokens - 1) / rest if reply.tokens > 4 else None)


def test_forty_turns_are_as_quick_with_learning_as_without(real: Place) -> None:  # noqa: F811
    assert real.sleepd("config", "set", "nice", "0").code == 0  # other work on the machine is no measure of ours
    assert real.sleepd("restart", timeout=600).code == 0
    with Client(real.home) as client:
        learned, plain = (client.call(requests.open_session()).session for _ in range(2))
        pairs: list[tuple[Spoken, Spoken]] = []
        for index, turn in enumerate(TURNS):
            order = ((learned, True), (plain, False)) if index % 2 else ((plain, False), (learned, True))
            found = {}
            for session, learn in order:
                found[learn] = say(client, session, turn, learn)
            client.call(requests.heard(learned, wait=True, deadline=600.0))
            pairs.append((found[True], found[False]))
        facts = [f for f in client.call(requests.facts()).facts if f.state == "active"]
    assert len(pairs) == 40
    assert len(facts) >= 6
    first = [off.first / on.first for on, off in pairs]
    pace = [on.pace / off.pace for on, off in pairs if on.pace is not None and off.pace is not None]
    after = first[1::5]  # the turns right after a fact was learned
    shown = {
        "first token with learning, s": median(on.first for on, _ in pairs),
        "first token without, s": median(off.first for _, off in pairs),
        "tokens/s with learning": median(on.pace for on, _ in pairs if on.pace is not None),
        "tokens/s without": median(off.pace for _, off in pairs if off.pace is not None),
        "median of the pairs' first tokens, without over with": median(first),
        "the same after a learned fact": median(after),
        "median of the pairs' tokens/s, with over without": median(pace),
    }
    print("\n".join(f"{name}: {value:.3f}" for name, value in shown.items()))
    assert median(first) >= AT_LEAST, shown
    assert median(pace) >= AT_LEAST, shown
