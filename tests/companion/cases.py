"""What several of the companion's tests use."""

from __future__ import annotations

from hypothesis import settings

quick = settings(deadline=None, max_examples=60)
"""For property tests of pure functions: a busy machine is no failure."""
