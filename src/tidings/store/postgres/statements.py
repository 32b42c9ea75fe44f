"""The named SQL statements and the migrations that lie beside this file, for one schema each.

Names are qualified in every statement: a `search_path` would be lost behind a pooler that gives
each transaction another connection. It runs nothing.
"""

from __future__ import annotations

import os
from functools import lru_cache

from tidings.store.sql_files import named_statements, script

__all__ = ["MIGRATIONS", "literal", "migration", "quoted", "statements"]

_HERE = os.path.dirname(__file__)
_FILES = ("queries.sql", "reading.sql", "upkeep.sql")

MIGRATIONS = ("0001.sql",)
"""What brings a store from each schema version to the next; the first makes it from nothing."""


@lru_cache(maxsize=64)
def statements(schema: str) -> dict[str, str]:
    """The named statements.

    Args:
        schema: the schema's name, not quoted.
    """
    found: dict[str, str] = {}
    for file in _FILES:
        found |= named_statements(_HERE, file)
    return {name: text.replace("{schema}", quoted(schema)) for name, text in found.items()}


def migration(version: int, schema: str) -> str:
    """The script that brings a store from `version` to `version + 1`."""
    return script(_HERE, "migrations", MIGRATIONS[version]).replace("{schema}", quoted(schema))


def quoted(name: str) -> str:
    """A name as SQL says it.

    >>> quoted('my "own" one')
    '"my ""own"" one"'
    """
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def literal(text: str) -> str:
    """A text as SQL says it, where nothing can be bound; standard since PostgreSQL 9.1.

    >>> literal("it's")
    "'it''s'"
    """
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
