"""Every page and every action of the menu, driven without a screen against a real daemon with the fake engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from sleepc import Client
from sleepc.companion.views import state_view
from tests.companion.conftest import Until
from tests.lifecycle.conftest import Place, fake_place

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication, QPushButton, QWidget

    from sleepc.companion.app import Companion

pytestmark = pytest.mark.companion

Open = Callable[..., "Companion"]
CARPENTER, LISBON = "Idris Larsson works as a carpenter.", "Mara Lindqvist lives in Lisbon."
QUESTION = "What does Idris Larsson do for work?"


def say(companion: Companion, text: str) -> None:
    companion.chat.input.setPlainText(text)
    companion.chat.send()


def last_reply(companion: Companion) -> str:
    from sleepc.companion.conversation import Kind

    replies = [m.text for m in companion.chat.conversation.messages if m.kind is Kind.MODEL]
    return replies[-1] if replies else ""


def offers(companion: Companion, name: str) -> list[QPushButton]:
    from PySide6.QtWidgets import QPushButton

    return [b for b in companion.chat.findChildren(QPushButton) if b.accessibleName().startswith(name)]


def kinds(companion: Companion) -> list[str]:
    return [message.kind.value for message in companion.chat.conversation.messages]


def awake(companion: Companion) -> bool:
    return state_view(companion.state).can_sleep  # what is shown: the status alone may lag behind an event


def question(companion: Companion) -> Any:
    from sleepc.companion.pages.dialogs import Question

    found = [each for each in companion.window.findChildren(Question) if each.isVisible()]
    return found[-1] if found else None


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One daemon for most tests of this file: starting one for each would take most of their time."""
    here = fake_place(tmp_path_factory.mktemp("desktop") / "home")
    here.start()
    try:
        yield here
    finally:
        here.sleepd("stop")


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """The shared daemon, without facts and with its settings as they were."""
    shared: Place = request.getfixturevalue("shared")
    (shared.home / "config.toml").write_text('backend = "fake"\n')
    (shared.home / "companion.ini").unlink(missing_ok=True)
    with Client(shared.home) as client:
        client.forget(all=True)
    return shared


@pytest.fixture
def companion(place: Place, open_companion: Open, until: Until) -> Companion:
    made = open_companion(place.home)
    until(lambda: awake(made) and made.state.current is not None and made.state.current.learn == "auto")
    return made


def generation(companion: Companion) -> int:
    return -1 if companion.state.current is None else companion.state.current.generation


def test_a_fact_from_the_chat_to_the_list_through_a_night_and_away_again(
    companion: Companion, place: Place, until: Until
) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    companion.window.turn_to("chat")
    companion.chat.input.setPlainText(CARPENTER)
    QTest.keyClick(companion.chat.input, Qt.Key.Key_Return)  # type: ignore[call-overload]
    assert companion.chat.conversation.busy
    until(lambda: "learned" in kinds(companion))
    say(companion, QUESTION)
    until(lambda: not companion.chat.conversation.busy)
    assert last_reply(companion) == CARPENTER

    companion.actions.facts.trigger()
    assert companion.window.current == "facts"
    until(lambda: [row.title for row in companion.facts.list.rows.rows] == [CARPENTER])
    companion.facts.list.setCurrentIndex(companion.facts.list.rows.index(0, 0))
    until(lambda: companion.facts.card.forget.isVisible())

    before = generation(companion)
    companion.actions.sleep.trigger()
    until(lambda: generation(companion) == before + 1)
    companion.actions.report.trigger()
    assert companion.window.current == "nights"
    until(lambda: bool(companion.nights.list.rows.rows))
    assert companion.nights.hypnogram.accessibleDescription().startswith("Drowsy: curate")

    companion.actions.facts.trigger()
    until(lambda: bool(companion.facts.list.rows.rows) and companion.facts.list.rows.rows[0].badge == "consolidating")
    companion.facts.list.setCurrentIndex(companion.facts.list.rows.index(0, 0))
    companion.facts.card.forget.click()
    until(lambda: question(companion) is not None)
    question(companion).yes.click()
    until(lambda: companion.facts.list.rows.rows == ())
    until(lambda: "does not tell it" in companion.facts.card.outcome.text())
    assert place.sleepc("facts", "--json").json["facts"] == []
    companion.window.turn_to("chat")
    say(companion, QUESTION)
    until(lambda: not companion.chat.conversation.busy)
    assert last_reply(companion) == "I do not know."


def test_correcting_shows_both_values_and_searching_finds_words(
    companion: Companion, place: Place, until: Until
) -> None:
    place.remember(CARPENTER, LISBON)
    companion.window.turn_to("facts")
    until(lambda: len(companion.facts.list.rows.rows) == 2)
    companion.facts.search.setText("lisbon mara")
    assert [row.title for row in companion.facts.list.rows.rows] == [LISBON]
    companion.facts.search.setText("nothing like it")
    assert companion.facts.list.rows.rows == ()
    companion.facts.search.setText("")
    index = next(i for i, row in enumerate(companion.facts.list.rows.rows) if row.title == CARPENTER)
    companion.facts.list.setCurrentIndex(companion.facts.list.rows.index(index, 0))
    until(lambda: companion.facts.card.correct.isVisible())
    companion.facts.card.correct.click()
    until(lambda: question(companion) is not None)
    asked = question(companion)
    assert asked.input.text() == CARPENTER
    asked.input.setText("baker")
    asked.yes.click()
    until(lambda: any("baker" in row.title for row in companion.facts.list.rows.rows))
    until(lambda: "baker" in companion.facts.card.outcome.text())
    companion.facts.shown.setCurrentIndex(1)
    until(lambda: [row.title for row in companion.facts.list.rows.rows] == [CARPENTER])


def test_what_is_refused_is_listed_with_its_reason(companion: Companion, place: Place, until: Until) -> None:
    assert place.sleepc("remember", "Is this a question?").code == 7
    companion.window.turn_to("facts")
    companion.facts.shown.setCurrentIndex(2)
    until(lambda: bool(companion.facts.list.rows.rows))
    row = companion.facts.list.rows.rows[0]
    assert row.title == "Is this a question?"
    assert row.detail


def test_a_reply_is_stopped_and_commands_are_obeyed(own_place: Place, open_companion: Open, until: Until) -> None:
    own_place.environment["SLEEPD_FAKE_STEP_SECONDS"] = "0.02"
    own_place.start()
    companion = open_companion(own_place.home)
    until(lambda: awake(companion))
    say(companion, "count to 200")
    until(lambda: len(last_reply(companion)) > 20)
    assert companion.chat.stop_button.isVisible()
    companion.chat.stop_button.click()
    until(lambda: not companion.chat.conversation.busy)
    assert companion.chat.conversation.messages[1].delivery.value == "stopped"
    say(companion, "/status")
    until(lambda: "output" in kinds(companion))
    say(companion, "/nonsense")
    assert kinds(companion)[-1] == "problem"
    companion.chat.begin_anew()
    assert companion.chat.conversation.messages == ()


def test_learning_is_paused_asked_about_and_taken_back(companion: Companion, place: Place, until: Until) -> None:
    def learn() -> str:
        return "" if companion.state.current is None else companion.state.current.learn

    companion.actions.pause.trigger()
    until(lambda: learn() == "off")
    assert companion.actions.pause.isChecked()
    say(companion, CARPENTER)
    until(lambda: not companion.chat.conversation.busy)
    assert place.sleepc("facts", "--json").json["facts"] == []
    companion.actions.pause.trigger()
    until(lambda: learn() == "auto")
    companion.window.turn_to("settings")
    until(companion.settings.learn.isEnabled)
    companion.settings.learn.setCurrentIndex(1)
    until(lambda: learn() == "ask")
    companion.window.turn_to("chat")
    say(companion, LISBON)
    until(lambda: "asked" in kinds(companion))
    until(lambda: offers(companion, "Yes"))
    offers(companion, "Yes")[-1].click()
    until(lambda: offers(companion, "Undo"))
    assert "learned" in kinds(companion)
    offers(companion, "Undo")[-1].click()
    until(lambda: "taken back" in kinds(companion))
    assert place.sleepc("facts", "--json").json["facts"] == []


def test_what_is_said_off_the_record_is_not_learned(companion: Companion, place: Place, until: Until) -> None:
    companion.chat.private.setChecked(True)
    say(companion, CARPENTER)
    until(lambda: not companion.chat.conversation.busy)
    say(companion, QUESTION)
    until(lambda: not companion.chat.conversation.busy)
    assert place.sleepc("facts", "--json").json["facts"] == []


def test_sleep_is_seen_ended_and_undone(own_place: Place, open_companion: Open, until: Until) -> None:
    place = own_place
    place.environment |= {"SLEEPD_FAKE_STEP_SECONDS": "0.4", "SLEEPD_FAKE_SLOW_PHASE": "rem train"}
    place.start()
    place.remember(CARPENTER)
    companion = open_companion(place.home)
    until(lambda: awake(companion))
    assert companion.tray is not None
    assert not companion.actions.undo.isEnabled()
    companion.actions.sleep.trigger()
    until(lambda: companion.actions.line.text().startswith("Dreaming"))
    assert companion.actions.wake.isVisible()
    assert not companion.actions.sleep.isVisible()
    assert not companion.actions.undo.isEnabled()
    companion.actions.wake.trigger()
    until(lambda: awake(companion))
    assert companion.state.current is not None
    assert companion.state.current.generation == 0
    companion.actions.sleep.trigger()
    until(lambda: generation(companion) == 1 or companion.window.complaint)
    assert companion.window.complaint == ""
    until(companion.actions.undo.isEnabled)
    companion.actions.undo.trigger()
    until(lambda: question(companion) is not None)
    question(companion).yes.click()
    until(lambda: companion.state.current is not None and companion.state.current.generation == 0)
    assert companion.window.current == "nights"


def test_notifications_are_for_nights_and_storage_alone(
    companion: Companion, place: Place, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    assert companion.tray is not None
    monkeypatch.setattr(companion.tray, "notify", lambda title, text, *, bad=False: told.append((title, text)))
    place.remember(CARPENTER)
    place.sleepc("nap", "--wait")
    assert place.sleepc("sleep", "--wait", "--json").json["outcome"] == "committed"
    until(lambda: bool(told))
    assert told == [("A night is over", "one fact moved on")]
    companion.services.preferences.notify = False
    place.remember(LISBON)
    before = generation(companion)
    place.sleepc("sleep", "--wait")
    until(lambda: generation(companion) == before + 1)
    deadline = time.monotonic() + 0.5
    until(lambda: time.monotonic() > deadline)
    assert len(told) == 1


def test_health_logs_and_settings(companion: Companion, place: Place, until: Until) -> None:
    companion.window.turn_to("health")
    until(lambda: "0 percent" in companion.health.gauge.accessibleDescription())
    companion.health.measure.click()
    until(lambda: any("10.00" in text for text in words(companion.health)))
    companion.actions.logs.trigger()
    assert companion.window.current == "logs"
    until(lambda: "serves" in companion.logs.view.toPlainText())
    companion.logs.filter.setCurrentIndex(1)
    assert "serves" not in companion.logs.view.toPlainText()
    companion.actions.chat.trigger()
    assert companion.window.current == "chat"
    companion.actions.settings.trigger()
    until(companion.settings.automatic.isEnabled)
    companion.settings.automatic.click()
    until(lambda: place.sleepd("config", "get", "schedule.automatic").out.strip() == "False")
    companion.settings.quiet_from.setText("22:00")
    companion.settings.quiet_from.editingFinished.emit()
    until(lambda: place.sleepd("config", "get", "schedule.quiet_from").out.strip() == "22:00")


def words(widget: QWidget) -> list[str]:
    from PySide6.QtWidgets import QLabel

    return [label.text() for label in widget.findChildren(QLabel)]


def test_quitting_leaves_the_daemon_and_remembers_the_page(
    companion: Companion, place: Place, qt: QApplication, open_companion: Open, until: Until
) -> None:
    companion.window.turn_to("nights")
    companion.window.resize(800, 600)
    companion.actions.quit.trigger()
    companion.close()
    assert place.status()["state"] == "awake"
    again = open_companion(place.home)
    assert again.window.current == "nights"
    assert abs(again.window.width() - 800) + abs(again.window.height() - 600) < 10  # frames differ by platform
    assert (place.home / "companion.ini").stat().st_mode & 0o077 == 0


def test_every_control_has_a_name_and_can_be_reached_by_keyboard(companion: Companion, until: Until) -> None:
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QAction
    from PySide6.QtWidgets import QAbstractButton, QAbstractScrollArea, QComboBox, QLineEdit, QPlainTextEdit, QScrollBar

    for name in ("chat", "facts", "nights", "health", "settings", "logs"):
        companion.window.turn_to(name)
        until(lambda: True)
    controls = (QAbstractButton, QComboBox, QLineEdit, QPlainTextEdit, QAbstractScrollArea)
    nameless = []
    for widget in companion.window.findChildren(controls[0].__mro__[1]):
        if not isinstance(widget, controls) or isinstance(widget, QScrollBar):
            continue
        inner = isinstance(widget.parent(), QComboBox | QLineEdit) or widget.objectName().startswith("qt_")
        if inner or widget.window() is not companion.window:  # the list that a box of choices drops down
            continue
        if not widget.accessibleName():
            nameless.append(f"{type(widget).__name__} in {type(widget.parent()).__name__}")
        operable = isinstance(widget, QAbstractButton | QComboBox | QLineEdit | QPlainTextEdit)
        among_others = isinstance(widget, QAbstractButton) and widget.autoExclusive()  # then the arrow keys choose
        if operable and not among_others and not widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            nameless.append(f"{type(widget).__name__} {widget.accessibleName()} cannot be tabbed to")
    assert nameless == []
    assert companion.tray is not None
    for action in companion.tray.menu.actions():
        assert isinstance(action, QAction)
        assert action.isSeparator() or action.text()


def test_the_appearance_follows_the_choice(companion: Companion, qt: QApplication) -> None:
    from PySide6.QtGui import QPalette

    def dark() -> bool:
        return qt.palette().color(QPalette.ColorRole.Window).lightness() < 128

    for at, expected in ((2, True), (1, False)):
        companion.settings.appearance.setCurrentIndex(at)
        assert dark() is expected
    assert companion.services.preferences.appearance.value == "light"
