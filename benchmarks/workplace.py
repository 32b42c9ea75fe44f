"""Where a part works: a directory of its own, and how thorough it is asked to be."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass

__all__ = ["Workplace"]


@dataclass(frozen=True)
class Workplace:
    """A directory on the disk that is measured; `quick` only shows that a part runs."""

    directory: str
    quick: bool = False

    def rounds(self, thorough: int) -> int:
        """How many rounds to run."""
        return min(3, thorough) if self.quick else thorough

    def size(self, thorough: int, quick: int) -> int:
        """How large the material is."""
        return quick if self.quick else thorough

    def new_directory(self, name: str) -> str:
        """An empty directory."""
        return tempfile.mkdtemp(prefix=f"{name}-", dir=self.directory)

    def new_url(self, name: str, options: str = "") -> str:
        """The URL of a SQLite store that is not there yet."""
        return f"sqlite:///{os.path.join(self.new_directory(name), 'events.db')}{options}"
