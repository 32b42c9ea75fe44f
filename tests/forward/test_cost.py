"""Without an address the forward costs nothing: it is not even loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

EMIT = """
import sys, tidings
with tidings.Bus() as bus:
    bus.emit("a")
    marks = bus.store.keys("forward")
loaded = [name for name in sys.modules if name.startswith(("tidings.forward", "tidings.spool.m"))]
assert not loaded + marks, loaded + marks
"""


@pytest.mark.usefixtures("own_home")
def test_an_emit_without_an_address_loads_nothing_of_it() -> None:
    """Neither the forward nor the marks are imported, and no record is written."""
    subprocess.run([sys.executable, "-c", EMIT], check=True, timeout=60)
