"""An order to export, answered: what can be said in weights is written, what cannot is named."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sleepengine.backends.base import Backend, LowRank, ViewTensors
from sleepengine.errors import ExportRefused
from sleepengine.export.adapter import adapter_bytes, write_adapter
from sleepengine.export.folder import appearing
from sleepengine.export.merged import pieces, planned, write_merged
from sleepengine.host.messages import Done, Export, Exported, LeftOut, Progress, as_dict
from sleepengine.host.schedule import Steps
from sleepengine.memory.edits import GatedEdit
from sleepengine.models.registry import ModelRecord, Origin
from sleepengine.wake.editing import Editor, ScaledEdit, Standing

NOT_EXPORTED = "NOT_EXPORTED.json"
NOT_LINEAR = "it is a gated edit, which no adapter and no weight matrix can hold"
NOT_SILENT = "it kept the adapter from telling what no longer holds, and is a gated edit: the export may tell it"
_TOLD_EVERY = 8  # work items


def export(order: Export, backend: Backend, editor: Editor, standing: Standing, base: ModelRecord) -> Steps:
    """Run an order. Raises ExportRefused, ModelUnsupported, StorageFull, StorageFailed; then nothing was written."""
    begun = time.monotonic()
    left_out = left_out_of(standing.edits, order.statements)
    factors = linear_factors(order, backend, editor, standing, left_out)
    names = [file.name for file in base.files]
    changes = planned(base.folder, names, factors, backend.transposed) if order.merged else []
    total = pieces((file.bytes for file in base.files), changes) if order.merged else 1
    with appearing(Path(order.folder), base.bytes if order.merged else adapter_bytes(factors)) as folder:
        yield Progress(id=order.id, phase="writing", done=0, total=total)
        if order.merged:
            for done, _ in enumerate(write_merged(base.folder, names, folder, changes), 1):
                yield None if done % _TOLD_EVERY else Progress(id=order.id, phase="writing", done=done, total=total)
        else:
            write_adapter(folder, factors, base_name(base), transposed=all(map(backend.transposed, factors)))
        if left_out:
            write_left_out(folder, left_out)
        files = sorted(folder.iterdir())
        result = Exported(
            files=tuple(file.name for file in files),
            edits=len(standing.edits) - len(left_out),
            left_out=tuple(left_out),
            bytes=sum(file.stat().st_size for file in files),
            seconds=time.monotonic() - begun,
        )
    yield Done(id=order.id, result=result)


def left_out_of(edits: Sequence[ScaledEdit], statements: dict[str, str]) -> list[LeftOut]:
    """The edits that no export can hold."""
    headers = [scaled.edit.header for scaled in edits if isinstance(scaled.edit, GatedEdit)]
    return [
        LeftOut(
            fact_id=header.fact_id,
            editor=header.editor,
            statement=statements.get(header.fact_id, ""),
            reason=NOT_LINEAR if header.fact_id in statements else NOT_SILENT,
        )
        for header in headers
    ]


def linear_factors(
    order: Export, backend: Backend, editor: Editor, standing: Standing, left_out: Sequence[LeftOut]
) -> dict[str, LowRank]:
    """What can be exported, by module path. Raises ExportRefused where it is nothing, or not all that is wanted."""
    if order.strict and left_out:
        raise ExportRefused(f"{len(left_out)} edits cannot be exported; sleep consolidates them, or leave --strict out")
    linear = tuple(scaled for scaled in standing.edits if not isinstance(scaled.edit, GatedEdit))
    tensors: ViewTensors = editor.tensors(Standing(standing.adapter, standing.generation, linear))
    factors = tensors.by_path(backend.down_path)
    if not factors:
        raise ExportRefused("no sleep has been committed and no edit is linear: there is nothing to export yet")
    return factors


def base_name(base: ModelRecord) -> str:
    """What a PEFT configuration calls the base model: its name on the hub, or the folder that it was loaded from."""
    return base.name if base.origin is Origin.HUB else base.path


def write_left_out(folder: Path, left_out: Sequence[LeftOut]) -> None:
    """Name in the folder what is not in the export."""
    document = [as_dict(one) for one in left_out]
    (folder / NOT_EXPORTED).write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
