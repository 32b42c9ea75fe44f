"""The list of attempts: what was sent to an endpoint when, and what it answered.

An attempt is written together with what it settled, so nothing that counts as sent is missing here
after a crash. Each endpoint keeps its newest 1,000, in records of 50. What is tried from elsewhere
than the engine (`trial`) has records of its own, so that they never write over each other.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from tidings.delivery.webhooks.keys import LOG
from tidings.store.base import Put
from tidings.subscriptions.progress import Attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from typing import Any, TypeAlias

    from tidings.store.base import Store

    Row: TypeAlias = tuple[tuple[Any, ...], str, int, str, str]

__all__ = ["KEPT", "AttemptLog", "Attempts", "Listed", "list_test"]

KEPT = 1000
"""So many attempts of each endpoint are kept."""

_SEGMENT = 50

_TESTS_KEPT = 20

_TAKEN = 200
"""So much of what an endpoint answered to an event that it took is kept (characters)."""

_PAGE = 1000

_CACHED = 1000
"""So many endpoints' newest records are held in memory, so that they need not be read again."""


class Listed(NamedTuple):
    """An attempt as it is listed.

    Attributes:
        attempt: when, how long, and what came of it.
        event_id: the event's id.
        position: its position; 0 for a test, which is not in the log.
        type: its type.
        trigger: why it was sent: `delivery`, `retry`, `replay` or `test`.
    """

    attempt: Attempt
    event_id: str
    position: int
    type: str
    trigger: str

    def to_value(self) -> Row:
        """As a JSON value; `Listed.of` reads it."""
        attempt = self.attempt.cut()
        if not attempt.error:
            attempt = attempt._replace(answer=attempt.answer[:_TAKEN])
        return (*attempt,), *self[1:]

    @classmethod
    def of(cls, value: Sequence[Any]) -> Listed:
        """What `to_value` wrote."""
        attempt, *rest = value
        return cls(Attempt(*attempt), *rest)


class Attempts:
    """The attempts at a store's endpoints, for people.

    Args:
        store: whose ledger holds them.

    >>> from tidings.store.memory import MemoryStore
    >>> store = MemoryStore()
    >>> list_test(store, "wh_1", Listed(Attempt(1, 0.2, "", 204), "t1", 0, "tidings.test", "test"))
    >>> [listed.attempt.status for listed in Attempts(store).of("wh_1")]
    [204]
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(
        self, id: str, *, limit: int = 100, failed: bool = False, before: int | None = None
    ) -> list[Listed]:
        """The attempts at an endpoint, the newest first.

        Args:
            id: the endpoint's.
            limit: at most so many.
            failed: only those that failed.
            before: only those that began before this instant (microseconds since 1970).
        """
        found = sorted(self._all(id), key=lambda listed: listed.attempt.at, reverse=True)
        wanted = (
            listed
            for listed in found
            if (before is None or listed.attempt.at < before)
            and (not failed or listed.attempt.error)
        )
        return [listed for listed, _ in zip(wanted, range(limit), strict=False)]

    def _all(self, id: str) -> Iterator[Listed]:
        for key in self._store.keys(f"{LOG}{id}/"):
            record = self._store.get(key)
            if record is not None:  # else it was too old just now
                yield from map(Listed.of, record.value)


class AttemptLog:
    """Where the engine writes attempts; for one thread at a time.

    Args:
        store: whose ledger holds them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._numbers: dict[str, int] = {}
        # Rows are tuples of plain values, which the garbage collector leaves alone.
        self._rows: OrderedDict[str, list[Row]] = OrderedDict()
        self._pending: dict[str, tuple[int, list[Row]]] = {}

    def learn(self, ids: Collection[str]) -> None:
        """See how far the lists of some endpoints have come, which others may have written.

        All lists are walked through, because a store may take long to say that there is none.
        """
        self._numbers |= dict.fromkeys(ids, 0)
        for id in ids:
            self._rows.pop(id, None)
        after = ""
        while page := self._store.keys(LOG, after, _PAGE):
            after = page[-1]
            for key in page:
                id, number = key.removeprefix(LOG).split("/")
                if id in ids and number.isdecimal():
                    self._numbers[id] = int(number) + 1

    def puts(self, id: str, attempts: Sequence[Listed]) -> list[Put]:
        """The writes that list attempts; `written` or `failed` must follow."""
        number, rows = self._newest(id)
        rows = [*rows, *(listed.to_value() for listed in attempts)]
        puts = []
        while len(rows) > _SEGMENT:
            puts.append(Put(_key(id, number), rows[:_SEGMENT]))
            number, rows = number + 1, rows[_SEGMENT:]
        puts.append(Put(_key(id, number), rows))
        self._pending[id] = number, rows
        return puts

    def written(self, puts: Sequence[Put]) -> None:
        """All of it was written; let go of what is too old now."""
        for id, (number, rows) in self._pending.items():
            self._numbers[id] = number + 1
            self._rows[id] = rows
            self._rows.move_to_end(id)
        self._pending.clear()
        while len(self._rows) > _CACHED:
            self._rows.popitem(last=False)
        for put in puts:
            id, number_text = put.key.removeprefix(LOG).split("/")
            outdated = int(number_text) - KEPT // _SEGMENT
            if outdated >= 0 and len(put.value) == _SEGMENT:
                self._store.delete(_key(id, outdated))

    def failed(self) -> None:
        """Not all of it was written: see what was, before the next."""
        for id in self._pending:
            self._rows.pop(id, None)
        self._pending.clear()

    def _newest(self, id: str) -> tuple[int, list[Row]]:
        """The number of an endpoint's newest record, and what is in it."""
        segments = self._numbers.get(id, 0)
        if not segments:
            return 0, []
        rows = self._rows.get(id)
        if rows is None:
            record = self._store.get(_key(id, segments - 1))
            rows = [] if record is None else [Listed.of(row).to_value() for row in record.value]
        return segments - 1, rows


def list_test(store: Store, id: str, listed: Listed) -> None:
    """List an attempt that was made elsewhere than in the engine."""
    keys = store.keys(_tests(id))
    for key in keys[: max(0, len(keys) - _TESTS_KEPT + 1)]:
        store.delete(key)
    store.put(f"{_tests(id)}{listed.attempt.at:020d}", [listed.to_value()])


def _key(id: str, number: int) -> str:
    return f"{LOG}{id}/{number:010d}"


def _tests(id: str) -> str:
    return f"{LOG}{id}/test-"
