"""What the disk keeps and for how long: by a clock that is believed."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sleepd.storage.keeping import clock_is_trusted
from sleepengine.memory.ledger import Ledger

START = datetime(2026, 3, 1, tzinfo=UTC)
LEAP = timedelta(days=15)


def test_a_clock_that_leapt_is_believed_after_a_day_of_it(tmp_path: Path) -> None:
    with closing(Ledger.open(tmp_path / "ledger.db")) as ledger:

        def trusted(**since: float) -> bool:
            return clock_is_trusted(ledger, START + timedelta(**since), LEAP)

        assert trusted()
        assert trusted(days=1)
        assert trusted(days=9), "a week without the machine is no leap"
        assert not trusted(days=400)
        assert not trusted(days=400, hours=23)
        assert trusted(days=401, hours=1), "it was switched off for so long"
        assert not trusted(days=10), "or it was wrong, and was set right"
        assert not trusted(days=10, minutes=5)
        assert trusted(days=11, minutes=6)
        assert trusted(days=11, minutes=5.5), "small corrections are no leap"
