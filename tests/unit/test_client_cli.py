"""The command line against a scripted daemon: what stands on stdout, what on stderr, and the exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sleepd.protocol import messages, wire
from sleepd.protocol.errors import BY_CODE
from sleepd.protocol.messages import Chunk, Event, Progress, RefusedText, SnapshotReply
from tests.unit.client_fake import STATUS, Exchange, Handler, Out, Sleepc, fact, fake_daemon

ASKED = messages.AskReply(reply="A carpenter.", prompt="<user>work?", tokens=3, seconds=0.1, finish="stop")
PHASE = messages.PhaseReport(ppl_before=10.0, ppl_after=10.05, recall_raw=0.5, recall_chat=1.0, steps=40, seconds=12.0)
NIGHT = messages.SleepReply(
    cycle=3,
    kind="sleep",
    outcome="committed",
    advanced=("f-1",),
    failed=("f-2",),
    failures=(messages.FailedFact(id="f-2", statement="Mara likes tea.", reason="not recalled in chat"),),
    sws=PHASE,
    generation=2,
    hypnogram=(
        messages.PhaseSpan(phase="curate", start=0, end=1),
        messages.PhaseSpan(phase="sws train", start=1, end=9),
        messages.PhaseSpan(phase="commit", start=9, end=10),
    ),
    seconds=10.0,
)


def done(reply: messages.Body) -> Handler:
    return lambda exchange: exchange.done(reply)


def answer(exchange: Exchange) -> None:
    for text in ("A ", "carpenter."):
        exchange.send("chunk", Chunk(text=text))
    exchange.done(ASKED)


# --- text ---------------------------------------------------------------------------------------------------------


def test_ask_streams_text_and_shows_the_prompt_on_stderr(sleepc: Sleepc, tmp_path: Path) -> None:
    with fake_daemon(tmp_path, ask=answer) as server:
        assert sleepc("ask", "work?") == Out(0, "A carpenter.\n", "")
        shown = sleepc("ask", "work?", "--show-prompt", "--seed", "3", "--temperature", "0.5", "--view", "base")
    assert shown == Out(0, "A carpenter.\n", "--- prompt ---\n<user>work?\n--- end ---\n")
    assert server.seen[1].body == messages.Ask(text="work?", seed=3, temperature=0.5, view="base")


def test_ask_as_json_has_the_fields_that_scripts_rely_on(sleepc: Sleepc, tmp_path: Path) -> None:
    with fake_daemon(tmp_path, ask=answer):
        got = sleepc("--json", "ask", "work?", "--show-prompt")
    assert got.json == {
        "reply": "A carpenter.",
        "prompt": "<user>work?",
        "tokens": 3,
        "seconds": 0.1,
        "finish": "stop",
        "prompt_tokens": 0,
        "facts": [],
        "refused": [],
    }
    assert got.err == ""


def test_options_may_stand_before_or_after_and_end_at_two_dashes(sleepc: Sleepc, tmp_path: Path) -> None:
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    with fake_daemon(elsewhere, status=done(STATUS), ask=answer) as server:
        home = ("--home", str(elsewhere))
        for order in (("--json", *home, "status"), ("status", "--json", *home), (*home, "status", "--json")):
            assert sleepc(*order).json["state"] == "awake"
        assert sleepc(*home, "ask", "--", "--json").out == "A carpenter.\n"
        assert server.seen[-1].body == messages.Ask(text="--json")


def test_complete_and_text_from_stdin(sleepc: Sleepc, tmp_path: Path) -> None:
    reply = messages.CompleteReply(completion=" a carpenter", prompt="He is", tokens=2, seconds=0, finish="length")
    with fake_daemon(tmp_path, complete=done(reply)) as server:
        got = sleepc("complete", "-", "-n", "2", "--json", stdin="Où est-il".encode())
    assert got.json["completion"] == " a carpenter"
    assert server.seen[0].body == messages.Complete(text="Où est-il", max_tokens=2)


def test_text_cut_off_by_an_error_still_ends_its_line(sleepc: Sleepc, tmp_path: Path) -> None:
    def die(exchange: Exchange) -> None:
        exchange.send("chunk", Chunk(text="A car"))
        exchange.error("other", "the host died\nbadly")

    with fake_daemon(tmp_path, ask=die):
        assert sleepc("ask", "work?") == Out(1, "A car\n", "sleepc: the host died badly\n")


# --- memory -------------------------------------------------------------------------------------------------------


def test_remember_says_what_was_learned_and_where_to_look(sleepc: Sleepc, tmp_path: Path) -> None:
    def learn(exchange: Exchange) -> None:
        exchange.send("progress", Progress(phase="editing", done=1, total=2))
        pending = fact("f-2", state="pending", statement="Mara likes tea.")
        exchange.done(
            messages.RememberReply(
                facts=(fact(), pending), refused=(RefusedText(text="why?", reason="a question"),), seconds=1.5
            )
        )

    with fake_daemon(tmp_path, remember=learn) as server:
        got = sleepc("remember", "a", "-", stdin=b"b\n\n c\n")
        assert sleepc("remember", "--json", "a").json["refused"] == [{"text": "why?", "reason": "a question"}]
    assert server.seen[0].body == messages.Remember(texts=("a", "b", " c"))
    assert got.code == 0
    assert got.out.splitlines() == [
        "learned  f-1  Idris Larsson works as a carpenter.  (answered in text and chat)",
        "not yet learned  f-2  Mara likes tea.  (it will be trained in the next sleep)",
        "refused  why?  (a question)",
    ]
    assert got.err.splitlines() == ["editing", "where it came from: sleepc why f-2"]


def test_remember_ends_with_7_only_if_all_were_refused(sleepc: Sleepc, tmp_path: Path) -> None:
    refused = (RefusedText(text="why?", reason="a question"),)
    with fake_daemon(tmp_path, remember=done(messages.RememberReply(facts=(), refused=refused, seconds=0))):
        human, machine = sleepc("remember", "why?"), sleepc("remember", "why?", "--json")
    assert human == Out(7, "", "refused  why?  (a question)\n")
    assert machine.code == 7
    assert machine.json["refused"][0]["reason"] == "a question"
    assert machine.json["facts"] == []


def test_facts_and_why(sleepc: Sleepc, tmp_path: Path) -> None:
    why = messages.WhyReply(
        **{name: getattr(fact(), name) for name in fact().__struct_fields__},
        provenance={"source": "chat", "text": "Idris works as a carpenter", "at": "2026-01-01T00:00:00Z"},
        history=(messages.HistoryEntry(at="2026-01-01T00:00:01Z", event="learned"),),
    )
    with fake_daemon(tmp_path, facts=done(messages.FactsReply(facts=(fact(stage=2),))), why=done(why)) as server:
        assert sleepc("facts", "idris", "--all").out == "f-1  consolidated   Idris Larsson works as a carpenter.\n"
        assert sleepc("facts", "--json").json["facts"][0]["verified"] == {"raw": True, "chat": True}
        told = sleepc("why", "f-1")
        assert sleepc("why", "f-1", "--json").json["history"][0]["event"] == "learned"
    assert server.seen[0].body == messages.Facts(query="idris", all=True)
    assert "“Idris works as a carpenter” (chat, 2026-01-01T00:00:00Z)" in told.out
    assert "2026-01-01T00:00:01Z  learned\n" in told.out


# --- sleep and state ----------------------------------------------------------------------------------------------


def test_a_night_is_reported_with_hypnogram_measurements_and_failures(sleepc: Sleepc, tmp_path: Path) -> None:
    def night(exchange: Exchange) -> None:
        for phase in ("sws train", "sws gate"):
            exchange.send("progress", Progress(phase=phase, done=1, total=4))
        exchange.done(NIGHT)

    with fake_daemon(tmp_path, sleep=night, report=done(NIGHT)):
        got = sleepc("sleep", "--wait")
        assert sleepc("report", "3").out == got.out
        assert sleepc("report", "--json").json["sws"]["ppl_after"] == 10.05
    assert got.err.splitlines() == ["sws train", "sws gate"]
    lines = got.out.splitlines()
    assert lines[0] == "cycle 3 (sleep): committed"
    bars = [line[11:52] for line in lines[2:5]]
    assert [bar.strip() for bar in bars] == ["█" * 4, "█" * 32, "█" * 4]
    assert bars[1].startswith("    █")
    assert "SWS: perplexity 10.000 -> 10.050 (+0.50%), recall 100% in chat, 50% in text, 40 steps in 12 s" in lines
    assert "  f-2  Mara likes tea.  (not recalled in chat)" in lines


def test_wake_health_and_status(sleepc: Sleepc, tmp_path: Path) -> None:
    canary = messages.CanaryAnswer(question="2+2?", answer="4", accepted=True)
    health = messages.HealthReply(
        perplexity=10.1, base_perplexity=10.0, drift=0.01, tokens=99, canaries=(canary,), seconds=1
    )
    wake = messages.WakeReply(cycle=None, aborted=False)
    (tmp_path / "text").write_text("some text")
    with fake_daemon(tmp_path, wake=done(wake), health=done(health), status=done(STATUS)) as server:
        assert sleepc("wake").out == "it was not asleep\n"
        told = sleepc("health", "--text", str(tmp_path / "text"), "--view", "no-edits").out
        assert sleepc("status", "--json").json["facts"]["consolidated"] == 1
        shown = sleepc("status").out
    assert server.seen[1].body == messages.Health(text="some text", view="no-edits")
    assert "10.100, the bare model's 10.000 (+1.00%), over 99 tokens" in told
    assert "1 of 1" in told
    assert shown.splitlines()[0] == "awake: nothing to do"
    assert "█████···············  25%" not in shown
    assert "█████··············· 25%" in shown


def test_events_are_one_document_or_a_line_each_and_tell_of_losses(sleepc: Sleepc, tmp_path: Path) -> None:
    kept = Event(epoch="e1", seq=1, type="fact", at="2026-01-01T00:00:00Z", data={"id": "f-1"})
    asked: list[Exchange] = []

    def snapshot(exchange: Exchange) -> None:
        asked.append(exchange)
        if len(asked) < 3:
            exchange.done(SnapshotReply(epoch="e1", seq=1, status=STATUS, events=(kept,)))
        else:
            exchange.done(SnapshotReply(epoch="e1", seq=9, status=STATUS, complete=False))
            exchange.server.publish(10)
            time.sleep(0.1)
            exchange.server.kill()
        if len(asked) == 2:
            exchange.server.publish(2, id="f-2")
            exchange.server.publish(9)

    with fake_daemon(tmp_path, snapshot=snapshot):
        assert sleepc("events", "--json").json["events"][0]["data"] == {"id": "f-1"}
        followed = sleepc("events", "-f", "--json", "--since", "0")
    *lines, last = [json.loads(line) for line in followed.out.splitlines()]
    assert [(line["type"], line["seq"]) for line in lines] == [("fact", 1), ("fact", 2), ("snapshot", 9), ("fact", 10)]
    assert lines[2]["data"] == {"state": "awake", "generation": 2, "lost": True}
    assert last["error"]["code"] == "unreachable"
    assert followed.code == 3


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_every_error_has_its_exit_code_line_and_document(sleepc: Sleepc, tmp_path: Path, code: str) -> None:
    with fake_daemon(tmp_path, why=lambda exchange: exchange.error(code, "so it is")):
        human, machine = sleepc("why", "f-1"), sleepc("why", "f-1", "--json")
    assert human == Out(BY_CODE[code].exit_code, "", "sleepc: so it is\n")
    assert machine.code == human.code
    assert machine.json == {"error": {"code": code, "message": "so it is"}}


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("ask",), "Missing argument"),
        (("fly",), "No such command"),
        (("ask", "a", "--view", "all"), "'all' is not one of"),
        (("ask", "a", "--max-tokens", "0"), "not in the range"),
        (("ask", "a", "--temperature", "-1"), "not in the range"),
        (("ask", "a", "--deadline", "0"), "not in the range"),
        (("report", "x"), "not a valid integer"),
    ],
)
def test_wrong_usage_is_one_line_and_2(sleepc: Sleepc, arguments: tuple[str, ...], hint: str) -> None:
    human, machine = sleepc(*arguments), sleepc("--json", *arguments)
    assert (human.code, human.out) == (2, "")
    assert len(human.err.splitlines()) == 1
    assert hint in human.err
    assert "--help)" in human.err
    assert machine.json["error"]["code"] == "usage"


@pytest.mark.parametrize("command", [("ask",), ("complete",), ("remember",), ("health", "--text")], ids=" ".join)
@pytest.mark.parametrize(
    ("stdin", "reason"),
    [(b"", "empty"), (b" \n", "empty"), (b"x" * 1_000_000, "too long"), (b"caf\xe9 noir", "not UTF-8")],
    ids=["empty", "blank", "1 MB", "Latin-1"],
)
def test_bad_text_is_refused_without_a_daemon(
    sleepc: Sleepc, command: tuple[str, ...], stdin: bytes, reason: str
) -> None:
    got = sleepc(*command, "-", stdin=stdin)
    assert (got.code, got.out) == (7, "")
    assert reason in got.err
    assert len(got.err.splitlines()) == 1
    assert len(got.err) < 200


def test_files_that_cannot_be_read(sleepc: Sleepc, tmp_path: Path) -> None:
    assert sleepc("health", "--text", str(tmp_path / "none")).code == 6
    assert sleepc("health", "--text", str(tmp_path)).code == 1


def test_bytes_that_are_no_text_in_an_argument_are_a_usage_error(sleepc: Sleepc, tmp_path: Path) -> None:
    with fake_daemon(tmp_path):
        assert sleepc("ask", "\udcff").code == 2


def test_the_texts_limit_leaves_room_for_a_megabyte_to_be_refused() -> None:
    assert wire.MAX_TEXT < 1_000_000


# --- chat over a pipe ---------------------------------------------------------------------------------------------


def talk(exchange: Exchange) -> None:
    assert isinstance(exchange.body, messages.Say)
    said = exchange.body.text
    facts = (fact(),) if said.startswith("remember") else ()
    exchange.send("chunk", Chunk(text=said.upper()))
    exchange.done(
        messages.SayReply(reply=said.upper(), prompt="P", tokens=1, seconds=0, finish="stop", session="s1", facts=facts)
    )


OPENED = messages.OpenSessionReply(session="s1", turns=0)


def test_chat_over_a_pipe_is_a_turn_a_line(sleepc: Sleepc, tmp_path: Path) -> None:
    with fake_daemon(tmp_path, open_session=done(OPENED), say=talk, status=done(STATUS)) as server:
        got = sleepc(
            "chat", "--system", "Be brief.", "-n", "9", stdin="hé\n\n/status\n/fly away\n/remember\nbye".encode()
        )
        lines = sleepc("chat", "-c", "--json", stdin=b"hi\nremember that A is B\n/status\n").out.splitlines()
    assert got.code == 0
    assert got.out.splitlines()[0] == "HÉ"
    assert got.out.splitlines()[-1] == "BYE"
    assert "awake: nothing to do" in got.out
    assert got.err == "there is no command /fly; /help lists them\nsay what: /remember TEXT\n"
    assert server.seen[0].body == messages.OpenSession(system="Be brief.")
    assert server.seen[1].body == messages.Say(session="s1", text="hé", max_tokens=9)
    turns = [json.loads(line) for line in lines]
    assert [(turn["user"], len(turn["facts"])) for turn in turns] == [("hi", 0), ("remember that A is B", 1)]
    resumed = [m.body for m in server.seen if isinstance(m.body, messages.OpenSession)][-1]
    assert resumed.resume


def test_a_failed_turn_ends_a_piped_chat_with_its_code(sleepc: Sleepc, tmp_path: Path) -> None:
    with fake_daemon(tmp_path, open_session=done(OPENED), say=lambda exchange: exchange.error("busy", "full")):
        assert sleepc("chat", stdin=b"hi\nho\n") == Out(5, "", "sleepc: full\n")
    with fake_daemon(tmp_path, open_session=lambda exchange: exchange.error("not_found", "no conversation")):
        assert sleepc("chat", "-c", stdin=b"hi\n").code == 6


# --- whole processes ----------------------------------------------------------------------------------------------


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    many = tuple(fact(f"f-{n}") for n in range(3000))
    with fake_daemon(tmp_path, facts=done(messages.FactsReply(facts=many))):
        process = subprocess.Popen(
            [sys.executable, "-m", "sleepc", "facts", "--home", str(tmp_path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        assert process.wait(10) == 0
    assert err == b""


def test_the_library_and_the_command_line_load_nothing_heavy() -> None:
    program = (
        "import sys; from sleepc import Client; import sleepc.cli, sleepc.chat.plain\n"
        "print([m for m in ('torch', 'numpy', 'transformers', 'sleepengine', 'rich') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_help_needs_neither_zmq_nor_the_messages() -> None:
    program = (
        "import sys; sys.argv = ['sleepc', '--help']\n"
        "from sleepc.__main__ import main\n"
        "try: main()\n"
        "finally: print([m for m in ('zmq', 'msgspec', 'msgpack', 'asyncio') if m in sys.modules], file=sys.stderr)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert found.stderr == "[]\n"
    assert "remember" in found.stdout
