"""The commands of `sleepd`."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from sleepd import __version__, config as configuration
from sleepd.cli import measuring, observing, services, storage
from sleepd.cli.models import chosen_model, fetch
from sleepd.cli.options import Common, common
from sleepd.protocol.errors import Busy, from_code
from sleepd.protocol.messages import HostStatus
from sleepengine.errors import EngineError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sleepd")
@common
def cli(own: Common) -> None:
    """A daemon that owns a local language model and gives it durable memory in its weights."""


@cli.command()
@click.option("--model", help="Use this model from now on: a short name, a Hugging Face name or a folder.")
@click.option("--foreground", is_flag=True, help="Stay in this terminal and log to it.")
@common
def start(own: Common, model: str | None, foreground: bool) -> None:
    """Start the daemon; fetch the model first where it is missing."""
    from sleepd.cli import launching
    from sleepd.paths import lock_holder

    home = own.place
    home.prepare()
    running = lock_holder(home)
    if running is not None and foreground:
        raise Busy(f"a daemon already runs for {home.root} (pid {running})")
    if running is None:
        wanted = chosen_model(own, model)
        if configuration.load(home.config_file).backend != "fake":
            fetch(own, wanted)
        if model is not None:
            configuration.set_value(home.config_file, "model", wanted)
    elif model is not None:
        own.note(f"sleepd: pid {running} keeps its model; `sleepd restart --model {model}` changes it")
    if foreground:
        from sleepd.app import run

        run(home, foreground=True)
        return
    info = launching.start(home)
    own.show({"pid": info.pid, "socket": info.requests}, f"sleepd runs (pid {info.pid})")


@cli.command(hidden=True)
@common
def serve(own: Common) -> None:
    """Be the daemon; what `start` runs in the background."""
    from sleepd.app import run

    run(own.place, foreground=False)


@cli.command()
@common
def stop(own: Common) -> None:
    """Stop the daemon; returns when it has ended."""
    from sleepd.cli import launching

    pid = launching.stop(own.place)
    own.show({"pid": pid}, "no daemon ran" if pid is None else f"sleepd stopped (pid {pid})")


@cli.command()
@click.option("--model", help="Use this model from now on.")
@click.pass_context
@common
def restart(own: Common, context: click.Context, model: str | None) -> None:
    """Stop the daemon and start it again."""
    from sleepd.cli import launching

    if model is not None:
        fetch(own, chosen_model(own, model))
    launching.stop(own.place)
    context.invoke(start, model=model, foreground=False, home=own.home, as_json=own.as_json)


@cli.command()
@common
def status(own: Common) -> None:
    """Show whether the daemon runs and what it is doing."""
    from sleepd.cli import launching

    reply = launching.status(own.place)
    document = msgspec.to_builtins(reply) | {"socket": _socket(own)}
    counts = reply.facts
    text = (
        f"{reply.state}: {reply.why}\n"
        f"pid {reply.pid}, {reply.model}, generation {reply.generation}\n"
        f"facts: {counts.active} active, {counts.consolidating} consolidating, "
        f"{counts.consolidated} consolidated, {counts.pending} pending\n"
        f"memory: {_megabytes(reply.resident_bytes)}, model process {_megabytes(reply.host.resident_bytes)}"
        f"{_on_device(reply.host)}\n"
        f"disk: {_megabytes(reply.storage.total)}, {_megabytes(reply.storage.free)} free"
    )
    for notice in reply.storage.notices:
        text += f"\nstorage: {notice}"
    if reply.config_error:
        text += f"\nsettings: {reply.config_error}"
    own.show(document, text)


# --- models -------------------------------------------------------------------------------------------------------


@cli.group()
@common
def model(own: Common) -> None:
    """Fetch, list and remove base models."""


@model.command("pull")
@click.argument("name", required=False)
@common
def model_pull(own: Common, name: str | None) -> None:
    """Fetch and convert a model: a short name, a Hugging Face name or a folder."""
    own.place.prepare()
    record = fetch(own, chosen_model(own, name))
    own.show(_model_document(record), f"{record.display_name} is ready in {record.path}")


@model.command("list")
@common
def model_list(own: Common) -> None:
    """List the models on this machine."""
    from sleepengine.models.registry import list_models

    records = list_models(own.place.models)
    lines = [f"{r.name}\t{r.bytes / 1e6:,.0f} MB\t{r.source}" for r in records]
    own.show({"models": [_model_document(r) for r in records]}, "\n".join(lines) or "no models yet")


@model.command("rm")
@click.argument("name")
@common
def model_rm(own: Common, name: str) -> None:
    """Remove a model from this machine; what was learned on it stays."""
    from sleepengine.models.registry import remove

    try:
        remove(name, own.place.models)
    except EngineError as error:
        raise from_code(error.code, str(error)) from error
    own.show({"removed": name}, f"{name} is removed")


def _model_document(record: Any) -> dict[str, Any]:
    return {key: getattr(record, key) for key in ("name", "path", "identity", "source", "bytes")}


# --- settings and logs --------------------------------------------------------------------------------------------


@cli.group()
@common
def config(own: Common) -> None:
    """Read and change settings. A running daemon takes them over; model and device at its next start."""


@config.command("get")
@click.argument("key", required=False)
@common
def config_get(own: Common, key: str | None) -> None:
    """Show one setting, or all."""
    file = own.place.config_file
    values = dict(configuration.keys(configuration.load(file))) if key is None else {key: configuration.get(file, key)}
    text = "\n".join(f"{name} = {value}" for name, value in values.items()) if key is None else str(values[key])
    own.show(values, text)


@config.command("set")
@click.argument("key")
@click.argument("value")
@common
def config_set(own: Common, key: str, value: str) -> None:
    """Change one setting."""
    own.place.prepare()
    now = configuration.set_value(own.place.config_file, key, value)
    own.show({key: now}, f"{key} = {now}")


@config.command("path")
@common
def config_path(own: Common) -> None:
    """Show where the settings are."""
    path = str(own.place.config_file)
    own.show({"path": path}, path)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _on_device(host: HostStatus) -> str:
    """Of an accelerator; on a CPU the model lies in the process's own memory."""
    if host.device in (None, "cpu") or not host.device_bytes:
        return ""
    return f", {_megabytes(host.device_bytes)} on {host.device}"


def _socket(own: Common) -> str:
    from sleepd.protocol import endpoint

    return endpoint.read(own.place.root).requests


for module_command in (
    observing.logs,
    observing.metrics,
    services.service,
    storage.fsck,
    storage.backup,
    storage.restore,
    measuring.bench,
    measuring.calibrate,
):
    cli.add_command(module_command)
