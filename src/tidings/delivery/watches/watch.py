"""A watch: what is expected, of which events, and how it stands.

Only values. Records are kept by `registry`, and what the state holds is decided in `arrivals` and
`lives`.
"""

from __future__ import annotations

from typing import NamedTuple

from tidings.bus import followed
from tidings.store.wire import query_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.store.query import Query

__all__ = ["EXPECTS", "Watch", "WatchState"]

EXPECTS = ("event", "ends", "heard")
"""What may be expected: that such an event comes at least so often; that what began ends so soon
after its start; that what began and has not ended is heard of at least so often."""


class Watch(NamedTuple):
    """Something that is expected.

    Attributes:
        name: what people call it.
        expects: one of `EXPECTS`.
        within: in what time (microseconds).
        filters: which events, as `wire.query_data` writes a query; where ends or signs of life are
            expected, which events begin something that is watched.
        paused: whether nothing is expected for now.
        since: the instant from which on it is expected: when it was added, or resumed last.
        start: it looks at events past this position.
        created_at: when it was added (microseconds since 1970).
    """

    name: str
    expects: str
    within: int
    filters: dict[str, Any]
    paused: bool
    since: int
    start: int
    created_at: int

    @property
    def state_key(self) -> str:
        """The key of what is remembered of it. A later watch of that name has another one."""
        return f"watch-at/{self.name}/{self.created_at}"

    def query(self) -> Query:
        """Which events; `tidings.*` types are left out unless it names them."""
        return followed(query_of(self.filters))

    def to_value(self) -> dict[str, Any]:
        """As a JSON value; `Watch.of` reads it."""
        return self._asdict()

    @classmethod
    def of(cls, value: dict[str, Any]) -> Watch:
        """What `to_value` wrote."""
        return cls(**value)


class WatchState(NamedTuple):
    """How a watch stands.

    Attributes:
        watch: which one.
        status: `waiting`, `missed`, `stuck`, `paused`, or `new` where no process has begun it yet.
        deadline: the next instant at which something will be missed; none where nothing can be.
        missed: the deadline that was missed, while it is; none where nothing is.
        stuck: what has not ended, or not been heard of, in time: type and id.
        open: how many have begun and not ended.
        full: whether so many have that further ones are not watched.
        position: how far it has looked in the log.
    """

    watch: Watch
    status: str
    deadline: int | None = None
    missed: int | None = None
    stuck: tuple[tuple[str, str], ...] = ()
    open: int = 0
    full: bool = False
    position: int = 0
