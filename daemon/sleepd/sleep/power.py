"""Whether the machine runs on battery, where the platform tells."""

from __future__ import annotations

from pathlib import Path

SUPPLIES = Path("/sys/class/power_supply")


def on_battery(supplies: Path = SUPPLIES) -> bool:
    """True where a battery discharges and no other supply is connected; False where that cannot be told."""
    discharging = False
    for supply in sorted(supplies.glob("*")):
        match _read(supply / "type"):
            case "Battery" if _read(supply / "scope") != "Device":  # a mouse's battery is not the machine's
                discharging |= _read(supply / "status") == "Discharging"
            case "Mains" | "USB" if _read(supply / "online") == "1":
                return False
    return discharging


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):  # not every supply tells everything
        return ""
