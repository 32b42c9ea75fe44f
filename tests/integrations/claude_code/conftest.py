"""The real command, as Claude Code runs it: with a home of its own, and what a hook is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tidings.bus import Bus
from tidings.testing.elsewhere import PATIENCE


class Hooks:
    """Runs `tidings` as hooks and people do.

    Attributes:
        home: its `TIDINGS_HOME`; the user's home lies above it.
        environment: the variables it is run with.
    """

    def __init__(self, directory: Path) -> None:
        self.home = directory / ".tidings"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("TIDINGS_", "CLAUDE"))}
        homes = {"HOME": str(directory), "TIDINGS_HOME": str(self.home)}
        # No machine is so slow that a store which is there is given up.
        self.environment = {**clean, **homes, "TIDINGS_DEADLINE": str(PATIENCE)}

    @property
    def bus(self) -> Bus:
        """A bus on its store."""
        return Bus(f"sqlite:///{self.home}/events.db", spool=str(self.home / "spool"))

    @property
    def log(self) -> str:
        """What it noted of what it could not keep."""
        path = self.home / "hooks.log"
        return path.read_text() if path.exists() else ""

    def run(
        self, *arguments: str, stdin: Any = b"", **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "tidings", *arguments],
            input=stdin if isinstance(stdin, bytes) else json.dumps(stdin).encode(),
            capture_output=True,
            env={**self.environment, **environment},
            cwd=self.environment["HOME"],
            timeout=PATIENCE,
            check=False,
        )

    def run_shell(self, command: str, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
        """Run a hook's command as Claude Code does."""
        return subprocess.run(
            ["sh", "-c", command],
            input=stdin,
            capture_output=True,
            env=self.environment,
            cwd=self.environment["HOME"],
            timeout=PATIENCE,
            check=False,
        )

    def tell(self, told: Any, *options: str, **environment: str) -> None:
        """Tell a hook something; it says nothing and ends well."""
        done = self.run("ingest", "claude-code", *options, stdin=told, **environment)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.fixture
def hooks(tmp_path: Path) -> Hooks:
    """`tidings` with a home of its own."""
    return Hooks(tmp_path)
