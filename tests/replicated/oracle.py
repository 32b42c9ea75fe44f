"""What a log of commands means, said a second time: a memory store that takes each of them once.

It joins parts by itself and knows nothing of replicas, transactions or outcomes that are looked up;
of the code under test it uses only what reads one entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidings.errors import Conflict, OutcomeUnknown, TidingsError
from tidings.event import Event
from tidings.record import KEY, PAYLOAD, POSITION, RECORDED, VERSION
from tidings.store.base import CORRELATION, Store
from tidings.store.memory import MemoryStore
from tidings.store.query import Query
from tidings.store.replicated.command import (
    ADOPT,
    APPEND,
    DELETE,
    PRUNE,
    PUT,
    REDACT,
    RESTORE,
    Command,
    part_of,
)
from tidings.testing.strategies import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tidings.store.base import Batch
    from tidings.store.replicated.log import Entry

__all__ = ["Oracle", "content", "same_result"]


class Oracle(MemoryStore):
    """A memory store that applies a log.

    Args:
        remembered: how many commands back a command is known.

    Attributes:
        results: how each command ended, by its id; each time, where it was forgotten meanwhile.
    """

    def __init__(self, remembered: int) -> None:
        super().__init__()
        self.results: dict[str, list[list[Any]]] = {}
        self._remembered = remembered
        self._at = 0
        self._count = 0
        self._numbers: dict[str, int] = {}
        self._parts: dict[str, dict[int, int]] = {}

    def take_all(self, entries: Iterable[Entry], commands: Mapping[str, Command]) -> None:
        """Apply the commands that the entries say, each once it is whole."""
        for entry in entries:
            part = part_of(entry.data, entry.sequence, "the log")
            if part is None:
                continue
            came = self._parts.setdefault(part.command, {})
            came[part.part] = self._count + 1
            known = [n for n in came.values() if n > self._count + 1 - self._remembered]
            if part.parts == 1 or len(known) == part.parts:
                del self._parts[part.command]
                self._take_one(commands[part.command])

    def _take_one(self, command: Command) -> None:
        self._count += 1
        if self._numbers.get(command.id, -self._remembered) > self._count - self._remembered:
            return
        self._numbers[command.id] = self._count
        try:
            result = self._do(command.kind, command.content)
        except TidingsError as error:
            result = [error]
        self.results.setdefault(command.id, []).append(result)

    def _do(self, kind: str, given: Mapping[str, Any]) -> list[Any]:
        self._at = given.get("at", 0)
        if kind == APPEND:
            return list(self.append_all(given["batches"]))
        if kind == PUT:
            return [self.put(*given["put"])]
        does: dict[str, Any] = {
            RESTORE: self.restore,
            ADOPT: self.adopt,
            DELETE: self.delete,
            PRUNE: self.prune,
            REDACT: self.redact,
        }
        arguments = {name: value for name, value in given.items() if name != "at"}
        return [does[kind](**arguments)]

    def append_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        """As the memory store, at the instant the command gives."""
        return [self._attempt(batch, self._at) for batch in batches]

    def restore(self, events: Iterable[Event]) -> int:
        """As the memory store, at the instant the command gives."""
        records = self._log.decide_restore(list(events), self._at)
        self._log.keep(records)
        return len(records)


def content(store: Store) -> dict[str, Any]:
    """All that a store holds, for comparison."""
    return {
        "events": [event.record[:-1] for event in store.read(Query())],
        "head": store.head(),
        "first": store.first(),
        "types": store.types(),
        "summaries": {kind: store.summaries(kind, Query()) for kind in (*KINDS, CORRELATION)},
        "remains": sorted(store.remains(), key=lambda kept: (kept.kind, kept.id)),
        "ledger": [store.get(key) for key in store.keys()],  # noqa: SIM118 - no mapping
    }


def same_result(told: Any, true: Any) -> bool:
    """Whether a caller was told what is true.

    Who hears of it later, because another process applied its command, is given its events as they
    are by then: perhaps redacted, or pruned, which is said.
    """
    if isinstance(true, list):
        if isinstance(told, OutcomeUnknown):
            return "pruned" in str(told)
        return isinstance(told, list) and list(map(_place, told)) == list(map(_place, true))
    if isinstance(true, Conflict):
        same = told.__dict__ == true.__dict__ and str(told) == str(true)
        return same and type(told) is type(true)
    if isinstance(true, TidingsError):
        return type(told) is type(true)
    return bool(told == true) and type(told) is type(true)


def _place(event: Event) -> tuple[Any, ...]:
    record = event.record
    said = record[KEY:VERSION], record[VERSION + 1 : PAYLOAD], record[PAYLOAD + 1 : RECORDED]
    return record[POSITION], record[VERSION], record[RECORDED], said
