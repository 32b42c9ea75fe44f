"""`tidings doctor` notices what stands in the drop-ins' way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

SOURCES = Path(__file__).parents[2] / "src"


def install(directory: Path, name: str, version: str) -> None:
    """Have a distribution look installed, as pip would have left it."""
    facts = directory / f"{name.replace('-', '_')}-{version}.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_originals_beside_the_drop_ins_are_named(shell: Shell, tmp_path: Path) -> None:
    """Each with its version, what that means and the remedy; so is a file in the way of a name."""
    install(tmp_path, "scitex-events", "0.1.7")
    install(tmp_path, "eventuali-mcp-server", "0.2.2")
    foreign = tmp_path / "events_py.py"
    foreign.write_text("raise RuntimeError('imported by a doctor')")
    done = shell("doctor", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    found = [finding for finding in findings if finding["about"] == "drop-ins"]
    assert [finding["well"] for finding in found] == [False, False, False]
    scitex, mcp, astray = found
    assert "scitex-events 0.1.7 is installed beside" in scitex["found"]
    assert "pip uninstall scitex-events && pip install --force-reinstall" in scitex["remedy"]
    assert "eventuali-mcp-server 0.2.2" in mcp["found"]
    assert f"events_py is imported from {foreign}" in astray["found"]


def test_nothing_is_said_where_there_are_no_drop_ins() -> None:
    """The originals alone are no business of Tidings."""
    script = (
        f"import sys; sys.path.insert(0, {str(SOURCES)!r})\n"
        "from tidings.cli import originals; print([*originals.look()])"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert run.stdout == "[]\n"


def test_where_all_is_well_the_names_are_listed(shell: Shell) -> None:
    """One line for all of them."""
    (found,) = [each for each in shell.json("doctor") if each["about"] == "drop-ins"]
    assert found["well"] is True
    assert "brings scitex_events, events_py, " in found["found"]
