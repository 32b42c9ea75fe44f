"""Processes that talk to many raise their limit of open files, as far as they may."""

from __future__ import annotations

import subprocess
import sys

_PROCESS = """
import resource
from tidings.open_files import allow_many

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256))
allow_many()
allow_many()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_limit_is_raised_as_far_as_it_goes() -> None:
    """The soft limit becomes the hard one; again is harmless."""
    ran = subprocess.run(
        [sys.executable, "-c", _PROCESS], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "(256, 256)\n"
