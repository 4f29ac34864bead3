"""Counts and durations since the daemon started, in the text format that Prometheus reads."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sleepd.protocol.messages import StatusReply

if TYPE_CHECKING:
    from prometheus_client import Metric

BUCKETS = (0.005, 0.05, 0.5, 5.0, 50.0)  # seconds


class Metrics:
    """What the server counts. Used from the event loop's thread."""

    def __init__(self) -> None:
        self._ended: Counter[tuple[str, str]] = Counter()  # request type and "done" or the error's code
        self._seconds: dict[str, float] = {}
        self._buckets: Counter[tuple[str, float]] = Counter()
        self.dropped = 0  # messages that nobody could be answered for, and answers that nobody took

    def ended(self, kind: str, outcome: str, seconds: float) -> None:
        """A request came to its end."""
        self._ended[kind, outcome] += 1
        self._seconds[kind] = self._seconds.get(kind, 0.0) + seconds
        for bucket in BUCKETS:
            if seconds <= bucket:
                self._buckets[kind, bucket] += 1

    def text(self, status: StatusReply, in_work: int) -> str:
        """All of it, with the state as `status` tells it."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Once([*self._requests(), *_state(status, in_work)]))
        return generate_latest(registry).decode()

    def _requests(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        ended = CounterMetricFamily("sleepd_requests", "Requests and how they ended.", labels=["type", "outcome"])
        for (kind, outcome), count in sorted(self._ended.items()):
            ended.add_metric([kind, outcome], count)
        yield ended
        seconds = HistogramMetricFamily("sleepd_request_seconds", "Time to the end of a request.", labels=["type"])
        for kind in sorted(self._seconds):
            total = sum(count for (name, _), count in self._ended.items() if name == kind)
            buckets = [(str(bucket), float(self._buckets[kind, bucket])) for bucket in BUCKETS]
            seconds.add_metric([kind], [*buckets, ("+Inf", float(total))], self._seconds[kind])
        yield seconds
        yield CounterMetricFamily("sleepd_dropped_messages", "Messages that were dropped.", value=self.dropped)


class _Once:
    """A collector of metrics that are made already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _state(status: StatusReply, in_work: int) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

    info = {"version": status.version, "model": status.model, "device": status.host.device or ""}
    yield InfoMetricFamily("sleepd", "What runs.", value=info)
    state = GaugeMetricFamily("sleepd_state", "1 for the state that the daemon is in.", labels=["state"])
    state.add_metric([status.state], 1)
    yield state
    facts = GaugeMetricFamily("sleepd_facts", "Facts by stage.", labels=["stage"])
    for name in ("active", "consolidating", "consolidated", "pending"):
        facts.add_metric([name], getattr(status.facts, name))
    yield facts
    memory = GaugeMetricFamily("sleepd_resident_bytes", "Resident memory by process.", labels=["process"])
    memory.add_metric(["daemon"], status.resident_bytes)
    memory.add_metric(["host"], status.host.resident_bytes)
    yield memory
    disk = GaugeMetricFamily("sleepd_disk_bytes", "Bytes on disk by part.", labels=["part"])
    for name in ("ledger", "blobs", "logs", "quarantine", "total", "free"):
        disk.add_metric([name], getattr(status.storage, name))
    yield disk
    for name, text, value in (
        ("sleepd_uptime_seconds", "Since the daemon started.", status.uptime),
        ("sleepd_device_bytes", "Held on the device by the model and its views.", status.host.device_bytes),
        ("sleepd_pressure", "The need for sleep, 0 to 1.", status.pressure),
        ("sleepd_generation", "The adapter generation that is active.", status.generation),
        ("sleepd_host_restarts", "How often the model process was restarted.", status.host.restarts),
        ("sleepd_requests_in_work", "Requests that are being answered.", in_work),
        ("sleepd_storage_notices", "Troubles with storage since the daemon started.", len(status.storage.notices)),
    ):
        yield GaugeMetricFamily(name, text, value=value)


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the platform does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
