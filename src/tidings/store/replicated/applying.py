"""How commands change a replica: in order of the log, in one transaction with how far it got.

Keeps: every replica comes to the same decisions. What a command does depends on the entries before
it and on nothing else: not on the clock, the machine, or where one transaction ends and the next
begins. A refusal is an outcome like any other; what only this machine suffers (a full disk, a
damaged page) ends the transaction instead, and the same entries are applied later.
"""

from __future__ import annotations

import sqlite3
from contextlib import nullcontext
from zlib import crc32

from tidings.errors import (
    Conflict,
    HistoryPruned,
    InvalidEvent,
    InvalidQuery,
    StoreUnavailable,
    TidingsError,
)
from tidings.record import POSITION
from tidings.store.replicated.bookkeeping import (
    REMEMBERED,
    SQL,
    State,
    applied_as,
    forget_old,
    outcome_row,
    put_outcomes,
    put_state,
    state_of,
)
from tidings.store.replicated.command import (
    ADOPT,
    APPEND,
    DELETE,
    PRUNE,
    PUT,
    REDACT,
    Command,
    command_of,
    part_of,
)
from tidings.store.replicated.recalling import recalled
from tidings.store.sqlite import ledger, upkeep
from tidings.store.sqlite.appending import append_batches, must_look_up, restore_events
from tidings.store.sqlite.bookkeeping import numbers
from tidings.store.sqlite.failures import translate
from tidings.store.sqlite.remains import adopt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from typing import Any

    from tidings.store.base import Batch
    from tidings.store.replicated.bookkeeping import OutcomeRow
    from tidings.store.replicated.command import Part
    from tidings.store.replicated.log import Entry
    from tidings.store.sqlite.bookkeeping import Head

__all__ = ["Applying"]

_REFUSALS = (Conflict, HistoryPruned, InvalidEvent, InvalidQuery)

_SENSELESS = (
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)


class Applying:
    """Entries on their way into a replica, inside the caller's transaction.

    Args:
        connection: in a write transaction.
        head: what is known of the replica's head.
        own: commands that somebody in this process waits for, by id.
        look_up: whether to look ids up first; see `append_batches`.
        path: the replica's file, for messages.
        url: the log's, for messages.

    Attributes:
        outcomes: the results of own commands that are applied, by their ids.
        position: the replica's head.
        reached: the entry the replica was past before.
        redacted: whether payloads were emptied, which the file's WAL may still have.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        head: Head,
        own: Mapping[str, Command],
        *,
        look_up: bool,
        path: str,
        url: str,
    ) -> None:
        self.outcomes: dict[str, list[Any]] = {}
        self.position = head.look_up(connection)
        self._connection = connection
        self._head = head
        self._own = own
        self._look_up = look_up
        self._url = url
        self._before = state_of(connection, path)
        _, self._sequence, self._digest, self._commands = self._before
        self.reached = self._sequence
        self._appends: list[tuple[int, Command]] = []
        self._taken: dict[str, int] = {}
        self._ended: list[OutcomeRow] = []
        self._passed_over = False
        self.redacted = False

    def take(self, entry: Entry) -> None:
        """Apply an entry, unless the replica is past it; what is appended may wait for `finish`."""
        if entry.sequence <= self._before.sequence:
            self._passed_over = True
            return
        part = part_of(entry.data, entry.sequence, self._url)
        self._sequence, self._digest = entry.sequence, crc32(entry.data)
        if part is None:
            return  # whatever a stranger wrote there, it is no command
        body = part.body if part.parts == 1 else self._joined(part)
        if body is not None:
            self._begin(self._read(part, body))

    def finish(self) -> State:
        """Write what waits, and how far the replica is now."""
        self._flush()
        put_outcomes(self._connection, self._ended)
        if self._passed_over:
            # Something was applied before, perhaps by another process and for this one.
            asked = [self._own[id] for id in self._own if id not in self.outcomes]
            self.outcomes |= recalled(self._connection, asked, self._commands)
        state = State(self._before.identity, self._sequence, self._digest, self._commands)
        if state != self._before:
            forget_old(self._connection, self._commands)
            put_state(self._connection, state)
        self._head.move(self._connection, self.position)
        return state

    def _joined(self, part: Part) -> bytes | None:
        """The whole body, once its last part is there; parts before the window count no more."""
        number = self._commands + 1
        self._connection.execute(SQL["put_part"], (part.command, part.part, number, part.body))
        kept = self._connection.execute(
            SQL["parts"], (part.command, number - REMEMBERED)
        ).fetchall()
        if len(kept) < part.parts:
            return None
        self._connection.execute(SQL["drop_parts"], (part.command,))
        return b"".join(body for (body,) in kept)

    def _read(self, part: Part, body: bytes) -> Command:
        own = self._own.get(part.command)
        if own is not None:
            return own
        try:
            return command_of(part.kind, part.command, body)
        except (LookupError, TypeError, ValueError, InvalidQuery) as error:
            raise StoreUnavailable(
                f"entry {self._sequence} of {self._url} says no command that this Tidings knows "
                f"({error}); restore the log from its backup, or install a newer Tidings"
            ) from error

    def _begin(self, command: Command) -> None:
        """Apply a command that is whole, unless it was applied before."""
        self._commands += 1
        if self._was_applied(command):
            return
        self._taken[command.id] = self._commands
        if command.kind == APPEND:
            self._appends.append((self._commands, command))
            return
        self._flush()
        self._end(self._commands, command, [self._attempt(command)])

    def _was_applied(self, command: Command) -> bool:
        number = self._taken.get(command.id)
        if number is None:
            number = applied_as(self._connection, command.id)
            self._passed_over = self._passed_over or number > 0
        # By its number, and not by what the table still has: that is the same on every replica.
        return bool(0 < number > self._commands - REMEMBERED)

    def _end(self, number: int, command: Command, results: list[Any]) -> None:
        kept = [each for each in results if isinstance(each, list)]
        newest = max([event.record[POSITION] for events in kept for event in events], default=0)
        said = [None if isinstance(each, list) else each for each in results]
        row = outcome_row(number, command.id, newest, None if len(kept) == len(said) else said)
        self._ended.append(row)
        if command.id in self._own:
            self.outcomes.setdefault(command.id, results)

    def _flush(self) -> None:
        """Append what waits, all at once."""
        if not self._appends:
            return
        batches: list[Batch] = []
        recorded: list[int] = []
        for _, command in self._appends:
            batches += command.content["batches"]
            recorded += [command.content["at"]] * len(command.content["batches"])
        results = append_batches(
            self._connection,
            self._head,
            batches,
            look_up=self._look_up or must_look_up(batches),
            recorded=recorded,
        )
        self.position = self._head.look_up(self._connection)
        start = 0
        for number, command in self._appends:
            end = start + len(command.content["batches"])
            self._end(number, command, results[start:end])
            start = end
        self._appends = []

    def _attempt(self, command: Command) -> Any:
        """Apply a command that is no append, or say why it is refused; then it leaves no trace."""
        self._connection.execute("SAVEPOINT command")
        try:
            return self._apply(command)
        except Exception as error:
            refusal = _refusal(error)
            if refusal is None:
                raise
            self._connection.execute("ROLLBACK TO command")
            return refusal
        finally:
            self._connection.execute("RELEASE command")

    def _apply(self, command: Command) -> Any:
        content, connection = command.content, self._connection
        if command.kind == ADOPT:
            adopt(connection, content["pruned"], content["summaries"])
            self.position = numbers(connection).head
            return None
        if command.kind == PUT:
            ((key, text),) = ledger.checked(connection, [content["put"]])
            return ledger.write(connection, key, text)
        if command.kind == DELETE:
            return ledger.delete(connection, content["key"], content["expected"])
        within: Any = _Within(connection)
        if command.kind == PRUNE:
            return upkeep.prune(within, content["through"])
        if command.kind == REDACT:
            redacted = upkeep.redact_matching(within, content["query"])
            self.redacted = self.redacted or redacted > 0
            return redacted
        restored = restore_events(connection, content["events"], content["at"])
        self.position = numbers(connection).head
        return restored


def _refusal(error: Exception) -> TidingsError | None:
    """Why a command is refused; none where the machine suffers something instead.

    What asks for nonsense ends alike on every machine. If that ended the transaction, no replica
    could ever get past it.
    """
    if isinstance(error, sqlite3.OperationalError):
        error = translate(error, "the replica", 0)  # such as too many ids for one statement
    if isinstance(error, _REFUSALS):
        return error
    if isinstance(error, _SENSELESS) and not isinstance(error, TidingsError):
        return InvalidQuery(f"no store can do what was asked for: {error}")
    return None


class _Within:
    """The caller's transaction, for functions that begin their own."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """The transaction under way."""
        return nullcontext(self._connection)

    snapshot = transaction
