"""SQL lives in files: how the named statements of one are read.

It reads and names them; it runs none.
"""

from __future__ import annotations

import os

__all__ = ["named_statements", "script"]


def script(directory: str, *names: str) -> str:
    """The text of a file below a directory."""
    with open(os.path.join(directory, *names), encoding="utf-8") as file:
        return file.read()


def named_statements(directory: str, name: str = "queries.sql") -> dict[str, str]:
    """The statements of a file in which `-- name: …` stands before each; comments are left out."""
    statements = {}
    for part in script(directory, name).split("-- name: ")[1:]:
        title, _, body = part.partition("\n")
        lines = [line for line in body.splitlines() if not line.startswith("--")]
        statements[title.strip()] = "\n".join(lines).strip()
    return statements
