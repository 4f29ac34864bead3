"""What is measured: each continues the same prompt greedily by the same number of tokens."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sleepengine.backends.base import Backend, Mounted, Sampling, Tokens
from sleepengine.errors import EngineError


@dataclass(frozen=True)
class Timing:
    """One run. `first` is seconds until the first token, `rate` tokens a second after it, `tokens` what came out."""

    first: float
    rate: float
    tokens: Tokens


class Contender(Protocol):
    """Something that continues a prompt."""

    name: str
    bytes_a_token: int  # of weights; 0: not known

    def run(self, prompt: Tokens, count: int) -> Timing:
        """Continue `prompt` by up to `count` tokens; a stop token ends it earlier, and the rate counts what came."""


class Ours:
    """sleepd under one view, as a chat is answered."""

    def __init__(self, name: str, backend: Backend, view: Mounted, bytes_a_token: int) -> None:
        self.name, self.bytes_a_token = name, bytes_a_token
        self._backend, self._view = backend, view

    def run(self, prompt: Tokens, count: int) -> Timing:
        return _timed(self._backend.stream(prompt, self._view, Sampling(max_tokens=count)))


class HuggingFace:
    """Transformers' own `generate`, as it comes."""

    name = "Hugging Face generate"

    def __init__(self, model: Any, bytes_a_token: int) -> None:
        self._model, self.bytes_a_token = model, bytes_a_token

    def run(self, prompt: Tokens, count: int) -> Timing:
        stopwatch = _Stopwatch()
        import torch

        ids = torch.tensor([prompt], device=self._model.device)
        stopwatch.begin()
        self._model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False, streamer=stopwatch
        )
        return stopwatch.timing(self._model.generation_config.eos_token_id)


class LlamaCpp:
    """llama.cpp, over a GGUF file of the same model."""

    def __init__(self, gguf: Path, threads: int, context: int) -> None:
        """Raises EngineError where llama-cpp-python is not installed or cannot read the file."""
        try:
            from llama_cpp import Llama
        except ImportError as error:
            raise EngineError("to measure llama.cpp, install llama-cpp-python") from error
        try:
            self._model = Llama(str(gguf), n_ctx=context, n_threads=threads, n_threads_batch=threads, verbose=False)
        except ValueError as error:
            raise EngineError(f"llama.cpp cannot read {gguf}: {error}") from error
        self.name, self.bytes_a_token = f"llama.cpp, {gguf.name}", gguf.stat().st_size

    def run(self, prompt: Tokens, count: int) -> Timing:
        self._model.reset()
        begun, times, tokens = time.perf_counter(), [], []
        for token in self._model.generate(list(prompt), temp=0.0):
            if token == self._model.token_eos():
                break
            times.append(time.perf_counter())
            tokens.append(token)
            if len(tokens) == count:
                break
        return timing(begun, times, tuple(tokens))


class _Stopwatch:
    """A streamer for `generate`: it is given the prompt, then each token."""

    def __init__(self) -> None:
        self._begun, self._times, self._tokens = 0.0, [], []  # type: ignore[var-annotated]

    def begin(self) -> None:
        self._begun = time.perf_counter()

    def put(self, value: Any) -> None:
        if value.dim() > 1:  # the prompt
            return
        self._times.append(time.perf_counter())
        self._tokens.append(int(value[0]))

    def end(self) -> None:
        """Called by `generate` after the last token."""

    def timing(self, eos: int | list[int] | None) -> Timing:
        stops = set(eos) if isinstance(eos, list) else {eos}
        stopped = bool(self._tokens) and self._tokens[-1] in stops
        end = len(self._tokens) - stopped
        return timing(self._begun, self._times[:end], tuple(self._tokens[:end]))


def timing(begun: float, times: list[float], tokens: Tokens) -> Timing:
    """From when each token came. Without a second one there is no rate: 0."""
    first = times[0] - begun if times else 0.0
    return Timing(first, (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0, tokens)


def _timed(stream: Any) -> Timing:
    begun, times, tokens = time.perf_counter(), [], []
    for token in stream:
        if token is not None:
            times.append(time.perf_counter())
            tokens.append(token)
    return timing(begun, times, tuple(tokens))
