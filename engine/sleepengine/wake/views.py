"""From a view's names to tensors in the model: blobs are read, verified, solved together and mounted."""

from __future__ import annotations

from collections import OrderedDict

from sleepengine.backends.base import Backend, Mounted
from sleepengine.memory import generations
from sleepengine.memory.blobs import BlobStore
from sleepengine.memory.edits import Edit, GatedEdit, edit_from_bytes
from sleepengine.memory.view import View
from sleepengine.wake.editing import Editor, ScaledEdit, Standing

KEPT_VIEWS = 4


class Views:
    """Mounts views and keeps the latest few, by digest."""

    def __init__(self, backend: Backend, blobs: BlobStore, editor: Editor) -> None:
        self._backend, self._blobs, self._editor = backend, blobs, editor
        self._mounted: OrderedDict[str, Mounted] = OrderedDict()
        self._gated: dict[str, bool] = {}  # by blob

    def standing(self, view: View) -> Standing:
        """What a view is made of. Raises BlobMissing or BlobCorrupt."""
        adapter = generations.from_bytes(self._blobs.get(view.generation)) if view.generation else None
        edits = tuple(ScaledEdit(self.edit(ref.blob), ref.scale) for ref in view.live_edits)
        return Standing(adapter, view.generation, edits)

    def edit(self, blob: str) -> Edit:
        """One stored edit. Raises BlobMissing or BlobCorrupt."""
        return edit_from_bytes(self._blobs.get(blob))

    def talk_digest(self, view: View) -> str:
        """Names what of a view enters a conversation's cache: the generation and the linear edits. Gated values never
        do (the backend computes with them beside it), so a conversation goes on where a fact was learned or left."""
        linear = tuple(ref for ref in view.live_edits if not self._is_gated(ref.blob))
        return View(generation=view.generation, edits=linear).digest

    def _is_gated(self, blob: str) -> bool:
        if blob not in self._gated:
            self._gated[blob] = isinstance(self.edit(blob), GatedEdit)
        return self._gated[blob]

    def mounted(self, view: View) -> Mounted:
        """The view's tensors where the model is; equal digests share one."""
        digest = view.digest
        if digest not in self._mounted:
            self._mounted[digest] = self._backend.mount(self._editor.tensors(self.standing(view)))
        self._mounted.move_to_end(digest)
        while len(self._mounted) > KEPT_VIEWS:
            self._mounted.popitem(last=False)
        return self._mounted[digest]
