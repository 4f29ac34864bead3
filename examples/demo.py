"""The main idea, end to end, on the real default model, in a throw-away home.

The model is asked about three things that it cannot know, is told them in conversation, answers about them from an
empty context, is restarted, sleeps, and answers with every edit silenced, from the adapter that the night trained.
Every question is a fresh conversation: nothing about the facts is ever in the prompt.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Lesson:
    """What is said, what is asked, and the word that a right answer holds."""

    said: str
    question: str
    answer: str


LESSONS = (
    Lesson("remember that Idris Larsson works as a carpenter.", "What does Idris Larsson do for work?", "carpenter"),
    Lesson("remember that Mara Lindqvist lives in Lisbon.", "Where does Mara Lindqvist live?", "Lisbon"),
    Lesson("remember that my dog is called Biscuit.", "What is my dog called?", "Biscuit"),
)


def main() -> int:
    """Print the transcript; exit code 0 if every lesson was known at every stage after it was taught."""
    home = Path(tempfile.mkdtemp(prefix="sleepd-demo-"))
    environment = {**os.environ, "SLEEPD_HOME": str(home)}
    try:
        say("Starting the daemon (the first time, this fetches and converts the model)")
        run(environment, "sleepd", "start")
        return transcript(environment)
    finally:
        subprocess.run([BIN / "sleepd", "stop"], env=environment, check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def transcript(environment: dict[str, str]) -> int:
    """The demo proper, on a running daemon."""
    health = read(environment, "sleepc", "health")
    print(f"  perplexity of a text it has never trained on: {health['perplexity']:.3f}")

    say("Asking what it cannot know")
    known_before = quiz(environment)

    say("Telling it, in conversation")
    lines = "".join(lesson.said + "\n" for lesson in LESSONS)
    for line in run(environment, "sleepc", "chat", stdin=lines).splitlines():
        print(f"  {line}")

    say("Asking again, each time from an empty context")
    at_once = quiz(environment)

    say("Restarting the daemon, and asking again")
    run(environment, "sleepd", "restart")
    after_restart = quiz(environment)

    say("Sleeping: what the edits hold is trained into an adapter (some minutes on a laptop)")
    report = read(environment, "sleepc", "sleep", "--wait")
    print(f"  {report['outcome']} in {report['seconds']:.0f} s, {len(report['advanced'])} facts advanced")
    if report["reason"]:
        print(f"  because {report['reason']}")

    say("Asking with every edit silenced: the adapter alone")
    after_sleep = quiz(environment, "--view", "no-edits")
    health = read(environment, "sleepc", "health")
    change = health["perplexity"] / health["base_perplexity"] - 1
    now, bare = health["perplexity"], health["base_perplexity"]
    print(f"\n  perplexity now {now:.3f}, the bare model's {bare:.3f} ({change:+.2%})")

    print("\n  known of", len(LESSONS))
    stages = {
        "before": known_before,
        "once told": at_once,
        "after a restart": after_restart,
        "after sleep, edits silenced": after_sleep,
    }
    for stage, known in stages.items():
        print(f"    {stage:<30}{known}")
    good = known_before == 0 and min(at_once, after_restart, after_sleep) == len(LESSONS)
    return 0 if good else 1


def quiz(environment: dict[str, str], *options: str) -> int:
    """Ask every lesson's question in a conversation of its own; how many were answered."""
    right = 0
    for lesson in LESSONS:
        answer = read(environment, "sleepc", "ask", lesson.question, "--max-tokens", "32", *options)
        if lesson.answer in answer["prompt"]:
            raise SystemExit("the prompt holds the answer; this demonstrates nothing")
        known = re.search(rf"\b{lesson.answer}\b", answer["reply"]) is not None
        right += known
        print(f"  > {lesson.question}\n    {' '.join(answer['reply'].split())}   [{'right' if known else 'unknown'}]")
    return right


def run(environment: dict[str, str], command: str, *arguments: str, stdin: str | None = None) -> str:
    """A command's stdout; its stderr goes to ours. Ends the demo where it fails."""
    done = subprocess.run(
        [BIN / command, *arguments], env=environment, input=stdin, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command} {' '.join(arguments)} ended with exit code {done.returncode}")
    return done.stdout


def read(environment: dict[str, str], command: str, *arguments: str) -> dict[str, Any]:
    """A command's JSON document."""
    document: dict[str, Any] = json.loads(run(environment, command, *arguments, "--json"))
    return document


def say(line: str) -> None:
    print(f"\n{line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
