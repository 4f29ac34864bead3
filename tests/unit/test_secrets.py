"""No secret survives masking, and ordinary talk is left alone."""

from __future__ import annotations

import time

import pytest

from sleepengine.wake.extraction.secrets import MASK, find_secrets, masked, secret_in
from tests.unit.conversation_set import DATA, DEVELOP, read

PLANTED = [
    tuple(part.strip() for part in line.replace("\\n", "\n").split(" | "))
    for line in (DATA / "secrets.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]

HARMLESS = (
    "The wifi password hint is blue.",
    "The password of the safe is kept in a red envelope.",
    "My password is too long.",
    "My phone number is 555 0199.",
    "The garage code is 4821.",
    "My order is 1234 5678 9012 3456.",  # fails the card's check digit
    "I was born on 12-05-1990.",
    "The file is 3f2504e0-4f89-11d3-9a0c-0305e82c3301.",
    "What is a strong password?",
    "I forgot my PIN.",
    "Donaudampfschifffahrtsgesellschaft is a long word.",
    "See https://example.org/some/very/long/path-with-Numbers-2024.",
    "The secret of good bread is patience, and the token fee is small.",
)


def test_there_are_fifty() -> None:
    assert len(PLANTED) == 50


@pytest.mark.parametrize(("said", "value"), PLANTED, ids=[f"{n}" for n in range(len(PLANTED))])
def test_a_planted_secret_is_found_and_masked(said: str, value: str) -> None:
    assert secret_in(said) is not None
    assert value not in masked(said)
    assert MASK in masked(said)


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_talk_is_left_as_it_is(text: str) -> None:
    assert find_secrets(text) == []
    assert masked(text) == text


def test_the_labelled_conversations_hold_none() -> None:
    turns = [turn.text for dialogue in read(DEVELOP).values() for turn in dialogue]
    assert [text for text in turns if find_secrets(text)] == []


def test_what_stands_around_a_secret_stays() -> None:
    assert masked("Use the token ghp_0123456789abcdefghij now") == f"Use the token {MASK} now"


@pytest.mark.parametrize("piece", ["a", "1 ", "password for ", "my key is ", "DE89 ", "Ab1", "://a:", "x@"])
def test_a_long_text_takes_time_in_proportion(piece: str) -> None:
    began = time.monotonic()
    masked(piece * (64_000 // len(piece)))
    assert time.monotonic() - began < 20  # a quadratic search of one word took minutes
