"""Tells when the daemon's file appears or changes, without looking again and again."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QFileSystemWatcher, QObject, Signal

from sleepd.protocol.endpoint import FILE_NAME


class DaemonFile(QObject):
    """`changed` when HOME/daemon.json came, was replaced or went. Watches only while `watch` is on."""

    changed = Signal()

    def __init__(self, home: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._home = home
        self._seen = self._stamp()
        self._watcher = QFileSystemWatcher(self)
        self._watcher.directoryChanged.connect(lambda _: self._look())

    def watch(self, on: bool) -> None:
        """Begin or end to watch."""
        if on and not self._watcher.directories():
            self._seen = self._stamp()
            self._watch_nearest()
        elif not on and self._watcher.directories():
            self._watcher.removePaths(self._watcher.directories())

    def _watch_nearest(self) -> None:
        """The home, or, where it is not there yet, the nearest folder above it."""
        nearest = next(folder for folder in (self._home, *self._home.parents) if folder.is_dir())
        self._watcher.addPath(str(nearest))

    def _look(self) -> None:
        watched = self._watcher.directories()
        if not watched or (watched != [str(self._home)] and self._home.is_dir()):
            self.watch(False)
            self._watch_nearest()
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            self.changed.emit()

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = (self._home / FILE_NAME).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns
