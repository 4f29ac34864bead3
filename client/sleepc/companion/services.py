"""What every page works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .bridge import Bridge
from .control import Control
from .preferences import Preferences
from .state import State
from .theme import Theme


@dataclass(frozen=True)
class Services:
    """The way to the daemon, to the `sleepd` command, and to how things look."""

    bridge: Bridge
    control: Control
    theme: Theme
    preferences: Preferences


class Page(Protocol):
    """A page of the window. It is told each state, and when it is turned to."""

    def show_state(self, state: State) -> None:
        """What is known of the daemon now."""

    def opened(self) -> None:
        """The page is being looked at: fetch what may be old."""

    def closed(self) -> None:
        """It is not looked at any more."""
