"""Which endpoints want an event, without asking each of them.

Endpoints that want the same share one look. What an endpoint wants is found by the event's project
and type where it names them, so ten thousand endpoints cost nothing when none wants the event.
Agrees with `Query.matches`, which has the last word on each candidate.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.event import Event
    from tidings.store.query import Query

__all__ = ["Matching"]


class Matching:
    """The queries of endpoints, to be found by events.

    >>> from tidings.event import Event
    >>> from tidings.store.query import Query
    >>> matching = Matching()
    >>> matching.add("a", Query(types="job.*"))
    >>> matching.add("b", Query(types="job.done", project="x"))
    >>> list(matching.wanting(Event("job.done", "y")))
    ['a']
    """

    def __init__(self) -> None:
        self._wishes: dict[str, _Wish] = {}
        self._of: dict[str, _Wish] = {}
        self._projects: dict[str | None, _Types] = {}

    def add(self, id: str, query: Query) -> None:
        """An endpoint wants this; what it wanted before it wants no longer."""
        self.remove(id)
        wish = self._wishes.get(repr(query))
        if wish is None:
            wish = self._wishes[repr(query)] = _Wish(query)
            for project in query.project or (None,):
                self._projects.setdefault(project, _Types()).add(wish)
        wish.ids[id] = None
        self._of[id] = wish

    def remove(self, id: str) -> None:
        """An endpoint wants nothing any more; does nothing where it is not known."""
        wish = self._of.pop(id, None)
        if wish is None:
            return
        del wish.ids[id]
        if wish.ids:
            return
        del self._wishes[repr(wish.query)]
        for project in wish.query.project or (None,):
            types = self._projects[project]
            types.remove(wish)
            if not types:
                del self._projects[project]

    def wanting(self, event: Event) -> Iterator[str]:
        """The endpoints that want an event."""
        seen: set[_Wish] = set()
        for project in (event.project, None):
            types = self._projects.get(project)
            if types is None:
                continue
            for wish in types.candidates(event.type):
                if wish not in seen and wish.query.matches(event):
                    yield from wish.ids
                seen.add(wish)


class _Wish:
    """What some endpoints want; equal to itself alone, which is found faster than a query is."""

    __slots__ = ("ids", "query")

    def __init__(self, query: Query) -> None:
        self.query = query
        self.ids: dict[str, None] = {}


class _Types:
    """Wishes by the types they name."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[_Wish, None]] = {}
        self._starts: dict[int, dict[str, dict[_Wish, None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._exact or self._starts)

    def add(self, wish: _Wish) -> None:
        for place, key in self._places(wish):
            place.setdefault(key, {})[wish] = None

    def remove(self, wish: _Wish) -> None:
        for place, key in list(self._places(wish)):
            del place[key][wish]
            if not place[key]:
                del place[key]
        self._starts = {length: place for length, place in self._starts.items() if place}

    def candidates(self, type: str) -> Iterator[_Wish]:
        """The wishes that name the type, or none; one may come twice."""
        yield from self._exact.get(type, ())
        for length, place in self._starts.items():
            if length <= len(type):
                yield from place.get(type[:length], ())

    def _places(self, wish: _Wish) -> Iterator[tuple[dict[str, dict[_Wish, None]], str]]:
        for pattern in wish.query.types or ("*",):
            if pattern.endswith("*"):
                yield self._starts.setdefault(len(pattern) - 1, {}), pattern[:-1]
            else:
                yield self._exact, pattern
