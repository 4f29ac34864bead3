"""A companion without a screen, for a daemon with the fake engine or for a scripted one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.lifecycle.conftest import Place, fake_place

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from sleepc.companion.app import Companion

Until = Callable[[Callable[[], Any]], None]


@pytest.fixture(scope="session")
def qt() -> QApplication:
    """The one application of this process. Without a display unless one was chosen."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    widgets = pytest.importorskip("PySide6.QtWidgets", reason="needs the extra `desktop`", exc_type=ImportError)
    app = widgets.QApplication.instance() or widgets.QApplication([])
    app.setQuitOnLastWindowClosed(False)
    return app  # type: ignore[no-any-return]


@pytest.fixture
def until(qt: QApplication) -> Until:
    """Lets the program run until something holds; fails after a while."""

    def wait(holds: Callable[[], Any], seconds: float = 100.0) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, "it did not come about"
            qt.processEvents()
            time.sleep(0.005)

    return wait


@pytest.fixture
def open_companion(qt: QApplication) -> Iterator[Callable[..., Companion]]:
    """Makes companions, and ends them after the test."""
    from sleepc.companion.app import Companion

    made: list[Companion] = []

    def make(home: Path, *, tray: bool = True) -> Companion:
        companion = Companion(qt, home, tray=tray)
        made.append(companion)
        companion.start()
        return companion

    yield make
    for companion in made:
        companion.window.close()
        companion.close()
        companion.window.deleteLater()
    qt.processEvents()


@pytest.fixture
def own_place(tmp_path: Path) -> Iterator[Place]:
    """A home of its own whose daemon, not started yet, uses the fake engine; stopped at the end."""
    here = fake_place(tmp_path / "home")
    try:
        yield here
    finally:
        here.sleepd("stop")
