"""`python -m sleepengine.host`: the process that owns the model. Started by the daemon, never by hand.

It talks over the inherited socket `--fd`, ignores SIGINT (a Ctrl-C in the daemon's terminal is the daemon's business),
and ends when the socket closes.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from sleepengine.errors import EngineError
from sleepengine.host.channel import Channel, Closed
from sleepengine.host.loop import Engine, Loop
from sleepengine.host.messages import Failed, Loading
from sleepengine.logs import HumanFormatter, hide_messages_of_crashes


def main() -> int:
    """Load, then serve until the parent is gone. Exit code 0 then, 1 where loading failed."""
    arguments = _parse()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _log_to_stderr(arguments.log_level)
    os.nice(arguments.nice)
    channel = Channel(socket.socket(fileno=arguments.fd))
    try:
        try:
            engine = _engine(arguments, channel)
        except EngineError as error:
            channel.send(Failed(id="", code=error.code, message=str(error)))
            return 1
        Loop(engine, channel).run()
    except Closed:
        return 0
    return 0


def _engine(arguments: argparse.Namespace, channel: Channel) -> Engine:
    if arguments.backend == "fake":
        from sleepengine.host.fake import FakeEngine

        return FakeEngine(arguments.model, Path(arguments.blobs))
    from sleepengine.host.startup import load_engine

    return load_engine(
        model=arguments.model,
        models_dir=Path(arguments.models_dir),
        blobs_dir=Path(arguments.blobs),
        device=arguments.device,
        editor=arguments.editor,
        backend=arguments.backend,
        dtype=arguments.dtype,
        announce=lambda phase: channel.send(Loading(phase=phase)),
    )


def _log_to_stderr(level: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(HumanFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    hide_messages_of_crashes(logging.getLogger("sleepengine.host"))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sleepengine.host", description="The process that owns the model.")
    parser.add_argument("--fd", type=int, required=True, help="inherited stream socket to the daemon")
    parser.add_argument("--backend", choices=("auto", "torch", "mlx", "fake"), default="auto")
    parser.add_argument("--model", required=True, help="short name, hub name or folder")
    parser.add_argument("--models-dir", required=True)
    parser.add_argument("--blobs", required=True, help="folder of the blob store")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N, mps; of mlx auto, cpu, gpu")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16, float16, int8")
    parser.add_argument("--editor", choices=("gated", "memit"), default="gated")
    parser.add_argument("--nice", type=int, default=0, help="how far to let other processes go first, 0 to 19")
    parser.add_argument("--log-level", default="info")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
