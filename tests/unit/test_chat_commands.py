"""Which turns are commands to the memory, and which are only talk about remembering."""

from __future__ import annotations

import pytest

from sleepd.talk.chat_commands import (
    Command,
    CorrectFact,
    ForgetAbout,
    Privately,
    RememberThat,
    UndoLearning,
    answer,
    command,
)
from tests.unit.conversation_set import DEVELOP, read


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ("remember that my dog is called Biscuit", RememberThat("my dog is called Biscuit")),
        ("Please remember: my bike is red.", RememberThat("my bike is red.")),
        ("/remember Idris lives in Oslo", RememberThat("Idris lives in Oslo")),
        ("I'd like you to remember that my locker is 27.", RememberThat("my locker is 27.")),
        ("Could you please remember that I'm vegan?", RememberThat("I'm vegan")),
        ("Can you forget what I said about my dog?", ForgetAbout(words="dog")),
        ("Can you remember that I live in Oslo.", RememberThat("I live in Oslo.")),
        ("Don't forget that I'm vegan", RememberThat("I'm vegan")),
        ("note that the bins go out on Tuesdays", RememberThat("the bins go out on Tuesdays")),
        ("forget what I said about my dog", ForgetAbout(words="dog")),
        ("Please forget everything I told you about Biscuit!", ForgetAbout(words="biscuit")),
        ("Forget that my dog is called Biscuit.", ForgetAbout(words="dog called biscuit")),
        ("/forget f-k3m9w2ta f-abcdefgh", ForgetAbout(ids=("f-k3m9w2ta", "f-abcdefgh"))),
        ("/forget my job", ForgetAbout(words="job")),
        ("delete what you know about my brother", ForgetAbout(words="brother")),
        ("/correct f-k3m9w2ta baker", CorrectFact("f-k3m9w2ta", "baker")),
        ("/undo", UndoLearning()),
        ("/undo f-k3m9w2ta", UndoLearning("f-k3m9w2ta")),
        ("undo that", UndoLearning()),
        ("/private my name is Ann", Privately("my name is Ann")),
    ],
)
def test_commands(turn: str, expected: Command) -> None:
    assert command(turn) == expected


@pytest.mark.parametrize(
    "turn",
    [
        "Do you remember my dog?",
        "Can you remember my name?",
        "Could you forget my birthday?",
        "Will you remember that?",
        "Remember me?",
        "I remember that day.",
        "I forgot my keys.",
        "Forget it.",
        "Don't remember this, but I am hungry.",
        "Remember when we met?",
        "What did I say about my dog?",
        "/forget",
        "yes",
    ],
)
def test_talk(turn: str) -> None:
    assert command(turn) is None


def test_no_turn_of_the_labelled_conversations_is_a_command_by_accident() -> None:
    turns = [turn.text for dialogue in read(DEVELOP).values() for turn in dialogue]
    assert [turn for turn in turns if command(turn) is not None] == []


def test_yes_and_no_only_alone() -> None:
    assert [bool(found := answer(t)) and found.yes for t in ("Yes, please.", "ok", "no thanks", "Nope!")] == [
        True,
        True,
        False,
        False,
    ]
    assert [answer(t) for t in ("yes, I live in Oslo", "no idea", "hello")] == [None, None, None]
