"""Editors made ready for a model: what an editor measures of it is read from a folder, or measured and kept there."""

from __future__ import annotations

from pathlib import Path

from sleepengine.backends.base import Backend, Work
from sleepengine.wake import covariance, relations
from sleepengine.wake.gated import Gated
from sleepengine.wake.memit import Memit
from sleepengine.wake.profile import EditProfile, GateProfile


def open_memit(backend: Backend, profile: EditProfile, folder: Path) -> Work[Memit]:
    """MEMIT with the covariance of its layers' keys. Raises BlobCorrupt where what is stored is damaged."""
    return Memit(backend, profile, (yield from covariance.cached(backend, profile.layers, folder)))


def open_gated(backend: Backend, profile: GateProfile, folder: Path) -> Work[Gated]:
    """The gated editor with its space of relations. Raises BlobCorrupt where what is stored is damaged."""
    return Gated(backend, profile, (yield from relations.cached(backend, profile.relation_layers, folder)))
