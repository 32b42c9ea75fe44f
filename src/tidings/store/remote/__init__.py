"""The remote backend: a store that a Tidings server keeps, over HTTP.

Keeps promises 1, 2 and 5 as the server's own backend does: every call is one of the server's
lossless routes. It only raises; the bus spools while the server is away. Standard library only.

    address       where the server is
    server        asking it in bounded time; what may be repeated and what not
    connections   connections: kept, used again, dropped after a fork
    refusals      the server's problems as errors
    wire          events, batches and queries as JSON, for both sides
    appending     batches in as few requests as they fit into
    reading       a reading as the server's pages, one by one
    copying       a backup, from the server into a file here
"""

from __future__ import annotations

from time import monotonic, sleep

from tidings import settings
from tidings.errors import NotAllowed, StoreUnavailable
from tidings.store.base import (
    Bin,
    Count,
    LedgerRecord,
    Store,
    Summary,
    TypeCount,
)
from tidings.store.ledger import checked_key, checked_page, encoded_value
from tidings.store.remote.address import Address
from tidings.store.remote.appending import append_all, restore
from tidings.store.remote.copying import write_copy
from tidings.store.remote.reading import read, summaries
from tidings.store.remote.server import LONG_SECONDS, QUESTION, Server, Way
from tidings.store.standing import ANY, Standing
from tidings.store.wire import event_of_row, query_data, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeVar

    from tidings.event import Event
    from tidings.store.base import Batch, Reading
    from tidings.store.query import Query

    T = TypeVar("T")

__all__ = ["RemoteStore"]

_LONGEST_POLL = 25.0
"""How long one request waits for an event; proxies cut those that wait 30 s and more (seconds)."""

_OUTAGE = 120.0
"""How long who waits for events puts up with a server that answered before (seconds)."""

_JUST_NOW = 5.0
"""A server that answered so lately and is away now may be starting anew (seconds)."""

_LONGEST_PAUSE = 1.0


class RemoteStore(Store):
    """A store that a Tidings server keeps.

    Args:
        url: where it is: `http://host:8765`, `https://host/prefix`.
        key: what the server is shown; none for `TIDINGS_KEY`.
        deadline: how long an append may take, from the look-up of the server's name to its answer
            (seconds, and one more for each 512 KiB sent); none for `TIDINGS_DEADLINE`, 1 s.

    Nothing is asked before it is needed, so making one does not fail because the server is away.
    Readers and whoever waits put up with a server that answered just before and starts anew; every
    other call says at once that it is away.

    Raises:
        InvalidSetting: the URL or the key is not usable.
    """

    def __init__(self, url: str, *, key: str | None = None, deadline: float | None = None) -> None:
        address = Address.from_url(url)
        self.url = address.url
        self._deadline = settings.deadline() if deadline is None else deadline
        shown = settings.key() if key is None else settings.checked_key(key)
        self._server = Server(address, shown, self._deadline)
        self._facts: dict[str, Any] | None = None
        self._known_head = 0
        self._trouble: StoreUnavailable | None = None

    @property
    def durability(self) -> str:  # type: ignore[override]  # known when the server has told it
        """What an acknowledged event survives, as the server's store declares it."""
        return str(self._known_facts()["durability"])

    @property
    def atomic_put(self) -> bool:  # type: ignore[override]  # as above
        """Whether `append` takes ledger writes along, as the server's store declares it."""
        return bool(self._known_facts()["atomic_put"])

    # The log --------------------------------------------------------------------------------------

    def append_all(self, batches: Sequence[Batch]) -> list[list[Event] | Exception]:
        self._ensure_open()
        return append_all(self._ask, batches)

    def restore(self, events: Iterable[Event]) -> int:
        self._ensure_open()
        return restore(self._ask, events)

    def remains(self, after: tuple[str, str] | None = None) -> list[Summary]:
        def told(answer: Any) -> list[Summary]:
            return [Summary(*row) for row in answer["summaries"]]

        return self._ask(told, "POST", "/log/remains", {"after": after and list(after)})

    def adopt(self, pruned: int, summaries: Sequence[Summary] = ()) -> None:
        # Taking the same over again changes nothing.
        way = Way(LONG_SECONDS, repeatable=True, changes=True)
        asked = {"pruned": pruned, "summaries": [list(each) for each in summaries]}
        self._ask(lambda answer: _number(answer["adopted"]), "POST", "/log/adopt", asked, way)

    def read(self, query: Query) -> Reading:
        self._ensure_open()
        # So that who follows does not notice a server that goes between two readings.
        contact = self._server.last_contact
        patient = contact is not None and monotonic() - contact < _JUST_NOW
        return read(self._ask, query, patient=patient)

    def latest(self, type: str | None = None) -> Event | None:
        def told(answer: Any) -> Event | None:
            return None if answer["event"] is None else event_of_row(answer["event"])

        return self._ask(told, "POST", "/log/latest", {"type": type})

    def head(self) -> int:
        return self._ask(lambda answer: _number(answer["head"]), "GET", "/log/head")

    def catch_up(self) -> int:
        return self._ask(lambda answer: _number(answer["head"]), "POST", "/log/catch-up", {})

    def first(self) -> int:
        return self._ask(lambda answer: _number(answer["first"]), "GET", "/log/head")

    def types(self) -> list[TypeCount]:
        def told(answer: Any) -> list[TypeCount]:
            return [TypeCount(*row) for row in answer["types"]]

        return self._ask(told, "GET", "/log/types")

    def count(self, query: Query) -> Count:
        def told(answer: Any) -> Count:
            return Count(_number(answer["count"]), bool(answer["exact"]))

        return self._ask(told, "POST", "/log/count", {"query": query_data(query)})

    def summaries(self, kind: str, query: Query, standing: Standing = ANY) -> list[Summary]:
        self._ensure_open()
        return summaries(self._ask, kind, query, standing)

    def histogram(self, query: Query, interval: int) -> list[Bin]:
        def told(answer: Any) -> list[Bin]:
            return [Bin(*row) for row in answer["bins"]]

        asked = {"query": query_data(query), "interval": interval}
        return self._ask(told, "POST", "/log/histogram", asked)

    def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the head as soon as it is past a position; see `Store.wait`.

        A server that answered before and went away is waited for, 2 minutes at most: it may be
        starting anew. When `timeout` is up meanwhile, the head is the last one known.
        """
        end = None if timeout is None else monotonic() + max(timeout, 0.0)
        pause = 0.05
        while True:
            left = _LONGEST_POLL if end is None else max(end - monotonic(), 0.0)
            # While it is away it is asked for a quick answer: that it is back is told at once.
            poll = min(left, _LONGEST_POLL if self._trouble is None else 0.0)
            way = QUESTION._replace(seconds=poll + self._deadline + _LONGEST_POLL)
            try:
                head = self._ask_to_wait(after, poll, way)
                self._trouble = None
            except StoreUnavailable as error:
                self._ensure_worth_waiting(error)
                self._trouble = error
                head = self._known_head
                sleep(min(pause, left))
                pause = min(2 * pause, _LONGEST_PAUSE)
            if head > after or (end is not None and monotonic() >= end):
                return head

    def trouble(self) -> StoreUnavailable | None:
        return self._trouble

    def _ask_to_wait(self, after: int, seconds: float, way: Way) -> int:
        asked = {"after": after, "timeout": seconds}
        self._known_head = self._ask(
            lambda answer: _number(answer["head"]), "POST", "/log/wait", asked, way
        )
        return self._known_head

    def _ensure_worth_waiting(self, error: StoreUnavailable) -> None:
        contact = self._server.last_contact
        away = contact is None or monotonic() - contact > _OUTAGE
        if away or isinstance(error, NotAllowed):
            raise error

    # Upkeep ---------------------------------------------------------------------------------------

    def backup(self, path: str) -> None:
        """Write a copy of the store to a file here; see `Store.backup`.

        It holds the whole log, and the ledger without what is the server's own: its keys, sessions
        and webhooks. `tidings backup` on the server's machine copies these too.
        """
        self._ensure_open()
        try:
            write_copy(self._server, path)
        except StoreUnavailable:
            self._ensure_open()
            raise

    def prune(self, through: int) -> int:
        return self._change("pruned", "/log/prune", {"through": through})

    def redact(self, query: Query) -> int:
        return self._change("redacted", "/log/redact", {"query": query_data(query)})

    def check(self) -> list[str]:
        return self._ask(
            lambda answer: [str(problem) for problem in answer["problems"]],
            "GET",
            "/log/check",
            way=QUESTION._replace(seconds=LONG_SECONDS),
        )

    def describe(self) -> dict[str, Any]:
        facts = self._ask(dict, "GET", "/log/describe")
        return {**facts, "url": self.url}

    def _change(self, name: str, path: str, asked: dict[str, Any]) -> int:
        way = Way(LONG_SECONDS, repeatable=False, changes=True)
        return self._ask(lambda answer: _number(answer[name]), "POST", path, asked, way)

    # The ledger -----------------------------------------------------------------------------------

    def get(self, key: str) -> LedgerRecord | None:
        def told(answer: Any) -> LedgerRecord | None:
            return None if answer["record"] is None else LedgerRecord(*answer["record"])

        self._ensure_open()
        return self._ask_in_time(told, "/ledger/get", {"key": checked_key(key)})

    def put(self, key: str, value: Any, expected: int | None = None) -> int:
        self._ensure_open()
        encoded_value(value)
        asked = {"key": checked_key(key), "value": value, "expected": whole("expected", expected)}
        return self._ask_in_time(
            lambda answer: _number(answer["revision"]), "/ledger/put", asked, changes=True
        )

    def delete(self, key: str, expected: int | None = None) -> bool:
        self._ensure_open()
        asked = {"key": checked_key(key), "expected": whole("expected", expected)}
        return self._ask_in_time(
            lambda answer: bool(answer["deleted"]), "/ledger/delete", asked, changes=True
        )

    def keys(self, prefix: str = "", after: str = "", limit: int | None = None) -> list[str]:
        self._ensure_open()
        start, past, most = checked_page(prefix, after, limit)
        return self._ask_in_time(
            lambda answer: [str(key) for key in answer["keys"]],
            "/ledger/keys",
            {"prefix": start, "after": past, "limit": most},
        )

    def _ask_in_time(
        self, told: Callable[[Any], T], path: str, asked: dict[str, Any], *, changes: bool = False
    ) -> T:
        """Ask the ledger, which an emit does for its type: within the deadline."""
        way = Way(None, repeatable=not changes, changes=changes)
        return self._ask(told, "POST", path, asked, way)

    # Its end --------------------------------------------------------------------------------------

    def close(self) -> None:
        super().close()
        self._server.close()

    # Asking ---------------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        asked: Any = None,
        *,
        changes: bool = False,
        seconds: float = 60.0,
    ) -> Any:
        """Ask the server for something else than the contract's, such as `/webhooks`.

        Args:
            method: the request's.
            path: the route, with its query.
            asked: a JSON value to send; none for no body.
            changes: whether it changes something there. It is then sent once.
            seconds: how long the answer may take.

        Returns:
            The JSON value it answers.

        Raises:
            TidingsError: what the server refused, as the error that it was there.
        """
        way = Way(seconds, repeatable=not changes, changes=changes)
        return self._ask(lambda answer: answer, method, path, asked, way)

    def _ask(
        self,
        told: Callable[[Any], T],
        method: str,
        path: str,
        asked: Any = None,
        way: Way | None = None,
    ) -> T:
        """Ask the server, and understand its answer.

        Args:
            told: what the answer means.
            method: the request's.
            path: the route.
            asked: what is sent.
            way: how it may go wrong; none for a question.
        """
        self._ensure_open()
        try:
            answer = self._server.ask(method, path, asked, way)
        except StoreUnavailable:
            # Where the connection went because another thread closed this store, say so.
            self._ensure_open()
            raise
        return self._server.understood(told, answer, way)

    def _known_facts(self) -> dict[str, Any]:
        if self._facts is None:
            self._facts = self._ask(dict, "GET", "/log/describe")
        return self._facts


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value
