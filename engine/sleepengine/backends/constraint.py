"""Generation held to a JSON schema: which tokens may come next. Needs the optional dependency `llguidance`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sleepengine.errors import EngineError


class Constraint:
    """One reply's state. Feed it each token that was chosen; it says which may come next."""

    def __init__(self, tokenizer: Any, vocabulary: int, schema: str) -> None:
        """`tokenizer` is a Hugging Face fast tokenizer, `vocabulary` the width of the logits.

        Raises EngineError without the library, or for a schema that it does not understand.
        """
        try:
            from llguidance import LLMatcher
            from llguidance.hf import from_tokenizer
        except ImportError as error:
            raise EngineError("structured generation needs llguidance: pip install 'sleepd[extraction]'") from error
        self._matcher = LLMatcher(
            from_tokenizer(tokenizer, n_vocab=vocabulary), LLMatcher.grammar_from_json_schema(schema)
        )
        if self._matcher.is_error():
            raise EngineError(f"the schema is not understood: {self._matcher.get_error()}")
        self._vocabulary = vocabulary
        self._mask = np.zeros((vocabulary + 31) // 32, dtype=np.int32)

    @property
    def finished(self) -> bool:
        """Whether the reply is whole."""
        return bool(self._matcher.is_stopped())

    def allowed(self) -> NDArray[np.bool_]:
        """Which tokens keep to the schema; (vocabulary,)."""
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        return np.unpackbits(self._mask.view(np.uint8), bitorder="little")[: self._vocabulary].astype(bool)

    def accept(self, token: int) -> None:
        """Go on after a token that was chosen among those allowed."""
        if not self._matcher.consume_token(token):
            raise EngineError(f"token {token} leaves the schema: {self._matcher.get_error()}")
