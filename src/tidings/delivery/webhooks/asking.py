"""What people ask of whoever delivers: send events again, forget failures, go on elsewhere.

An ask is a record; a running engine hears of it by the `Bell`, and one that starts later finds it.
It is removed when what it changed was written, so it may be carried out twice after a crash, never
not at all.
"""

from __future__ import annotations

from itertools import islice

from tidings.delivery.webhooks.endpoints import Endpoints
from tidings.delivery.webhooks.keys import ASKED
from tidings.errors import InvalidQuery, NotFound
from tidings.ids import new_id
from tidings.store.query import Query
from tidings.subscriptions.bell import Bell
from tidings.subscriptions.dead_letters import REPLAY as REPLAY_LETTER
from tidings.subscriptions.dead_letters import DeadLetters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.base import Store

__all__ = ["EVENT", "SINCE", "Replays"]

_AT_ONCE = 1000
"""So many dead letters are asked for at once."""

EVENT = "event"
"""Send one event again, by itself."""

SINCE = "since"
"""Send everything past a position again, in order."""


class Replays:
    """Asks for events to be sent again.

    Args:
        store: whose events they are.

    >>> from tidings.event import Event
    >>> from tidings.store.memory import MemoryStore
    >>> store = MemoryStore()
    >>> endpoint, _ = Endpoints(store).create("https://example.org/hook")
    >>> (event,) = store.append([Event("job_done")])
    >>> Replays(store).event(endpoint.id, event.id), Replays(store).since(endpoint.id, after=0)
    (1, 1)
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def event(self, id: str, event: int | str) -> int:
        """Have one event sent again; those after it are not.

        Args:
            id: the endpoint's.
            event: its position or its id.

        Returns:
            The event's position.

        Raises:
            NotFound: there is no such endpoint, or no such event.
        """
        Endpoints(self._store).get(id)
        if isinstance(event, int):
            query = Query(after=max(0, event - 1), before=event + 1, limit=1)
        else:
            query = Query(ids=event, limit=1)
        found = next(self._store.read(query), None) if event else None
        if found is None:
            raise NotFound("event", str(event), "`tidings history` shows those there are")
        position = found.position or 0
        self._ask(id, {"what": EVENT, "position": position, "event_id": found.id})
        return position

    def since(self, id: str, moment: int | None = None, *, after: int | None = None) -> int:
        """Have everything since a moment sent again, in order; what comes meanwhile follows it.

        Args:
            id: the endpoint's.
            moment: since when it was recorded (microseconds since 1970).
            after: or past which position.

        Returns:
            How many events it wants are past there.

        Raises:
            NotFound: there is no such endpoint.
            InvalidQuery: neither or both are given.
        """
        position = self._position(moment, after)
        count = self._count(id, position)
        self._ask(id, {"what": SINCE, "position": position})
        return count

    def count_since(self, id: str, moment: int | None = None, *, after: int | None = None) -> int:
        """How many events `since` would send again; arguments and errors as there."""
        return self._count(id, self._position(moment, after))

    def failed(self, id: str) -> int:
        """Have everything sent again that was given up; returns how many.

        Raises:
            NotFound: there is no such endpoint.
        """
        name = Endpoints(self._store).get(id).subscription
        letters = DeadLetters(self._store)
        kept = letters.walk(name)
        asked = 0
        while some := list(islice(kept, _AT_ONCE)):
            asked += letters.ask_all(some, REPLAY_LETTER)
        Bell(self._store).ring()
        return asked

    def _position(self, moment: int | None, after: int | None) -> int:
        if (moment is None) == (after is None):
            raise InvalidQuery("replay since a moment, or past a position: give one of them")
        if moment is not None:
            after = self._store.position_before(moment)
        return max(after or 0, self._store.first() - 1)

    def _count(self, id: str, position: int) -> int:
        query = Endpoints(self._store).get(id).query()
        return self._store.count(query.replace(after=position)).value

    def _ask(self, id: str, ask: dict[str, Any]) -> None:
        self._store.put(f"{ASKED}{id}/{new_id()}", ask)
        Bell(self._store).ring()
