"""Whether who installed the drop-ins without the extra is told the line that installs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT_HTTPX = "import sys; sys.modules['httpx'] = None; "
LINE = "pip install 'tidings-dropins[eventuali-mcp-server]'"


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("import runpy; runpy.run_module('eventuali_mcp_server', run_name='__main__')", 1),
        ("import eventuali_mcp_server; eventuali_mcp_server.EventAPIClient", None),
        ("from eventuali_mcp_server import EventAPIClient", None),
    ],
)
def test_the_line_that_installs_what_is_missing_is_told(code: str, lines: int | None) -> None:
    """By the command alone, in one line; in a program, as the last line of its traceback."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_HTTPX + code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stderr.splitlines()
    assert done.returncode == 1
    assert LINE in said[-1]
    assert lines in {None, len(said)}
