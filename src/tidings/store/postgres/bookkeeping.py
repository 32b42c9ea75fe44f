"""What the store knows of itself beside the log: the one row of `head`.

It only reads; appending, pruning and the ledger write it.
"""

from __future__ import annotations

from collections import namedtuple

from tidings.store.postgres.failures import damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from psycopg import Connection

    from tidings.store.postgres.connections import Connections

__all__ = ["Numbers", "numbers", "numbers_of"]


class Numbers(namedtuple("Numbers", "head pruned gaps revision")):
    """What a store knows of itself.

    `head` is the newest position ever kept, `pruned` the last one pruned away, `gaps` how many
    positions past it have no event, because restored ones left them out, `revision` the newest one
    of the ledger.
    """

    __slots__ = ()

    head: int
    pruned: int
    gaps: int
    revision: int


def numbers(connections: Connections, connection: Connection[Any]) -> Numbers:
    """What the store knows of itself."""
    return numbers_of(connections.url, connection.execute(connections.sql["head"]).fetchall())


def numbers_of(url: str, rows: list[tuple[Any, ...]]) -> Numbers:
    """What the rows of `head` say.

    Raises:
        StoreDamaged: there is another number of them than one.
    """
    if len(rows) != 1:
        raise damaged(url, f"the row of its own numbers stands there {len(rows)} times")
    return Numbers(*rows[0])
