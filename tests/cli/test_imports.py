"""The fast path stays fast: what a shell emit and a run may import."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

HEAVY = {
    "argparse", "ast", "asyncio", "concurrent", "dataclasses", "difflib", "dis", "email", "http",
    "inspect", "logging", "multiprocessing", "optparse", "pathlib", "platform", "random", "shutil",
    "socket", "ssl", "subprocess", "tempfile", "tokenize", "traceback", "unittest", "urllib",
    "uuid", "zipfile", "importlib.metadata", "importlib.resources",
}  # fmt: skip
MOST_MODULES = 130
"""How many modules a shell emit may load beside those every Python has at its start."""

REPORT = """
import json, sys
before = set(sys.modules)
from tidings.cli import main
code = main(sys.argv[1:])
sys.stderr.write(json.dumps([code, sorted(set(sys.modules) - before)]))
"""


@pytest.mark.parametrize("arguments", [("emit", "x", "a=1", "b:=2"), ("run", "true")])
def test_loads_few_modules(shell: Shell, arguments: tuple[str, ...]) -> None:
    """Neither emit nor run imports anything heavy, nor the modules of other commands."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", REPORT, *arguments],
        capture_output=True,
        env={**shell.environment, "PYTHONPATH": ":".join(sys.path)},
        check=True,
    )
    code, modules = json.loads(done.stderr)
    assert code == 0
    assert not HEAVY.intersection(modules)
    assert not {"tidings.cli.reading", "tidings.cli.help", "tidings.store.query"} & {*modules}
    assert len(modules) < MOST_MODULES
    assert len(shell.events()) == (1 if arguments[0] == "emit" else 2)
