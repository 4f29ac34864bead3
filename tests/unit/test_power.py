"""Whether the machine runs on battery, from what Linux tells in /sys/class/power_supply."""

from __future__ import annotations

from pathlib import Path

import pytest

from sleepd.sleep.power import on_battery

DISCHARGING = {"type": "Battery", "status": "Discharging"}
MOUSE = {"type": "Battery", "status": "Discharging", "scope": "Device"}
MAINS = {"type": "Mains", "online": "1"}
UNPLUGGED = {"type": "Mains", "online": "0"}


@pytest.mark.parametrize(
    ("supplies", "expected"),
    [
        ({}, False),
        ({"AC": MAINS}, False),
        ({"AC": UNPLUGGED, "BAT0": DISCHARGING}, True),
        ({"AC": MAINS, "BAT0": DISCHARGING}, False),
        ({"BAT0": {"type": "Battery", "status": "Full"}}, False),
        ({"mouse": MOUSE}, False),
        ({"odd": {}}, False),
    ],
)
def test_what_the_supplies_tell(tmp_path: Path, supplies: dict[str, dict[str, str]], expected: bool) -> None:
    for name, files in supplies.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(f"{text}\n")
    assert on_battery(tmp_path) is expected


def test_a_machine_that_tells_nothing_is_on_the_mains(tmp_path: Path) -> None:
    assert on_battery(tmp_path / "absent") is False
