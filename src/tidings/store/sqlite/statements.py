"""The named SQL statements and the migrations that lie beside this file.

It names them; it runs none.
"""

from __future__ import annotations

import os

from tidings.store.sql_files import named_statements, script

__all__ = ["MIGRATIONS", "SQL"]

_HERE = os.path.dirname(__file__)

SQL = named_statements(_HERE)
MIGRATIONS = ("0001.sql",)
"""What brings a store from each schema version to the next; the first makes it from nothing."""


def migration(version: int) -> str:
    """The script that brings a store from `version` to `version + 1`."""
    return script(_HERE, "migrations", MIGRATIONS[version])
