"""The named SQL statements and the migrations that lie beside this file.

It reads and names them; it runs none.
"""

from __future__ import annotations

import os

__all__ = ["MIGRATIONS", "SQL"]

_HERE = os.path.dirname(__file__)


def _read(*path: str) -> str:
    with open(os.path.join(_HERE, *path), encoding="utf-8") as file:
        return file.read()


def _named(text: str) -> dict[str, str]:
    """The statements of a file in which `-- name: …` stands before each."""
    statements = {}
    for part in text.split("-- name: ")[1:]:
        name, _, body = part.partition("\n")
        lines = [line for line in body.splitlines() if not line.startswith("--")]
        statements[name.strip()] = "\n".join(lines).strip()
    return statements


SQL = _named(_read("queries.sql"))
MIGRATIONS = ("0001.sql",)
"""What brings a store from each schema version to the next; the first makes it from nothing."""


def migration(version: int) -> str:
    """The script that brings a store from `version` to `version + 1`."""
    return _read("migrations", MIGRATIONS[version])
