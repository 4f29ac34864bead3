"""What stands around the window: one instance, starting with the session, the command, what is drawn."""

from __future__ import annotations

import configparser
import os
import plistlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from sleepc.companion.autostart import DesktopEntry, LaunchAgent
from sleepc.companion.painting.axes import bounds, ticks
from tests.companion.cases import quick
from tests.companion.conftest import Until
from tests.companion.scripted import FULL, scripted_daemon

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from sleepc.companion.app import Companion

pytestmark = pytest.mark.companion

ROOT = Path(__file__).resolve().parents[2]


def environment(**changes: str) -> dict[str, str]:
    path = os.pathsep.join(str(ROOT / folder) for folder in (".", "daemon", "client", "engine"))
    return {**os.environ, "PYTHONPATH": path, "QT_QPA_PLATFORM": "offscreen", **changes}


def command(home: Path) -> list[str]:
    return [sys.executable, "-m", "sleepc", "companion", "--home", str(home)]


def unescaped(value: str) -> list[str]:
    """A desktop entry's Exec, as a desktop reads it: the string's escapes, then the words in quotes, then the codes."""
    string = re.sub(r"\\(.)", r"\1", value)
    return [re.sub(r"\\(.)", r"\1", word).replace("%%", "%") for word in re.findall(r'"((?:[^"\\]|\\.)*)"', string)]


@quick
@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=12), min_size=1, max_size=4))
def test_a_desktop_reads_the_command_that_was_meant(words: list[str]) -> None:
    content = DesktopEntry(tuple(words), "sleepd").content().decode()
    line = next(line for line in content.split("\n") if line.startswith("Exec="))
    assert unescaped(line.removeprefix("Exec=")) == words


def test_autostart_is_written_only_when_asked_and_removed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    entry = DesktopEntry((sys.executable, "-m", "sleepc", "companion", "--hidden"), "sleepd companion")
    assert not entry.enabled()
    entry.enable()
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read(tmp_path / "autostart" / "sleepd-companion.desktop")
    assert parsed["Desktop Entry"]["Type"] == "Application"
    assert unescaped(parsed["Desktop Entry"]["Exec"])[-1] == "--hidden"
    entry.disable()
    assert not entry.enabled()
    assert plistlib.loads(LaunchAgent(("a", "b c")).content())["ProgramArguments"] == ["a", "b c"]


def test_the_settings_page_switches_autostart(
    tmp_path: Path, open_companion: Callable[..., Companion], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    companion = open_companion(tmp_path / "home", tray=False)
    entry = tmp_path / "config" / "autostart" / "sleepd-companion.desktop"
    assert not companion.settings.autostart.isChecked()
    companion.settings.autostart.click()
    assert f'"{tmp_path / "home"}"' in entry.read_text()
    companion.settings.autostart.click()
    assert not entry.exists()
    assert not (tmp_path / "home").exists()
    (tmp_path / "config" / "autostart").rmdir()
    (tmp_path / "config" / "autostart").write_text("in the way")
    companion.settings.autostart.click()
    assert not companion.settings.autostart.isChecked()


def test_a_second_companion_shows_the_first_and_leaves(
    tmp_path: Path, qt: QApplication, open_companion: Callable[..., Companion], until: Until
) -> None:
    from sleepc.companion.instance import Instance

    instance = Instance.claim(tmp_path)
    assert instance is not None
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    asked: list[bool] = []
    instance.asked.connect(lambda: asked.append(True))
    second = subprocess.Popen(
        command(tmp_path),
        env=environment(),
        stdin=subprocess.DEVNULL,
    )
    until(lambda: second.poll() is not None)
    assert second.returncode == 0
    until(lambda: bool(asked))
    instance.close()
    again = Instance.claim(tmp_path)  # also over what one left behind that was killed
    assert again is not None
    again.close()


def test_a_long_home_has_its_socket_elsewhere_and_a_link_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qt: QApplication
) -> None:
    from sleepc.companion.instance import runtime_folder
    from sleepd.protocol.errors import Refused

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    deep = tmp_path / ("x" * 90) / "home"
    folder = runtime_folder(deep)
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "run").symlink_to(tmp_path)
    with pytest.raises(Refused):
        runtime_folder(tmp_path / "home")


def test_without_a_desktop_the_command_says_so(tmp_path: Path) -> None:
    bare = {k: v for k, v in environment().items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)
    done = subprocess.run(command(tmp_path), env=bare, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (7, "")
    assert "no desktop session" in done.stderr


def test_without_the_extra_the_command_names_it(tmp_path: Path) -> None:
    program = "import sys; sys.modules['PySide6'] = None; from sleepc.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "companion", "--home", str(tmp_path)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'sleepd[desktop]'" in done.stderr


def test_it_ends_in_order_when_it_is_told_to(tmp_path: Path) -> None:
    pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)
    server = scripted_daemon(tmp_path, FULL)
    running = subprocess.Popen(
        command(tmp_path),
        env=environment(),
        stderr=subprocess.PIPE,
    )
    try:
        while "snapshot" not in server.kinds():
            assert running.poll() is None
        running.terminate()
        _, said = running.communicate(timeout=20)
        assert running.returncode == 0
        assert b"Traceback" not in said
    finally:
        running.kill()
        server.kill()


def test_calls_into_qt_keep_the_count_of_nones_references(qt: QApplication) -> None:
    """PySide6 6.12.0 on Python 3.11 lost one with every call, and the process ended after some ten thousand."""
    from PySide6.QtWidgets import QWidget

    widget = QWidget()
    widget.update()
    before = sys.getrefcount(None)
    for _ in range(500):
        widget.update()
    assert sys.getrefcount(None) > before - 100


def test_a_reply_is_no_html_loads_no_file_and_opens_none(qt: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    from PySide6.QtCore import QUrl
    from PySide6.QtGui import QDesktopServices, QTextDocument
    from PySide6.QtWidgets import QMessageBox

    from sleepc.companion.pages.bubbles import Words

    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    words = Words(markdown=True)
    words.show_words("<b>bold</b> and **strong** ![x](file:///etc/hostname) \x1b[31m")
    assert "<b>bold</b> and strong" in words.toPlainText()
    assert "\x1b" not in words.toPlainText()
    loaded = words.document().resource(QTextDocument.ResourceType.ImageResource, QUrl("file:///etc/hostname"))
    assert not loaded
    for link in ("file:///etc/hostname", "javascript:1", "https://example.org/"):
        words.anchorClicked.emit(QUrl(link))
    assert [url.toString() for url in opened] == ["https://example.org/"]
    words.deleteLater()


def test_states_differ_in_form_and_not_in_colour_alone(qt: QApplication) -> None:
    from sleepc.companion.painting.icons import state_pixmap
    from sleepc.companion.theme import LIGHT
    from sleepc.companion.views import Shape

    forms: dict[bytes, Shape] = {}
    for shape in Shape:
        alpha = state_pixmap(shape, LIGHT, 22, 1.0).toImage().convertToFormat(_alpha())
        form = bytes(alpha.constBits())
        assert form not in forms, f"{shape} looks like {forms.get(form)}"
        forms[form] = shape


def _alpha() -> object:
    from PySide6.QtGui import QImage

    return QImage.Format.Format_Alpha8


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_can_be_read_in_both_appearances(qt: QApplication) -> None:
    from sleepc.companion.theme import DARK, LIGHT

    for colours in (LIGHT, DARK):
        for ground in (colours.window, colours.surface):
            for ink in (colours.text, colours.muted, colours.bad, colours.good, colours.accent):
                assert contrast(ink, ground) >= 4.5, (ink, ground)
        assert contrast(colours.on_accent, colours.accent) >= 4.5
        assert contrast(colours.accent, colours.tint) >= 4.5


@quick
@given(st.floats(0.001, 1e7), st.integers(1, 12))
def test_ticks_are_few_and_within(seconds: float, most: int) -> None:
    found = ticks(seconds, most)
    assert found[0] == 0.0
    assert found[-1] <= seconds
    assert len(found) <= most + 1


@quick
@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_bounds_hold_what_they_are_asked_to(low: float, spread: float) -> None:
    lower, upper, step = bounds(low, low + spread)
    slack = 1e-6 * max(1.0, abs(low), spread)
    assert lower <= low + slack
    assert upper >= low + spread - slack
    assert step > 0
    assert (upper - lower) / step < 9
