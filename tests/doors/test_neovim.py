"""The Neovim plugin in a headless Neovim, over `sleepc bridge` and a daemon with the fake engine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle.conftest import Place

PLUGIN = Path(__file__).resolve().parents[2] / "client" / "nvim"
BEGIN = """
local notes = {}
vim.notify = function(message) table.insert(notes, message) end
local sleepd = require("sleepd")
local function answer()
  local buffer = vim.fn.bufnr("sleepd://answer")
  return buffer < 0 and "" or table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, true), "\\n")
end
local function until_true(condition) assert(vim.wait(50000, condition, 10), vim.inspect(notes) .. answer()) end
"""

pytestmark = pytest.mark.skipif(shutil.which("nvim") is None, reason="Neovim is not installed")


def run(place: Place, tmp_path: Path, script: str) -> Any:
    """What a script returns, run by a Neovim that has nothing but the plugin."""
    file, result = tmp_path / "script.lua", tmp_path / "result.json"
    command = json.dumps([sys.executable, "-m", "sleepc", "bridge"]).replace("[", "{").replace("]", "}")
    body = f"{BEGIN}sleepd.command = {command}\nlocal function work()\n{script}\nend\n"
    ending = 'local ok, found = xpcall(work, debug.traceback)\nvim.fn.writefile({vim.json.encode({ok, found})}, "%s")\n'
    file.write_text(body + ending % result + 'vim.cmd("qall!")\n')
    nvim = ["nvim", "--headless", "-u", "NONE", "-i", "NONE", "--cmd", f"set rtp^={PLUGIN}"]
    nvim += ["-c", f"runtime plugin/sleepd.lua | luafile {file}"]
    subprocess.run(nvim, env=place.environment, check=True, timeout=120, capture_output=True)
    ok, found = json.loads(result.read_text())
    assert ok, found
    return found


def test_ask_remember_and_status(place: Place, tmp_path: Path) -> None:
    notes, first, about, window = run(
        place,
        tmp_path,
        """
        vim.cmd("SleepdAsk count to 3")
        until_true(function() return answer() == "1 2 3" end)
        local first, windows = answer(), #vim.api.nvim_list_wins()
        vim.cmd("SleepdRemember Mara Lindqvist lives in Lisbon.")
        until_true(function() return #notes == 1 end)
        vim.cmd("SleepdRemember Is this a question?")
        until_true(function() return #notes == 2 end)
        vim.cmd("SleepdStatus")
        until_true(function() return #notes == 3 end)
        vim.api.nvim_buf_set_lines(0, 0, -1, true, { "count", "to many" })
        vim.cmd("1,2SleepdAsk Where does Mara Lindqvist live?")
        until_true(function() return answer():match("%.$") end)
        return { notes, first, answer(), windows }
        """,
    )
    assert notes[0] == "sleepd: learned: Mara Lindqvist lives in Lisbon."
    assert notes[1].startswith("sleepd: refused: ")
    assert notes[2].startswith("sleepd: awake: ")
    assert (first, about, window) == ("1 2 3", "I do not know.", 2)  # the lines went with the question


def test_an_answer_can_be_stopped_and_another_asked(place: Place, tmp_path: Path) -> None:
    stopped, again = run(
        place,
        tmp_path,
        """
        local id = sleepd.ask("count to 100000")
        until_true(function() return answer():match("^1 2 3") end)
        sleepd.stop()
        until_true(function() vim.wait(50); local a = answer(); vim.wait(200); return a == answer() end)
        local stopped = #answer()
        sleepd.ask("count to 90000")
        until_true(function() return answer():match("^1 2 3") end)
        sleepd.ask("count to 2")  -- in the place of the one that is being written
        until_true(function() return answer() == "1 2" end)
        vim.wait(300)
        return { stopped, answer() }
        """,
    )
    assert stopped < 100000
    assert again == "1 2"


def test_without_a_daemon_it_says_so_and_tries_again(place: Place, tmp_path: Path) -> None:
    nobody = Place(tmp_path / "home", {**place.environment, "SLEEPD_HOME": str(tmp_path / "home")})
    first, second = run(
        nobody,
        tmp_path,
        """
        sleepd.ask("Hello?")
        until_true(function() return answer():match("sleepd start") end)
        local first = answer()
        sleepd.command = { "sleepc-is-not-here" }
        sleepd.ask("Hello?")
        return { first, notes[#notes] }
        """,
    )
    assert "no daemon" in first
    assert second == "sleepd: cannot run sleepc-is-not-here"
