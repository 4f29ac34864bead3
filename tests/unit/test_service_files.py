"""The unit templates that ship as package data."""

from __future__ import annotations

import configparser
import plistlib
from importlib import resources


def test_the_units_are_package_data_and_well_formed() -> None:
    folder = resources.files("sleepd") / "service_files"
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string((folder / "sleepd.service").read_text(encoding="utf-8"))
    assert unit["Service"]["ExecStart"].split()[1:] == ["serve"]
    assert unit["Service"]["UMask"] == "0077"
    agent = plistlib.loads((folder / "io.sleepd.daemon.plist").read_bytes())
    assert agent["ProgramArguments"][1:] == ["serve"]
    assert agent["Umask"] == 0o077
