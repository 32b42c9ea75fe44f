"""What pruned events left behind, given to another store and taken over from one.

Both run inside the caller's transaction, so a replica can use them as they are.
"""

from __future__ import annotations

from tidings.store.adopting import ensure_adoptable, ensure_may_be_pruned
from tidings.store.base import REMAINS_PAGE
from tidings.store.sqlite.bookkeeping import agreed_numbers, checked, checksum, put_numbers
from tidings.store.sqlite.statements import SQL
from tidings.store.values import Summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from typing import Any

__all__ = ["adopt", "remains"]


def remains(connection: sqlite3.Connection, after: tuple[str, str] | None) -> list[Summary]:
    """One page of the summaries that began before what is left; see `Store.remains`."""
    pruned = agreed_numbers(connection).pruned
    kind, name = after or ("", "")
    rows = connection.execute(SQL["remains"], (pruned, kind, name, REMAINS_PAGE))
    return [_as_kept(row) for row in rows]


def adopt(connection: sqlite3.Connection, pruned: int, summaries: Sequence[Summary]) -> None:
    """Take over what was pruned elsewhere, and what is left of it; see `Store.adopt`."""
    known = agreed_numbers(connection)
    if pruned > known.pruned:
        ensure_may_be_pruned(pruned, known.pruned, known.head - known.pruned - known.gaps)
        known = known._replace(pruned=pruned, gaps=0)
        put_numbers(connection, known)
    for summary in summaries:
        row = connection.execute(SQL["summary"], (summary.kind, summary.id)).fetchone()
        ensure_adoptable(summary, None if row is None else _as_kept(row), known.pruned)
        connection.execute(SQL["replace_summary"], (*summary, checksum(*summary)))


def _as_kept(row: tuple[Any, ...]) -> Summary:
    """A row of `summaries`, whose kind is empty where it speaks of a correlation."""
    return Summary(*checked(row, f"the summary of {row[0] or 'correlation'}/{row[1]}"))
