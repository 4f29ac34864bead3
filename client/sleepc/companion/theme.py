"""Colours and style, light and dark; follows the system unless the user chose one."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

from .preferences import Appearance


@dataclass(frozen=True)
class Colours:
    """One appearance. Text on `surface` and `window` has a contrast of at least 4.5 to 1."""

    window: str
    surface: str
    raised: str
    text: str
    muted: str
    line: str
    accent: str
    on_accent: str
    tint: str  # behind the user's own words
    good: str
    warning: str
    bad: str
    awake: str
    drowsy: str
    nap: str
    rem: str
    sws: str


LIGHT = Colours(
    window="#f4f3f8", surface="#ffffff", raised="#eceaf3", text="#1e1b2e", muted="#625e78", line="#dcd9e6",
    accent="#5447c4", on_accent="#ffffff", tint="#e6e3fa", good="#23784a", warning="#8a5a00", bad="#b3302a",
    awake="#c9791b", drowsy="#8d7fc0", nap="#2f8a78", rem="#c43d66", sws="#34439c",
)  # fmt: skip
DARK = Colours(
    window="#13121b", surface="#1c1a27", raised="#292638", text="#edebf6", muted="#a19cb9", line="#373349",
    accent="#9a8fff", on_accent="#14121f", tint="#302b54", good="#62c48e", warning="#e0ad55", bad="#f0837c",
    awake="#f0b45c", drowsy="#a99bdd", nap="#5cc0ac", rem="#f0799b", sws="#8496f5",
)  # fmt: skip


class Theme(QObject):
    """The appearance in force. `changed` is emitted after it was applied."""

    changed = Signal()

    def __init__(self, app: QApplication, appearance: Appearance) -> None:
        super().__init__(app)
        self._app = app
        self._appearance = appearance
        self.colours = LIGHT
        app.setStyle("Fusion")
        app.styleHints().colorSchemeChanged.connect(self._apply)
        self.choose(appearance)

    def choose(self, appearance: Appearance) -> None:
        """Follow the system, or not."""
        self._appearance = appearance
        schemes = {Appearance.LIGHT: Qt.ColorScheme.Light, Appearance.DARK: Qt.ColorScheme.Dark}
        self._app.styleHints().setColorScheme(schemes.get(appearance, Qt.ColorScheme.Unknown))
        self._apply()

    def _apply(self) -> None:
        match self._appearance:
            case Appearance.LIGHT:
                dark = False
            case Appearance.DARK:
                dark = True
            case _:
                dark = self._app.styleHints().colorScheme() == Qt.ColorScheme.Dark
        self.colours = DARK if dark else LIGHT
        self._app.setPalette(palette(self.colours))
        self._app.setStyleSheet(style_sheet(self.colours))
        self.changed.emit()


def palette(colours: Colours) -> QPalette:
    """What Fusion draws with."""
    made = QPalette()
    roles = {
        QPalette.ColorRole.Window: colours.window,
        QPalette.ColorRole.WindowText: colours.text,
        QPalette.ColorRole.Base: colours.surface,
        QPalette.ColorRole.AlternateBase: colours.raised,
        QPalette.ColorRole.Text: colours.text,
        QPalette.ColorRole.PlaceholderText: colours.muted,
        QPalette.ColorRole.Button: colours.surface,
        QPalette.ColorRole.ButtonText: colours.text,
        QPalette.ColorRole.BrightText: colours.bad,
        QPalette.ColorRole.Highlight: colours.accent,
        QPalette.ColorRole.HighlightedText: colours.on_accent,
        QPalette.ColorRole.ToolTipBase: colours.raised,
        QPalette.ColorRole.ToolTipText: colours.text,
        QPalette.ColorRole.Link: colours.accent,
        QPalette.ColorRole.Mid: colours.line,
        QPalette.ColorRole.Accent: colours.accent,
    }
    for role, colour in roles.items():
        made.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText, QPalette.ColorRole.WindowText):
        made.setColor(QPalette.ColorGroup.Disabled, role, mixed(colours.muted, colours.window, 0.35))
    return made


def mixed(one: str, other: str, share: float) -> QColor:
    """`one` with a share of `other` in it."""
    a, b = QColor(one), QColor(other)
    parts = ((x * (1 - share) + y * share) for x, y in zip(a.getRgb()[:3], b.getRgb()[:3], strict=True))  # type: ignore[index]
    return QColor(*(round(part) for part in parts))


def style_sheet(c: Colours) -> str:
    """Rules for what has a name or a role of its own; the rest is Fusion with our palette."""
    faint = mixed(c.muted, c.window, 0.45).name()
    hover = mixed(c.raised, c.accent, 0.10).name()
    pressed = mixed(c.raised, c.accent, 0.22).name()
    return f"""
    QToolTip {{ color: {c.text}; background: {c.raised}; border: 1px solid {c.line}; padding: 4px; }}
    #sidebar {{ background: {c.surface}; border-right: 1px solid {c.line}; }}
    #card {{ background: {c.surface}; border: 1px solid {c.line}; border-radius: 10px; }}
    #notice {{ background: {c.raised}; border: 1px solid {c.line}; border-radius: 10px; }}
    #mine {{ background: {c.tint}; border-radius: 14px; }}
    #aside {{ background: transparent; border-left: 3px solid {c.line}; }}
    #aside[tone="good"] {{ border-left-color: {c.good}; }}
    #aside[tone="ask"] {{ border-left-color: {c.accent}; }}
    #aside[tone="bad"] {{ border-left-color: {c.bad}; }}
    #composer {{ background: {c.surface}; border: 1px solid {c.line}; border-radius: 14px; }}
    #composer[active="true"] {{ border-color: {c.accent}; }}
    #composer QPlainTextEdit {{ background: transparent; border: none; }}
    QLabel[role="muted"] {{ color: {c.muted}; }}
    QLabel[role="bad"] {{ color: {c.bad}; }}
    QLabel[role="good"] {{ color: {c.good}; }}
    QLabel[role="badge"] {{ color: {c.accent}; background: {c.tint}; border-radius: 8px; padding: 2px 8px; }}
    QScrollArea, QScrollArea > QWidget > QWidget#scrolled {{ background: transparent; border: none; }}
    QListView {{
        background: {c.surface}; border: 1px solid {c.line}; border-radius: 10px; padding: 4px; outline: none;
    }}
    QListView:focus {{ border-color: {c.accent}; }}
    QLineEdit, QComboBox, QSpinBox, QTimeEdit {{
        background: {c.surface}; color: {c.text}; border: 1px solid {c.line}; border-radius: 8px; padding: 5px 9px;
        min-height: 20px; selection-background-color: {c.accent}; selection-color: {c.on_accent};
    }}
    QLineEdit:focus, QComboBox:focus, QSpinBox:focus {{ border-color: {c.accent}; }}
    QLineEdit:disabled, QComboBox:disabled, QSpinBox:disabled {{ color: {faint}; }}
    QComboBox::drop-down {{ border: none; width: 22px; }}
    QComboBox QAbstractItemView {{
        background: {c.surface}; color: {c.text}; border: 1px solid {c.line}; padding: 4px;
        selection-background-color: {c.tint}; selection-color: {c.text}; outline: none;
    }}
    QPushButton {{
        background: {c.raised}; color: {c.text}; border: 1px solid transparent; border-radius: 8px;
        padding: 6px 14px; min-height: 18px;
    }}
    QPushButton:hover {{ background: {hover}; }}
    QPushButton:pressed {{ background: {pressed}; }}
    QPushButton:focus {{ border-color: {c.accent}; }}
    QPushButton:disabled {{ color: {faint}; }}
    #notice QPushButton {{ background: {c.surface}; }}
    QPushButton[role="primary"], #notice QPushButton[role="primary"] {{ background: {c.accent}; color: {c.on_accent}; }}
    QPushButton[role="primary"]:hover {{ background: {mixed(c.accent, c.text, 0.15).name()}; }}
    QPushButton[role="primary"]:focus {{ border-color: {c.text}; }}
    QPushButton[role="primary"]:disabled {{ background: {c.raised}; color: {faint}; }}
    QPushButton[role="danger"] {{ color: {c.bad}; }}
    QPushButton[role="danger"]:disabled {{ color: {faint}; }}
    QPushButton[role="link"] {{ background: transparent; color: {c.accent}; padding: 2px 10px 2px 0; }}
    QPushButton[role="link"]:hover {{ color: {c.text}; }}
    QPushButton[role="link"]:disabled {{ color: {faint}; }}
    QPushButton[role="toggle"]:checked {{ background: {c.tint}; color: {c.accent}; }}
    QPushButton[role="page"] {{
        background: transparent; text-align: left; padding: 9px 12px; border-radius: 9px; color: {c.text};
    }}
    QPushButton[role="page"]:hover {{ background: {c.raised}; }}
    QPushButton[role="page"]:checked {{ background: {c.tint}; color: {c.accent}; font-weight: 600; }}
    QPushButton[role="page"]:focus {{ border-color: {c.accent}; }}
    QPlainTextEdit#log {{
        background: {c.surface}; color: {c.text}; border: 1px solid {c.line}; border-radius: 10px; padding: 6px;
    }}
    QTextBrowser {{ background: transparent; color: {c.text}; border: none; }}
    QSplitter::handle {{ background: transparent; }}
    QScrollBar:vertical {{ background: transparent; width: 10px; margin: 2px; }}
    QScrollBar::handle:vertical {{ background: {c.line}; border-radius: 3px; min-height: 28px; }}
    QScrollBar::handle:vertical:hover {{ background: {c.muted}; }}
    QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 2px; }}
    QScrollBar::handle:horizontal {{ background: {c.line}; border-radius: 3px; min-width: 28px; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
    QMenu {{ background: {c.surface}; color: {c.text}; border: 1px solid {c.line}; padding: 5px; }}
    QMenu::item {{ padding: 6px 22px 6px 12px; border-radius: 6px; }}
    QMenu::item:selected {{ background: {c.tint}; }}
    QMenu::item:disabled {{ color: {faint}; }}
    QMenu::separator {{ height: 1px; background: {c.line}; margin: 5px 8px; }}
    """
