"""The shared directory as a log: the contract of every log, on a local disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.replicated.log_contract import LogContract
from tidings.store.shared import SharedLog

if TYPE_CHECKING:
    from pathlib import Path


class TestSharedLog(LogContract):
    """The contract of `Log`."""

    def open_log(self, directory: Path) -> SharedLog:
        """The log in a directory beside its replica."""
        return SharedLog(f"{directory}/shared", f"{directory}/replica")
