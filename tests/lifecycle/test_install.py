"""The wheel: built, installed into an environment of its own, upgraded over a living memory, and uninstalled.

The dependencies are lent by the environment that runs the tests; what is tested is the project's own package.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("daemon", "client", "engine", "service-files", "pyproject.toml", "README.md", "LICENSE")
STATEMENT = "Idris Larsson works as a carpenter."

pytestmark = pytest.mark.slow


def build(folder: Path, version: str) -> Path:
    """A wheel of the source as it stands, under a version of the test's choice."""
    source = folder / f"source-{version}"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    project = source / "pyproject.toml"
    lines = project.read_text().splitlines()
    project.write_text("\n".join(f'version = "{version}"' if ln.startswith("version = ") else ln for ln in lines))
    pip(sys.executable, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(source))
    return next(folder.glob(f"sleepd-{version}-*.whl"))


def pip(python: str, *arguments: str) -> None:
    done = subprocess.run([python, "-m", "pip", "--quiet", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Environment:
    """A virtual environment, and a home for its daemon."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.bin = folder / "venv" / "bin"
        self.variables = {k: v for k, v in os.environ.items() if not k.startswith(("SLEEPD_", "PYTHON"))}
        self.variables["SLEEPD_HOME"] = str(self.home)
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        own = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
        (own / "lent.pth").write_text("\n".join(site.getsitepackages()))

    def run(self, *command: str) -> str:
        done = subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            env=self.variables,
            cwd=self.home.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def facts(self) -> list[str]:
        return [fact["statement"] for fact in json.loads(self.run("sleepc", "facts", "--json"))["facts"]]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An older and a newer version."""
    folder = tmp_path_factory.mktemp("wheels")
    return build(folder, "0.0.1"), build(folder, "0.0.2")


def test_install_upgrade_and_uninstall(tmp_path: Path, wheels: tuple[Path, Path]) -> None:
    first, second = wheels
    names = set(zipfile.ZipFile(first).namelist())
    for needed in ("sleepc/py.typed", "sleepd/service_files/sleepd.service", "sleepengine/data/canaries.json"):
        assert needed in names
    assert not any(name.startswith(("tests/", "docs/")) for name in names)

    place = Environment(tmp_path)
    python = str(place.bin / "python")
    pip(python, "install", "--no-deps", "--no-index", str(first))
    where = place.run("python", "-c", "import sleepd, sleepc, sleepengine; print(sleepd.__file__, sleepc.__file__)")
    assert all(part.startswith(str(tmp_path)) for part in where.split())
    place.run("sleepd", "config", "set", "backend", "fake")
    try:
        place.run("sleepd", "start")
        place.run("sleepc", "remember", STATEMENT)
        place.run("sleepd", "stop")

        pip(python, "install", "--no-deps", "--no-index", "--upgrade", str(second))
        assert "0.0.2" in place.run("python", "-m", "pip", "show", "sleepd")
        place.run("sleepd", "start")
        assert place.facts() == [STATEMENT]
        assert STATEMENT in place.run("sleepc", "ask", "What does Idris Larsson work as?")
    finally:
        place.run("sleepd", "stop")

    pip(python, "uninstall", "-y", "sleepd")
    assert not (place.bin / "sleepc").exists()
    assert (place.home / "ledger.db").exists()  # the programs are gone, the memory is not


def lending_wheel(folder: Path) -> Path:
    """A wheel that lends this environment's packages to the one it is installed into."""
    wheel = folder / "lent-0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("lent.pth", "\n".join(site.getsitepackages()) + "\n")
        archive.writestr("lent-0.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: lent\nVersion: 0.0\n")
        archive.writestr("lent-0.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("lent-0.0.dist-info/RECORD", "")
    return wheel


@pytest.mark.skipif(shutil.which("pipx") is None, reason="pipx is not installed")
def test_pipx_installs_upgrades_and_uninstalls(tmp_path: Path, wheels: tuple[Path, Path]) -> None:
    home, programs = tmp_path / "home", tmp_path / "bin"
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("SLEEPD_", "PYTHON"))}
    variables |= {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(programs), "SLEEPD_HOME": str(home)}
    variables["PIPX_DEFAULT_PYTHON"] = sys.executable

    def run(*command: str) -> str:
        done = subprocess.run(
            command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    lent = lending_wheel(tmp_path)

    def installed(wheel: Path, *options: str) -> None:
        run("pipx", "install", *options, "--preinstall", str(lent), "--pip-args=--no-deps", str(wheel))

    def versions() -> list[str]:
        own = (tmp_path / "pipx" / "venvs" / "sleepd" / "lib").glob("python*/site-packages/sleepd-*")
        return [folder.name for folder in own]

    sleepd, sleepc = str(programs / "sleepd"), str(programs / "sleepc")
    installed(wheels[0])
    assert versions() == ["sleepd-0.0.1.dist-info"]
    run(sleepd, "config", "set", "backend", "fake")
    try:
        run(sleepd, "start")
        run(sleepc, "remember", STATEMENT)
        run(sleepd, "stop")
        installed(wheels[1], "--force")
        assert versions() == ["sleepd-0.0.2.dist-info"]
        run(sleepd, "start")
        assert STATEMENT in run(sleepc, "ask", "What does Idris Larsson work as?")
    finally:
        run(sleepd, "stop")
    run("pipx", "uninstall", "sleepd")
    assert not list(programs.iterdir())
    assert (home / "ledger.db").exists()
