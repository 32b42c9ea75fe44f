"""What changed of what clients listen for: one follower a process, from the first listener on.

However many listen, the store is watched and read once. A listener is told which of its addresses
changed, never by whom or how, and only of what it may see: of another project's events it does not
even learn that there were any. Several changes of one address shortly after each other become one.
The follower goes on from a position (promise 2), so that a change may be told late but not missed.
How clients are reached is `listening`'s work.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

from tidings.bus import followed
from tidings.errors import HistoryPruned, StoreClosed
from tidings.mcp_server.addresses import EVENT, HEALTH, RECENT, TYPES, WORKFLOW
from tidings.record import (
    AGGREGATE_ID,
    AGGREGATE_TYPE,
    CORRELATION_ID,
    PROJECT,
    TYPE,
)
from tidings.removing import last_removal
from tidings.store.query import Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tidings.event import Event
    from tidings.mcp_server.access import Access
    from tidings.mcp_server.addresses import Place
    from tidings.mcp_server.making import Ground
    from tidings.store.base import Store

__all__ = ["Changes", "Listener"]

_log = logging.getLogger("tidings.mcp")

_PAUSE = 0.1
"""Between two rounds (seconds): what changes meanwhile is told together."""

_LOOK_SECONDS = 2.0
"""How often it is looked whether types, health or keys changed, and whether events were removed."""

_LONGEST_BACKOFF = 5.0


class Listener:
    """Somebody who listens.

    Args:
        access: what they may see.
        wanted: what they listen for, with the addresses they gave for it.
        wake: called when something is pending, or they are dismissed.

    Attributes:
        pending: the addresses that changed and that they were not told of yet.
        dismissed: whether they shall go.
    """

    def __init__(
        self, access: Access, wanted: Mapping[Place, Iterable[str]], wake: Callable[[], None]
    ) -> None:
        self.access = access
        self.wanted: dict[Place, tuple[str, ...]] = {}
        self.want(wanted)
        self.pending: dict[str, None] = {}
        self.dismissed = False
        self._wake = wake

    def tell(self, places: Iterable[Place]) -> None:
        """Note that some of what they listen for has changed."""
        for place in places:
            self.pending.update(dict.fromkeys(self.wanted[place]))
        if self.pending:
            self._wake()

    def want(self, wanted: Mapping[Place, Iterable[str]]) -> None:
        """Listen for this from now on, and for nothing else."""
        self.wanted = {place: tuple(addresses) for place, addresses in wanted.items()}

    def forget(self, address: str) -> None:
        """Listen for this address no more."""
        left = {place: [a for a in each if a != address] for place, each in self.wanted.items()}
        self.want({place: each for place, each in left.items() if each})
        self.pending.pop(address, None)

    def dismiss(self) -> None:
        """Have them go."""
        self.dismissed = True
        self._wake()


class _News(NamedTuple):
    """What a page of events of one project says."""

    ids: set[str]
    workflows: set[str]
    types: set[str]


class Changes:
    """Follows the store while somebody listens.

    Args:
        ground: the bus, and the door by which listeners came in.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self._look_at = 0.0
        self._position = 0
        self._removal = 0
        self._catalog: object = None
        self._known_types: set[str] = set()
        self._well = True

    async def add(self, listener: Listener) -> None:
        """Tell somebody of all that changes from the moment this returns."""
        self._listeners.add(listener)
        if self._task is None:
            self._looked = asyncio.Event()
            self._task = asyncio.create_task(self._run())
        await self._looked.wait()

    def remove(self, listener: Listener) -> None:
        """Tell them nothing any more; calling again is harmless."""
        self._listeners.discard(listener)

    async def close(self) -> None:
        """Stop following."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    # Following ------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Follow until nobody listens; the next who comes begins anew."""
        try:
            await self._follow_while_wanted()
        finally:
            self._looked.set()
            if self._task is asyncio.current_task():
                self._task = None

    async def _follow_while_wanted(self) -> None:
        backoff = 0.0
        begun = False
        self._well = True
        while self._listeners:
            try:
                if not begun:
                    await self._begin()
                    begun = True
                else:
                    await self._follow()
            except StoreClosed:
                break
            except HistoryPruned as error:
                self._position = error.first - 1
                self._tell_all(RECENT, EVENT, WORKFLOW)
            except Exception as error:  # noqa: BLE001 - whatever it is, listeners wait for the next try
                self._fell_ill(error)
                backoff = min(_LONGEST_BACKOFF, 2 * backoff or _PAUSE)
            else:
                backoff = 0.0
                self._got_well()
            self._looked.set()
            await asyncio.sleep(max(_PAUSE, backoff))

    async def _begin(self) -> None:
        """See where the log stands now."""
        store = self._ground.bus().store
        self._position = await asyncio.to_thread(store.head)
        self._removal = await asyncio.to_thread(last_removal, store)
        self._catalog, self._known_types = await asyncio.to_thread(self._types)
        if self._looked.is_set():
            # The store was away when they came, and nobody knows what happened until now.
            self._tell_all(RECENT, EVENT, WORKFLOW, TYPES)

    async def _follow(self) -> None:
        """Wait a little for what is new, tell of it, and look around now and then."""
        bus = self._ground.bus()
        if await bus.wait(self._position, _LOOK_SECONDS) > self._position:
            reading = await asyncio.to_thread(bus.store.read, followed(Query(after=self._position)))
            while (page := await asyncio.to_thread(reading.next_page)) is not None:
                await self._take(page.events)
                self._position = page.position
            self._position = reading.position
        now = asyncio.get_running_loop().time()
        if now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            await self._look_around()
            await self._see_who_may_stay()

    async def _take(self, events: Sequence[Event]) -> None:
        """Tell listeners of a page of events."""
        if not events:
            return
        agents = _agents_without_workflow(events) if self._listens_for(WORKFLOW) else set()
        store = self._ground.bus().store
        workflows = await asyncio.to_thread(_workflows_of, store, agents) if agents else {}
        news = _news(events, workflows)
        for listener in list(self._listeners):
            listener.tell(self._changed(listener, news))
        for each in news.values():
            self._known_types |= each.types

    def _changed(self, listener: Listener, news: Mapping[str, _News]) -> list[Place]:
        """What of a listener's places changed, as far as they may know of it."""
        projects = listener.access.projects
        seen = [each for project, each in news.items() if projects is None or project in projects]
        if not seen:
            return []
        return [place for place in listener.wanted if self._is_in(place, seen, projects)]

    def _is_in(self, place: Place, news: Iterable[_News], projects: frozenset[str] | None) -> bool:
        if place.kind == RECENT:
            return True
        if place.kind == EVENT:
            return any(place.id in each.ids for each in news)
        if place.kind == WORKFLOW:
            return any(place.id in each.workflows for each in news)
        # Who is bound to projects sees the catalog alone, in which events change nothing.
        return (
            place.kind == TYPES
            and projects is None
            and any(not each.types <= self._known_types for each in news)
        )

    # Looking around -------------------------------------------------------------------------------

    async def _look_around(self) -> None:
        """See what no event tells of: what was removed, and which types were registered."""
        store = self._ground.bus().store
        removal = await asyncio.to_thread(last_removal, store)
        if removal != self._removal:
            self._removal = removal
            self._tell_all(RECENT, EVENT, WORKFLOW)
        if self._listens_for(TYPES):
            catalog, known = await asyncio.to_thread(self._types)
            if catalog != self._catalog:
                self._catalog, self._known_types = catalog, known
                self._tell_all(TYPES)

    def _types(self) -> tuple[object, set[str]]:
        """What the catalog says, and the types that it knows or that occur."""
        bus = self._ground.bus().bus
        catalog = {name: bus.catalog.info(name) for name in bus.catalog.names()}
        return catalog, {*catalog, *(each.type for each in bus.store.types())}

    async def _see_who_may_stay(self) -> None:
        """Let go of those who could not come in now: nobody listens longer than their key."""
        for listener in list(self._listeners):
            if not await self._ground.door.still_admits(listener.access):
                listener.dismiss()

    def _fell_ill(self, error: Exception) -> None:
        if self._well:
            self._well = False
            _log.warning("who listens for changes waits for the store: %s", error)
            self._tell_all(HEALTH)

    def _got_well(self) -> None:
        if not self._well:
            self._well = True
            self._tell_all(HEALTH)

    def _listens_for(self, kind: str) -> bool:
        return any(place.kind == kind for each in self._listeners for place in each.wanted)

    def _tell_all(self, *kinds: str) -> None:
        for listener in list(self._listeners):
            listener.tell([place for place in listener.wanted if place.kind in kinds])


def _news(events: Iterable[Event], workflows: Mapping[str, str]) -> dict[str, _News]:
    """What events say, by their projects.

    Args:
        events: the events.
        workflows: the workflows of agents whose events do not say it.
    """
    news: dict[str, _News] = {}
    for event in events:
        record = event.record
        told = news.setdefault(record[PROJECT], _News(set(), set(), set()))
        told.ids.add(event.id)
        told.types.add(record[TYPE])
        about = record[AGGREGATE_ID]
        named = {record[CORRELATION_ID], workflows.get(about) if about else None}
        if record[AGGREGATE_TYPE] == "workflow":
            named.add(about)
        told.workflows.update(name for name in named if name is not None)
    return news


def _agents_without_workflow(events: Iterable[Event]) -> set[str]:
    """The agents that events are about which do not say what they belong to."""
    return {
        event.record[AGGREGATE_ID]
        for event in events
        if event.record[AGGREGATE_TYPE] == "agent" and event.record[CORRELATION_ID] is None
    }


def _workflows_of(store: Store, agents: Iterable[str]) -> dict[str, str]:
    """The workflows that agents belong to, as their earlier events say."""
    found = {}
    for agent in agents:
        for summary in store.summaries("agent", Query(aggregate_id=agent, limit=1)):
            if summary.correlation_id is not None:
                found[agent] = summary.correlation_id
    return found
