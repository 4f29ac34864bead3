"""`sleepd service`: install, uninstall, status."""

from __future__ import annotations

import getpass

import click

from sleepd.cli.options import Common, common
from sleepd.paths import lock_holder
from sleepd.service import install as services

_SYSTEM = click.option("--system", metavar="USER", help="The system unit of that user, from boot on; needs root.")


@click.group("service")
@common
def service(own: Common) -> None:
    """Run the daemon as a service, from login or from boot on."""


@service.command()
@_SYSTEM
@common
def install(own: Common, system: str | None) -> None:
    """Install the service, enable it, and start it; returns when it answers."""
    from sleepd.cli import launching

    unit = services.service(own.place, system)
    if system is None:
        own.place.prepare()
        if lock_holder(own.place) is not None:
            launching.stop(own.place)  # the service takes its place
    unit.install()
    state = unit.state()
    own.show(
        {"path": state.path, "active": state.active, "detail": state.detail},
        f"{state.path} is installed and {state.detail}",
    )
    if isinstance(unit, services.SystemdService) and system is None:
        user = getpass.getuser()
        own.note(f"It runs while you are logged in; `loginctl enable-linger {user}` lets it run from boot on.")


@service.command()
@_SYSTEM
@common
def uninstall(own: Common, system: str | None) -> None:
    """Stop the service and remove it; what was learned stays."""
    unit = services.service(own.place, system)
    unit.uninstall()
    own.show({"path": str(unit.path), "active": False}, f"{unit.path} is removed")


@service.command("status")
@_SYSTEM
@common
def service_status(own: Common, system: str | None) -> None:
    """Show whether the service is installed and runs."""
    state = services.service(own.place, system).state()
    document = {"path": state.path, "installed": state.installed, "active": state.active, "detail": state.detail}
    own.show(document, f"{state.path}: {state.detail}")
