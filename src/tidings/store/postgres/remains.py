"""What pruned events left behind, given to another store and taken over from one."""

from __future__ import annotations

from psycopg.types.numeric import Int8

from tidings.store.adopting import ensure_adoptable, ensure_may_be_pruned
from tidings.store.base import REMAINS_PAGE
from tidings.store.postgres.bookkeeping import numbers
from tidings.store.postgres.planning import SURE_PLANS
from tidings.store.values import Summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.store.postgres.connections import Connections

__all__ = ["adopt", "remains"]


def remains(connections: Connections, after: tuple[str, str] | None) -> list[Summary]:
    """One page of the summaries that began before what is left; see `Store.remains`."""
    kind, name = after or ("", "")
    with connections.snapshot(SURE_PLANS) as connection:
        pruned = numbers(connections, connection).pruned
        values = (Int8(pruned), kind, name, Int8(REMAINS_PAGE))
        rows = connection.execute(connections.sql["remains"], values, binary=True).fetchall()
    return [Summary(*row) for row in rows]


def adopt(connections: Connections, pruned: int, summaries: Sequence[Summary]) -> None:
    """Take over what was pruned elsewhere, and what is left of it; see `Store.adopt`."""
    sql = connections.sql
    with connections.transaction() as connection:
        known = numbers(connections, connection)
        if pruned > known.pruned:
            ensure_may_be_pruned(pruned, known.pruned, known.head - known.pruned - known.gaps)
            known = known._replace(head=max(known.head, pruned), pruned=pruned, gaps=0)
            connection.execute(sql["adopt_pruned"], (Int8(known.head), Int8(pruned)))
        rows = []
        for summary in summaries:
            row = connection.execute(sql["summary_of"], (summary.kind, summary.id)).fetchone()
            ensure_adoptable(summary, None if row is None else Summary(*row), known.pruned)
            rows.append(tuple(summary))
        if rows:
            with connection.cursor() as cursor:
                cursor.executemany(sql["replace_summary"], rows)
