"""Exports of the weights: the host writes them, the ledger says which facts hold."""

from __future__ import annotations

from pathlib import Path

from sleepd.core import Core, relay
from sleepd.facts.learning import HELD
from sleepd.protocol.errors import Refused, UsageError
from sleepd.protocol.export import Export, ExportReply, LeftOut
from sleepd.serving.calls import Call
from sleepengine.host import messages as host
from sleepengine.memory.ledger import Ledger
from sleepengine.memory.view import View


class Exporting:
    """The service `export`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def export(self, call: Call, request: Export) -> ExportReply:
        """Have the live view written. Raises UsageError, Refused, StorageError."""
        core, folder = self._core, Path(request.folder)
        if core.config.network.listen:
            # Whoever holds a key may talk with the model; writing where they please on this machine is another matter.
            raise Refused("a daemon that listens in the network writes no exports; empty network.listen and restart")
        if not folder.is_absolute():
            raise UsageError("export: folder: it must be an absolute path")
        if folder.resolve().is_relative_to(core.home.root.resolve()):
            raise UsageError(f"{folder} lies in the home, which belongs to the daemon")
        link = await core.supervisor.host()
        model = core.model

        def read(ledger: Ledger) -> tuple[View, int, dict[str, str]]:
            statements = {fact.id: fact.statement for fact in ledger.facts(HELD)}
            return ledger.live_view(model), ledger.generation(model)[0], statements

        view, generation, statements = await core.store.run(read)
        order = host.Export(
            id=link.new_order(),
            folder=str(folder),
            view=view,
            merged=request.merged,
            strict=request.strict,
            statements=statements,
        )
        done = await link.run(order, relay(call.emit))
        assert isinstance(done, host.Exported)
        left_out = [LeftOut(id=one.fact_id, statement=one.statement, reason=one.reason) for one in done.left_out]
        return ExportReply(
            path=str(folder),
            merged=request.merged,
            generation=generation,
            edits=done.edits,
            left_out=tuple(left_out),
            files=done.files,
            bytes=done.bytes,
            seconds=done.seconds,
        )
