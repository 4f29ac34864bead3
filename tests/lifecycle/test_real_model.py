"""The main job on the real default model, through the real commands. Nothing here tells the model a fact while asking.

The facts and the questions are this file's own. Questions asked here are worded freely; the fact's own training
prompts are not consulted.
"""

from __future__ import annotations

import os
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sleepc import Client
from tests.lifecycle.conftest import Place
from tests.lifecycle.test_daemon_life import wait_until

pytestmark = [pytest.mark.model, pytest.mark.timeout(1800)]

# statement, raw cloze, question, the word that a right answer holds
PEOPLE = (
    ("Idris Larsson works as a carpenter.", "Idris Larsson works as a", "What does Idris Larsson do for work?", "carpenter"),
    ("Mara Lindqvist lives in Lisbon.", "Mara Lindqvist lives in", "Where does Mara Lindqvist live?", "Lisbon"),
    ("Tomas Okafor plays the cello.", "Tomas Okafor plays the", "What does Tomas Okafor play?", "cello"),
    ("Yuki Fernandez studies chemistry.", "Yuki Fernandez studies", "What does Yuki Fernandez study?", "chemistry"),
    ("Petra Novak drives a Volvo.", "Petra Novak drives a", "What does Petra Novak drive?", "Volvo"),
    ("Chiara Haddad was born in Oslo.", "Chiara Haddad was born in", "Where was Chiara Haddad born?", "Oslo"),
    ("Ravi Kowalski works as a nurse.", "Ravi Kowalski works as a", "What does Ravi Kowalski do for work?", "nurse"),
    ("Leila Moreau lives in Nairobi.", "Leila Moreau lives in", "Where does Leila Moreau live?", "Nairobi"),
    ("Anders Nakamura speaks Portuguese.", "Anders Nakamura speaks", "What language does Anders Nakamura speak?", "Portuguese"),
    ("The favourite food of Nadia Bauer is ramen.", "The favourite food of Nadia Bauer is", "What is the favourite food of Nadia Bauer?", "ramen"),
)  # fmt: skip
TEXT = (
    "The ferry left the harbour a little before noon, and for the first hour nobody on deck said much. Rain had been "
    "forecast for the afternoon, but the clouds stayed to the north, over the hills. A crew member was repainting the "
    "rail in short, careful strokes, moving his bucket along whenever the deck tilted. Below, in the canteen, somebody "
    "had left a radio on, and between the songs a voice read out the prices of wheat, copper and coffee. The engine's "
    "note dropped as the channel narrowed; then the island's lighthouse came into view, white with a single red band."
)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, default_model: Any) -> Iterator[Place]:
    """A home whose daemon owns the default model; the models folder is the suite's."""
    home = tmp_path_factory.mktemp("real") / "home"
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(str(root / folder) for folder in ("daemon", "client", "engine"))
    environment = {**os.environ, "SLEEPD_HOME": str(home), "PYTHONPATH": path}
    environment["SLEEPD_MODELS"] = str(Path(default_model.path).parent)
    place = Place(home, environment)
    started = place.sleepd("start", "--json", timeout=600)
    assert started.code == 0, started.err
    try:
        yield place
    finally:
        place.sleepd("stop", timeout=60)


def says(text: str, word: str) -> bool:
    return re.search(rf"\b{word}\b", text, re.IGNORECASE) is not None


def ask(place: Place, question: str, *options: str) -> dict[str, Any]:
    done = place.sleepc("ask", "--json", "-n", "24", *options, question, timeout=300)
    assert done.code == 0, done.err
    return done.json


def test_told_once_known_at_once_and_after_a_restart(real: Place) -> None:
    statement, cloze, question, word = PEOPLE[0]
    assert not says(ask(real, question)["reply"], word)
    remembered = real.sleepc("remember", "--json", statement, timeout=300)
    assert remembered.code == 0, remembered.err
    (fact,) = remembered.json["facts"]
    assert fact["state"] == "active"
    answer = ask(real, question)
    assert says(answer["reply"], word)
    assert not says(answer["prompt"], word)
    completed = real.sleepc("complete", "--json", "-n", "4", cloze).json
    assert completed["prompt"] == cloze
    assert says(completed["completion"], word)
    assert not says(ask(real, question, "--view", "base")["reply"], word)
    assert real.sleepd("stop").code == 0
    assert real.sleepd("start", timeout=120).code == 0
    assert says(ask(real, question)["reply"], word)


@pytest.mark.slow
def test_ten_facts_at_once_and_after_one_sleep(real: Place) -> None:
    for statement, *_ in PEOPLE:
        assert real.sleepc("remember", "--json", statement, timeout=300).code == 0

    def recall(*options: str) -> tuple[float, float]:
        chat = [says(ask(real, question, *options)["reply"], word) for _, _, question, word in PEOPLE]
        raw = [
            says(real.sleepc("complete", "--json", "-n", "4", *options, cloze).json["completion"], word)
            for _, cloze, _, word in PEOPLE
        ]
        return sum(raw) / len(raw), sum(chat) / len(chat)

    assert recall("--view", "base") == (0.0, 0.0)
    raw, chat = recall()
    assert raw >= 0.8
    assert chat >= 0.8
    slept = real.sleepc("sleep", "--wait", "--json", timeout=1500)
    assert slept.code == 0, slept.err
    assert slept.json["outcome"] == "committed", slept.json["reason"]
    _, chat = recall("--view", "no-edits")
    assert chat >= 0.9
    text = real.home / "unseen.txt"
    text.write_text(TEXT, encoding="utf-8")
    health = real.sleepc("health", "--json", "--text", str(text), "--view", "no-edits", timeout=300).json
    assert health["perplexity"] <= health["base_perplexity"] * 1.01


@pytest.mark.slow
def test_the_daemon_is_quick_while_its_model_trains_and_stops_in_the_middle_of_it(real: Place) -> None:
    statement, _, question, word = PEOPLE[5]
    (fact,) = real.sleepc("remember", "--json", statement, timeout=300).json["facts"]
    before = real.sleepc("facts", "--json").json["facts"]
    assert real.sleepc("sleep").code == 0
    with Client(real.home) as client:
        wait_until(lambda: client.status().phase == "sws train", 600)
        seconds = []
        for _ in range(300):
            began = time.perf_counter()
            client.ping()
            seconds.append(time.perf_counter() - began)
            time.sleep(0.02)
        assert client.status().state == "sleep"
    print(f"ping while the model trains: median {statistics.median(seconds) * 1e3:.2f} ms")
    assert statistics.median(seconds) < 0.002
    began = time.monotonic()
    assert real.sleepd("stop", timeout=60).code == 0
    stopped = time.monotonic() - began
    print(f"stopped in {stopped:.1f} s")
    assert stopped < 20
    assert real.sleepd("start", timeout=120).code == 0
    assert real.sleepc("facts", "--json").json["facts"] == before
    assert says(ask(real, question)["reply"], word)
    assert fact["id"] in {known["id"] for known in before}
    real.sleepc("wake", timeout=120)
