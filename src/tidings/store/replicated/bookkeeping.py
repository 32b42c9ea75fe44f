"""What a replica knows beside the store it is: how far it has applied which log, and outcomes.

The functions run inside the caller's transaction, so that state and content never part. Outcomes
are kept for the last 65,536 commands: whoever asked finds its own there, whichever process applied
it, and a command that stands in the log a second time is recognised. That window is counted in
commands, so every replica forgets the same ones at the same place.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import namedtuple
from json import loads

from tidings import errors
from tidings.errors import NotAStore, StoreTooNew, TidingsError
from tidings.store.sql_files import named_statements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    OutcomeRow: TypeAlias = tuple[int, str, int, str | None]

__all__ = [
    "REMEMBERED",
    "SQL",
    "State",
    "applied_as",
    "begin",
    "forget_old",
    "kept_outcome",
    "outcome_row",
    "put_outcomes",
    "put_state",
    "state_of",
    "strip",
]

SQL = named_statements(os.path.dirname(__file__))

REMEMBERED = 65_536
"""How many commands back an outcome is known."""

_FORMAT = 1
"""The newest form of these tables that this Tidings knows."""


class State(namedtuple("State", "identity sequence digest commands")):
    """How far a replica is.

    `identity` is the log's, `sequence` the last entry it is past, `digest` that entry's checksum,
    `commands` how many commands there were.
    """

    __slots__ = ()

    identity: str
    sequence: int
    digest: int
    commands: int


def begin(connection: sqlite3.Connection, identity: str) -> None:
    """Make the tables of a new replica."""
    for statement in ("make_state", "make_outcomes", "make_parts"):
        connection.execute(SQL[statement])
    connection.execute(SQL["begin_state"], (_FORMAT, identity))


def strip(connection: sqlite3.Connection) -> None:
    """Make a replica a store of its own."""
    for statement in ("drop_replica", "drop_outcomes", "drop_all_parts"):
        connection.execute(SQL[statement])


def state_of(connection: sqlite3.Connection, path: str) -> State:
    """How far the replica is.

    Raises:
        NotAStore: the file is no replica.
        StoreTooNew: a newer Tidings made it.
    """
    try:
        row = connection.execute(SQL["state"]).fetchone()
    except sqlite3.OperationalError as error:
        # Asked only now: this is looked at for every append.
        if connection.execute(SQL["there_is_state"]).fetchone()[0]:
            raise
        raise NotAStore(f"{path} is no replica; move it away, and it is made anew") from error
    if row is None:
        raise NotAStore(f"{path} is no replica; move it away, and it is made anew")
    form, *values = row
    if form != _FORMAT:
        raise StoreTooNew(f"{path} is a replica of a newer Tidings; install that here")
    return State(*values)


def put_state(connection: sqlite3.Connection, state: State) -> None:
    """Say how far the replica is now."""
    connection.execute(SQL["put_state"], state[1:])


def outcome_row(number: int, command: str, newest: int, results: list[Any] | None) -> OutcomeRow:
    """The row that remembers how a command ended, for `put_outcomes`.

    Args:
        number: of the command.
        command: its id.
        newest: the newest position among the events that were given back; what has their ids later
            lies past it.
        results: for each of its requests a JSON value or the reason why it was refused; none where
            all events of an append were kept: they say it themselves.
    """
    text = None if results is None else json.dumps([_data_of(result) for result in results])
    return number, command, newest, text


def put_outcomes(connection: sqlite3.Connection, rows: list[OutcomeRow]) -> None:
    """Remember outcomes, in the transaction that applied their commands."""
    connection.executemany(SQL["put_outcome"], rows)


def applied_as(connection: sqlite3.Connection, command: str) -> int:
    """Under which number a command was applied; 0 where it was not, or that is deleted."""
    row = connection.execute(SQL["number"], (command,)).fetchone()
    return 0 if row is None else int(row[0])


def kept_outcome(
    connection: sqlite3.Connection, command: str, commands: int
) -> tuple[int, list[Any] | None] | None:
    """The newest position and the results that `outcome_row` was told of a command.

    Args:
        connection: the replica's.
        command: its id.
        commands: how many there were; those from before the window count as forgotten.

    Returns:
        None where the command was not applied.
    """
    row = connection.execute(SQL["outcome"], (command, commands - REMEMBERED)).fetchone()
    if row is None:
        return None
    return row[0], None if row[1] is None else [_result_of(data) for data in loads(row[1])]


def forget_old(connection: sqlite3.Connection, commands: int) -> None:
    """Forget outcomes, and parts of commands that were never whole, from before the window."""
    for statement in ("forget_outcomes", "forget_parts"):
        connection.execute(SQL[statement], (commands - REMEMBERED,))


def _data_of(result: Any) -> dict[str, Any]:
    if not isinstance(result, TidingsError):
        return {"value": result}
    attributes = {name: _plain(value) for name, value in result.__dict__.items()}
    return {"error": type(result).__name__, "said": str(result), "attributes": attributes}


def _plain(value: Any) -> Any:
    """The value, if JSON can say it, else how a message would show it."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return errors.shorten(value)
    return value


def _result_of(data: dict[str, Any]) -> Any:
    if "error" not in data:
        return data["value"]
    kind = getattr(errors, data["error"], TidingsError)
    error = kind.__new__(kind, data["said"])
    error.args = (data["said"],)
    for name, value in data["attributes"].items():
        setattr(error, name, tuple(value) if isinstance(value, list) else value)
    return error
