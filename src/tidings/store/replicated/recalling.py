"""How commands ended that are applied already: by another process of the machine, or before.

Keeps: every caller gets the true result of its command, whichever process applied it. It only
reads; what is remembered, and for how long, is `bookkeeping`'s matter.
"""

from __future__ import annotations

from tidings.errors import OutcomeUnknown
from tidings.event import Event
from tidings.record import KEY, POSITION
from tidings.store.replicated.bookkeeping import kept_outcome
from tidings.store.replicated.command import APPEND
from tidings.store.sqlite.appending import records_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from typing import Any

    from tidings.store.base import Batch
    from tidings.store.replicated.command import Command

__all__ = ["recalled"]


def recalled(
    connection: sqlite3.Connection, commands: Iterable[Command], count: int
) -> dict[str, list[Any]]:
    """The results of those commands that were applied, by their ids.

    Args:
        connection: the replica's.
        commands: what is asked about.
        count: how many commands the replica has applied.
    """
    found = {}
    for command in commands:
        outcome = kept_outcome(connection, command.id, count)
        if outcome is None:
            continue  # it is still to come, or the last of its parts is
        newest, said = outcome
        if command.kind == APPEND:
            batches = command.content["batches"]
            refusals = [None] * len(batches) if said is None else said
            found[command.id] = [
                _kept(connection, batch, newest) if refusal is None else refusal
                for batch, refusal in zip(batches, refusals, strict=True)
            ]
        else:
            found[command.id] = said or []
    return found


def _kept(
    connection: sqlite3.Connection, batch: Batch, newest: int
) -> list[Event] | OutcomeUnknown:
    keys = [event.record[KEY] for event in batch.events]
    records = records_of(connection, keys)
    # Once it is pruned, an id may come again; that is then another event.
    if any(key not in records or records[key][POSITION] > newest for key in keys):
        return OutcomeUnknown("the events were kept, and have been pruned since")
    return [Event.from_record(records[key]) for key in keys]
